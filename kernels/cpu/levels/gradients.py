"""What some steps add to the gradients of a cell's matrices: Σ d vᵀ of the two factors that the steps have left."""

from __future__ import annotations

from typing import Any

from ..emitting.addresses import word
from ..emitting.integers import word_at
from ..emitting.microkernel import View
from ..emitting.simd import Lanes
from ..loops.backward import nothing_more
from ..loops.gradients import Part, WeightGradient, make_row_gradient
from ..loops.job import Job
from ..loops.parts import phase
from .schedule import LevelledCell


def make_matrix_gradients(cell: LevelledCell, lanes: Lanes) -> Any:
    """Return ``add(job, thread, scratch, part)``, of all matrices whose gradients are wanted."""
    every = nothing_more
    for matrix in range(len(cell.matrices)):
        every = _with(every, make_row_gradient(MatrixGradient(cell, lanes, matrix)), matrix)
    return every


def _with(others: Any, add: Any, matrix: int) -> Any:
    """Return a phase that does `others`, and then one more."""

    @phase
    def every(job, thread, scratch, part):
        others(job, thread, scratch, part)
        if word(job.dmatrices + 8 * matrix):
            add(job, thread, scratch, part)

    return every


class MatrixGradient(WeightGradient):
    """A tile of a matrix's gradient: d lies behind da of the sums, v in rows of its own."""

    def __init__(self, cell: LevelledCell, lanes: Lanes, matrix: int):
        super().__init__(cell, lanes, "W_h")
        self.matrix, self.projects = matrix, matrix == cell.projection
        self.blocks, self.first_slot = (0,), len(cell.slot_names) + matrix

    def numbers(self, job: Job) -> int:
        """Return the columns of the matrix."""
        return job.H

    def right(self, job: Job, part: Part) -> View:
        """Return v of the part's rows."""
        return View(part.v, job.factor_row).below(self.matrix * job.span)

    def gradient(self, job: Job) -> int:
        """Return where the gradient is."""
        return word_at(job.dmatrices + 8 * self.matrix)

    def units(self, job: Job) -> int:
        """Return the rows of the matrix."""
        return job.P if self.projects else job.H
