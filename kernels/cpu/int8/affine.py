"""y = x·Wᵀ + b with W in int8: rows quantised, then one product, cut up by rows or by outputs.  (IQ3)"""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.integers import least, written
from ..emitting.microkernel import View, max_rows
from ..emitting.simd import Lanes, host_width
from ..emitting.subnormal import leave, make_enter
from ..loops.parts import Panel, panel_of
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import Block, array, constant, take
from ..shapes import Parts, spread
from .dots import ways
from .panels import pack, turns
from .plan import FASTER
from .rows import make_quantize
from .tile import HEAD, TURN, make_product

PANEL = 4
"""Vectors of outputs in a panel."""


class AffineJob(NamedTuple):
    """The arguments of `make_affine`: sizes and addresses."""

    threads: int
    over_outputs: int  # so many threads have outputs of their own, and the rest is cut by rows
    meeting: int
    N: int
    I: int
    O: int
    vectors: int  # of outputs
    x: int
    x_row: int
    x_bytes: int
    x_bytes_row: int
    x_scales: int
    w: int
    bias: int
    bias_by: int  # bytes from vector to vector; 0 where there is no bias
    y: int
    y_row: int


JOB = np.dtype([(name, np.int64) for name in AffineJob._fields])
"""An `AffineJob` in memory."""

job_at = make_pointer(JOB)


def make_affine(lanes: Lanes, way: str) -> Any:
    """Return the product, uncompiled."""
    quantize, product = make_quantize(lanes), make_product(lanes, way, tuple(range(1, PANEL + 1)))
    width, most = lanes.width, tuple(max_rows(lanes, v) if v else 0 for v in range(PANEL + 1))
    enter = make_enter(lanes)

    @written
    def quantize_rows(job: AffineJob, first: int, rows: int) -> None:
        quantize(
            rows, job.I, job.x + first * job.x_row, job.x_row,
            job.x_bytes + first * job.x_bytes_row, job.x_bytes_row, job.x_scales + 4 * first,
        )  # fmt: skip

    @written
    def multiply(job: AffineJob, panel: Panel, row: int, rows: int) -> None:
        count = (job.I + (TURN - 1)) // TURN
        product(
            rows, panel.vectors,
            View(job.y + row * job.y_row + panel.first * width, job.y_row),
            View(job.bias + panel.first * job.bias_by, 0),
            View(job.x_bytes + row * job.x_bytes_row, job.x_bytes_row),
            job.x_scales + 4 * row, count, job.w + panel.first * (count + HEAD) * width,
            least(lanes.count, job.O - (panel.first + panel.vectors - 1) * lanes.count),
        )  # fmt: skip

    def affine(thread, address):
        before = enter()
        job: Any = carray(job_at(address), 1)[0]
        first, end = job.N * thread // job.threads, job.N * (thread + 1) // job.threads
        quantize_rows(job, first, end - first)
        if job.threads > 1:
            threads.barrier(job.meeting, job.threads)
        by_rows, panels = job.threads // job.over_outputs, (job.vectors + PANEL - 1) // PANEL
        part, other = thread % job.over_outputs, thread // job.over_outputs
        first, end = job.N * other // by_rows, job.N * (other + 1) // by_rows
        for p in range(panels * part // job.over_outputs, panels * (part + 1) // job.over_outputs):
            panel = panel_of(p, PANEL, job.vectors)
            for row in range(first, end, most[panel.vectors]):
                multiply(job, panel, row, min(most[panel.vectors], end - row))
        leave(before)

    return affine


class Prepared(NamedTuple):
    """A weight as the product reads it."""

    lanes: Lanes
    way: str
    I: int
    O: int
    w: Block
    bias: Block
    biased: bool


class QuantizedAffine:
    """The affine map of the contract, in int8."""

    def prepare(
        self, weight: np.ndarray, scale: np.ndarray, bias: np.ndarray | None, way: str | None = None
    ) -> Prepared:
        """Return the weight in panels; `way` is one of `dots.ways`, the best one without it."""
        lanes, (O, I) = Lanes("float32", host_width()), weight.shape
        if bias is None:
            block = constant(0, lanes.dtype, PANEL * lanes.count)
        else:
            block = take(lanes.filled(O) * lanes.size)
            numbers = block.view(0, (lanes.filled(O),), np.float32)
            numbers[:O], numbers[O:] = bias, 0
        return Prepared(
            lanes, way or ways(lanes)[0], I, O, pack(weight, scale, (0,), PANEL, lanes), block, bias is not None
        )

    def __call__(self, prepared: Prepared, x: np.ndarray) -> np.ndarray:
        """Return y (N, O) of x (N, I), in float32."""
        lanes, N, I, O = prepared.lanes, len(x), prepared.I, prepared.O
        x = np.ascontiguousarray(x)
        y, x_bytes_row = array((N, O), x.dtype), spread(-(-(I + 2 * lanes.count) // 64) * 64)
        vectors = lanes.filled(O) // lanes.count
        with threads.share(2 * N * O * turns(I) * TURN / FASTER) as count:
            count = min(count, max(N, ceil(vectors / PANEL)))
            work = Parts(meeting=threads.BETWEEN, x_bytes=N * x_bytes_row, x_scales=4 * N)
            memory = take(work.size)
            at = memory.address
            job = np.array(
                AffineJob(
                    threads=count, over_outputs=count if vectors >= 2 * PANEL * count else 1,
                    meeting=at + work["meeting"], N=N, I=I, O=O, vectors=vectors, x=x.ctypes.data, x_row=4 * I,
                    x_bytes=at + work["x_bytes"], x_bytes_row=x_bytes_row, x_scales=at + work["x_scales"],
                    w=prepared.w.address, bias=prepared.bias.address,
                    bias_by=lanes.width if prepared.biased else 0, y=y.ctypes.data, y_row=4 * O,
                ),
                np.int64,
            )  # fmt: skip
            threads.run(
                compiled(make_affine, lanes, prepared.way).address, job.ctypes.data, count, at + work["meeting"], 0
            )
        return y
