"""The products of a convolution in the pool, forward above backward; columns of windows never stand in memory whole.

A thread gathers a panel of windows (panels.py), and multiplies it at once. Forward, threads share the windows::

    y[o, n] = Σ_t W[o, t] x̂[t, n]               (CV1)     t: the terms of a window n, the bias's 1 among them

For the weight's gradient, a sum over all windows, threads share the terms, and each goes through all windows::

    dW[t, o] = Σ_n x̂[t, n] dy[o, n]             (CV1′)

The input's gradient is a convolution itself where the stride is 1: of dy, with the kernel mirrored and its channels
exchanged. In each of them the order of a sum depends on no number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numba import carray

from ..emitting.copying import make_transpose
from ..emitting.integers import least, where, written
from ..emitting.microkernel import ALONG_K, Factor, View, make_product
from ..emitting.simd import Lanes, host_width
from ..emitting.subnormal import leave, make_enter
from ..loops.gradients import most_rows
from ..loops.parts import Panel, panel_of
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import aligned, array, constant, take
from .panels import WIDEST, Job, job_at, make_gather, make_runs
from .places import Places, geometry_of

TERMS = 512
"""Of a panel, at most: 128 KiB, four chains of the tile."""

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}
PANELS = tuple(range(1, WIDEST + 1))


def make_forward(lanes: Lanes) -> Any:
    """Return the loop forward, uncompiled."""
    of, count, size, width, most = Forward(lanes), lanes.count, lanes.size, lanes.width, most_rows(lanes)
    gather, runs, tile, enter = make_gather(lanes), make_runs(lanes), written(of.tile), make_enter(lanes)

    def forward(thread, address):
        before = enter()
        job: Any = carray(job_at(address), 1)[0]
        scratch = job.scratch + thread * job.scratch_size
        sums, area = scratch + TERMS * WIDEST * width, job.P * job.Q
        vectors = (job.windows + count - 1) // count
        panels = (vectors + WIDEST - 1) // WIDEST
        for number in range(panels * thread // job.threads, panels * (thread + 1) // job.threads):
            panel = panel_of(number, WIDEST, vectors)
            first = panel.first * count
            windows = min(panel.vectors * count, job.windows - first)
            for begin in range(0, job.terms, TERMS):
                end = min(job.terms, begin + TERMS)
                gather(job, first, windows, begin, end, scratch)
                for row in range(0, job.O, most[panel.vectors]):
                    tile(job, panel, row, min(most[panel.vectors], job.O - row), begin, end, scratch, sums)
            done = 0
            while done < windows:
                b, at = (first + done) // area, (first + done) % area
                many = min(area - at, windows - done)
                for k in range(0, many, count):
                    out, some = job.y + (b * job.O * area + at + k) * size, min(count, many - k)
                    runs(job.O, out, area * size, sums + (done + k) * size, WIDEST * width, 0, some, some)
                done += many
        leave(before)

    return forward


class Forward:
    """A tile of y, in scratch: its windows may be those of several rows of the batch."""

    def __init__(self, lanes: Lanes):
        self.width, self.size, self.count = lanes.width, lanes.size, lanes.count
        self.product = make_product(lanes, ALONG_K, PANELS)

    def tile(self, job: Job, panel: Panel, row: int, rows: int, begin: int, end: int, scratch: int, sums: int) -> None:
        """Add some terms to the sums of some output channels."""
        out = View(sums, WIDEST * self.width).below(row)
        start = View(where(begin > 0, out.at, job.zeros), where(begin > 0, out.row, 0))
        weight = Factor(job.weight + (row * job.terms + begin) * self.size, job.terms * self.size)
        self.product(rows, panel.vectors, out, start, weight, end - begin, View(scratch, out.row), self.count)


def make_weight_gradient(lanes: Lanes) -> Any:
    """Return the loop of the weight's gradient, uncompiled."""
    of, count, size, width, most = WeightGradient(lanes), lanes.count, lanes.size, lanes.width, most_rows(lanes)
    gather, turn, tile, enter = make_gather(lanes), written(of.turn), written(of.tile), make_enter(lanes)
    wide = WIDEST * count

    def weight_gradient(thread, address):
        before = enter()
        job: Any = carray(job_at(address), 1)[0]
        scratch = job.scratch + thread * job.scratch_size
        dy, area, vectors = scratch + TERMS * WIDEST * width, job.P * job.Q, (job.O + count - 1) // count
        wanted = job.terms - job.first
        mine, stop = job.first + wanted * thread // job.threads, job.first + wanted * (thread + 1) // job.threads
        for first in range(0, job.windows if mine < stop else 0, wide):
            windows, done = min(wide, job.windows - first), 0
            while done < windows:
                b, at = (first + done) // area, (first + done) % area
                many = min(area - at, windows - done)
                for vector in range(vectors):
                    source = job.y + ((b * job.O + vector * count) * area + at) * size
                    turn(job, panel_of(vector // WIDEST, WIDEST, vectors), vector, many, source, dy, done)
                done += many
            for begin in range(mine, stop, TERMS):
                end = min(stop, begin + TERMS)
                gather(job, first, windows, begin, end, scratch)
                for p in range((vectors + WIDEST - 1) // WIDEST):
                    panel = panel_of(p, WIDEST, vectors)
                    for term in range(begin, end, most[panel.vectors]):
                        rows = min(most[panel.vectors], end - term)
                        tile(job, panel, term, rows, first, windows, scratch + (term - begin) * WIDEST * width, dy)
        leave(before)

    return weight_gradient


class WeightGradient:
    """A tile of the weight's gradient, turned: rows are terms, columns output channels."""

    def __init__(self, lanes: Lanes):
        self.width, self.size, self.count = lanes.width, lanes.size, lanes.count
        self.product, self.transpose = make_product(lanes, ALONG_K, PANELS), make_transpose(lanes)

    def _panel(self, panel: Panel, dy: int) -> View:
        """Return where a panel of output channels is: [windows][vectors][lanes]."""
        return View(dy + panel.first * WIDEST * self.count * self.width, panel.vectors * self.width)

    def turn(self, job: Any, panel: Panel, vector: int, windows: int, source: int, dy: int, done: int) -> None:
        """Turn a vector of output channels of dy, so that they lie side by side."""
        out = self._panel(panel, dy).below(done).along((vector - panel.first) * self.width)
        channels = least(self.count, job.O - vector * self.count)
        self.transpose(channels, windows, source, job.P * job.Q * self.size, out.at, out.row)

    def tile(
        self, job: Job, panel: Panel, term: int, rows: int, first: int, windows: int, scratch: int, dy: int
    ) -> None:
        """Add some windows to a tile; the first ones find there what is left over from others."""
        out = View(job.weight + panel.first * self.width, job.O * self.size).below(term - job.first)
        start = View(where(first > 0, out.at, job.zeros), where(first > 0, out.row, 0))
        valid = least(self.count, job.O - (panel.first + panel.vectors - 1) * self.count)
        seen = Factor(scratch, WIDEST * self.width)
        self.product(rows, panel.vectors, out, start, seen, windows, self._panel(panel, dy), valid)


@lru_cache(maxsize=256)
def _job(
    dtype: str, shape: tuple[int, ...], O: int, places: Places, counts: tuple[int, ...], first: int, end: int,
    count: int,
) -> tuple[Lanes, Job]:  # fmt: skip
    """Return all that follows from the sizes of a convolution on `count` threads."""
    lanes = Lanes(dtype, host_width())
    B, C = shape[:2]
    terms, wide = C * places.size, WIDEST * lanes.width
    job = Job(
        C, windows=B * prod(counts), places=terms, terms=end, first=first, O=O, threads=count,
        scratch_size=aligned(TERMS * wide + WIDEST * lanes.count * lanes.filled(O) * lanes.size),
        zeros=constant(0, dtype, WIDEST * lanes.count).address,
    )  # fmt: skip
    return lanes, job


def _run(
    make: Any, x: np.ndarray, y: np.ndarray, weight: np.ndarray, places: Places, counts: tuple[int, ...],
    first: int, end: int,
) -> None:  # fmt: skip
    """Let the pool run a loop over x and the weight, both as they lie in memory: the terms from `first` to `end`."""
    with threads.share(2.0 * prod(counts) * x.shape[0] * weight.size) as count:
        lanes, job = _job(DTYPES[x.dtype], x.shape, y.shape[1], places, counts, first, end, count)
        scratch = take(count * job.scratch_size)
        job = job._replace(scratch=scratch.address, x=x.ctypes.data, y=y.ctypes.data, weight=weight.ctypes.data)
        numbers = np.array((*geometry_of(places, x.shape[2:], counts), *job), np.int64)
        threads.run(compiled(make, lanes).address, numbers.ctypes.data, count)


def forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, places: Places, counts: tuple[int, ...]
) -> np.ndarray:
    """Return y (B, O, …) of x (B, C, …), a weight (O, C, …) and a bias (O,)."""
    y = array((x.shape[0], weight.shape[0], *counts), x.dtype)
    flat = weight.reshape(weight.shape[0], -1)
    if bias is not None:
        flat = np.concatenate((flat, bias[:, None]), axis=1)
    x, flat = np.ascontiguousarray(x), np.ascontiguousarray(flat)
    _run(make_forward, x, y, flat, places, counts, 0, flat.shape[1])
    return y


def parameter_gradients(
    x: np.ndarray, dy: np.ndarray, places: Places, counts: tuple[int, ...], needs: set[str]
) -> dict[str, np.ndarray]:
    """Return of ∂L/∂weight, (O, C·K), and ∂L/∂bias, (O,), what is needed: at least one of them."""
    terms = x.shape[1] * places.size
    first, end = 0 if "weight" in needs else terms, terms + ("bias" in needs)
    turned = array((end - first, dy.shape[1]), x.dtype)
    x, dy = np.ascontiguousarray(x), np.ascontiguousarray(dy)
    _run(make_weight_gradient, x, dy, turned, places, counts, first, end)
    found = {"weight": np.ascontiguousarray(turned[:terms].T), "bias": turned[-1].copy()}
    return {name: gradient for name, gradient in found.items() if name in needs}


def input_gradient(dy: np.ndarray, weight: np.ndarray, places: Places, sizes: tuple[int, ...]) -> np.ndarray:
    """Return ∂L/∂x (B, C, …) of a convolution with stride 1, as a convolution of dy."""
    mirrored = np.flip(weight.swapaxes(0, 1), tuple(range(2, weight.ndim)))
    before_0 = places.dilation_0 * (places.kernel_0 - 1) - places.before_0
    before_1 = places.dilation_1 * (places.kernel_1 - 1) - places.before_1
    return forward(dy, mirrored, None, places._replace(before_0=before_0, before_1=before_1), sizes)
