"""A stage of a step, forwards or back: what its phases read and write besides the cell's own arrays, and its launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from kernels.contract import Array

from ..language.cell import StagedCell
from ..language.device import WARP, device_function
from ..language.unrolled import make_program, make_read, make_scatter
from ..planning.stages import Phase, Stages
from . import launch
from .launch import Kernel, kernel, namespace
from .row import shared_numbers

WARPS = (1, 2, 4, 8)
"""Of a block, by how many units a row has."""


class Between(NamedTuple):
    """What the stages of a step leave for one another."""

    slots: Array  # (slots, B, H)
    factors: Array  # (factors, B, H), of products
    results: Array  # (results, B, H), what these have given


def make_between(stages: Stages, B: int, H: int, dtype: Any) -> Between:
    """Return memory for it. Factors begin as zeros: nobody writes those of rows that have ended, and all are read."""
    xp = namespace()
    slots, results = (xp.empty((n, B, H), dtype) for n in (stages.slots, stages.results))
    return Between(slots, xp.zeros((stages.factors, B, H), dtype), results)


def make_before_and_after(stages: Stages, phase: Phase) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return ``before(slots, results, place, stride)``, what a phase finds, and ``after``, which writes what it leaves.

    All slots are read: loads of what the phase has no use for are none in what the compiler makes of it.
    """
    read_slots, read_results = make_read(stages.slots), make_read(stages.results)
    write_slots, write_factors = (make_scatter(dict(enumerate(where))) for where in (phase.stored, phase.factors))

    @device_function
    def before(slots, results, place, stride):
        return read_slots(slots, place, stride), read_results(results, place, stride)

    @device_function
    def after(slots, factors, place, stride, stored, made):
        write_slots(slots, place, stride, stored)
        write_factors(factors, place, stride, made)

    return before, after


def make_phase_program(
    stages: Stages, phase: Phase, inputs: Mapping[str, int], outputs: Sequence[int], real: Any
) -> Callable[..., Any]:
    """Return a phase's program as a function of its inputs, of what `before` has found, and of the means.

    It returns a tuple for each of `outputs`, which are so many, then what it stores, the factors, and what is summed.
    """
    given = {**inputs, "slots": stages.slots, "results": stages.results, "means": phase.means}
    found: Callable[..., Any] = make_program(
        phase.program, given, (*outputs, len(phase.stored), len(phase.factors), phase.summed), real
    )
    return found


def outputs_among(phase: Phase, first: int, length: int) -> dict[int, int]:
    """Return which of `length` outputs of the program, from `first` on, a phase makes, by their places in a tuple."""
    return dict(enumerate(k - first for k in phase.outputs if first <= k < first + length))


def make_first(cell: StagedCell, real: Any) -> Callable[..., Any]:
    """Return ``first(p, at)``: a number of h or of its gradient; of a projected h, which a thread has no use for, 0."""
    none = real(0)

    @device_function
    def first(p, at):
        return p[at]

    @device_function
    def nothing(p, at):
        return none

    return nothing if cell.definition.projection else first


def warps_for(H: int, most: int) -> int:
    """Return the warps of a block: of at most so many as few as have a thread for each unit."""
    return next((w for w in WARPS if w * WARP >= H or 2 * w > most), WARPS[-1])


class Ready(NamedTuple):
    """A stage that can be done: products, then a launch, where there is anything for it to do."""

    products: tuple[tuple[Array | None, Array, Array | None], ...]  # factor, matrix, result; None is what stands apart
    run: Kernel | None
    blocks: int  # that share a row
    threads: int
    shared_bytes: int

    def __call__(self, B: int, apart: Array, arguments: Sequence[Any]) -> None:
        """Do it for all rows of a step, of which `apart` is what is not among the other factors and results."""
        for factor, matrix, result in self.products:
            namespace().matmul(apart if factor is None else factor, matrix, out=apart if result is None else result)
        if self.run:
            self.run((B, self.blocks), self.threads, arguments, self.shared_bytes)


def make_ready(
    make: Callable[..., Any], types: str, cell: StagedCell, stages: Stages, matrices: Sequence[Array],
    between: Between, options: Mapping[str, Any],
) -> list[Ready]:  # fmt: skip
    """Return the stages, with kernels that `make` makes for the current device."""
    H, dtype = between.slots.shape[-1], between.slots.dtype
    warps = warps_for(H, launch.current_device().warps)
    found = []
    for number, stage in enumerate(stages.stages):
        products = tuple(
            (
                None if each.factor is None else between.factors[each.factor],
                matrices[each.matrix] if each.transposed else matrices[each.matrix].T,
                None if each.result is None else between.results[each.result],
            )
            for each in stage.products
        )
        run = kernel(make, types, dtype.name, cell, number, warps, **options) if stage.phases else None
        blocks = 1 if stage.summed else ceil(H / (warps * WARP))
        shared_bytes = shared_numbers(stage.summed, warps) * dtype.itemsize
        found.append(Ready(products, run, blocks, warps * WARP, shared_bytes))
    return found
