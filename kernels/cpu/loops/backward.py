"""The time loop backwards: what the step after hands on, finish, meet; and after some steps their gradients.

The gradients of the weights are one product over all steps. It is taken in parts of some 512 rows: what a part reads,
da above all, has just been written and is still in the cache, and two pieces of memory for da are enough, one for
these steps and one for those after them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numba import carray

from ..emitting.cell import KernelCell
from ..emitting.copying import make_copy, make_fetch
from ..emitting.finish import make_finish_backward
from ..emitting.integers import greatest, least, word_at, written
from ..emitting.microkernel import ALONG_K, View, make_product, upcoming
from ..emitting.simd import Lanes
from ..emitting.subnormal import leave, make_enter
from .gradients import Part, make_input_gradient, make_weight_gradient
from .job import Job, job_at
from .layout import MemoryLayout
from .pairs import make_pair_da
from .parts import (
    Mine,
    Panel,
    RowTile,
    Step,
    first_row,
    following,
    meet,
    meet_all,
    mine_of,
    panel_of,
    phase,
    step_on_tape,
    tile_of,
)
from .totals import make_bias_gradient, make_vector_gradient


class After(NamedTuple):
    """The step after this one."""

    da: int  # where its da is
    rows: int  # how many sequences still run in it: the first ones


def make_backward(cell: KernelCell, lanes: Lanes, upstream: bool = False) -> Any:
    """Return the time loop of a cell's backward with the products that belong to it, uncompiled.

    With `upstream`, every state but h has gradients of the caller's at every step.
    """
    return make_loop_back(cell, lanes, make_step_backward(StepBack(cell, lanes, upstream)))


@phase
def nothing_more(job, thread, scratch, part):
    """Add nothing more: a cell without matrices has no other gradients."""


def make_loop_back(cell: KernelCell, lanes: Lanes, step_backward: Any, add_more: Any = nothing_more) -> Any:
    """Return a time loop around a step back; ``add_more(job, thread, scratch, part)`` adds to gradients besides."""
    initial_state, back = make_initial_state(cell, lanes), StepBack(cell, lanes)
    da_step, part_in_turn = written(back.da_step), written(back.part)
    add_to_dx, add_to_db = make_input_gradient(cell, lanes), make_bias_gradient(cell, lanes)
    add_to_dw_x, add_to_dw_h = (make_weight_gradient(cell, lanes, weight) for weight in ("W_x", "W_h"))
    add_to_dvectors = make_vector_gradient(cell, lanes)

    pair_da, enter = make_pair_da(cell, lanes), make_enter(lanes)

    def backward(thread, address):
        before = enter()
        job: Any = carray(job_at(address), 1)[0]
        mine = mine_of(job, thread, job.back_panel, job.h_vectors)
        after = After(0, 0)
        for turn in range((job.T + job.steps - 1) // job.steps):
            t1 = job.T - turn * job.steps
            t0 = max(0, t1 - job.steps)
            part = part_in_turn(job, turn, first_row(job, t0), first_row(job, t1))
            for t in range(t1 - 1, t0 - 1, -1):
                step = step_on_tape(job, t)
                da = da_step(part.da, step.first - part.begin)
                step_backward(job, mine, step, da, part, after)
                after = After(da, step.rows)
                meet(job, mine.group)
            meet_all(job)
            if part.rows == 0:  # no sequence lasts so long
                continue
            if job.da_pairs:
                pair_da(job, thread, part)
                meet_all(job)
            if job.dx:
                add_to_dx(job, thread, part)
            if job.dw_x:
                add_to_dw_x(job, thread, mine.scratch, part)
            if job.dw_h:
                add_to_dw_h(job, thread, mine.scratch, part)
            if job.db:
                add_to_db(job, thread, mine.scratch, part)
            if job.dvectors:
                add_to_dvectors(job, thread, mine.scratch, part)
            add_more(job, thread, mine.scratch, part)
        if job.dh0:
            initial_state(job, mine, after)
        leave(before)

    return backward


def make_step_backward(back: StepBack) -> Any:
    """Return ``step_backward(job, mine, step, da, part, after)``: a thread's rows and units a step back."""
    fetch, fetch_dy, going_on_of = written(back.fetch), written(back.fetch_dy), written(back.going_on)
    from_after, nothing_from_after = written(back.from_after), written(back.nothing_from_after)
    finish = written(back.finish_tile)

    @phase
    def step_backward(job, mine, step, da, part, after):
        for p in range(mine.first, mine.last):
            panel = panel_of(p, job.back_panel, job.h_vectors)
            for number in range(mine.group, job.tiles, job.groups):
                tile = tile_of(job, number, step.rows)
                if tile.rows <= 0:  # past a sequence's length nothing is masked, because nothing is done: (V1), (V2)
                    break
                fetch(job, panel, step, tile)
                for row in range(tile.first, tile.first + tile.rows):
                    fetch_dy(job, panel, step, row)
                going_on = going_on_of(tile, after)
                if going_on > 0:
                    from_after(job, mine, panel, tile, after, going_on)
                if going_on < tile.rows:  # sequences that end with this step: da_{t+1} is 0 there (V1)
                    nothing_from_after(job, mine, panel, tile, going_on)
                finish(job, mine, panel, step, tile, da, part)

    return step_backward


