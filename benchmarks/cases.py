"""What is measured: cells, tasks, shapes, dtypes, lengths, sorted into sections that can be run one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

CELLS = ("RNN", "LSTM", "GRU")
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
"""G, the blocks of H rows in each weight."""

SHAPES = (
    (512, 1, 16), (128, 1, 32), (64, 1, 64), (128, 1, 100), (256, 1, 128), (128, 1, 256), (64, 1, 512), (24, 1, 1024),
    (256, 2, 32), (64, 2, 128), (32, 2, 512),
    (100, 3, 17),
    (256, 4, 16), (128, 4, 64), (64, 4, 256),
    (50, 7, 100),
    (128, 8, 32), (64, 8, 128), (35, 8, 512), (77, 9, 200),
    (512, 16, 16), (128, 16, 64), (128, 16, 128), (64, 16, 256), (16, 16, 1024),
    (64, 32, 64), (128, 32, 128), (35, 32, 512),
    (40, 33, 200),
    (128, 64, 32), (64, 64, 100), (64, 64, 256), (16, 64, 1024),
    (256, 128, 16), (128, 128, 128), (20, 128, 512),
)  # fmt: skip
"""T, B, H = I: one sequence, small batches, what fills a machine, and sizes that no tile divides."""

FLOAT64_SHAPES = (
    (128, 1, 32), (128, 1, 256), (64, 3, 100), (128, 8, 64), (128, 16, 128), (35, 32, 256), (40, 33, 17), (24, 64, 512),
)  # fmt: skip
RAGGED_SHAPES = ((256, 4, 32), (200, 8, 64), (50, 7, 100), (128, 16, 128), (64, 32, 256), (100, 64, 64))
SINGLE_SHAPES = ((64, 1, 32), (256, 1, 64), (64, 1, 100), (64, 1, 128), (128, 1, 200), (64, 1, 256))
FEW_SHAPES = ((64, 1, 128), (64, 8, 64), (128, 16, 128), (64, 64, 256))

QUICK_SHAPES = ((16, 1, 32), (16, 8, 33))
"""For ``--quick``; all but float32 make do with the last."""


class Section(NamedTuple):
    """A part of the benchmark: what it asks, and of which cases."""

    title: str
    tasks: tuple[str, ...]
    shapes: Sequence[tuple[int, int, int]]
    dtype: str = "float32"
    ragged: bool = False


SECTIONS = {
    "float32": Section("float32", ("inference", "training"), SHAPES),
    "float64": Section("float64", ("inference", "training"), FLOAT64_SHAPES, dtype="float64"),
    "ragged": Section("ragged: 60 % valid", ("inference", "training"), RAGGED_SHAPES, ragged=True),
    "single": Section("one sequence", ("inference",), SINGLE_SHAPES),
    "frozen": Section("what freezing saves", ("frozen",), FEW_SHAPES),
    "memory": Section("what a tape holds", ("memory",), FEW_SHAPES),
    "accuracy": Section("float32 against float64", ("accuracy",), ((128, 1, 64), (50, 7, 100), (64, 32, 256))),
}
"""Every section by the name that ``--section`` takes."""

TIMED = ("float32", "float64", "ragged", "single")
"""The sections whose rows are times beside torch's."""


class Case(NamedTuple):
    """One row of a table."""

    cell: str  # RNN, LSTM, GRU
    task: str  # inference, training; frozen, memory, accuracy
    T: int
    B: int
    H: int
    dtype: str = "float32"
    ragged: bool = False  # about 60 % of the steps are valid
    section: str = "float32"

    @property
    def I(self) -> int:  # noqa: E743
        """The input size: as large as the hidden size, everywhere."""
        return self.H

    @property
    def G(self) -> int:
        """The number of gates."""
        return GATES[self.cell]

    @property
    def name(self) -> str:
        """The case in words."""
        note = ", ragged" if self.ragged else ""
        return f"{self.cell} {self.task} {self.dtype} {self.shape}{note}"

    @property
    def shape(self) -> str:
        """The sizes in words."""
        return f"T={self.T} B={self.B} H={self.H}"

    def lengths(self) -> np.ndarray | None:
        """Return the valid steps of each sequence, 60 % of T on average; None where all are."""
        if not self.ragged:
            return None
        lengths = np.random.default_rng(0).integers(max(1, self.T // 5), self.T + 1, self.B)
        lengths[0] = self.T
        return lengths

    def input(self) -> np.ndarray:
        """Return x, shape (T, B, I)."""
        return np.random.default_rng(0).standard_normal((self.T, self.B, self.I)).astype(self.dtype)


def cases(quick: bool, sections: Sequence[str] | None = None) -> Iterator[Case]:
    """Yield every case of some sections, all by default."""
    for name, section in SECTIONS.items():
        if sections and name not in sections:
            continue
        shapes = section.shapes
        if quick:
            shapes = {"float32": QUICK_SHAPES, "single": [(12, 1, 32)]}.get(name, QUICK_SHAPES[1:])
        for task in section.tasks:
            for cell in CELLS:
                for T, B, H in shapes:
                    yield Case(cell, task, T, B, H, section.dtype, section.ragged, name)
