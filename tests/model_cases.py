"""Small models, and batches for them, for the tests of models."""

from __future__ import annotations

import numpy as np

from rnn_core.data.batches import Batch
from rnn_core.models import LanguageModel, SequenceClassifier

CELLS = ("rnn", "lstm", "gru")
V, H, B, T = 6, 4, 3, 5
LENGTHS = np.array([5, 2, 1])


def text(seed=0, **fields):
    """Return rows of tokens, each to be followed by another."""
    rng = np.random.default_rng(seed)
    return Batch(rng.integers(0, V, (B, T)), rng.integers(0, V, (B, T)), **fields)


def language_model(**options):
    return LanguageModel(V, H, **{"num_layers": 2, "dtype": np.float64, "seed": 1, **options})


def features(classes=3, seed=0, **fields):
    """Return rows of features with a class each."""
    rng = np.random.default_rng(seed)
    return Batch(rng.standard_normal((B, T, 2)), rng.integers(0, max(classes, 2), B), **fields)


def classifier(classes=3, **options):
    options = {"num_layers": 2, "dtype": np.float64, "seed": 1, **options}
    return SequenceClassifier(classes, H, **({} if "vocab_size" in options else {"input_size": 2}), **options)


def tokens_classifier(classes=3, **options):
    return classifier(classes, vocab_size=V, embedding_size=3, **options)


def tokens_with_class(classes=3, **fields):
    return features(classes, **fields)._replace(inputs=text().inputs)


def random_state(model, seed=2):
    rng = np.random.default_rng(seed)
    states = tuple(rng.standard_normal((2, B, H)) for _ in model.rnn.spec.states)
    return states[0] if len(states) == 1 else states


def complex_state(state):
    return tuple(s.astype(complex) for s in state) if isinstance(state, tuple) else state.astype(complex)
