"""A step at a time: the product by the array library, the equations by one kernel. A thread has one hidden unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .cell import KernelCell, states_of
from .device import cuda
from .pointwise import zero
from .unit import make_advance, make_recall, make_retreat
from .unrolled import make_read

THREADS = 128
"""Threads of a block."""

ADVANCE = "rrrrrrrrrinnnn"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_step(cell: KernelCell, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of step t forwards: from `sums` (B, G, H), W_h h_{t−1}, to the next states.

    `c_T` holds the state c of every row from step to step, and `h_T` and `c_T` end as those of its last valid step.
    """
    G, HAS_C = cell.spec.gate_count, cell.has_c
    states, read = states_of(cell), make_read(cell.spec.gates)
    advance, record = make_advance(cell, keep=keep)

    def step(a_x, sums, b_x, b_h, h, c, h_T, c_T, kept, lengths, B, H, Hp, t):
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


RETREAT = "rrrrrrrrrinnnnnn"
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
            if t < length:
                with_dy, with_sums = options % 2, options // 2
                up = dh[place]
                if with_sums and t + 1 < length:
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
