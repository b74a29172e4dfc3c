"""What is measured: cells, tasks, shapes, dtypes, lengths, sorted into sections that can be run one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

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

ONE_THREAD_SHAPES = (
    (25, 96, 64, 192), (20, 40, 300, 384), (64, 64, 256, 256), (128, 32, 128, 128), (50, 24, 100, 100),
    (35, 32, 512, 512), (16, 64, 650, 650), (20, 128, 512, 512),
)  # fmt: skip
"""T, B, I, H: batches that fill one thread."""


def odd_shapes(count: int, seed: int = 13) -> list[tuple[int, int, int, int]]:
    """Return T, B, I, H as somebody else might have them: drawn, and so divided by no tile."""
    rng = np.random.default_rng(seed)
    bounds = np.log([(5, 200), (1, 120), (8, 500), (8, 500)])
    shapes: list[tuple[int, int, int, int]] = []
    while len(shapes) < count:
        T, B, I, H = (round(float(np.exp(rng.uniform(low, high)))) for low, high in bounds)
        if 1e5 < T * B * H * (I + H) < 5e8:  # neither nothing nor seconds
            shapes.append((T, B, I, H))
    return shapes


ODD_SHAPES = (*ONE_THREAD_SHAPES[:4], (16, 64, 650, 650), *odd_shapes(12))

QUICK_SHAPES = ((16, 1, 32), (16, 8, 33))
QUICK: dict[str, Sequence[tuple[int, ...]]] = {
    "float32": QUICK_SHAPES, "single": [(12, 1, 32)], "one-thread": [(7, 25, 12)], "odd": [(7, 8, 20, 33)],
}  # fmt: skip
"""For ``--quick``; what is not named makes do with the last of the shapes."""


class Section(NamedTuple):
    """A part of the benchmark: what it asks, and of which cases."""

    title: str
    tasks: tuple[str, ...]
    shapes: Sequence[tuple[int, ...]]  # T, B, H = I; or T, B, I, H
    dtype: str = "float32"
    ragged: bool = False
    threads: int | None = None  # None: as many as the run has


SECTIONS = {
    "float32": Section("float32", ("inference", "training"), SHAPES),
    "float64": Section("float64", ("inference", "training"), FLOAT64_SHAPES, dtype="float64"),
    "ragged": Section("ragged: 60 % valid", ("inference", "training"), RAGGED_SHAPES, ragged=True),
    "single": Section("one sequence", ("inference",), SINGLE_SHAPES),
    "one-thread": Section("one thread", ("inference", "training"), ONE_THREAD_SHAPES, threads=1),
    "odd": Section("odd shapes", ("inference", "training"), ODD_SHAPES),
    "frozen": Section("what freezing saves", ("frozen",), FEW_SHAPES),
    "memory": Section("what a tape holds", ("memory",), FEW_SHAPES),
    "accuracy": Section("float32 against float64", ("accuracy",), ((128, 1, 64), (50, 7, 100), (64, 32, 256))),
}
"""Every section of cells by shapes, by the name that ``--section`` takes."""

TIMED = ("float32", "float64", "ragged", "single", "one-thread", "odd")
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
    input_size: int | None = None  # H by default

    @property
    def I(self) -> int:  # noqa: E743
        """The input size."""
        return self.H if self.input_size is None else self.input_size

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
        """The sizes in words; I where it is not H."""
        inputs = "" if self.I == self.H else f" I={self.I}"
        return f"T={self.T} B={self.B}{inputs} H={self.H}"

    def as_dict(self) -> dict[str, Any]:
        """Return the case as plain data."""
        sizes = {"T": self.T, "B": self.B, "I": self.I, "H": self.H}
        told = {"cell": self.cell, "task": self.task, "dtype": self.dtype, "ragged": self.ragged}
        return {"section": self.section, "name": self.name, **told, **sizes}

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
            shapes = QUICK.get(name, QUICK_SHAPES[1:])
        for task in section.tasks:
            for cell in CELLS:
                for T, B, *inputs, H in shapes:
                    yield Case(cell, task, T, B, H, section.dtype, section.ragged, name, *inputs)