class StepBack:
    """What a step back does with a tile, each a few instructions and a call."""

    def __init__(self, cell: KernelCell, lanes: Lanes, upstream: bool = False):
        self.at, self.further, self.vectors = MemoryLayout(cell, lanes), len(cell.states) - 1, len(cell.vectors)
        self.lanes = lanes
        self.product = make_product(lanes, ALONG_K, (1, 2, 3, 4))
        self.finish = make_finish_backward(cell, lanes, upstream=upstream)
        self.copy, self.ask = make_copy(lanes), make_fetch(lanes)

    def part(self, job: Job, turn: int, begin: int, end: int) -> Part:
        """Return the rows of some steps, and where their da goes and all else: there are two such places."""
        second, at, vectors = turn % 2, self.at, job.vectors * job.span
        da, dp = job.da + second * at.all_da * vectors * at.operand_width, second * self.vectors * vectors * at.width
        v = job.factors + second * (at.all_da - at.slots) * job.span * job.factor_row
        return Part(begin, end - begin, da, job.dp + dp, v)

    def da_step(self, da: int, row: int) -> int:
        """Return where da of a step goes that begins with this row of them."""
        return da + row * self.at.operand_width

    def fetch(self, job: Job, panel: Panel, step: Step, tile: RowTile) -> None:
        """Ask for what the tape holds of these rows: it comes from far, and can travel while the products are done."""
        at = self.at
        tape, h = at.tape(job, step.first + tile.first, panel), at.h(job, step.prev + tile.first, panel)
        self.ask(panel.vectors, tape.row, tile.rows * at.kept, tape.at)
        c = at.c(job, step.prev + tile.first, panel)
        for k in range(self.further):
            self.ask(panel.vectors, c.row, tile.rows, c.at + k * at.c_state(job))
        if self.further == 0:
            self.ask(tile.rows, h.row, panel.vectors, h.at)

    def fetch_dy(self, job: Job, panel: Panel, step: Step, row: int) -> None:
        """Ask for the caller's dy of a row."""
        self.ask(1, 0, panel.vectors, self._dy(job, panel, step) + word_at(job.order + 8 * row) * job.dy_row)

    def _dy(self, job: Job, panel: Panel, step: Step) -> int:
        return job.dy + step.t * job.dy_step + panel.first * self.at.width

    def going_on(self, tile: RowTile, after: After) -> int:
        """Return how many of a tile's sequences have a step after this one: the first ones."""
        return greatest(least(tile.rows, after.rows - tile.first), 0)

    def _sums(self, mine: Mine, panel: Panel) -> View:
        return View(mine.scratch, panel.vectors * self.at.width)

    def from_after(self, job: Job, mine: Mine, panel: Panel, tile: RowTile, after: After, rows: int) -> None:
        """Sums = da_{t+1} W_h: what dh gets from the step after; 0 where there is no W_h."""
        at = self.at
        if at.from_h == 0:
            self.copy(rows, panel.vectors, *self._sums(mine, panel), job.zeros, 0)
            return
        da = at.gates(job, after.da, at.first_h, at.from_h, tile.first)
        zeros, weights, K = View(job.zeros, 0), at.w_back(job, panel), at.words(at.count)
        coming = at.w_back(job, following(panel, mine, job.back_panel, job.vectors)).at
        ahead = upcoming(self.lanes, tile.turn, da.blocks * K, coming)
        # dh_t, as the step after hands it on by W_h: (R1′), (L1′), (G1′)–(G3′)
        self.product(rows, panel.vectors, self._sums(mine, panel), zeros, da, K, weights, at.count, ahead)

    def nothing_from_after(self, job: Job, mine: Mine, panel: Panel, tile: RowTile, going_on: int) -> None:
        """Sums = 0, in the rows that don't go on."""
        self.copy(tile.rows - going_on, panel.vectors, *self._sums(mine, panel).below(going_on), job.zeros, 0)

    def finish_tile(
        self, job: Job, mine: Mine, panel: Panel, step: Step, tile: RowTile, da: int, part: Part
    ) -> None:
        """From dh and dc to da, and to what the step before gets directly."""
        self.finish(**self.arguments(job, panel, step, tile, self._sums(mine, panel), da, part))

    def arguments(
        self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View, da: int, part: Part
    ) -> dict[str, int]:
        """Return where all is that belongs to a tile, by the names of emitting/finish.py."""
        at = self.at
        before, after, row = step.prev + tile.first, step.next + tile.first, step.first + tile.first
        h, c, tape = at.h(job, before, panel), at.c(job, before, panel), at.tape(job, row, panel)
        carry_h, carry_c = (at.carry(job, carry, tile, panel) for carry in (job.carry_h, job.carry_c))
        out, dp = at.da(job, da, 0, tile.first), at.dp(job, part.dp, row - part.begin)
        numbers, streams = at.numbers(job, panel), at.streams(job, step, panel)
        return {
            "sums": sums.at, "sums_row": sums.row, "rows": tile.rows, "vectors": panel.vectors,
            "dy": self._dy(job, panel, step), "dy_row": job.dy_row, "order": job.order + 8 * tile.first,
            "prev_h": h.at, "next_h": at.h(job, after, panel).at, "h_row": h.row,
            "prev_c": c.at, "next_c": at.c(job, after, panel).at, "c_vector": c.row, "c_state": at.c_state(job),
            "carry_h": carry_h.at, "carry_c": carry_c.at, "carry_row": carry_h.row, "carry_state": at.carry_state(job),
            "numbers": numbers.at, "number_row": numbers.row,
            "streams": job.streams, "streams_at": streams.at, "streams_row": streams.row,
            "upstream": job.upstream, "upstream_at": panel.first * at.width, "t": step.t,
            "dp": dp.at + panel.first * dp.row, "dp_vector": dp.row, "dp_slot": job.vectors * dp.row,
            "kept": tape.at, "kept_vector": tape.row,
            "da": out.at + panel.first * out.row, "da_vector": out.row, "da_slot": job.vectors * out.row,
            "valid": job.H - panel.first * at.count,
        }  # fmt: skip

    def initial_h(self, job: Job, panel: Panel, tile: RowTile, after: After) -> None:
        """Make dh0: what is carried beyond the first step + da_1 W_h."""
        at = self.at
        dh0, carried = (at.carry(job, place, tile, panel) for place in (job.dh0, job.carry_h))
        if at.from_h == 0:
            self.copy(tile.rows, panel.vectors, *dh0, *carried)
            return
        da = at.gates(job, after.da, at.first_h, at.from_h, tile.first)
        K = at.words(at.count)
        self.product(tile.rows, panel.vectors, dh0, carried, da, K, at.w_back(job, panel), at.count)


def make_initial_state(cell: KernelCell, lanes: Lanes) -> Any:
    """Return ``initial_state(job, mine, after)``: the gradient of h_0. That of c_0, or more, is carried already."""
    initial_h = written(StepBack(cell, lanes).initial_h)

    @phase
    def initial_state(job, mine, after):
        for p in range(mine.first, mine.last):
            panel = panel_of(p, job.back_panel, job.h_vectors)
            for number in range(mine.group, job.tiles, job.groups):
                initial_h(job, panel, tile_of(job, number, job.B), after)

    return initial_state
