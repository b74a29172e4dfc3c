"""A stack whose weights are int8, as desks see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..emitting.cell import KernelCell
from ..plan import effort
from ..running.compiled import compiled
from ..stacks import Loop
from .loop import PLACE, make_forward
from .plan import FASTER, forward_shape
from .recurrence import Prepared


class Int8Stack:
    """Cells whose panels are made once and for all: see `kernels.cpu.stacks.Stack`."""

    def __init__(self, cell: KernelCell, cells: Sequence[Prepared]):
        self.cell, self.cells = cell, cells
        self.inputs, self.H = [prepared.I for prepared in cells], cells[0].H
        self.dtype, self.lanes = np.dtype(np.float32), cells[0].lanes

    def effort(self, T: int, B: int) -> float:
        """Return what T steps of B sequences count for `threads.share`."""
        return sum(effort(T, T * B, prepared.weights, 1) for prepared in self.cells) / FASTER

    def loop(self, at: int, T: int, B: int, count: int) -> Loop:
        """Return a cell's loop over T steps of B sequences, for at most `count` threads."""
        groups, members, _, _, job = forward_shape(self.cell, self.lanes, T, B, T * B, self.inputs[at], self.H, count)
        works_in = {
            "scratch": int(job[PLACE["scratch_size"]]) * groups * members,
            "x_bytes": int(job[PLACE["x_bytes_row"]]) * T * B,
            "x_scales": 4 * T * B,
        }
        w_x, w_h, bias = self.cells[at][-3:]
        return Loop(groups, members, job, PLACE, works_in, lambda: (w_x, w_h, bias), None)

    def compiled(self) -> int:
        """Return the address of the loop's code."""
        return compiled(make_forward, self.cell, self.lanes, self.cells[0].way).address
