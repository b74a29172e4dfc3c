"""The time loop in int8: the float32 loop (loops/forward.py) around products of its own.

What differs: x is quantised ahead of all steps, h_{t−1} by each thread that needs it, in its own scratch, and the two
products of a step are scaled apart, because x_t and h_{t−1} have a scale each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..emitting.addresses import make_pointer
from ..emitting.cell import KernelCell
from ..emitting.copying import make_copy
from ..emitting.integers import written
from ..emitting.microkernel import View
from ..emitting.simd import Lanes
from ..loops.forward import make_loop, max_panel
from ..loops.job import Job
from ..loops.layout import MemoryLayout
from ..loops.parts import Mine, Panel, RowTile, Step, meet_all, phase, tile_of
from .rows import make_quantize
from .tile import HEAD, TURN, make_product

OWN = ("x_bytes", "x_bytes_row", "x_scales", "h_bytes", "h_bytes_row", "h_scales")
"""What a job has besides those of a float32 loop: x and its scales; where in a thread's scratch h_{t−1} and its are."""

JOB = np.dtype([(name, np.int64) for name in (*Job._fields, *OWN)])
"""A job in memory."""

PLACE = {name: k for k, name in enumerate(JOB.names or ())}
"""Which of a job's numbers is which."""

job_at = make_pointer(JOB)


def make_forward(cell: KernelCell, lanes: Lanes, way: str) -> Any:
    """Return the time loop of a cell, uncompiled."""
    products = Products(cell, lanes, way)
    quantize_input, quantize_state = written(products.quantize_input), written(products.quantize_state)

    @phase
    def quantize_x(job, thread):
        quantize_input(job, thread)
        meet_all(job)

    @phase
    def quantize_h(job, mine, step):
        for number in range(mine.group, job.tiles, job.groups):
            tile = tile_of(job, number, step.rows)
            if tile.rows > 0:
                quantize_state(job, mine, step, tile)

    return make_loop(
        cell, lanes, products, keep=False, job_at=job_at, before_all=quantize_x, before_step=quantize_h
    )  # fmt: skip


class Products:
    """Rows quantised, and the two products of a step, of one tile each."""

    def __init__(self, cell: KernelCell, lanes: Lanes, way: str):
        self.at = MemoryLayout(cell, lanes)
        vectors = range(1, max_panel(cell) + 1)
        widths = {gates * v for gates in (len(cell.from_x), len(cell.from_h)) for v in vectors}
        self.product = make_product(lanes, way, tuple(sorted(widths)))
        self.quantize, self.copy = make_quantize(lanes), make_copy(lanes)

    def quantize_input(self, job: Job, thread: int) -> None:
        """Quantise a thread's share of the valid rows of x."""
        own: Any = job
        threads = job.groups * job.members
        first, end = job.N * thread // threads, job.N * (thread + 1) // threads
        self.quantize(
            end - first, job.I, job.x + first * job.x_row, job.x_row,
            own.x_bytes + first * own.x_bytes_row, own.x_bytes_row, own.x_scales + 4 * first,
        )  # fmt: skip

    def quantize_state(self, job: Job, mine: Mine, step: Step, tile: RowTile) -> None:
        """Quantise a tile's rows of h_{t−1}."""
        own: Any = job
        self.quantize(
            tile.rows, job.H, job.h + (step.prev + tile.first) * job.h_row, job.h_row,
            mine.scratch + own.h_bytes + tile.first * own.h_bytes_row, own.h_bytes_row,
            mine.scratch + own.h_scales + 4 * tile.first,
        )  # fmt: skip

    def of_input(self, job: Job, mine: Mine, panel: Panel, tile: RowTile, sums: View) -> None:
        """Sums = b + W_x x_t of some valid rows."""
        row, rows, _ = tile
        at, own, count = self.at, job, (job.I + (TURN - 1)) // TURN
        numbers: Any = own
        out, bias = at.slot(sums, at.first_x, panel), at.bias(job, at.first_x, panel)
        x = View(numbers.x_bytes + row * numbers.x_bytes_row, numbers.x_bytes_row)
        w = job.w_x + panel.first * at.from_x * (count + HEAD) * at.width
        self.product(rows, at.from_x * panel.vectors, out, bias, x, numbers.x_scales + 4 * row, count, w, at.count)

    def of_state(self, job: Job, mine: Mine, panel: Panel, step: Step, tile: RowTile, sums: View) -> None:
        """Sums += W_h h_{t−1}: now they are complete."""
        at, count = self.at, (job.H + (TURN - 1)) // TURN
        numbers: Any = job
        if at.slots > at.from_x:  # a GRU's m has a bias, and nothing of the input
            rest, bias = at.slot(sums, at.from_x, panel), at.bias(job, at.from_x, panel)
            self.copy(tile.rows, (at.slots - at.from_x) * panel.vectors, *rest, *bias)
        own = at.slot(sums, at.first_h, panel)
        h = View(mine.scratch + numbers.h_bytes + tile.first * numbers.h_bytes_row, numbers.h_bytes_row)
        scales = mine.scratch + numbers.h_scales + 4 * tile.first
        w = job.w_h + panel.first * at.from_h * (count + HEAD) * at.width
        self.product(tile.rows, at.from_h * panel.vectors, own, own, h, scales, count, w, at.count)
