"""Windows in panels: what the register tile multiplies, gathered by the thread that multiplies it at once.

A panel is [terms][64 windows in float32]. A term is one place of a window in one channel, in the order in which a
kernel's numbers lie. If there is a bias, a last term is 1 in every window: the bias is one more column of the weight,
and its gradient one more of the weight's gradient. Windows are numbered through all rows of the batch. Those side by
side in a row of the input are a run, a vector at most; what they see over the padding is zero, and is not read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.integers import call, written
from ..emitting.simd import Code, Lanes
from ..loops.parts import phase
from .places import job_type

WIDEST = 4
"""Vectors of windows in a panel, at most."""


class Job(NamedTuple):
    """The arguments of a convolution's loops, behind the geometry (places.py): sizes and addresses."""

    C: int
    windows: int  # of the whole batch
    places: int  # terms but for the one that is 1
    terms: int
    first: int  # the first term whose gradient is wanted
    O: int  # output channels
    threads: int
    scratch_size: int  # of each thread
    zeros: int
    scratch: int = 0
    x: int = 0  # [B][C][H][W]
    y: int = 0  # [B][O][P][Q]: what comes out, or its gradient
    weight: int = 0  # [O][terms], or its gradient turned, [terms][O]


job_at = make_pointer(job_type(Job))
"""How a loop finds the geometry and its `Job` in memory."""


def make_runs(lanes: Lanes) -> Any:
    """Return ``runs(times, out, out_step, source, source_step, first, last, count)``, so many copies, some bytes apart.

    Each has `count` numbers, a vector's at most, with zeros before `first` and from `last` on, where nothing is read.
    """

    def emit(code: Code, times: ir.Value, out: ir.Value, out_step: ir.Value, source: ir.Value, source_step: ir.Value,
             first: ir.Value, last: ir.Value, count: ir.Value) -> None:  # fmt: skip
        builder = code.builder
        seen = builder.and_(code.first_lanes(last), builder.not_(code.first_lanes(first)))
        there = code.first_lanes(count)
        with code.loop(times, out, source) as turn:
            out_at, source_at = turn.values
            code.store_first(there, code.load_first(seen, source_at), out_at)
            turn.next = [builder.add(out_at, out_step), builder.add(source_at, source_step)]

    def runs(
        times: int, out: int, out_step: int, source: int, source_step: int, first: int, last: int, count: int
    ) -> None:
        call(f"runs.{lanes.suffix}", emit, lanes, times, out, out_step, source, source_step, first, last, count)

    return written(runs)


def make_gather(lanes: Lanes) -> Any:
    """Return ``gather(job, first, windows, begin, end, panel)``: the terms from `begin` to `end` of some windows."""
    count, size, row = lanes.count, lanes.size, WIDEST * lanes.width
    runs, numbers_at = make_runs(lanes), make_pointer(lanes.dtype)

    @phase
    def gather(job, first, windows, begin, end, panel):
        done, area, plane, stride = 0, job.kernel_0 * job.kernel_1, job.H * job.W, job.stride_1
        stop = min(end, job.places)
        while done < windows:
            place = (first + done) % (job.P * job.Q)
            b, p, q = (first + done) // (job.P * job.Q), place // job.Q, place % job.Q
            many = min(count, job.Q - q, windows - done)
            for i in range(job.kernel_0):
                h = job.stride_0 * p + job.dilation_0 * i - job.before_0
                for j in range(job.kernel_1):
                    w, inside = stride * q + job.dilation_1 * j - job.before_1, 0 <= h < job.H
                    k = i * job.kernel_1 + j
                    c, last = (begin - k + area - 1) // area, (stop - k + area - 1) // area  # channels with that term
                    at = job.x + ((b * job.C + c) * plane + h * job.W + w) * size
                    out = panel + (c * area + k - begin) * row + done * size
                    if stride == 1:
                        ahead = min(many, job.W - w) if inside else 0
                        runs(last - c, out, area * row, at, plane * size, max(0, -w), ahead, many)
                        continue
                    for n in range(many):
                        seen = inside and 0 <= w + stride * n < job.W
                        one = carray(numbers_at(at + stride * n * size), (last - c) * plane)
                        for channel in range(last - c):
                            to = carray(numbers_at(out + channel * area * row), count)
                            to[n] = one[channel * plane] if seen else 0
            done += many
        if begin <= job.places < end:
            ones = carray(numbers_at(panel + (job.places - begin) * row), windows)
            for n in range(windows):
                ones[n] = 1

    return gather
