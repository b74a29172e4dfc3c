"""One row's units, phase by phase, by the threads of one block: between two phases they meet for means over the row.

A thread has some units of the row, and the same ones in every phase: what a phase stores for a later one, the same
thread reads. A mean has one order of sums for one number of warps: a thread's own units, the lanes of its warp two by
two, the warps one after another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..language.device import WARP, cuda, device_function, shared_memory
from ..language.unrolled import make_read, make_scaled, make_sum, make_write


class Work(NamedTuple):
    """What is done with a unit in a phase."""

    body: Callable[..., tuple[Any, ...]]  # body(arrays, at, unit, means): the numbers to be summed over the row
    summed: int  # how many these are


def shared_numbers(summed: int, warps: int) -> int:
    """Return the numbers of shared memory that a block needs for as many means at once."""
    return summed * warps * WARP + 2 * summed * warps


def make_row(work: Sequence[Work], warps: int, real: Any) -> Callable[..., None]:
    """Return ``row(arrays, at, H, means)``, which takes all units of a row through some phases.

    `arrays` and `at` are tuples of pointers and of integers, handed on to each body; `means` is empty. Blocks that have
    the same row, one behind another along y, share its units: there may be several where nothing is summed.
    """
    most = max(each.summed for each in work)
    *others, last = work
    take = _make_last(last, warps)
    for number, each in reversed(list(enumerate(others))):
        total = _make_total(each.summed, most, number % 2, warps, real)
        take = _make_phase(each, total, take, warps, real)
    return take


def _make_last(work: Work, warps: int) -> Callable[..., None]:
    """Return the phase that ends a stage; nothing is summed in it."""
    THREADS, body = warps * WARP, work.body

    @device_function
    def last(arrays, at, H, means):
        unit = cuda.blockIdx.y * THREADS + cuda.threadIdx.x
        while unit < H:
            body(arrays, at, unit, means)
            unit += cuda.gridDim.y * THREADS

    return last


def _make_phase(
    work: Work, total: Callable[..., Any], following: Callable[..., None], warps: int, real: Any
) -> Callable[..., None]:
    """Return a phase, its row's means, and all that follows."""
    THREADS, NONE, (body, summed) = warps * WARP, (real(0),) * work.summed, work
    add = make_sum(summed)

    @device_function
    def phase(arrays, at, H, means):
        own, unit = NONE, cuda.threadIdx.x
        while unit < H:
            own = add(own, body(arrays, at, unit, means))
            unit += THREADS
        following(arrays, at, H, means + total(own, H))

    return phase


def _make_total(summed: int, most: int, turn: int, warps: int, real: Any) -> Callable[..., Any]:
    """Return ``total(own, H)``: the means of a row, of what each thread has summed of them.

    Shared memory has the numbers of all threads, and behind them the sums of the warps, twice: those of one phase are
    read while a quicker warp writes those of the next. Before it writes the next but one, all have met.
    """
    THREADS, WARPS, SUMMED, ONE = warps * WARP, warps, summed, real(1)
    SUMS = most * (THREADS + turn * warps)
    write, read, add, scaled = make_write(summed), make_read(summed), make_sum(summed), make_scaled(summed)

    @device_function
    def total(own, H):
        shared, thread = shared_memory(real), cuda.threadIdx.x
        lane = thread % WARP
        write(shared, thread, THREADS, own)
        half = WARP // 2
        while half > 0:
            cuda.syncwarp()
            if lane < half:
                for k in range(SUMMED):
                    shared[k * THREADS + thread] += shared[k * THREADS + thread + half]
            half //= 2
        if lane == 0:
            for k in range(SUMMED):
                shared[SUMS + k * WARPS + thread // WARP] = shared[k * THREADS + thread]
        cuda.syncthreads()
        found = read(shared, SUMS, WARPS)
        for warp in range(1, WARPS):
            found = add(found, read(shared, SUMS + warp, WARPS))
        return scaled(found, ONE / real(H))  # one division: many at once want more registers than there are

    return total
