"""What a thread does with a unit in a phase of a stage, forwards and back: `unit.py`'s part, in pieces.

The arrays are those of a step that is one launch; where it is cut, each phase reads again of them what it wants. A
thread has nothing of an h that is projected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kernels.definition import Value

from ..language.cell import StagedCell, make_states
from ..language.device import cuda, device_function
from ..language.unrolled import count, make_gather, make_read, make_scatter, make_sum
from ..planning.stages import Phase, Stages, cut
from .row import Work, make_row
from .stage import make_before_and_after, make_first, make_phase_program, outputs_among
from .unit import make_given, make_upstream


def stages_forward(cell: StagedCell, *, keep: bool) -> Stages:
    """Return the stages of a step forwards; without a tape nothing is made that only a tape keeps."""
    d = cell.definition
    wanted = range(len(d.states) + (len(d.kept) if keep else 0))
    if not d.projection:
        return cut(d.step, len(d.matrices), tuple(wanted))
    h = d.step.outputs[0]
    return cut(d.step, len(d.matrices), tuple(wanted[1:]), h.number if isinstance(h, Value) else None)


FORWARD = "rrrrrrrrrrrrrrinnnnn"
"""The types of the forward's arguments, a letter each: r real*, i int32*, n an integer."""


def make_stage(cell: StagedCell, number: int, warps: int, real: Any, *, keep: bool) -> Callable[..., Any]:
    """Return the kernel of a stage of step t forwards.

    Its arguments are `sums` (B, G, H), W_h h_{t−1}; the arrays of `unit.Forward`, of `unit.Given` and of
    `stage.Between`; `lengths`, sizes, t; and which steps of `c` are those before and after it.
    """
    stages = stages_forward(cell, keep=keep)
    work = [_forward(cell, stages, phase, real) for phase in stages.stages[number].phases]
    take = make_row(work, warps, real)

    def stage(
        sums, a_x, b_x, b_h, h, c, h_T, c_T, kept, streams, parameters, slots, factors, results, lengths, B, H, t, now,
        then,
    ):  # fmt: skip
        row = cuda.blockIdx.x
        length = lengths[row]
        if t < length:
            arrays = sums, a_x, b_x, b_h, h, c, h_T, c_T, kept, streams, parameters, slots, factors, results
            take(arrays, (row, length, B, H, t, now, then), H, ())

    return stage


def _forward(cell: StagedCell, stages: Stages, phase: Phase, real: Any) -> Work:
    """Return a phase forwards."""
    X, G, KEPT, S, C = count(cell.from_x), count(cell.from_h), count(cell.kept), len(cell.spec.states), cell.others
    pre_activation, (states, _), (stream, parameter) = cell.pre_activation, make_states(cell), make_given(cell)
    read_x, read_h, read_others, first = make_read(X), make_read(G), make_read(C), make_first(cell, real)
    before, after = make_before_and_after(stages, phase)
    of_h, of_c, of_kept = outputs_among(phase, 0, 1), outputs_among(phase, 1, C), outputs_among(phase, S, KEPT)
    write_h, write_c, write_kept = make_scatter(of_h), make_scatter(of_c), make_scatter(of_kept)
    inputs = {"a": len(cell.definition.sums), "prev": S, "m": cell.streams, "p": cell.parameters}
    program = make_phase_program(stages, phase, inputs, (len(of_h), len(of_c), len(of_kept)), real)

    @device_function
    def body(arrays, at, unit, means):
        sums, a_x, b_x, b_h, h, c, h_T, c_T, kept, streams, parameters, slots, factors, results = arrays
        row, length, B, H, t, now, then = at
        place, stride = row * H + unit, B * H
        x, of_W_h = read_x(a_x, (t * B + row) * X * H + unit, H), read_h(sums, row * G * H + unit, H)
        a = pre_activation(x, read_x(b_x, unit, H), of_W_h, read_h(b_h, unit, H))
        prev = states(first(h, t * stride + place), read_others(c, now * C * stride + place, stride))
        m, p = stream(streams, t, row, unit, B, H), parameter(parameters, unit, H)
        found, given = before(slots, results, place, stride)
        new_h, new_c, new_kept, stored, made, summed = program(a, prev, m, p, found, given, means)
        write_h(h, (t + 1) * stride + place, stride, new_h)
        write_c(c, then * C * stride + place, stride, new_c)
        write_kept(kept, (t * B + row) * KEPT * H + unit, H, new_kept)
        if t + 1 == length:
            write_h(h_T, place, stride, new_h)
            write_c(c_T, place, stride, new_c)
        after(slots, factors, place, stride, stored, made)
        return summed

    return Work(body, phase.summed)


