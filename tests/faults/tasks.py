"""What is trained: small models of three kinds, and what tells two runs of one apart."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core import SequenceTagger
from rnn_core.data import Examples, TextStream
from rnn_core.training.checkpoint import BEST, LAST, Checkpoint
from rnn_core.weights import read_arrays
from tests.training_cases import TEXT, classifier, language_model, sums

TASKS = ("language model", "classifier", "tagger")
OPTIONS = {"dtype": np.float64, "backend": "numpy", "dropout": 0.3}


def made(task: str) -> tuple[Any, Any, Any]:
    """Return a model, what it trains on, and what it is validated by; ten batches an epoch, about."""
    if task == "language model":  # states travel from batch to batch, and the last one is short
        text = np.tile(TEXT, 3)
        streams = TextStream(text[:300], batch_size=5, steps=6), TextStream(text[300:], batch_size=2, steps=9)
        return language_model(num_layers=2, cell_options={"zoneout": 0.1}, **OPTIONS), *streams
    train, held = sums(44, batch_size=5), sums(9, seed=4)
    if task == "classifier":  # with six shares of five rows one is empty, and in some nothing counts
        weights = np.ones(44)
        weights[:3] = 0
        return classifier(**OPTIONS), wide(train, weights=weights, shuffle=False), wide(held)
    tagger = SequenceTagger(2, 5, input_size=2, crf=True, seed=2, **OPTIONS)
    return tagger, tagged(train), tagged(held)


def wide(examples: Examples, **options: Any) -> Examples:
    """Return examples in float64."""
    return Examples(
        np.asarray(examples.inputs, np.float64), examples.targets, lengths=examples.lengths,
        batch_size=examples.batch_size, **options,
    )  # fmt: skip


def tagged(examples: Examples) -> Examples:
    """Return examples with a tag for each step: whether its first feature is positive."""
    x = np.asarray(examples.inputs, np.float64)
    return Examples(x, (x[..., 0] > 0).astype(int), lengths=examples.lengths, batch_size=examples.batch_size)


def digests(model: Any, history: Any, kept: Path) -> dict[str, str]:
    """Return what tells two runs apart, to the bit: the model, the losses, and the files that are left."""
    last, best = Checkpoint.read(kept / LAST), read_arrays(kept / BEST)
    carried = last.carried if isinstance(last.carried, tuple) else (last.carried,)
    return {
        "model": digest(model.parameters),
        "history": digest({name: np.array(history.column(name)) for name in ("loss", "validation_loss")}),
        "last": digest({**last.parameters, **last.optimizer_state}),
        "best": digest(best),
        "carried": digest({str(k): part for k, part in enumerate(carried) if part is not None}),
    }


def digest(arrays: dict[str, Any]) -> str:
    """Return the digest of arrays with their names."""
    whole = blake2b(digest_size=16)
    for name in sorted(arrays):
        whole.update(name.encode())
        whole.update(np.ascontiguousarray(arrays[name]).tobytes())
    return whole.hexdigest()
