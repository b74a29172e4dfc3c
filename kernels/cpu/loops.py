"""The time loops, forwards and back: one compiled function for a whole layer and direction.

**Who does what.** The threads stand in `groups` × `members`. A group has its own rows of the batch, for all time, and
its steps wait for no other group's; the
members of a group share its hidden units. With one member there is nothing to wait for until the end; with several,
all must have h_t before anyone begins step t + 1, and a barrier sees to that. plan.py chooses.

**Rows.** Sequences of unequal length are sorted, longest first, and their steps packed (rows.py): step t has the rows
still running, and they are the first ones. What has ended costs nothing, here and in every product over all steps.

**States** have a block of B rows for the initial state, then a row for each valid step. Without a tape, two blocks
take turns: a row that ends stays where it was written last.

All sizes that end in `_row` are in bytes, and so are all offsets: to these loops an array is an address.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit

from .emitting.addresses import make_pointer, word
from .emitting.cell import KernelCell, make_finish, make_finish_backward
from .emitting.copying import make_copy, make_copy_columns, make_fetch
from .emitting.microkernel import ALONG_K, ALONG_ROWS, make_product, max_rows
from .emitting.simd import Lanes
from .running.compiled import distinguish
from .running.threads import BETWEEN, barrier


class Job(NamedTuple):
    """The arguments of a loop: sizes, strides and addresses. What a loop doesn't use stays 0."""

    T: int = 0
    B: int = 0
    I: int = 0
    H: int = 0
    Hp: int = 0  # H filled up to whole vectors
    N: int = 0  # valid steps of all rows: T·B without lengths
    offsets: int = 0  # int64 (T + 1,): where the rows of each step begin
    order: int = 0  # int64 (B,): which row of the caller's batch each row is
    groups: int = 1  # of threads
    members: int = 1  # of a group
    meeting: int = 0  # the words of the barriers: everybody's, then each group's
    tiles: int = 1  # the rows of a step are cut into so many; a group has every groups-th of them
    scratch: int = 0
    scratch_size: int = 0  # of each thread
    zeros: int = 0
    ones: int = 0
    # forwards
    x: int = 0  # (N, I)
    x_row: int = 0
    chunk: int = 0  # steps whose input products are done ahead of the recurrence; 0: in the tile itself, step by step
    w_x: int = 0  # panels
    w_h: int = 0
    bias: int = 0
    panel: int = 0  # vectors of hidden units in a panel (the last may have fewer)
    h: int = 0  # (blocks, Hp)
    h_row: int = 0
    c: int = 0  # [vectors][blocks]
    blocks: int = 0  # rows of the states: B + N, or 2·B that take turns where no tape is kept
    kept: int = 0  # [vectors][N][what a tape keeps]
    y: int = 0
    y_row: int = 0
    y_step: int = 0
    # backwards
    dy: int = 0
    dy_row: int = 0
    dy_step: int = 0
    carry_h: int = 0  # (B, Hp)
    carry_c: int = 0
    da: int = 0  # twice [slots][vectors][span]
    span: int = 0  # most rows of the steps that are taken together
    steps: int = 0  # how many those are
    w_back: int = 0  # panels of W_h the other way round
    back_panel: int = 0
    dh0: int = 0  # (B, Hp); 0 where it is not wanted, and the rest likewise
    dx: int = 0  # (N, I)
    dx_row: int = 0
    w_dx: int = 0
    dx_panel: int = 0
    dw_x: int = 0  # (G·H, I)
    dw_h: int = 0  # (G·H, H)
    h_prev: int = 0  # (N, Hp), the state before each step
    h_prev_row: int = 0
    db: int = 0  # [slots][vectors]


JOB = np.dtype([(name, np.int64) for name in Job._fields])
"""A `Job` in memory."""

PLACE = {name: k for k, name in enumerate(Job._fields)}
"""Which of a job's numbers is which."""

BAND = 48
"""Rows of dx that are finished before the next ones are begun."""


job_at = make_pointer(JOB)


