"""How a layer in int8 is cut up among threads, and what follows from the sizes of a call."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import NamedTuple

import numpy as np

from ..emitting.cell import KernelCell
from ..emitting.microkernel import max_rows
from ..emitting.simd import Lanes
from ..loops.forward import max_panel
from ..loops.job import Job
from ..plan import AHEAD, MEETING, NEAR, effort
from ..running import threads
from ..running.memory import aligned
from ..shapes import Parts, spread
from .loop import JOB, PLACE

FASTER = 3
"""How many times faster a product of bytes is than one of float32, about: less work is worth a second thread."""


class Shape(NamedTuple):
    """All that follows from the sizes of a call."""

    groups: int  # of threads: each has rows of the batch to itself
    members: int  # of a group: each has hidden units to itself
    Hp: int  # H, filled up to whole vectors
    work: Parts  # of the memory that a call needs
    job: np.ndarray  # with all sizes; addresses are still to come


def panel_of(cell: KernelCell, lanes: Lanes, H: int) -> int:
    """Return the vectors of hidden units in a panel, so that the panels are about equal."""
    vectors = lanes.filled(H) // lanes.count
    return ceil(vectors / ceil(vectors / max_panel(cell)))


@lru_cache(maxsize=512)
def forward_shape(cell: KernelCell, lanes: Lanes, T: int, B: int, N: int, I: int, H: int, count: int) -> Shape:
    """Return what follows for `count` threads that share N rows over T steps of B sequences.

    The rules are those of float32 (kernels/cpu/plan.py), with weights a quarter as large. A thread quantises h_{t−1}
    for itself, also where others of its group do the same: it reads the rows anyhow, and to wait for others takes
    longer.
    """
    Hp, panel, slots = lanes.filled(H), panel_of(cell, lanes, H), len(cell.slot_names)
    vectors, weights = Hp // lanes.count, H * (len(cell.from_x) * I + len(cell.from_h) * H)
    panels = ceil(vectors / panel)
    groups = max(1, min(count // min(count, ceil(weights / NEAR)), B // 4))
    short = T > 1 and effort(1, B, weights, 1) / FASTER < MEETING
    members = 1 if short else min(count // groups, panels)
    most = max_rows(lanes, len(cell.from_x) * panel)
    tiles = min(B, groups * ceil(B / (groups * most)))
    chunk = min(T, ceil(AHEAD / B)) if groups == 1 and (B < 16 or weights > NEAR) else 0
    sums_rows = max(ceil(B / tiles), chunk * B * ceil(panels / members))
    h_bytes_row, x_bytes_row = (spread(aligned(lanes.filled(K) + lanes.count)) for K in (H, I))
    scratch = Parts(sums=sums_rows * slots * panel * lanes.width, h_bytes=B * h_bytes_row, h_scales=4 * B)
    h_row = spread(Hp * lanes.size)
    work = Parts(
        meeting=(1 + groups) * threads.BETWEEN,
        scratch=scratch.size * groups * members,
        x_bytes=N * x_bytes_row,
        x_scales=4 * N,
        h=2 * B * h_row,
        c=2 * B * Hp * lanes.size * (len(cell.states) - 1),
    )
    job = np.zeros(len(JOB.names or ()), np.int64)
    job[: len(Job._fields)] = Job(
        T=T, B=B, I=I, H=H, Hp=Hp, vectors=vectors, N=N, groups=groups, members=members, tiles=tiles,
        scratch_size=scratch.size, x_row=I * lanes.size, chunk=chunk, panel=panel, blocks=2 * B, h_row=h_row,
        y_row=H * lanes.size, y_step=B * H * lanes.size,
    )  # fmt: skip
    for name, number in {
        "x_bytes_row": x_bytes_row, "h_bytes": scratch["h_bytes"], "h_bytes_row": h_bytes_row,
        "h_scales": scratch["h_scales"],
    }.items():  # fmt: skip
        job[PLACE[name]] = number
    return Shape(groups, members, Hp, work, job)