def stages_backward(cell: StagedCell, *, vectors: bool, matrices: bool) -> Stages:
    """Return the stages of a step backwards, with or without what the gradients of vectors and of matrices need."""
    d, outputs = cell.definition, cell.definition.step_backward.outputs
    before = len(d.states) + len(d.sums)
    wanted = [*range(before + (len(d.vectors) if vectors else 0))]
    if matrices:
        wanted += range(before + len(d.vectors), len(outputs))
    if not d.projection:
        return cut(d.step_backward, len(d.matrices), tuple(wanted))
    dh = len(d.kept) + 2 * len(d.states)
    return cut(d.step_backward, len(d.matrices), tuple(k for k in wanted[1:] if outputs[k] != Value(dh)), dh)


BACKWARD = "rrrrrrrrrrrrrrrrrinnnnnnn"
"""The types of the backward's arguments."""


def make_stage_backward(
    cell: StagedCell, number: int, warps: int, real: Any, *, vectors: bool, matrices: bool, every: bool
) -> Callable[..., Any]:
    """Return the kernel of a stage of step t backwards.

    Its arguments are `sums` (B, H), da_{t+1} W_h; h, c, kept and dy; `last` (N, B, H), the gradients of the last
    states, and `carried` (2, N, B, H), those that go from step to step, where two take turns; da_x and da_h; the
    arrays of `unit.Given` and of `unit.Wanted`; `outer` (F, T, B, H), the factors of the matrices' gradients; those of
    `stage.Between`; `lengths`, sizes, t; which of `carried` is written, and which is read; and whether there is dy.
    """
    stages = stages_backward(cell, vectors=vectors, matrices=matrices)
    work = [_backward(cell, stages, phase, real, every=every) for phase in stages.stages[number].phases]
    take = make_row(work, warps, real)

    def stage_backward(
        sums, h, c, kept, dy, last, carried, da_x, da_h, streams, parameters, dvectors, dstates, outer, slots, factors,
        results, lengths, B, H, T, t, now, then, with_dy,
    ):  # fmt: skip
        row = cuda.blockIdx.x
        length = lengths[row]
        if t < length:  # past it da stays the zero that it began as (V1)
            arrays = (
                sums, h, c, kept, dy, last, carried, da_x, da_h, streams, parameters, dvectors, dstates, outer, slots,
                factors, results,
            )  # fmt: skip
            take(arrays, (row, length, B, H, T, t, now, then, with_dy), H, ())

    return stage_backward


