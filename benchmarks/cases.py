"""What is measured: cells, shapes, dtypes, lengths, with or without the backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SHAPES = (
    (64, 1, 32),
    (64, 1, 128),
    (64, 32, 64),
    (128, 16, 128),
    (64, 64, 256),
    (35, 32, 512),
)
"""T, B, H = I: one sequence, small batches, and what fills a machine."""

QUICK_SHAPES = ((16, 1, 32), (16, 8, 33))


class Case(NamedTuple):
    """One row of the table."""

    cell: str  # RNN, LSTM, GRU
    task: str  # inference, training
    T: int
    B: int
    H: int
    dtype: str = "float32"
    ragged: bool = False  # about 60 % of the steps are valid

    @property
    def name(self) -> str:
        """The case in words."""
        note = ", ragged" if self.ragged else ""
        return f"{self.cell} {self.task} {self.dtype} T={self.T} B={self.B} H={self.H}{note}"


def cases(quick: bool) -> Iterator[Case]:
    """Yield every case: all cells and tasks on all shapes, then float64, then unequal lengths."""
    shapes = QUICK_SHAPES if quick else SHAPES
    for task in ("inference", "training"):
        for cell in ("RNN", "LSTM", "GRU"):
            for T, B, H in shapes:
                yield Case(cell, task, T, B, H)
            T, B, H = shapes[len(shapes) // 2]
            yield Case(cell, task, T, B, H, dtype="float64")
            yield Case(cell, task, T, B, H, ragged=True)
