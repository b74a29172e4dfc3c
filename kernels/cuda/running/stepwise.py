"""A step at a time: the product by the array library, the equations by one kernel. A thread has one hidden unit."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from kernels.contract import Array

from ..language.cell import KernelCell, states_of
from ..language.device import cuda
from ..language.pointwise import zero
from ..language.unrolled import make_read
from .launch import kernel, namespace
from .unit import Backward, Forward, Lengths, make_advance, make_recall, make_retreat

THREADS = 128
"""Threads of a block."""

FORWARD = "rrrrrrrrrinnnn"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_step(cell: KernelCell, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of step t forwards: from `sums` (B, G, H), W_h h_{t−1}, to the next states.

    `c_T` holds the state c of every row from step to step, and `h_T` and `c_T` end as those of its last valid step.
    """
    G, HAS_C = cell.spec.gate_count, cell.has_c
    states, read = states_of(cell), make_read(cell.spec.gates)
    advance, record = make_advance(cell, keep=keep)

    def step(sums, a_x, b_x, b_h, h, c, h_T, c_T, kept, lengths, B, H, Hp, t):
        place = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if place < B * H:
            row, unit = place // H, place % H
            length = lengths[row]
            if t < length:
                prev = states(h[(t * B + row) * Hp + unit], c_T[place] if HAS_C else zero)
                x = read(a_x, (t * B + row) * G * H + unit, H)
                of_h = read(sums, row * G * H + unit, H)
                new, gates = advance(
                    x, read(b_x, unit, H), of_h, read(b_h, unit, H), prev, t, row, unit, length, B, Hp, h
                )
                record(new, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)
                if HAS_C:
                    c_T[place] = new[-1]

    return step


def run_forward(cell: KernelCell, W_h: Array, arrays: Forward, rows: Lengths, *, keep: bool) -> None:
    """Make all steps forwards."""
    xp, (B, H), (_, _, Hp), T = namespace(), arrays.h_T.shape, arrays.h.shape, len(arrays.h) - 1
    run = kernel(make_step, FORWARD, W_h.dtype.name, cell, keep=keep)
    sums = xp.empty((B, len(W_h)), W_h.dtype)
    if cell.has_c:
        arrays.c_T[...] = arrays.c[0]
    for t in range(T):
        xp.matmul(arrays.h[t], W_h.T, out=sums)
        run((ceil(B * H / THREADS), 1), THREADS, (sums, *arrays, rows.lengths, B, H, Hp, t))


BACKWARD = "rrrrrrrrrinnnnnn"
"""The types of the backward's arguments."""


def make_step_backward(cell: KernelCell, real: Any) -> Callable[..., Any]:
    """Return the kernel of step t backwards: from `sums` (B, H), da_{t+1} W_h, to da_t.

    `dh` and `dc` (B, H) hold what the step before gets directly, from step to step.
    """
    HAS_C = cell.has_c
    states = states_of(cell)
    recall, retreat = make_recall(cell), make_retreat(cell, real)

    def step_backward(sums, h, c, kept, dy, dh, dc, da_x, da_h, lengths, B, H, Hp, Hq, t, options):
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
                    up += dy[(t * B + row) * H + unit]
                recalled = recall(t, row, unit, B, H, Hp, h, c, kept)
                carry = retreat(
                    recalled, states(up, dc[place] if HAS_C else zero), t, row, unit, B, H, Hq, da_x, da_h
                )
                dh[place] = carry.h
                if HAS_C:
                    dc[place] = carry[-1]

    return step_backward


def run_backward(
    cell: KernelCell, W_h: Array, arrays: Backward, rows: Lengths, *, with_dy: bool, with_dh0: bool
) -> None:
    """Make all steps in reverse."""
    xp, (B, H), Hp, (T, _, G, Hq) = namespace(), arrays.dh.shape, arrays.h.shape[2], arrays.da_h.shape
    run = kernel(make_step_backward, BACKWARD, W_h.dtype.name, cell)
    # The gradients of the last states become those of the first, step by step.
    arrays.dh0[...], arrays.dc0[...] = arrays.dh, arrays.dc
    arrays = arrays._replace(dh=arrays.dh0, dc=arrays.dc0)
    sums = xp.empty((B, H), W_h.dtype)
    for t in reversed(range(T)):
        with_sums = t + 1 < T
        if with_sums:
            xp.matmul(arrays.da_h[t + 1].reshape(B, G * H), W_h, out=sums)
        numbers = B, H, Hp, Hq, t, with_dy + 2 * with_sums
        run((ceil(B * H / THREADS), 1), THREADS, (sums, *arrays[:8], rows.lengths, *numbers))
    if with_dh0:
        arrays.dh0[...] += xp.matmul(arrays.da_h[0].reshape(B, G * H), W_h)