def _backward(cell: StagedCell, stages: Stages, phase: Phase, real: Any, *, every: bool) -> Work:
    """Return a phase backwards."""
    S, C, N, KEPT = len(cell.spec.states), cell.others, carried_states(cell), count(cell.kept)
    SUMS, OF_H, M = cell.spec.gate_count, count(cell.from_h) > 0, len(cell.definition.matrices)
    (states, _), (stream, parameter), (upstream, complete) = (
        make_states(cell), make_given(cell), make_upstream(cell, every=every),
    )  # fmt: skip
    read_kept, read_others, first = make_read(KEPT), make_read(C), make_first(cell, real)
    before, after = make_before_and_after(stages, phase)
    of_carried, of_da = outputs_among(phase, S - N, N), outputs_among(phase, S, SUMS)
    of_v, of_outer = outputs_among(phase, S + SUMS, cell.vectors), outputs_among(phase, S + SUMS + cell.vectors, 2 * M)
    write_carried, write_da, add_v = make_scatter(of_carried), _make_write_da(cell, of_da), _make_add(of_v)
    write_outer = make_scatter({k: outer_factors(cell).index(which) for k, which in of_outer.items()})
    inputs = {"kept": KEPT, "prev": S, "state": S, "dstate": S, "m": cell.streams, "p": cell.parameters}
    outputs = len(of_carried), len(of_da), len(of_v), len(of_outer)
    program = make_phase_program(stages, phase, inputs, outputs, real)

    @device_function
    def body(arrays, at, unit, means):
        (
            sums, h, c, kept, dy, last, carried, da_x, da_h, streams, parameters, dvectors, dstates, outer, slots,
            factors, results,
        ) = arrays  # fmt: skip
        row, length, B, H, T, t, now, then, with_dy = at
        place, stride = row * H + unit, B * H
        gates = read_kept(kept, (t * B + row) * KEPT * H + unit, H)
        prev = states(first(h, t * stride + place), read_others(c, t * C * stride + place, stride))
        state = states(first(h, (t + 1) * stride + place), read_others(c, (t + 1) * C * stride + place, stride))
        if t + 1 < length:  # (V1)
            come, where = carried, then * N * stride + place
        else:
            come, where = last, place
        dh, dothers = first(come, where), read_others(come, where + (N - C) * stride, stride)
        if OF_H and t + 1 < length:  # (V1)
            dh += first(sums, place)
        if with_dy:
            dh += first(dy, t * stride + place)  # (R3′), (L8′), (G6′)
        dstate = complete(dh, dothers, upstream(dstates, t, row, unit, B, H))
        m, p = stream(streams, t, row, unit, B, H), parameter(parameters, unit, H)
        found, given = before(slots, results, place, stride)
        carries, da, dv, of_matrices, stored, made, summed = program(
            gates, prev, state, dstate, m, p, found, given, means
        )
        write_carried(carried, now * N * stride + place, stride, carries)
        write_da(da_x, da_h, t * B + row, unit, H, da)
        add_v(dvectors, place, stride, dv)
        write_outer(outer, t * stride + place, T * stride, of_matrices)
        after(slots, factors, place, stride, stored, made)
        return summed

    return Work(body, phase.summed)


def carried_states(cell: StagedCell) -> int:
    """Return how many states' gradients go from step to step: a projected h's comes from W_h alone."""
    return cell.others + (not cell.definition.projection)


def outer_factors(cell: StagedCell) -> list[int]:
    """Return which factors of the matrices' gradients threads write: all but a projection's first, which is dh_t."""
    d = cell.definition
    return [k for k in range(2 * len(d.matrices)) if k % 2 or d.matrices[k // 2] != d.projection]


def _make_write_da(cell: StagedCell, of_da: Mapping[int, int]) -> Callable[..., None]:
    """Return ``write_da(da_x, da_h, at, unit, H, da)``: some sums' gradients, to what W_x x_t and W_h h_{t−1} get."""
    d, DIFFER = cell.definition, cell.halves_differ
    X, G = len(d.from_x), len(d.from_h)
    write_x, write_h = (
        make_scatter({k: names.index(d.sums[which]) for k, which in of_da.items() if d.sums[which] in names})
        for names in (d.from_x, d.from_h)
    )

    @device_function
    def write_da(da_x, da_h, at, unit, H, da):
        write_h(da_h, at * G * H + unit, H, da)
        if DIFFER:
            write_x(da_x, at * X * H + unit, H, da)

    return write_da


def _make_add(of_v: Mapping[int, int]) -> Callable[..., None]:
    """Return ``add_v(dvectors, at, stride, dv)``, which adds to some vectors' sums over time."""
    read, write, add = make_gather(list(of_v.values())), make_scatter(of_v), make_sum(len(of_v))

    @device_function
    def add_v(dvectors, at, stride, dv):
        write(dvectors, at, stride, add(read(dvectors, at, stride), dv))

    return add_v
