"""da of some steps with its rows in pairs: what the products over all rows read, where they read pairs."""

from __future__ import annotations

from typing import Any

from ..emitting.bfloat16 import make_pair_rows
from ..emitting.cell import KernelCell
from ..emitting.integers import written
from ..emitting.simd import PAIRS, Lanes
from .gradients import Part
from .job import Job
from .layout import MemoryLayout
from .parts import phase


def make_pair_da(cell: KernelCell, lanes: Lanes) -> Any:
    """Return ``pair_da(job, thread, part)``: a thread has some vectors of da.

    Each product sums over words of two neighbours. da W wants two units of a row side by side, as steps leave them, and
    daᵀ x two rows of a unit.
    """
    if lanes.operands != PAIRS:
        return _nothing
    of = _PairDa(cell, lanes)
    slots, pair_vector = of.at.all_da, written(of.vector)

    @phase
    def pair_da(job, thread, part):
        threads, items = job.groups * job.members, slots * job.vectors
        for item in range(items * thread // threads, items * (thread + 1) // threads):
            pair_vector(job, part, item)

    return pair_da


@phase
def _nothing(job, thread, part):
    pass


class _PairDa:
    def __init__(self, cell: KernelCell, lanes: Lanes):
        self.at, self.pair = MemoryLayout(cell, lanes), make_pair_rows(lanes)

    def vector(self, job: Job, part: Part, item: int) -> None:
        """Put a vector's rows together, two and two."""
        at = self.at
        da, out = at.da(job, part.da, 0, 0).below(item), at.da_pairs(job, 0).below(item)
        self.pair(part.rows, 1, da.at, at.operand_width, out.at, job.zeros)
