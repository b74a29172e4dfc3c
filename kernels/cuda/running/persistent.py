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

from ..language.cell import KernelCell, states_of
from ..language.device import WARP, arrive, cuda, device_function, shared_memory, wait
from ..language.pointwise import zero
from ..language.unrolled import make_read
from ..planning.plan import Choice
from ..planning.tile import Tile
from .launch import kernel, namespace
from .product import make_product
from .tensor import rounded
from .unit import Backward, Forward, Lengths, make_advance, make_recall, make_retreat

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


FORWARD = "rrrrrrrrriiinnnn"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_forward(cell: KernelCell, tile: Tile, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of all steps forwards; with `keep`, what the backward needs goes to the tape.

    After W_h come the arrays of `unit.Forward`, and then `order`, the rows of the batch, the longest first.
    """
    G, U, SLOTS, ROWS, WARPS, LOADS = (
        cell.spec.gate_count, tile.units, tile.slots, tile.rows, tile.warps, tile.loads,
    )  # fmt: skip
    BIASES_AT, WEIGHTS_AT, SUMS_AT, HAS_C = tile.biases_at, tile.weights_at, tile.sums_at, cell.has_c
    place, product = make_product(tile, real)
    states, read = states_of(cell), make_read(cell.spec.gates)
    (advance, record), weight = make_advance(cell, keep=keep), make_weight(tile)

    def forward(w_h, a_x, b_x, b_h, h, c, h_T, c_T, kept, order, lengths, counters, B, H, Hp, w_row):
        shared = shared_memory(real)
        source = cuda.local.array(LOADS, np.int64)
        thread, members = cuda.threadIdx.x & SMALL, cuda.gridDim.x
        first_unit = cuda.blockIdx.x * U

        warp, lane = thread // WARP, thread % WARP
        for r in range(warp, ROWS, WARPS):  # row g·U + u is gate g of unit u
            unit = first_unit + r % U
            for k in range(lane, Hp, WARP):
                inside = unit < H and k < H
                shared[WEIGHTS_AT + r * w_row + k] = weight(w_h, (r // U * H + unit) * H + k) if inside else zero
        for r in range(thread, ROWS, WARPS * WARP):
            unit = first_unit + r % U
            shared[BIASES_AT + r] = b_x[r // U * H + unit] if unit < H else zero
            shared[BIASES_AT + ROWS + r] = b_h[r // U * H + unit] if unit < H else zero
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
            prev = states(h[row * Hp + unit], c[row * H + unit] if HAS_C else zero)
            for t in range(steps):
                x = read(a_x, (t * B + row) * G * H + unit, H)  # asked for here, it arrives while the block multiplies
                product(shared, h, t * B * Hp, source, Hp, w_row, thread)
                sums = read(shared, sums_at, U)
                b_x_of, b_h_of = read(shared, BIASES_AT + u, U), read(shared, BIASES_AT + ROWS + u, U)
                prev, gates = advance(x, b_x_of, sums, b_h_of, prev, t, row, unit, length, B, Hp, h)
                if t + 1 < steps:
                    announce(counters, group, thread)
                # Behind the announcement, which would have to wait until these are written.
                record(prev, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)
                if t + 1 < steps:
                    await_all(counters, group, members * (t + 1), thread)
            cuda.syncthreads()  # the sums have been read

    return forward


def run_forward(cell: KernelCell, choice: Choice, W_h: Array, arrays: Forward, rows: Lengths, *, keep: bool) -> None:
    """Launch all steps forwards."""
    tile, (B, H), (_, _, Hp) = choice.cut, arrays.h_T.shape, arrays.h.shape
    run = kernel(make_forward, FORWARD, W_h.dtype.name, cell, tile, cooperative=True, keep=keep)
    numbers = B, H, Hp, tile.banked(Hp)
    arguments = W_h, *arrays, rows.order, rows.lengths, _counters(tile, B), *numbers
    run((choice.blocks, choice.groups), tile.threads, arguments, tile.size(Hp) * W_h.dtype.itemsize)


def _counters(tile: Tile, B: int) -> Array:
    return namespace().zeros(ceil(B / tile.slots) * COUNTER_DISTANCE, np.int32)


BACKWARD = "rrrrrrrrrrriiinnnnnn"
"""The types of the backward's arguments."""


def make_backward(cell: KernelCell, tile: Tile, real: Any) -> Callable[..., Any]:
    """Return the kernel of all steps in reverse.

    After W_h come the arrays of `unit.Backward`. `options` is 1 where dy is there, plus 2 where dh0 is wanted: without
    it the last product is left out.
    """
    G, U, SLOTS, THREADS, LOADS = cell.spec.gate_count, tile.units, tile.slots, tile.threads, tile.loads
    WEIGHTS_AT, SUMS_AT, HAS_C = tile.weights_at, tile.sums_at, cell.has_c
    place, product = make_product(tile, real)
    states = states_of(cell)
    recall, retreat, weight = make_recall(cell), make_retreat(cell, real), make_weight(tile)

    def backward(
        w_h, h, c, kept, dy, dh, dc, da_x, da_h, dh0, dc0, order, lengths, counters, B, H, Hp, Hq, w_row, options
    ):
        shared = shared_memory(real)
        source = cuda.local.array(LOADS, np.int64)
        thread, members = cuda.threadIdx.x & SMALL, cuda.gridDim.x
        first_unit, K = cuda.blockIdx.x * U, G * Hq
        with_dy, with_dh0 = options % 2, options // 2

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
            carry = states(dh[row * H + unit], dc[row * H + unit] if HAS_C else zero)
            for back in range(steps):
                t = steps - 1 - back
                recalled = recall(t, row, unit, B, H, Hp, h, c, kept)
                dy_t = dy[(t * B + row) * H + unit] if with_dy else zero
                if back > 0:
                    product(shared, da_h, (t + 1) * B * K, source, K, w_row, thread)
                    sums = shared[sums_at] if t + 1 < length else zero  # (V1)
                    carry = states(carry.h + sums, carry[-1])
                if t < length:  # past it da stays the zero that it began as (V1)
                    dstate = states(carry.h + dy_t, carry[-1])
                    carry = retreat(recalled, dstate, t, row, unit, B, H, Hq, da_x, da_h)
                if t > 0 or with_dh0:
                    announce(counters, group, thread)
                    await_all(counters, group, members * (back + 1), thread)
            if with_dh0:
                product(shared, da_h, 0, source, K, w_row, thread)
                carry = states(carry.h + shared[sums_at], carry[-1])
            if mine:
                dh0[row * H + unit] = carry.h
                if HAS_C:
                    dc0[row * H + unit] = carry[-1]
            cuda.syncthreads()  # the sums have been read

    return backward


def run_backward(
    cell: KernelCell, choice: Choice, W_h: Array, arrays: Backward, rows: Lengths, *, with_dy: bool, with_dh0: bool
) -> None:
    """Launch all steps in reverse."""
    tile, (B, H), Hp, (_, _, G, Hq) = choice.cut, arrays.dh.shape, arrays.h.shape[2], arrays.da_h.shape
    run = kernel(make_backward, BACKWARD, W_h.dtype.name, cell, tile, cooperative=True)
    numbers = B, H, Hp, Hq, tile.banked(G * Hq), with_dy + 2 * with_dh0
    arguments = W_h, *arrays, rows.order, rows.lengths, _counters(tile, B), *numbers
    run((choice.blocks, choice.groups), tile.threads, arguments, tile.size(G * Hq) * W_h.dtype.itemsize)
