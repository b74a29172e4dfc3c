"""One hidden unit of one row of the batch, at one step: from memory through the cell's equations to memory.

The same for the persistent kernel, where a thread stays with its unit for the whole sequence, and for the kernel that
is launched anew for every step. A kernel has an array as one long row of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kernels.contract import Array

from ..language.cell import KernelCell, states_of
from ..language.device import device_function
from ..language.unrolled import make_read, make_write


class Lengths(NamedTuple):
    """How far the rows of a batch go."""

    lengths: Array  # (B,) int32
    order: Array  # (B,) int32, the longest first
    ragged: bool


class Forward(NamedTuple):
    """The arrays of a forward; where a cell has no c, h stands in its place."""

    a_x: Array  # (T, B, G, H), W_x x_t
    b_x: Array  # (G, H)
    b_h: Array  # (G, H)
    h: Array  # (T+1, B, Hp), h[0] is the initial state; a row is Hp ≥ H long, and zero past H
    c: Array  # (T+1, B, H) likewise; without a tape its first step alone, which is read
    h_T: Array  # (B, H)
    c_T: Array  # (B, H)
    kept: Array  # (T, B, kept, H), what the backward needs besides the states


class Backward(NamedTuple):
    """The arrays of a backward; where a cell has no c, dh stands in the place of dc."""

    h: Array  # as in `Forward`
    c: Array
    kept: Array
    dy: Array  # (T, B, H), or anything where there is none
    dh: Array  # (B, H), the gradients of the last states
    dc: Array
    da_x: Array  # (T, B, G, H), the gradient of W_x x_t + b_x; where the halves don't differ, da_h stands in its place
    da_h: Array  # (T, B, G, Hq), the gradient of W_h h_{t−1} + b_h; a row is Hq ≥ H long, and zero past H
    dh0: Array  # (B, H)
    dc0: Array


def make_advance(cell: KernelCell, *, keep: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `advance` and `record`, which take the unit a step further.

    ``advance(x, b_x, sums, b_h, prev, t, row, unit, length, B, Hp, h)`` returns the next states and the gates, and
    writes h_t, for which others wait. `x` and `sums` are W_x x_t and W_h h_{t−1} of each gate, `b_x` and `b_h` the
    biases.

    ``record(new, gates, t, row, unit, length, B, H, c, h_T, c_T, kept)`` writes the rest. Nothing is written past the
    row's length.
    """
    HAS_C, KEPT, KEEP = cell.has_c, cell.kept_count, keep
    pre_activation, step, states, write = cell.pre_activation, cell.step, states_of(cell), make_write(cell.kept)

    @device_function
    def advance(x, b_x, sums, b_h, prev, t, row, unit, length, B, Hp, h):
        new, gates = step(pre_activation(x, b_x, sums, b_h), prev)
        if t < length:
            h[((t + 1) * B + row) * Hp + unit] = new[0]
        return states(new[0], new[-1]), gates

    @device_function
    def record(new, gates, t, row, unit, length, B, H, c, h_T, c_T, kept):
        if KEEP and t < length:
            if HAS_C:
                c[((t + 1) * B + row) * H + unit] = new[-1]
            write(kept, (t * B + row) * KEPT * H + unit, H, gates)
        if t + 1 == length:
            h_T[row * H + unit] = new[0]
            if HAS_C:
                c_T[row * H + unit] = new[-1]

    return advance, record


def make_recall(cell: KernelCell) -> Callable[..., Any]:
    """Return ``recall(t, row, unit, B, H, Hp, h, c, kept)``: the gates and the states before and after step t."""
    HAS_C, KEPT = cell.has_c, cell.kept_count
    states, read = states_of(cell), make_read(cell.kept)

    @device_function
    def recall(t, row, unit, B, H, Hp, h, c, kept):
        before, after = (t * B + row) * Hp + unit, ((t + 1) * B + row) * Hp + unit
        gates = read(kept, (t * B + row) * KEPT * H + unit, H)
        prev_h, state_h = h[before], h[after]
        prev_c, state_c = prev_h, state_h
        if HAS_C:
            prev_c, state_c = c[(t * B + row) * H + unit], c[((t + 1) * B + row) * H + unit]
        return gates, states(prev_h, prev_c), states(state_h, state_c)

    return recall


def make_retreat(cell: KernelCell, real: Any) -> Callable[..., Any]:
    """Return ``retreat(recalled, dstate, t, row, unit, B, H, Hq, da_x, da_h)``.

    It takes the unit from dh_t and dc_t to da_t, which it writes, and to what dh_{t−1} and dc_{t−1} get directly,
    which it returns. The caller asks for it within the row's length alone.
    """
    G, DIFFER = cell.spec.gate_count, cell.halves_differ
    step_backward, halves, states = cell.step_backward, cell.halves, states_of(cell)
    write = make_write(cell.spec.gates)

    @device_function
    def retreat(recalled, dstate, t, row, unit, B, H, Hq, da_x, da_h):
        gates, prev, state = recalled
        carries, da = step_backward(gates, prev, state, dstate)
        of_x, of_h = halves(da)
        write(da_h, (t * B + row) * G * Hq + unit, Hq, of_h)
        if DIFFER:
            write(da_x, (t * B + row) * G * H + unit, H, of_x)
        return states(real(carries[0]), real(carries[-1]))  # one may be a plain zero

    return retreat
