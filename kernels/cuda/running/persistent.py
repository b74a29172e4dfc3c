"""A whole sequence in one launch: every block keeps its part of W_h on the chip, and all meet once a step.

A block owns some hidden units, and takes some rows of the batch at a time: all steps of these, then those of the next
rows. A thread owns one of the units of one of the rows, and so its c_t stays in a register. What a block has to tell
the others, h_t or da_t, goes through memory; since every step has its own place there, nothing is overwritten that
somebody may still read, and one barrier a step is enough.

The barrier is a counter for the blocks that share rows of the batch: after step t each adds 1, and goes on when it
shows (t + 1) times their number. All blocks must be on the device at once, and the launch asks for that.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from kernels.contract import Array

from ..language.cell import KernelCell, make_states
from ..language.device import WARP, arrive, cuda, device_function, shared_memory, wait
from ..language.pointwise import zero
from ..language.unrolled import count, make_read, make_write
from ..planning.plan import Choice
from ..planning.tile import Tile
from .launch import kernel, namespace
from .product import make_product
from .tensor import rounded
from .unit import (
    Backward,
    Forward,
    Given,
    Lengths,
    Wanted,
    make_advance,
    make_given,
    make_recall,
    make_retreat,
    make_totals,
    make_upstream,
)

COUNTER_DISTANCE = 32
"""Counters lie 128 bytes apart, so that two groups of blocks don't share a line."""

SMALL = 1023
"""Numbers of threads, masked with this, are known not to be negative: divisions by powers of two become shifts."""


@device_function
def announce(counters, group, thread):
    """Tell the group that what this block has written is there."""
    cuda.syncthreads()
    if thread == 0:
        arrive(counters, group * COUNTER_DISTANCE)


@device_function
def await_all(counters, group, target, thread):
    """Wait until the group has announced itself so many times."""
    if thread == 0:
        wait(counters, group * COUNTER_DISTANCE, target)
    cuda.syncthreads()


def make_weight(tile: Tile) -> Callable[..., Any]:
    """Return ``weight(w_h, at)``: a weight as the product wants it."""
    if tile.tensor:
        return device_function(lambda w_h, at: rounded(w_h[at]))
    return device_function(lambda w_h, at: w_h[at])


