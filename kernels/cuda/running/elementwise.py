"""A whole sequence in one launch, for a cell without W_h: no unit waits for another, and none is multiplied.

A thread has one hidden unit of one row of the batch, and takes it through all steps of the row.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from ..language.cell import KernelCell, make_states
from ..language.device import cuda
from ..language.pointwise import zero
from ..language.unrolled import count, make_read, make_write
from .launch import kernel
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

FORWARD = "rrrrrrrrinnrr"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_forward(cell: KernelCell, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of all steps forwards; with `keep`, what the backward needs goes to the tape.

    Its arguments are the arrays of `unit.Forward`, `lengths`, sizes, and the arrays of `unit.Given`.
    """
    X, (states, _), (stream, parameter) = count(cell.from_x), make_states(cell), make_given(cell)
    read, read_others = make_read(cell.from_x), make_read(cell.others)
    advance, record = make_advance(cell, keep=keep)

    def forward(a_x, b_x, b_h, h, c, h_T, c_T, kept, lengths, B, H, streams, parameters):
        place = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if place < B * H:
            row, unit = place // H, place % H
            length = lengths[row]
            p, b_x_of = parameter(parameters, unit, H), read(b_x, unit, H)
            prev = states(h[place], read_others(c, place, B * H))
            for t in range(length):
                x = read(a_x, (t * B + row) * X * H + unit, H)
                m = stream(streams, t, row, unit, B, H)
                prev, gates = advance(x, b_x_of, (), (), prev, m, p, t, row, unit, length, B, H, h)
                record(prev, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)

    return forward


def run_forward(cell: KernelCell, arrays: Forward, given: Given, rows: Lengths, *, keep: bool) -> None:
    """Launch all steps forwards."""
    B, H = arrays.h_T.shape
    run = kernel(make_forward, FORWARD, arrays.h.dtype.name, cell, keep=keep)
    run((ceil(B * H / THREADS), 1), THREADS, (*arrays, rows.lengths, B, H, *given))


BACKWARD = "rrrrrrrrrrinnnrrrr"
"""The types of the backward's arguments."""


def make_backward(cell: KernelCell, real: Any, *, vectors: bool, every: bool) -> Callable[..., Any]:
    """Return the kernel of all steps in reverse: with sums for the `vectors`, with gradients of `every` state.

    Its arguments are the arrays of `unit.Backward`, `lengths`, sizes, whether there is dy, and the arrays of
    `unit.Given` and `unit.Wanted`.
    """
    (states, others), recall, retreat = make_states(cell), make_recall(cell), make_retreat(cell, real)
    (stream, parameter), (upstream, complete) = make_given(cell), make_upstream(cell, every=every)
    read_others, write_others = make_read(cell.others), make_write(cell.others)
    read_sums, write_sums, add = make_totals(cell, vectors=vectors)

    def backward(
        h, c, kept, dy, dh, dc, da_x, da_h, dh0, dc0, lengths, B, H, with_dy, streams, parameters, dvectors, dstates
    ):
        place = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if place < B * H:
            row, unit = place // H, place % H
            length = lengths[row]
            p, total = parameter(parameters, unit, H), read_sums(dvectors, place, B * H)
            carry = states(dh[place], read_others(dc, place, B * H))
            for back in range(length):
                t = length - 1 - back
                recalled, m = recall(t, row, unit, B, H, H, h, c, kept), stream(streams, t, row, unit, B, H)
                dy_t = dy[(t * B + row) * H + unit] if with_dy else zero  # (R3′), (L8′), (G6′)
                dstate = complete(carry[0] + dy_t, others(carry), upstream(dstates, t, row, unit, B, H))
                carry, dp = retreat(recalled, dstate, m, p, t, row, unit, B, H, H, da_x, da_h)
                total = add(total, dp)
            dh0[place] = carry[0]
            write_others(dc0, place, B * H, others(carry))
            write_sums(dvectors, place, B * H, total)

    return backward


def run_backward(
    cell: KernelCell, arrays: Backward, given: Given, wanted: Wanted, rows: Lengths, *, with_dy: bool,
    vectors: bool, every: bool,
) -> None:  # fmt: skip
    """Launch all steps in reverse."""
    B, H = arrays.dh.shape
    run = kernel(make_backward, BACKWARD, arrays.h.dtype.name, cell, vectors=vectors, every=every)
    numbers = B, H, int(with_dy)
    run((ceil(B * H / THREADS), 1), THREADS, (*arrays, rows.lengths, *numbers, *given, *wanted))
