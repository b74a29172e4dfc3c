"""A step at a time: the product by the array library, the equations by one kernel. A thread has one hidden unit."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from kernels.contract import Array

from ..language.cell import KernelCell, make_states
from ..language.device import cuda
from ..language.unrolled import count, make_read, make_write
from .launch import kernel, namespace
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

THREADS = 128
"""Threads of a block."""

FORWARD = "rrrrrrrrrinnnnrr"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_step(cell: KernelCell, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of step t forwards: from `sums` (B, G, H), W_h h_{t−1}, to the next states.

    `c_T` holds the other states of every row from step to step, and `h_T` and `c_T` end as those of its last valid
    step. Last come the arrays of `unit.Given`.
    """
    X, G, (states, others), (stream, parameter) = (
        count(cell.from_x), count(cell.from_h), make_states(cell), make_given(cell),
    )  # fmt: skip
    read_x, read, read_others = make_read(cell.from_x), make_read(cell.from_h), make_read(cell.others)
    (advance, record), write_others = make_advance(cell, keep=keep), make_write(cell.others)

    def step(sums, a_x, b_x, b_h, h, c, h_T, c_T, kept, lengths, B, H, Hp, t, streams, parameters):
        place = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if place < B * H:
            row, unit = place // H, place % H
            length = lengths[row]
            if t < length:
                prev = states(h[(t * B + row) * Hp + unit], read_others(c_T, place, B * H))
                x = read_x(a_x, (t * B + row) * X * H + unit, H)
                of_h = read(sums, row * G * H + unit, H)
                b_x_of, b_h_of = read_x(b_x, unit, H), read(b_h, unit, H)
                m, p = stream(streams, t, row, unit, B, H), parameter(parameters, unit, H)
                new, gates = advance(x, b_x_of, of_h, b_h_of, prev, m, p, t, row, unit, length, B, Hp, h)
                record(new, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)
                write_others(c_T, place, B * H, others(new))

    return step


def run_forward(
    cell: KernelCell, W_h: Array, arrays: Forward, given: Given, rows: Lengths, *, keep: bool
) -> None:
    """Make all steps forwards."""
    xp, (B, H), (_, _, Hp), T = namespace(), arrays.h_T.shape, arrays.h.shape, len(arrays.h) - 1
    run = kernel(make_step, FORWARD, W_h.dtype.name, cell, keep=keep)
    sums = xp.empty((B, len(W_h)), W_h.dtype)
    if cell.others:
        arrays.c_T[...] = arrays.c[0]
    for t in range(T):
        xp.matmul(arrays.h[t], W_h.T, out=sums)
        run((ceil(B * H / THREADS), 1), THREADS, (sums, *arrays, rows.lengths, B, H, Hp, t, *given))


BACKWARD = "rrrrrrrrrinnnnnnrrrr"
"""The types of the backward's arguments."""


def make_step_backward(cell: KernelCell, real: Any, *, vectors: bool, every: bool) -> Callable[..., Any]:
    """Return the kernel of step t backwards: from `sums` (B, H), da_{t+1} W_h, to da_t.

    `dh` (B, H) and `dc` (C, B, H) hold what the step before gets directly, from step to step. With `vectors` it adds
    to the sums for them, with `every` the other states have gradients from outside.
    """
    (_, others), recall, retreat = make_states(cell), make_recall(cell), make_retreat(cell, real)
    (stream, parameter), (upstream, complete) = make_given(cell), make_upstream(cell, every=every)
    read_others, write_others = make_read(cell.others), make_write(cell.others)
    read_sums, write_sums, add = make_totals(cell, vectors=vectors)

    def step_backward(
        sums, h, c, kept, dy, dh, dc, da_x, da_h, lengths, B, H, Hp, Hq, t, options, streams, parameters, dvectors,
        dstates,
    ):  # fmt: skip
        place = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if place < B * H:
            row, unit = place // H, place % H
            length = lengths[row]
            if t < length:  # past it da stays the zero that it began as (V1)
                with_dy, with_sums = options % 2, options // 2
                up = dh[place]
                if with_sums and t + 1 < length:  # (V1)
                    up += sums[place]
                if with_dy:
                    up += dy[(t * B + row) * H + unit]  # (R3′), (L8′), (G6′)
                recalled = recall(t, row, unit, B, H, Hp, h, c, kept)
                m, p = stream(streams, t, row, unit, B, H), parameter(parameters, unit, H)
                dstate = complete(up, read_others(dc, place, B * H), upstream(dstates, t, row, unit, B, H))
                carry, dp = retreat(recalled, dstate, m, p, t, row, unit, B, H, Hq, da_x, da_h)
                dh[place] = carry[0]
                write_others(dc, place, B * H, others(carry))
                write_sums(dvectors, place, B * H, add(read_sums(dvectors, place, B * H), dp))

    return step_backward


def run_backward(
    cell: KernelCell, W_h: Array, arrays: Backward, given: Given, wanted: Wanted, rows: Lengths, *, with_dy: bool,
    with_dh0: bool, vectors: bool, every: bool,
) -> None:  # fmt: skip
    """Make all steps in reverse."""
    xp, (B, H), Hp, (T, _, G, Hq) = namespace(), arrays.dh.shape, arrays.h.shape[2], arrays.da_h.shape
    run = kernel(make_step_backward, BACKWARD, W_h.dtype.name, cell, vectors=vectors, every=every)
    # The gradients of the last states become those of the first, step by step.
    arrays.dh0[...], arrays.dc0[...] = arrays.dh, arrays.dc
    arrays = arrays._replace(dh=arrays.dh0, dc=arrays.dc0)
    sums = xp.empty((B, H), W_h.dtype)
    for t in reversed(range(T)):
        with_sums = t + 1 < T
        if with_sums:
            xp.matmul(arrays.da_h[t + 1].reshape(B, G * H), W_h, out=sums)
        numbers = B, H, Hp, Hq, t, with_dy + 2 * with_sums
        run((ceil(B * H / THREADS), 1), THREADS, (sums, *arrays[:8], rows.lengths, *numbers, *given, *wanted))
    if with_dh0:
        arrays.dh0[...] += xp.matmul(arrays.da_h[0].reshape(B, G * H), W_h)
