"""One hidden unit of one row of the batch, at one step: from memory through the cell's equations to memory.

The same for the persistent kernel, where a thread stays with its unit for the whole sequence, for the kernel that is
launched anew for every step, and for cells that need no product. A kernel has an array as one long row of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kernels.contract import Array

from ..language.cell import CellNumbers, KernelCell, make_states, make_steps
from ..language.device import device_function
from ..language.unrolled import count, make_read, make_sum, make_write


class Lengths(NamedTuple):
    """How far the rows of a batch go."""

    lengths: Array  # (B,) int32
    order: Array  # (B,) int32, the longest first
    ragged: bool


class Forward(NamedTuple):
    """The arrays of a forward; where a cell has no other states, h and h_T stand in the place of c and c_T."""

    a_x: Array  # (T, B, G, H), W_x x_t
    b_x: Array  # (G, H)
    b_h: Array  # (G, H)
    h: Array  # (T+1, B, Hp), h[0] is the initial state; a row is Hp ≥ H long, and zero past H
    c: Array  # (T+1, C, B, H) likewise, the other states; without a tape their first step alone, which is read
    h_T: Array  # (B, H)
    c_T: Array  # (C, B, H)
    kept: Array  # (T, B, kept, H), what the backward needs besides the states


class Backward(NamedTuple):
    """The arrays of a backward; where a cell has no other states, dh and dh0 stand in the place of dc and dc0."""

    h: Array  # as in `Forward`
    c: Array
    kept: Array
    dy: Array  # (T, B, H), or anything where there is none
    dh: Array  # (B, H), the gradients of the last states
    dc: Array  # (C, B, H)
    da_x: Array  # (T, B, G, H), the gradient of W_x x_t + b_x; where the halves don't differ, da_h stands in its place
    da_h: Array  # (T, B, G, Hq), the gradient of W_h h_{t−1} + b_h; a row is Hq ≥ H long, and zero past H
    dh0: Array  # (B, H)
    dc0: Array  # (C, B, H)


class Given(NamedTuple):
    """What comes with a defined cell; anything where it has none."""

    streams: Array  # (T, M, B, H)
    parameters: Array  # (P, H), its vectors, then its constants


class Wanted(NamedTuple):
    """What is asked of a backward besides, and what comes in for it; anything where it isn't."""

    dvectors: Array  # (V, B, H), summed over time; it begins as zero
    dstates: Array  # (T, C, B, H), the upstream gradients of the other states at each step


def make_advance(cell: KernelCell, *, keep: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `advance` and `record`, which take the unit a step further.

    ``advance(x, b_x, sums, b_h, prev, m, p, t, row, unit, length, B, Hp, h)`` returns the next states and the gates,
    and writes h_t, for which others wait. `x` and `sums` are W_x x_t and W_h h_{t−1} of each gate, `b_x` and `b_h` the
    biases, `m` and `p` the numbers of `Given`.

    ``record(new, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)`` writes the rest. Nothing is written past the
    row's length.
    """
    C, KEPT, KEEP = cell.others, count(cell.kept), keep
    pre_activation, (step, _), (states, others) = cell.pre_activation, make_steps(cell), make_states(cell)
    write, write_others = make_write(cell.kept), make_write(cell.others)

    @device_function
    def advance(x, b_x, sums, b_h, prev, m, p, t, row, unit, length, B, Hp, h):
        new, gates = step(pre_activation(x, b_x, sums, b_h), prev, m, p)
        if t < length:
            h[((t + 1) * B + row) * Hp + unit] = new[0]
        return states(new[0], others(new)), gates

    @device_function
    def record(new, gates, t, row, unit, length, B, H, c, h_T, c_T, kept):
        if KEEP and t < length:
            write_others(c, ((t + 1) * C * B + row) * H + unit, B * H, others(new))
            write(kept, (t * B + row) * KEPT * H + unit, H, gates)
        if t + 1 == length:
            h_T[row * H + unit] = new[0]
            write_others(c_T, row * H + unit, B * H, others(new))

    return advance, record


def make_recall(cell: KernelCell) -> Callable[..., Any]:
    """Return ``recall(t, row, unit, B, H, Hp, h, c, kept)``: the gates and the states before and after step t."""
    C, KEPT = cell.others, count(cell.kept)
    (states, _), read, read_others = make_states(cell), make_read(cell.kept), make_read(cell.others)

    @device_function
    def recall(t, row, unit, B, H, Hp, h, c, kept):
        before, after = (t * B + row) * Hp + unit, ((t + 1) * B + row) * Hp + unit
        gates = read(kept, (t * B + row) * KEPT * H + unit, H)
        prev_h, state_h = h[before], h[after]
        prev = read_others(c, (t * C * B + row) * H + unit, B * H)
        state = read_others(c, ((t + 1) * C * B + row) * H + unit, B * H)
        return gates, states(prev_h, prev), states(state_h, state)

    return recall


def make_retreat(cell: KernelCell, real: Any) -> Callable[..., Any]:
    """Return ``retreat(recalled, dstate, m, p, t, row, unit, B, H, Hq, da_x, da_h)``.

    It takes the unit from the gradients of the states to da_t, which it writes, and to what the states before get
    directly, which it returns with dp. The caller asks for it within the row's length alone.
    """
    X, G, DIFFER = count(cell.from_x), count(cell.from_h), cell.halves_differ
    (_, step_backward), halves, (states, others) = make_steps(cell), cell.halves, make_states(cell, real)
    write, write_x = make_write(cell.from_h), make_write(cell.from_x)

    @device_function
    def retreat(recalled, dstate, m, p, t, row, unit, B, H, Hq, da_x, da_h):
        gates, prev, state = recalled
        carries, da, dp = step_backward(gates, prev, state, dstate, m, p)
        of_x, of_h = halves(da)
        write(da_h, (t * B + row) * G * Hq + unit, Hq, of_h)
        if DIFFER:
            write_x(da_x, (t * B + row) * X * H + unit, H, of_x)
        return states(carries[0], others(carries)), dp

    return retreat


def make_given(cell: CellNumbers) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `stream` and `parameter`, which read the arrays of `Given`.

    ``stream(streams, t, row, unit, B, H)`` are the numbers that come with step t, ``parameter(parameters, unit, H)``
    those of a unit.
    """
    M, read, parameter = cell.streams, make_read(cell.streams), make_read(cell.parameters)

    @device_function
    def stream(streams, t, row, unit, B, H):
        return read(streams, (t * M * B + row) * H + unit, B * H)

    return stream, parameter


def make_totals(cell: KernelCell, *, vectors: bool) -> tuple[Callable[..., Any], ...]:
    """Return `read`, `write` and `add`, for a unit's sums over time; without `vectors` there is nothing to sum."""
    summed = cell.vectors if vectors else 0
    return make_read(summed), make_write(summed), make_sum(summed)


def make_upstream(cell: CellNumbers, *, every: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `upstream` and `complete`, for the gradients of the states.

    ``upstream(dstates, t, row, unit, B, H)`` reads what the other states get from outside at step t; only with `every`
    do they get something. ``complete(dh, dothers, upstream)`` puts together dh_t, which is complete, and the others.
    """
    C, EVERY, (states, _) = cell.others, every, make_states(cell)
    read, add = make_read(cell.others if every else 0), make_sum(C)

    @device_function
    def upstream(dstates, t, row, unit, B, H):
        return read(dstates, (t * C * B + row) * H + unit, B * H)

    @device_function
    def complete(dh, dothers, up):
        if EVERY:
            dothers = add(dothers, up)  # (L9′)
        return states(dh, dothers)

    return upstream, complete
