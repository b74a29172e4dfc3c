"""What some steps add to the gradients that are sums over their rows: db, and those of a cell's vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..emitting.cell import KernelCell
from ..emitting.copying import make_copy
from ..emitting.integers import written
from ..emitting.microkernel import ALONG_ROWS, Factor, View, make_product
from ..emitting.simd import EXACT, PAIRS, Lanes
from .gradients import Part
from .job import Job
from .layout import MemoryLayout
from .parts import phase

SIDE_BY_SIDE, SHORT = 4, 16
"""How many sums are taken side by side, and how many rows at a time."""


def make_bias_gradient(cell: KernelCell, lanes: Lanes) -> Any:
    """Return ``bias_gradient(job, thread, scratch, part)``: db += Σ da."""
    return _make_total(BiasGradient(cell, lanes), len(cell.slot_names))


def make_vector_gradient(cell: KernelCell, lanes: Lanes) -> Any:
    """Return ``vector_gradient(job, thread, scratch, part)``: the same of the gradients of a cell's vectors."""
    return _make_total(VectorGradient(cell, lanes), len(cell.vectors))


def _make_total(of: BiasGradient, count: int) -> Any:
    """Return a phase that adds up the rows of `count` times as many vectors as hidden units are.

    Four sums are taken side by side, each of every fourth row and in short chains, and then added up.
    """
    rows_of = written(of.rows)
    begin, begin_four, add_to_four = written(of.begin), written(of.begin_four), written(of.add_to_four)
    add_four, add_rows = written(of.add_four), written(of.add_rows)

    @phase
    def total(job, thread, scratch, part):
        threads, items, rows = job.groups * job.members, count * job.vectors, rows_of(part)
        turns = rows // SIDE_BY_SIDE
        for item in range(items * thread // threads, items * (thread + 1) // threads):
            if part.begin + part.rows == job.N:  # the first part: what is there is left over from others
                begin(job, item)
            begin_four(job, scratch)
            for turn in range(0, turns, SHORT):
                add_to_four(job, scratch, part, item, turn, min(SHORT, turns - turn))
            add_four(job, scratch, item)
            if rows > SIDE_BY_SIDE * turns:
                add_rows(job, part, item, SIDE_BY_SIDE * turns)

    return total


class BiasGradient:
    """One vector of db."""

    def __init__(self, cell: KernelCell, lanes: Lanes):
        self.at, self.copy, self.pairs = MemoryLayout(cell, lanes), make_copy(lanes), lanes.operands == PAIRS
        self.of_read = make_product(lanes, ALONG_ROWS, (1, 2, 3, 4))
        self.of_sums = make_product(replace(lanes, operands=EXACT), ALONG_ROWS, (1,))

    def rows(self, part: Part) -> int:
        """Return how many rows are added up, or pairs of them."""
        return self.at.words(part.rows)

    def _ones(self, job: Job) -> int:
        return job.ones_read

    def _sums(self, job: Job) -> int:
        return job.db

    def _rows_of(self, job: Job, part: Part) -> View:
        """Return what is added up: a view of vectors, each of some rows."""
        return self.at.da_pairs(job, 0) if self.pairs else self.at.da(job, part.da, 0, 0)

    def _add(self, job: Job, sums: View, vectors: int, rows: int, da: View) -> None:
        """Add rows: their product with ones."""
        self.of_read(1, vectors, sums, sums, Factor(self._ones(job), 0), rows, da, self.at.count)

    def _sum(self, job: Job, item: int) -> View:
        return View(self._sums(job) + item * self.at.width, 0)

    def _row(self, job: Job, part: Part, item: int, row: int) -> View:
        return View(self._rows_of(job, part).below(item).at, self.at.width).below(row)

    def begin(self, job: Job, item: int) -> None:
        """Set the sum to 0."""
        self.copy(1, 1, *self._sum(job, item), job.zeros, 0)

    def begin_four(self, job: Job, scratch: int) -> None:
        """Set the four sums to 0."""
        self.copy(1, SIDE_BY_SIDE, scratch, 0, job.zeros, 0)

    def add_to_four(self, job: Job, scratch: int, part: Part, item: int, turn: int, turns: int) -> None:
        """Add `turns` times four rows to the four sums."""
        first = self._row(job, part, item, SIDE_BY_SIDE * turn)
        self._add(job, View(scratch, 0), SIDE_BY_SIDE, turns, View(first.at, SIDE_BY_SIDE * first.row))

    def add_four(self, job: Job, scratch: int, item: int) -> None:
        """Add the four sums to the one."""
        total, four = self._sum(job, item), View(scratch, self.at.width)
        self.of_sums(1, 1, total, total, Factor(job.ones, 0), SIDE_BY_SIDE, four, self.at.count)

    def add_rows(self, job: Job, part: Part, item: int, first: int) -> None:
        """Add the rows that are left to the sum."""
        self._add(job, self._sum(job, item), 1, self.rows(part) - first, self._row(job, part, item, first))


class VectorGradient(BiasGradient):
    """One vector of the gradient of a cell's vectors, whose rows no other product reads: they are never rounded."""

    def __init__(self, cell: KernelCell, lanes: Lanes):
        super().__init__(cell, lanes)
        self.of_read = make_product(replace(lanes, operands=EXACT), ALONG_ROWS, (1, 2, 3, 4))

    def rows(self, part: Part) -> int:
        """Return how many rows are added up."""
        return part.rows

    def _ones(self, job: Job) -> int:
        return job.ones

    def _sums(self, job: Job) -> int:
        return job.dvectors

    def _rows_of(self, job: Job, part: Part) -> View:
        return self.at.dp(job, part.dp, 0)
