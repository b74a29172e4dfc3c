"""Which models are trained, and on what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rnn_core.data import Batch

LR = 1e-3
CLIP_NORM = 1.0
"""Of Adam, and of the gradients: most steps are clipped, as they are when training begins."""


class Case(NamedTuple):
    """A model, and the batch that it is trained on."""

    model: str  # "language": the next token at every step; "classifier": a class for the whole
    cell: str  # RNN, LSTM, GRU
    V: int  # tokens of the vocabulary
    E: int
    H: int
    layers: int
    T: int
    B: int
    pooling: str = ""  # a classifier's
    ragged: bool = False
    precision: str = "float32"
    classes: int = 5

    @property
    def name(self) -> str:
        """The case in words."""
        note = f" {self.pooling}{', ragged' if self.ragged else ''}" if self.pooling else ""
        return f"step {self.model}{note} {self.cell} {self.precision} {self.shape}"

    @property
    def shape(self) -> str:
        """The sizes in words; L is the number of layers."""
        return f"V={self.V} E={self.E} H={self.H} L={self.layers} T={self.T} B={self.B}"

    @property
    def outputs(self) -> int:
        """What the head has of them."""
        return self.classes if self.pooling else self.V

    def batch(self) -> Batch:
        """Return tokens, targets and lengths; a ragged batch has about 60 % of the steps."""
        rng = np.random.default_rng(0)
        lengths = None
        if self.ragged:
            lengths = rng.integers(max(1, self.T // 5), self.T + 1, self.B)
            lengths[0] = self.T
        inputs = rng.integers(0, self.V, (self.B, self.T))
        targets = rng.integers(0, self.outputs, self.B if self.pooling else (self.B, self.T))
        return Batch(inputs, targets, lengths)

    def as_dict(self) -> dict[str, Any]:
        """Return the case as plain data."""
        return {"section": "steps", "name": self.name, **self._asdict()}


def chosen(quick: bool) -> list[Case]:
    """Return every case."""
    return _quick() if quick else list(_full())


def _quick() -> list[Case]:
    language, classifier = Case("language", "LSTM", 50, 8, 12, 2, 7, 8), Case("classifier", "GRU", 50, 8, 12, 1, 7, 8)
    pooled = [classifier._replace(pooling=kind, ragged=kind != "last") for kind in ("last", "mean", "max")]
    return [language, *pooled, language._replace(precision="bfloat16")]


def _full() -> Iterator[Case]:
    for precision in ("float32", "bfloat16"):
        for cell in ("LSTM", "GRU"):
            yield Case("language", cell, 10_000, 256, 512, 2, 35, 32, precision=precision)
            yield Case("language", cell, 10_000, 200, 200, 2, 35, 20, precision=precision)
            yield Case("language", cell, 100, 128, 256, 1, 64, 32, precision=precision)
    for cell in ("LSTM", "GRU"):
        for pooling in ("last", "mean", "max"):
            for ragged in (False, True):
                yield Case("classifier", cell, 5_000, 128, 128, 1, 100, 32, pooling, ragged)
    yield Case("classifier", "LSTM", 5_000, 128, 128, 1, 100, 32, "mean", precision="bfloat16")
