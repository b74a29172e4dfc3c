"""The time loop forwards: products, finish, meet."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from numba import carray

from ..emitting.cell import KernelCell
from ..emitting.copying import make_copy
from ..emitting.finish import make_finish
from ..emitting.integers import written
from ..emitting.microkernel import ALONG_K, Factor, View, make_product, max_rows, upcoming
from ..emitting.simd import Lanes
from ..emitting.subnormal import leave, make_enter
from .job import Job, job_at
from .layout import MemoryLayout
from .parts import (
    Mine,
    Panel,
    RowTile,
    Step,
    first_row,
    following,
    meet,
    mine_of,
    panel_of,
    phase,
    step_in_turn,
    step_on_tape,
    tile_of,
)

WIDEST = 4
"""Vectors of a tile, at most."""


def max_panel(cell: KernelCell) -> int:
    """Return the most vectors of hidden units in a panel: a cell's gates share the registers of a tile."""
    return max(1, WIDEST // max(len(cell.from_x), len(cell.from_h)))


def at_once(slots: int) -> tuple[tuple[int, int], ...]:
    """Return the slots that a tile has at once, the first and how many: of too many about equal parts."""
    parts = -(-slots // WIDEST)
    cuts = [slots * part // parts for part in range(parts + 1)] if parts else []
    return tuple((first, end - first) for first, end in pairwise(cuts))


def tallest(cell: KernelCell, lanes: Lanes, vectors: int) -> int:
    """Return the most rows of a tile, where a panel has so many vectors of hidden units."""
    counts = {count for slots in (cell.from_x, cell.from_h) for _, count in at_once(len(slots))}
    return min(max_rows(lanes, count * vectors) for count in counts)


def make_forward(cell: KernelCell, lanes: Lanes, keep: bool) -> Any:
    """Return the time loop of a cell, uncompiled; with `keep`, it writes a tape."""
    return make_loop(cell, lanes, Products(cell, lanes), keep=keep)


@phase
def nothing_before(job, thread):
    """Do nothing before the first step: the products read x as it is."""


@phase
def nothing_before_a_step(job, mine, step):
    """Do nothing before a step: the products read h_{t−1} as it is."""


@phase
def nothing_after_the_panels(job, mine, step):
    """Do nothing after the panels of a step: each has gone all the way to h_t."""


def make_loop(
    cell: KernelCell, lanes: Lanes, products: Any, *, keep: bool, job_at: Any = job_at,
    before_all: Any = nothing_before, before_step: Any = nothing_before_a_step, finish: Any = None,
    after_panels: Any = nothing_after_the_panels,
) -> Any:  # fmt: skip
    """Return a time loop around two products, ``of_input`` and ``of_state``, such as those of `Products`.

    Phases ``before_all(job, thread)`` and ``before_step(job, mine, step)`` prepare what the products read. `finish` is
    the end of a tile, `Finish` without a word, and ``after_panels(job, mine, step)`` what a step has besides.
    """
    products_ahead = make_products_ahead(cell, lanes, products)
    finish = finish or Finish(cell, lanes, keep)
    step_forward = make_step(cell, lanes, products, keep, before_step, finish, after_panels)
    enter = make_enter(lanes)

    def forward(thread, address):
        before = enter()
        job: Any = carray(job_at(address), 1)[0]
        mine = mine_of(job, thread, job.panel, job.vectors)
        before_all(job, thread)
        chunk = job.chunk if job.chunk > 0 else job.T
        for t0 in range(0, job.T, chunk):
            t1 = min(job.T, t0 + chunk)
            begin = first_row(job, t0)
            if job.chunk > 0:
                products_ahead(job, mine, begin, first_row(job, t1))
            for t in range(t0, t1):
                step_forward(job, mine, t, begin)
                meet(job, mine.group)
        leave(before)

    return forward


def make_products_ahead(cell: KernelCell, lanes: Lanes, products: Any) -> Any:
    """Return ``products_ahead(job, mine, begin, end)``: b + W_x x_t of these valid rows, ahead of the recurrence."""
    input_product = written(products.of_input)
    sums_ahead = written(MemoryLayout(cell, lanes).sums_ahead)
    most = (0, *(tallest(cell, lanes, vectors) for vectors in range(1, max_panel(cell) + 1)))

    @phase
    def products_ahead(job, mine, begin, end):
        for p in range(mine.first, mine.last):
            panel = panel_of(p, job.panel, job.vectors)
            for turn, row in enumerate(range(begin, end, most[panel.vectors])):
                tile = RowTile(row, min(most[panel.vectors], end - row), turn)
                input_product(job, mine, panel, tile, sums_ahead(job, mine, panel, row - begin))

    return products_ahead


def make_step(
    cell: KernelCell, lanes: Lanes, products: Any, keep: bool, before_step: Any, finish: Finish, after_panels: Any
) -> Any:
    """Return ``step_forward(job, mine, t, begin)``: a thread's rows and units a step further.

    A panel serves all rows before the next one is touched, so it comes from far away once a step. `begin` is the first
    row whose input product has been done ahead, if any has.
    """
    step_of = step_on_tape if keep else step_in_turn
    layout = MemoryLayout(cell, lanes)
    input_product, state_product = written(products.of_input), written(products.of_state)
    sums_now, sums_ahead = written(layout.sums), written(layout.sums_ahead)
    finish_tile = written(finish.tile)

    @phase
    def step_forward(job, mine, t, begin):
        step = step_of(job, t)
        before_step(job, mine, step)
        for p in range(mine.first, mine.last):
            panel = panel_of(p, job.panel, job.vectors)
            for number in range(mine.group, job.tiles, job.groups):
                tile = tile_of(job, number, step.rows)
                if tile.rows <= 0:  # these sequences have ended: their state stays as it is (V1), and y is 0 (V2)
                    break
                row = step.first + tile.first
                if job.chunk > 0:
                    sums = sums_ahead(job, mine, panel, row - begin)
                else:
                    sums = sums_now(mine, panel)
                    input_product(job, mine, panel, RowTile(row, tile.rows, tile.turn), sums)
                state_product(job, mine, panel, step, tile, sums)
                finish_tile(job, panel, step, tile, sums)
        after_panels(job, mine, step)

    return step_forward


class Products:
    """The two products of a step, of one tile each."""

    def __init__(self, cell: KernelCell, lanes: Lanes):
        self.at, self.lanes, self.copy = MemoryLayout(cell, lanes), lanes, make_copy(lanes)
        self.parts_x, self.parts_h = at_once(len(cell.from_x)), at_once(len(cell.from_h))
        vectors = range(1, max_panel(cell) + 1)
        widths = {count * v for _, count in (*self.parts_x, *self.parts_h) for v in vectors}
        self.product = make_product(lanes, ALONG_K, tuple(sorted(widths)))

    def of_input(self, job: Job, mine: Mine, panel: Panel, tile: RowTile, sums: View) -> None:
        """Sums = b + W_x x_t of some valid rows."""
        at, x, K = self.at, Factor(*self.at.x(job, tile.first)), self.at.words(job.I)
        ahead = upcoming(self.lanes, tile.turn, K, at.w_x(job, following(panel, mine, job.panel, job.vectors)).at)
        for first, count in self.parts_x:
            out, bias = at.slot(sums, at.first_x + first, panel), at.bias(job, at.first_x + first, panel)
            w = at.w_x(job, panel).along(first * panel.vectors * at.width)
            # W_x x_t + b, what (R1), (L1), (G1), (G2) and (G4) have of the input
            self.product(tile.rows, count * panel.vectors, out, bias, x, K, w, at.count, ahead)

    def of_state(self, job: Job, mine: Mine, panel: Panel, step: Step, tile: RowTile, sums: View) -> None:
        """Sums += W_h h_{t−1}: now they are complete."""
        at = self.at
        if at.slots > at.from_x:  # a GRU's m has a bias, and nothing of the input
            rest, bias = at.slot(sums, at.from_x, panel), at.bias(job, at.from_x, panel)
            self.copy(tile.rows, (at.slots - at.from_x) * panel.vectors, *rest, *bias)  # b_hn of (G3)
        h, K = Factor(*at.h_read(job, step.prev + tile.first)), at.words(job.P)
        ahead = upcoming(self.lanes, tile.turn, K, at.w_h(job, following(panel, mine, job.panel, job.vectors)).at)
        for first, count in self.parts_h:
            own = at.slot(sums, at.first_h + first, panel)
            w = at.w_h(job, panel).along(first * panel.vectors * at.width)
            # + W_h h_{t−1}: with it (R1), (L1), (G3) and what (G1) and (G2) apply σ to are whole
            self.product(tile.rows, count * panel.vectors, own, own, h, K, w, at.count, ahead)


class Finish:
    """The end of a tile: from sums to gates, c_t, h_t and y_t."""

    def __init__(self, cell: KernelCell, lanes: Lanes, keep: bool):
        self.at, self.finish = MemoryLayout(cell, lanes), make_finish(cell, lanes, keep=keep)

    def tile(self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View) -> None:
        """Take the units of a panel and the rows of a tile a step further."""
        self.finish(**self.arguments(job, panel, step, tile, sums))

    def arguments(self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View) -> dict[str, int]:
        """Return where all is that belongs to a tile, by the names of emitting/finish.py."""
        at = self.at
        before, after, row = step.prev + tile.first, step.next + tile.first, step.first + tile.first
        h, c, tape = at.h(job, before, panel), at.c(job, before, panel), at.tape(job, row, panel)
        read = at.h_read(job, after).along(panel.first * at.operand_width)
        numbers, streams = at.numbers(job, panel), at.streams(job, step, panel)
        return {
            "sums": sums.at, "sums_row": sums.row, "rows": tile.rows, "vectors": panel.vectors,
            "prev_h": h.at, "next_h": at.h(job, after, panel).at, "h_row": h.row,
            "next_read": read.at, "read_row": read.row,
            "prev_c": c.at, "next_c": at.c(job, after, panel).at, "c_vector": c.row, "c_state": at.c_state(job),
            "numbers": numbers.at, "number_row": numbers.row,
            "streams": job.streams, "streams_at": streams.at, "streams_row": streams.row,
            "kept": tape.at, "kept_vector": tape.row,
            "y": job.y + step.t * job.y_step + panel.first * at.width, "y_row": job.y_row,
            "order": job.order + 8 * tile.first, "valid": job.H - panel.first * at.count,
        }  # fmt: skip