FORWARD = "rrrrrrrrriiinnnnrr"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_forward(cell: KernelCell, tile: Tile, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of all steps forwards; with `keep`, what the backward needs goes to the tape.

    After W_h come the arrays of `unit.Forward`, and then `order`, the rows of the batch, the longest first; the arrays
    of `unit.Given` come last.
    """
    X, U, SLOTS, ROWS, WARPS, LOADS = (
        count(cell.from_x), tile.units, tile.slots, tile.rows, tile.warps, tile.loads,
    )  # fmt: skip
    B_X_AT, B_H_AT, WEIGHTS_AT, SUMS_AT = tile.biases_at, tile.b_h_at, tile.weights_at, tile.sums_at
    X_ROWS, MOST = X * U, max(X * U, ROWS)
    place, product = make_product(tile, real)
    (states, _), (stream, parameter) = make_states(cell), make_given(cell)
    read_x, read, read_others = make_read(cell.from_x), make_read(cell.from_h), make_read(cell.others)
    (advance, record), weight = make_advance(cell, keep=keep), make_weight(tile)

    def forward(
        w_h, a_x, b_x, b_h, h, c, h_T, c_T, kept, order, lengths, counters, B, H, Hp, w_row, streams, parameters
    ):
        shared, source = shared_memory(real), cuda.local.array(LOADS, np.int64)
        thread, members = cuda.threadIdx.x & SMALL, cuda.gridDim.x
        first_unit = cuda.blockIdx.x * U

        warp, lane = thread // WARP, thread % WARP
        for r in range(warp, ROWS, WARPS):  # row g·U + u is gate g of unit u
            unit = first_unit + r % U
            for k in range(lane, Hp, WARP):
                inside = unit < H and k < H
                shared[WEIGHTS_AT + r * w_row + k] = weight(w_h, (r // U * H + unit) * H + k) if inside else zero
        for r in range(thread, MOST, WARPS * WARP):
            unit = first_unit + r % U
            if X_ROWS == MOST or r < X_ROWS:
                shared[B_X_AT + r] = b_x[r // U * H + unit] if unit < H else zero
            if ROWS == MOST or r < ROWS:
                shared[B_H_AT + r] = b_h[r // U * H + unit] if unit < H else zero
        cuda.syncthreads()

        slot, u = thread // U, thread % U
        for group in range(cuda.blockIdx.y, (B + SLOTS - 1) // SLOTS, cuda.gridDim.y):
            first = group * SLOTS
            steps = lengths[order[first]]
            mine = slot < SLOTS and first + slot < B and first_unit + u < H
            row = order[first + slot] if mine else order[first]
            unit = first_unit + u if mine else 0
            length = lengths[row] if mine else 0
            sums_at = SUMS_AT + min(slot, SLOTS - 1) * ROWS + u
            place(source, order, first, B, Hp, thread)
            prev, p = states(h[row * Hp + unit], read_others(c, row * H + unit, B * H)), parameter(parameters, unit, H)
            for t in range(steps):
                # Asked for here, they arrive while the block multiplies.
                x = read_x(a_x, (t * B + row) * X * H + unit, H)
                m = stream(streams, t, row, unit, B, H)
                product(shared, h, t * B * Hp, source, Hp, w_row, thread)
                sums = read(shared, sums_at, U)
                b_x_of, b_h_of = read_x(shared, B_X_AT + u, U), read(shared, B_H_AT + u, U)
                prev, gates = advance(x, b_x_of, sums, b_h_of, prev, m, p, t, row, unit, length, B, Hp, h)
                if t + 1 < steps:
                    announce(counters, group, thread)
                # Behind the announcement, which would have to wait until these are written.
                record(prev, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)
                if t + 1 < steps:
                    await_all(counters, group, members * (t + 1), thread)
            cuda.syncthreads()  # the sums have been read

    return forward


def run_forward(
    cell: KernelCell, choice: Choice, W_h: Array, arrays: Forward, given: Given, rows: Lengths, *, keep: bool
) -> None:
    """Launch all steps forwards."""
    tile, (B, H), (_, _, Hp) = choice.cut, arrays.h_T.shape, arrays.h.shape
    run = kernel(make_forward, FORWARD, W_h.dtype.name, cell, tile, cooperative=True, keep=keep)
    numbers = B, H, Hp, tile.banked(Hp)
    arguments = W_h, *arrays, rows.order, rows.lengths, _counters(tile, B), *numbers, *given
    run((choice.blocks, choice.groups), tile.threads, arguments, tile.size(Hp) * W_h.dtype.itemsize)


def _counters(tile: Tile, B: int) -> Array:
    return namespace().zeros(ceil(B / tile.slots) * COUNTER_DISTANCE, np.int32)


BACKWARD = "rrrrrrrrrrriiinnnnnnrrrr"
"""The types of the backward's arguments."""


def make_backward(cell: KernelCell, tile: Tile, real: Any, *, vectors: bool, every: bool) -> Callable[..., Any]:
    """Return the kernel of all steps in reverse.

    After W_h come the arrays of `unit.Backward`. `options` is 1 where dy is there, plus 2 where dh0 is wanted: without
    it the last product is left out. Last come the arrays of `unit.Given` and `unit.Wanted`: with `vectors` there are
    sums for them, with `every` the other states have gradients from outside.
    """
    G, U, SLOTS, THREADS, LOADS = count(cell.from_h), tile.units, tile.slots, tile.threads, tile.loads
    WEIGHTS_AT, SUMS_AT, (place, product) = tile.weights_at, tile.sums_at, make_product(tile, real)
    (states, others), recall, retreat = make_states(cell), make_recall(cell), make_retreat(cell, real)
    (stream, parameter), (upstream, complete) = make_given(cell), make_upstream(cell, every=every)
    read_others, write_others, weight = make_read(cell.others), make_write(cell.others), make_weight(tile)
    read_sums, write_sums, add = make_totals(cell, vectors=vectors)

    def backward(
        w_h, h, c, kept, dy, dh, dc, da_x, da_h, dh0, dc0, order, lengths, counters, B, H, Hp, Hq, w_row, options,
        streams, parameters, dvectors, dstates,
    ):  # fmt: skip
        shared, source = shared_memory(real), cuda.local.array(LOADS, np.int64)
        thread, members = cuda.threadIdx.x & SMALL, cuda.gridDim.x
        first_unit, K, with_dy, with_dh0 = cuda.blockIdx.x * U, G * Hq, options % 2, options // 2

        for n in range(thread, U * Hq, THREADS):  # row u is the column of unit u, gate after gate
            u, of = n % U, n // U
            unit = first_unit + u
            for g in range(G):
                inside = unit < H and of < H
                shared[WEIGHTS_AT + u * w_row + g * Hq + of] = weight(w_h, (g * H + of) * H + unit) if inside else zero
        cuda.syncthreads()

        slot, u = thread // U, thread % U
        for group in range(cuda.blockIdx.y, (B + SLOTS - 1) // SLOTS, cuda.gridDim.y):
            first = group * SLOTS
            steps = lengths[order[first]]
            mine = slot < SLOTS and first + slot < B and first_unit + u < H
            row = order[first + slot] if mine else order[first]
            unit = first_unit + u if mine else 0
            length = lengths[row] if mine else 0
            sums_at = SUMS_AT + min(slot, SLOTS - 1) * U + u
            place(source, order, first, B, K, thread)
            carry = states(dh[row * H + unit], read_others(dc, row * H + unit, B * H))
            p, total = parameter(parameters, unit, H), read_sums(dvectors, row * H + unit, B * H)
            for back in range(steps):
                t = steps - 1 - back
                recalled, m = recall(t, row, unit, B, H, Hp, h, c, kept), stream(streams, t, row, unit, B, H)
                up, dy_t = upstream(dstates, t, row, unit, B, H), dy[(t * B + row) * H + unit] if with_dy else zero
                if back > 0:
                    product(shared, da_h, (t + 1) * B * K, source, K, w_row, thread)
                    carry = states(carry[0] + (shared[sums_at] if t + 1 < length else zero), others(carry))  # (V1)
                if t < length:  # past it da stays the zero that it began as (V1)
                    dstate = complete(carry[0] + dy_t, others(carry), up)  # (R3′), (L8′), (G6′)
                    carry, dp = retreat(recalled, dstate, m, p, t, row, unit, B, H, Hq, da_x, da_h)
                    total = add(total, dp)
                if t > 0 or with_dh0:
                    announce(counters, group, thread)
                    await_all(counters, group, members * (back + 1), thread)
            if with_dh0:
                product(shared, da_h, 0, source, K, w_row, thread)
                carry = states(carry[0] + shared[sums_at], others(carry))
            if mine:
                dh0[row * H + unit] = carry[0]
                write_others(dc0, row * H + unit, B * H, others(carry))
                write_sums(dvectors, row * H + unit, B * H, total)
            cuda.syncthreads()  # the sums have been read

    return backward


def run_backward(
    cell: KernelCell, choice: Choice, W_h: Array, arrays: Backward, given: Given, wanted: Wanted, rows: Lengths, *,
    with_dy: bool, with_dh0: bool, vectors: bool, every: bool,
) -> None:  # fmt: skip
    """Launch all steps in reverse."""
    tile, (B, H), Hp, (_, _, G, Hq) = choice.cut, arrays.dh.shape, arrays.h.shape[2], arrays.da_h.shape
    made = {"vectors": vectors, "every": every}
    run = kernel(make_backward, BACKWARD, W_h.dtype.name, cell, tile, cooperative=True, **made)
    numbers = B, H, Hp, Hq, tile.banked(G * Hq), with_dy + 2 * with_dh0
    arguments = W_h, *arrays, rows.order, rows.lengths, _counters(tile, B), *numbers, *given, *wanted
    run((choice.blocks, choice.groups), tile.threads, arguments, tile.size(G * Hq) * W_h.dtype.itemsize)
