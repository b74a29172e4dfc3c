"""Maxima of windows, forward above backward, each in one pass.

::

    y[p]  = max_k x̂[s p + d k]                             (CP1)    k* is the first that attains it
    dx[q] = Σ_p dy[p]  over s p + d k*_p = q               (CP1′)

Threads share the planes, one for each channel of each row of the batch. The forward chooses by a comparison instead of
branching on it: which number is larger is chance, and a processor that guesses wrong loses more than the comparison
takes. In long rows it takes one place of all windows after another, in vectors; in short ones, window by window. The
backward goes through the windows from the last
to the first: then a place that lies in several has its sum in the order of k, as `rnn_core.layers.convolution.pools`
takes it, and both give the same numbers. What a window has over the padding is passed by.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..loops.parts import phase
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import array
from .columns import seen
from .places import Places, geometry_of, job_type, planes

ROW = 8
"""Windows beside one another from which on they are taken together."""

WORK = 20
"""What a number of a window costs: about as much as so many operations of a product."""

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}


class Job(NamedTuple):
    """The arguments of the loops, behind the geometry (places.py): how many planes there are, and addresses."""

    N: int
    threads: int
    x: int  # [N][H][W], or its gradient
    y: int  # [N][P][Q], or its gradient
    taken: int  # int32 [N][P][Q]


job_at, taken_at = make_pointer(job_type(Job)), make_pointer(np.int32)
"""How a loop finds the geometry and its `Job`, and the places that were taken, in memory."""


@phase
def _one_by_one(job, x, n, p, y, taken):
    """Take the windows of a row one after another."""
    for q in range(job.Q):
        best, place = x.dtype.type(-np.inf), 0
        for i in range(job.kernel_0):
            h = job.stride_0 * p + job.dilation_0 * i - job.before_0
            if h < 0 or h >= job.H:
                continue
            for j in range(job.kernel_1):
                w = job.stride_1 * q + job.dilation_1 * j - job.before_1
                if w < 0 or w >= job.W:
                    continue
                one = x[np.uint64((n * job.H + h) * job.W + w)]
                place += np.int64(one > best) * (i * job.kernel_1 + j - place)
                best = max(one, best)  # (CP1)
        y[q], taken[q] = best, place


@phase
def _together(job, x, n, p, y, taken):
    """Take one place of all windows of a row after another."""
    for q in range(job.Q):
        y[q], taken[q] = -np.inf, 0
    for i in range(job.kernel_0):
        h = job.stride_0 * p + job.dilation_0 * i - job.before_0
        if h < 0 or h >= job.H:
            continue
        for j in range(job.kernel_1):
            w = job.dilation_1 * j - job.before_1
            first, last = seen(job.W, w, job.stride_1, job.Q)
            at, place, stride = (n * job.H + h) * job.W + w, np.int32(i * job.kernel_1 + j), job.stride_1
            if stride == 2:  # a constant, of which the compiler makes vectors
                for q in range(first, last):
                    one = x[np.uint64(at + 2 * q)]
                    above = one > y[np.uint64(q)]
                    taken[np.uint64(q)] = place if above else taken[np.uint64(q)]
                    y[np.uint64(q)] = one if above else y[np.uint64(q)]  # (CP1)
            else:
                for q in range(first, last):
                    one = x[np.uint64(at + stride * q)]
                    above = one > y[np.uint64(q)]
                    taken[np.uint64(q)] = place if above else taken[np.uint64(q)]
                    y[np.uint64(q)] = one if above else y[np.uint64(q)]  # (CP1)


def make_max(dtype: str) -> Any:
    """Return the loop forward, uncompiled."""
    numbers_at, size = make_pointer(dtype), np.dtype(dtype).itemsize

    def maxima(thread, address):
        job: Any = carray(job_at(address), 1)[0]
        x = carray(numbers_at(job.x), job.N * job.H * job.W)
        for n in range(job.N * thread // job.threads, job.N * (thread + 1) // job.threads):
            for p in range(job.P):
                at = (n * job.P + p) * job.Q
                y, taken = carray(numbers_at(job.y + at * size), job.Q), carray(taken_at(job.taken + at * 4), job.Q)
                if job.Q >= ROW:
                    _together(job, x, n, p, y, taken)
                else:
                    _one_by_one(job, x, n, p, y, taken)

    return maxima


def make_max_backward(dtype: str) -> Any:
    """Return the loop back, uncompiled."""
    numbers_at, size = make_pointer(dtype), np.dtype(dtype).itemsize

    def maxima_backward(thread, address):
        job: Any = carray(job_at(address), 1)[0]
        windows, plane = job.P * job.Q, job.H * job.W
        for n in range(job.N * thread // job.threads, job.N * (thread + 1) // job.threads):
            dx = carray(numbers_at(job.x + n * plane * size), plane)
            dy = carray(numbers_at(job.y + n * windows * size), windows)
            taken = carray(taken_at(job.taken + n * windows * 4), windows)
            for k in range(plane):
                dx[k] = 0
            for p in range(job.P - 1, -1, -1):
                for q in range(job.Q - 1, -1, -1):
                    at = np.uint64(p * job.Q + q)
                    place = taken[at]
                    i = np.int64(np.uint32(place) // np.uint32(job.kernel_1)) if job.kernel_0 > 1 else 0
                    h = job.stride_0 * p + job.dilation_0 * i - job.before_0
                    w = job.stride_1 * q + job.dilation_1 * (place - i * job.kernel_1) - job.before_1
                    dx[np.uint64(h * job.W + w)] += dy[at]  # (CP1′)

    return maxima_backward


def _run(make: Any, x: np.ndarray, y: np.ndarray, taken: np.ndarray, places: Places) -> None:
    """Let the pool run a loop over planes, all as they lie in memory."""
    geometry = geometry_of(places, x.shape[1:], y.shape[1:])
    with threads.share(float(WORK * places.size * y.size)) as count:
        job = Job(len(x), count, x.ctypes.data, y.ctypes.data, taken.ctypes.data)
        numbers = np.array((*geometry, *job), np.int64)
        threads.run(compiled(make, DTYPES[x.dtype]).address, numbers.ctypes.data, count)


def max_forward(x: np.ndarray, places: Places, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest number of each window of x (B, C, …), and which place of its window that is, (B, C, …)."""
    shape = (*x.shape[:2], *counts)
    y, taken = array(shape, x.dtype), array(shape, np.dtype(np.int32))
    _run(make_max, planes(x), planes(y), planes(taken), places)
    return y, taken


def max_backward(dy: np.ndarray, taken: np.ndarray, places: Places, sizes: tuple[int, ...]) -> np.ndarray:
    """Return ∂L/∂x (B, C, …) from ∂L/∂y."""
    dx = array((*dy.shape[:2], *sizes), dy.dtype)
    _run(make_max_backward, planes(dx), planes(dy), planes(taken), places)
    return dx
