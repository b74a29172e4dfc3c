"""`ready`: a model says which gradients are final while the backward still runs."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LSTM
from rnn_core.data.batches import Batch
from rnn_core.models import BidirectionalLanguageModel, ConvClassifier, Seq2Seq, SequenceTagger
from tests.model_cases import B, T, V, classifier, features, language_model, text

PLAIN = {"dtype": np.float64, "backend": "numpy", "seed": 1}
STACKED = {**PLAIN, "num_layers": 2}


def pairs():
    return Batch(text().inputs, np.where(np.arange(T) == T - 1, 0, 1 + text().targets % (V - 1)))


def tags():
    return features()._replace(targets=text().targets % 3)


def images():
    rng = np.random.default_rng(0)
    return Batch(rng.standard_normal((B, 1, 8)), np.array([0, 1, 2]))


CASES = {
    "language model": (language_model(**STACKED), text(), "head rnn_l1 rnn_l0"),
    "tied": (language_model(tied=True, **STACKED), text(), "head rnn_l1 rnn_l0"),
    "both ways": (classifier(bidirectional=True, **STACKED), features(), "head rnn_l1 rnn_l1 rnn_l0 rnn_l0"),
    "lengths": (classifier(**STACKED), features(lengths=np.array([5, 2, 1])), "head rnn_l1 rnn_l0"),
    "crf": (SequenceTagger(3, 4, input_size=2, crf=True, **STACKED), tags(), "head rnn_l1 rnn_l1 rnn_l0 rnn_l0"),
    "convolutions": (ConvClassifier(3, (1, 8), channels=(2,), hidden_size=3, **PLAIN), images(), "head hidden"),
    "seq2seq": (
        Seq2Seq(V, 4, vocab_size=V, bidirectional=False, decoder_size=3, **PLAIN), pairs(),
        "head attention attention rnn_l0",
    ),
    "seq2seq, one matrix, fed": (
        Seq2Seq(V, 4, vocab_size=V, bidirectional=False, shared=True, tied=True, input_feeding=True, **PLAIN), pairs(),
        "head attention attention rnn_l0",
    ),
    "seq2seq, no attention": (Seq2Seq(V, 4, vocab_size=V, attention=None, **STACKED), pairs(), None),
    "both directions": (BidirectionalLanguageModel(V, 4, **STACKED), text(), None),
    "both directions, tied": (BidirectionalLanguageModel(V, 4, tied=True, **STACKED), text(), None),
}  # fmt: skip
FRONT = ("embedding", "target_embedding", "bridge", "conv")
"""What is final when everything is."""


def part(name):
    """Return what a parameter belongs to: head, rnn_l0."""
    layer, _, own = name.partition(".")
    return layer if layer != "rnn" else f"rnn_{own.removesuffix('_reverse').rpartition('_')[2]}"


def told(model, batch, **options):
    """Return a step, and what was said on the way: gradients, copies of them, and counts."""
    said = []

    def ready(gradients, count):
        said.append((dict(gradients), {name: g.copy() for name, g in gradients.items()}, count))

    return model.loss_and_gradients(batch, rng=3, ready=ready, **options), said


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_to_be_final_is(name):
    """Each once, the top first, and all but what the front has."""
    model, batch, order = CASES[name]
    step, said = told(model, batch)
    names = [one for given, _, _ in said for one in given]
    assert len(names) == len(set(names))
    assert {one for one in model.parameters if not one.startswith(FRONT)} == set(names)
    for given, copies, count in said:
        assert count == step.count
        for one, gradient in given.items():
            assert gradient is step.gradients[one]
            np.testing.assert_array_equal(gradient, copies[one])
    if order is not None:
        assert " ".join(part(next(iter(given))) for given, _, _ in said if given) == order


@pytest.mark.parametrize("name", CASES)
def test_nothing_changes_by_being_told(name):
    model, batch, _ = CASES[name]
    step, _ = told(model, batch)
    plain = model.loss_and_gradients(batch, rng=3)
    assert step.loss == plain.loss
    assert list(step.gradients) == list(plain.gradients)
    for one, gradient in plain.gradients.items():
        np.testing.assert_array_equal(step.gradients[one], gradient)


def test_what_nobody_wants_is_not_said():
    model, batch, _ = CASES["language model"]
    _, said = told(model, batch, needs={"rnn.bias_hh_l1", "embedding.weight"})
    assert [list(given) for given, _, _ in said if given] == [["rnn.bias_hh_l1"]]


def test_a_stack_says_nothing_where_all_segments_are_final_together():
    layer, x = LSTM(2, 3, num_layers=2, **PLAIN), np.random.default_rng(0).normal(size=(4, 2, 2))
    said: list[dict[str, np.ndarray]] = []
    for resets in (None, np.array([[0, 0], [1, 0], [0, 0], [0, 1]])):
        y, _, tape = layer.forward(x, resets=resets)
        _, _, grads = layer.backward(tape, np.ones_like(y), ready=lambda given: said.append(dict(given)))
        assert set(grads) == set(layer.parameters)
    names = [sorted(given) for given in said]
    assert names == [sorted(layer.groups["l1"]), sorted(layer.groups["l0"])]