def max_panel(cell: KernelCell) -> int:
    """Return the most vectors of hidden units in a panel: a cell's gates share the registers of a tile."""
    return max(1, 4 // len(cell.from_x))


def make_forward(cell: KernelCell, lanes: Lanes, keep: bool) -> Any:
    """Return the time loop of a cell, uncompiled; with `keep`, it writes a tape."""
    width, count = lanes.width, lanes.count
    slots, from_x, from_h, kept = len(cell.slot_names), len(cell.from_x), len(cell.from_h), len(cell.kept)
    first_x, first_h = cell.first_from_x, cell.first_from_h
    widest = max_panel(cell)
    panels_of = tuple(sorted({g * v for g in (from_x, from_h) for v in range(1, widest + 1)}))
    product = make_product(lanes, ALONG_K, panels_of)
    finish, copy = make_finish(cell, lanes, keep=keep), make_copy(lanes)
    most = tuple(max_rows(lanes, from_x * v) if v else 0 for v in range(widest + 1))

    def forward(thread, address):
        job: Any = carray(job_at(address), 1)[0]
        T, B, I, H = job.T, job.B, job.I, job.H
        group, member = thread // job.members, thread % job.members
        vectors = job.Hp // count
        h_row, c_vector, kept_vector = job.h_row, job.blocks * width, job.N * kept * width
        panels = (vectors + job.panel - 1) // job.panel
        first, last = panels * member // job.members, panels * (member + 1) // job.members
        scratch = job.scratch + thread * job.scratch_size
        ahead = job.chunk > 0
        chunk = job.chunk if ahead else T
        span = chunk * B * slots * job.panel * width if ahead else 0  # scratch of a panel
        for t0 in range(0, T, chunk):
            t1 = min(T, t0 + chunk)
            begin, end = word(job.offsets + 8 * t0), word(job.offsets + 8 * t1)
            if ahead:
                for p in range(first, last):
                    v = min(job.panel, vectors - p * job.panel)
                    bias = job.bias + p * job.panel * slots * width
                    w_x = job.w_x + p * job.panel * from_x * I * width
                    sums_row = slots * v * width
                    for n in range(begin, end, most[v]):
                        sums = scratch + (p - first) * span + (n - begin) * sums_row + first_x * v * width
                        product(
                            min(most[v], end - n), from_x * v, sums, sums_row, bias + first_x * v * width, 0,
                            job.x + n * job.x_row, job.x_row, 1, 0, I, w_x, from_x * v * width, count,
                        )  # fmt: skip
            for t in range(t0, t1):
                now = word(job.offsets + 8 * t)
                rows = word(job.offsets + 8 * (t + 1)) - now
                if keep:
                    prev, next_ = 0 if t == 0 else B + word(job.offsets + 8 * (t - 1)), B + now
                else:
                    prev, next_ = t % 2 * B, (t + 1) % 2 * B
                for p in range(first, last):
                    v = min(job.panel, vectors - p * job.panel)
                    unit = p * job.panel * width
                    bias = job.bias + p * job.panel * slots * width
                    w_x = job.w_x + p * job.panel * from_x * I * width
                    w_h = job.w_h + p * job.panel * from_h * H * width
                    sums_row = slots * v * width
                    for tile in range(group, job.tiles, job.groups):
                        r = B * tile // job.tiles
                        n = min(B * (tile + 1) // job.tiles, rows) - r
                        if n <= 0:
                            break
                        c = job.c + p * job.panel * c_vector
                        if ahead:
                            sums = scratch + (p - first) * span + (now + r - begin) * sums_row
                        else:
                            sums = scratch
                            product(
                                n, from_x * v, sums + first_x * v * width, sums_row, bias + first_x * v * width, 0,
                                job.x + (now + r) * job.x_row, job.x_row, 1, 0, I, w_x, from_x * v * width, count,
                            )  # fmt: skip
                        if slots > from_x:
                            past = from_x * v * width
                            copy(n, (slots - from_x) * v, sums + past, sums_row, bias + past, 0)
                        product(
                            n, from_h * v, sums + first_h * v * width, sums_row, sums + first_h * v * width, sums_row,
                            job.h + (prev + r) * h_row, h_row, 1, 0, H, w_h, from_h * v * width, count,
                        )  # fmt: skip
                        finish(
                            sums, sums_row, n, v,
                            job.h + (prev + r) * h_row + unit, job.h + (next_ + r) * h_row + unit, h_row,
                            c + (prev + r) * width, c + (next_ + r) * width, c_vector,
                            job.kept + p * job.panel * kept_vector + (now + r) * kept * width, kept_vector,
                            job.y + t * job.y_step + unit, job.y_row, job.order + 8 * r, H - p * job.panel * count,
                        )  # fmt: skip
                if job.members > 1:
                    barrier(job.meeting + BETWEEN * (1 + group), job.members)

    return forward


def make_backward(cell: KernelCell, lanes: Lanes) -> Any:
    """Return the time loop of a cell's backward with the products that belong to it, uncompiled.

    The gradients of the weights are one product over all steps. It is taken in parts of some 512 rows: what a part
    reads, da above all, has just been written and is still in the cache, and two pieces of memory for da are enough,
    one for these steps and one for those after them.
    """
    size, width, count = lanes.size, lanes.width, lanes.count
    slots, from_x, from_h, kept = len(cell.slot_names), len(cell.from_x), len(cell.from_h), len(cell.kept)
    first_x, first_h = cell.first_from_x, cell.first_from_h
    x_gates, h_gates = cell.gates(cell.from_x), cell.gates(cell.from_h)
    product = make_product(lanes, ALONG_K, (1, 2, 3, 4))
    product_t = make_product(lanes, ALONG_ROWS, (1, 2, 3, 4))
    finish, copy, gather = make_finish_backward(cell, lanes), make_copy(lanes), make_copy_columns(lanes)
    fetch, has_c = make_fetch(lanes), "c" in cell.spec.states
    most = tuple(max_rows(lanes, v) if v else 0 for v in range(5))

    @njit(nogil=True, error_model="numpy")
    @lambda function: distinguish(function, cell, lanes)
    def weight_gradient(share, shares, job, dw, gates, da, K, x, x_row, columns, first, scratch):
        """dW += Σ da·xᵀ over K rows, or = if they are the first: this thread's rows of dW."""
        H = job.H
        units = job.Hp // count
        begin, end = len(gates) * units * share // shares, len(gates) * units * (share + 1) // shares
        vectors = (columns + count - 1) // count
        for p in range(0, vectors, 4):
            v = min(4, vectors - p)
            valid = min(count, columns - (p + v - 1) * count)
            w, w_row = x + p * width, x_row
            if begin < end and (vectors > 4 or valid < count):
                gather(K, v, w, x_row, scratch, valid)
                w, w_row = scratch, v * width
            for item in range(begin, end):
                gate, unit = item // units, item % units
                rows = min(count, H - unit * count)
                tiles = (rows + most[v] - 1) // most[v]
                for tile in range(tiles):
                    u = rows * tile // tiles
                    out = dw + ((gates[gate] * H + unit * count + u) * columns + p * count) * size
                    product_t(
                        rows * (tile + 1) // tiles - u, v, out, columns * size,
                        job.zeros if first else out, 0 if first else columns * size,
                        da + item * job.span * width + u * size, width, 1, 0, K, w, w_row, valid,
                    )  # fmt: skip

    def backward(thread, address):
        job: Any = carray(job_at(address), 1)[0]
        T, B, I, H = job.T, job.B, job.I, job.H
        threads = job.groups * job.members
        group, member = thread // job.members, thread % job.members
        vectors = job.Hp // count
        h_row, c_vector, kept_vector = job.h_row, job.blocks * width, job.N * kept * width
        carry_row = job.Hp * size
        da_vector, da_slot = job.span * width, vectors * job.span * width
        panels = (vectors + job.back_panel - 1) // job.back_panel
        first, last = panels * member // job.members, panels * (member + 1) // job.members
        scratch = job.scratch + thread * job.scratch_size
        after, after_rows = 0, 0  # where da of step t + 1 is
        for turn in range((T + job.steps - 1) // job.steps):
            t1 = T - turn * job.steps
            t0 = max(0, t1 - job.steps)
            begin, end = word(job.offsets + 8 * t0), word(job.offsets + 8 * t1)
            base = job.da + turn % 2 * slots * da_slot
            for t in range(t1 - 1, t0 - 1, -1):
                now = word(job.offsets + 8 * t)
                rows = word(job.offsets + 8 * (t + 1)) - now
                prev, next_ = 0 if t == 0 else B + word(job.offsets + 8 * (t - 1)), B + now
                da = base + (now - begin) * width
                for p in range(first, last):
                    v = min(job.back_panel, vectors - p * job.back_panel)
                    unit = p * job.back_panel * width
                    w_back = job.w_back + p * job.back_panel * from_h * job.Hp * width
                    c = job.c + p * job.back_panel * c_vector
                    for tile in range(group, job.tiles, job.groups):
                        r = B * tile // job.tiles
                        n = min(B * (tile + 1) // job.tiles, rows) - r
                        if n <= 0:
                            break
                        # What the tape holds of these rows comes from far: it can travel while the products are done.
                        kept_at = job.kept + p * job.back_panel * kept_vector + (now + r) * kept * width
                        fetch(v, kept_vector, n * kept, kept_at)
                        if has_c:
                            fetch(v, c_vector, n, c + (prev + r) * width)
                        else:
                            fetch(n, h_row, v, job.h + (prev + r) * h_row + unit)
                        dy = job.dy + t * job.dy_step + unit
                        for row in range(r, r + n):
                            fetch(1, 0, v, dy + word(job.order + 8 * row) * job.dy_row)
                        going_on = max(0, min(n, after_rows - r))
                        if going_on > 0:
                            product(
                                going_on, v, scratch, v * width, job.zeros, 0,
                                after + first_h * da_slot + r * width, width, from_h * vectors, da_vector, count,
                                w_back, v * width, count,
                            )  # fmt: skip
                        if going_on < n:
                            copy(n - going_on, v, scratch + going_on * v * width, v * width, job.zeros, 0)
                        finish(
                            scratch, v * width, n, v, dy, job.dy_row, job.order + 8 * r,
                            job.h + (prev + r) * h_row + unit, job.h + (next_ + r) * h_row + unit, h_row,
                            c + (prev + r) * width, c + (next_ + r) * width, c_vector,
                            job.carry_h + r * carry_row + unit, job.carry_c + r * carry_row + unit, carry_row,
                            kept_at, kept_vector,
                            da + p * job.back_panel * da_vector + r * width, da_vector, da_slot,
                            H - p * job.back_panel * count,
                        )  # fmt: skip
                after, after_rows = da, rows
                if job.members > 1:
                    barrier(job.meeting + BETWEEN * (1 + group), job.members)
            if threads > 1:
                barrier(job.meeting, threads)
            N = end - begin
            if N == 0:  # steps that no sequence lasts to
                continue
            first_part = end == job.N
            if job.dx:
                columns = (I + count - 1) // count
                bands = (N + BAND - 1) // BAND
                for band in range(bands * thread // threads, bands * (thread + 1) // threads):
                    for p in range((columns + job.dx_panel - 1) // job.dx_panel):
                        v = min(job.dx_panel, columns - p * job.dx_panel)
                        end_of_band = min(N, (band + 1) * BAND)
                        for r in range(band * BAND, end_of_band, most[v]):
                            product(
                                min(most[v], end_of_band - r), v,
                                job.dx + (begin + r) * job.dx_row + p * job.dx_panel * width, job.dx_row,
                                job.zeros, 0, base + first_x * da_slot + r * width, width, from_x * vectors, da_vector,
                                count, job.w_dx + p * job.dx_panel * from_x * job.Hp * width, v * width,
                                min(count, I - (p * job.dx_panel + v - 1) * count),
                            )  # fmt: skip
            if job.dw_x:
                weight_gradient(
                    thread, threads, job, job.dw_x, x_gates, base + first_x * da_slot, N,
                    job.x + begin * job.x_row, job.x_row, I, first_part, scratch,
                )  # fmt: skip
            if job.dw_h:
                weight_gradient(
                    thread, threads, job, job.dw_h, h_gates, base + first_h * da_slot, N,
                    job.h_prev + begin * job.h_prev_row, job.h_prev_row, H, first_part, scratch,
                )  # fmt: skip
            if job.db:
                quarter = N // 4
                for item in range(slots * vectors * thread // threads, slots * vectors * (thread + 1) // threads):
                    out, column = job.db + item * width, base + item * da_vector
                    if first_part:
                        copy(1, 1, out, 0, job.zeros, 0)
                    copy(1, 4, scratch, 0, job.zeros, 0)
                    for k in range(0, quarter, 16):  # four sums side by side, in short chains
                        product_t(
                            1, 4, scratch, 0, scratch, 0, job.ones, 0, 1, 0, min(16, quarter - k),
                            column + 4 * k * width, 4 * width, count,
                        )  # fmt: skip
                    product_t(1, 1, out, 0, out, 0, job.ones, 0, 1, 0, 4, scratch, width, count)
                    if N > 4 * quarter:
                        product_t(
                            1, 1, out, 0, out, 0, job.ones, 0, 1, 0, N - 4 * quarter,
                            column + 4 * quarter * width, width, count,
                        )  # fmt: skip
        if job.dh0:
            for p in range(first, last):
                v = min(job.back_panel, vectors - p * job.back_panel)
                at = p * job.back_panel * width
                for tile in range(group, job.tiles, job.groups):
                    r = B * tile // job.tiles
                    product(
                        B * (tile + 1) // job.tiles - r, v, job.dh0 + r * carry_row + at, carry_row,
                        job.carry_h + r * carry_row + at, carry_row,
                        after + first_h * da_slot + r * width, width, from_h * vectors, da_vector, count,
                        job.w_back + p * job.back_panel * from_h * job.Hp * width, v * width, count,
                    )  # fmt: skip

    return backward
