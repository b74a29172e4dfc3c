"""Our side: the library's own model, and the step that `fit` makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

import rnn_core
from rnn_core.data import Batch
from rnn_core.training import Adam
from rnn_core.training.history import History
from rnn_core.training.run import Run
from rnn_core.training.updates import resolve

from .cases import CLIP_NORM, LR, Case


class OneBatch:
    """A source that has one batch, for ever."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return 1

    def batch(self, epoch: int, index: int) -> Batch:
        """Return it."""
        return self._batch


def model_of(case: Case, backend: str) -> Any:
    """Return our model."""
    options: dict[str, Any] = {
        "embedding_size": case.E, "num_layers": case.layers, "cell": case.cell.lower(), "backend": backend, "seed": 0,
        "precision": case.precision,
    }  # fmt: skip
    if case.pooling:
        return rnn_core.SequenceClassifier(case.classes, case.H, vocab_size=case.V, pooling=case.pooling, **options)
    return rnn_core.LanguageModel(case.V, case.H, **options)


def loss_and_gradients(model: Any, batch: Batch) -> dict[str, np.ndarray]:
    """Return the gradients by name, those of an embedding as a whole, and the loss among them."""
    done = model.loss_and_gradients(batch)
    whole = {name: g.to_dense() if hasattr(g, "to_dense") else g for name, g in done.gradients.items()}
    return {"loss": np.asarray(float(done.loss)), **whole}


def run_of(model: Any, batch: Batch) -> Run:
    """Return a run of `fit` that trains on one batch; its `step` is what is timed."""
    optimizer = Adam(LR)
    updates = resolve("benchmarks", model, None, optimizer.lr)
    return Run(model, OneBatch(batch), None, optimizer, None, CLIP_NORM, updates, 0, None, History())
