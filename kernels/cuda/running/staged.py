"""A cell whose units look at one another within a step: stage by stage, with the array library's products between.

A row of the batch is one block's, or several blocks' where no mean is taken of it, and a thread has some of its units
(row.py). What a stage leaves for later ones lies in memory, as do the factors of products and what these give. With a
projection h_t is the last product of a step, P numbers a row: no thread has any of them, but for dh_t (`make_dh`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import Any

from kernels.contract import Array

from ..language.cell import StagedCell
from ..language.device import cuda
from ..language.unrolled import count
from . import phases
from .launch import kernel, namespace
from .stage import make_between, make_ready
from .unit import Backward, Forward, Given, Lengths, Wanted

THREADS = 128
"""Threads of a block of `make_dh`."""


def run_forward(
    cell: StagedCell, W_h: Array | None, matrices: Sequence[Array], arrays: Forward, given: Given, rows: Lengths, *,
    keep: bool,
) -> None:  # fmt: skip
    """Make all steps forwards; of `c` there is every step, or two that take turns.

    Of a projected h there is h alone, which goes on past a row's end, as products do.
    """
    xp, h, stages = namespace(), arrays.h, phases.stages_forward(cell, keep=keep)
    (T, B), H, places = (len(h) - 1, h.shape[1]), arrays.kept.shape[-1], len(arrays.c)
    between, sums = make_between(stages, B, H, h.dtype), xp.empty((B, count(cell.from_h) * H), h.dtype)
    ready = make_ready(phases.make_stage, phases.FORWARD, cell, stages, matrices, between, {"keep": keep})
    for t in range(T):
        if W_h is not None:
            xp.matmul(h[t], W_h.T, out=sums)
        arguments = (sums, *arrays, *given, *between, rows.lengths, B, H, t, t % places, (t + 1) % places)
        for stage in ready:
            stage(B, h[t + 1], arguments)


DH = "rrrrinnnn"
"""The types of `make_dh`'s arguments."""


def make_dh(cell: StagedCell, real: Any) -> Callable[..., Any]:
    """Return the kernel that puts dh_t of a projected h together, P numbers a row: a thread has one of them."""

    def dh(sums, dy, last, found, lengths, B, P, t, with_dy):
        place = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
        if place < B * P:
            length = lengths[place // P]
            if t < length:
                up = sums[place] if t + 1 < length else last[place]  # (V1)
                if with_dy:
                    up += dy[t * B * P + place]  # (R3′), (L8′), (G6′)
                found[t * B * P + place] = up

    return dh


def run_backward(
    cell: StagedCell, W_h: Array | None, matrices: Sequence[Array], arrays: Backward, given: Given, wanted: Wanted,
    rows: Lengths, needs: frozenset[str], *, with_dy: bool, with_dh0: bool, vectors: bool, every: bool,
) -> tuple[Array | None, ...]:  # fmt: skip
    """Make all steps in reverse, and return the gradients of the matrices that `needs` holds."""
    xp, d, outer_at = namespace(), cell.definition, phases.outer_factors(cell)
    (T, B, _, H), P, dtype = arrays.da_h.shape, arrays.dh.shape[1], arrays.h.dtype
    begin = partial(xp.zeros if rows.ragged else xp.empty, dtype=dtype)  # what no thread writes has to be zero
    parts = {"vectors": vectors, "matrices": not needs.isdisjoint(d.matrices)}
    stages = phases.stages_backward(cell, **parts)
    gather = kernel(make_dh, DH, dtype.name, cell) if d.projection else None
    last = _last(cell, arrays)
    carried, sums = xp.empty((2, *last.shape), dtype), xp.zeros((B, P), dtype)
    between = make_between(stages, B, H, dtype)
    make, types = phases.make_stage_backward, phases.BACKWARD
    ready = make_ready(make, types, cell, stages, matrices, between, {**parts, "every": every})
    outer = begin((len(outer_at) if parts["matrices"] else 0, T, B, H))
    dh = begin((T if gather else 0, B, P))
    for t in reversed(range(T)):
        if W_h is not None and t + 1 < T:
            xp.matmul(arrays.da_h[t + 1].reshape(B, -1), W_h, out=sums)
        if gather:
            of_h = sums, arrays.dy, arrays.dh, dh, rows.lengths, B, P, t, int(with_dy)
            gather((ceil(B * P / THREADS), 1), THREADS, of_h)
        tape, da = arrays[:4], (arrays.da_x, arrays.da_h)
        come = (sums, *tape, last, carried, *da, *given, *wanted, outer, *between, rows.lengths)
        for stage in ready:
            stage(B, dh[t] if gather else sums, (*come, B, H, T, t, t % 2, (t + 1) % 2, int(with_dy)))
    arrays.dh0[...] = 0 if d.projection else carried[0, 0]
    if cell.others:
        arrays.dc0[...] = carried[0, -cell.others :]
    if with_dh0 and W_h is not None:
        arrays.dh0[...] += xp.matmul(arrays.da_h[0].reshape(B, -1), W_h)
    return tuple(
        _gradient(dh if name == d.projection else outer[outer_at.index(2 * k)], outer[outer_at.index(2 * k + 1)])
        if name in needs else None
        for k, name in enumerate(d.matrices)
    )  # fmt: skip


def _last(cell: StagedCell, arrays: Backward) -> Array:
    """Return the gradients of the last states that go from step to step, as one array; anything for none."""
    states = [*(() if cell.definition.projection else (arrays.dh,)), *(arrays.dc if cell.others else ())]
    return namespace().stack(states or [arrays.dh])


def _gradient(d: Array, v: Array) -> Array:
    """Return Σ d vᵀ over all steps and rows."""
    return namespace().matmul(d.reshape(-1, d.shape[-1]).T, v.reshape(-1, v.shape[-1]))
