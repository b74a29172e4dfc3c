"""Maxima of windows, forward above backward, each in one pass.

::

    y[p]  = max_k x̂[s p + d k]                             (CP1)    k* is the first that attains it
    dx[q] = Σ_p dy[p]  over s p + d k*_p = q               (CP1′)

The forward reckons with the outcome of a comparison instead of branching on it: which number is larger is chance, and
a processor that guesses wrong loses more than the comparison takes. The backward goes through the windows from the last
to the first: then a place that lies in several has its sum in the order of k, as `rnn_core.layers.convolution.pools`
takes it, and both give the same numbers. What a window has over the padding is passed by.
"""

from __future__ import annotations

import numpy as np

from ..running.compiled import helper
from ..running.memory import array
from .places import Places, planes


@helper
def _max(x, H, W, places, y, taken):
    N, P, Q = y.shape
    for n in range(N):
        for p in range(P):
            for q in range(Q):
                best, place = x.dtype.type(-np.inf), 0
                for i in range(places.kernel_0):
                    h = places.stride_0 * p + places.dilation_0 * i - places.before_0
                    if h < 0 or h >= H:
                        continue
                    for j in range(places.kernel_1):
                        w = places.stride_1 * q + places.dilation_1 * j - places.before_1
                        if w < 0 or w >= W:
                            continue
                        one = x[np.uint64((n * H + h) * W + w)]
                        place += np.int64(one > best) * (i * places.kernel_1 + j - place)
                        best = max(one, best)  # (CP1)
                y[n, p, q], taken[n, p, q] = best, place


@helper
def _max_backward(dy, taken, places, dx):
    N, P, Q = dy.shape
    dx[:] = 0
    for n in range(N):
        for p in range(P - 1, -1, -1):
            for q in range(Q - 1, -1, -1):
                i, j = divmod(taken[n, p, q], places.kernel_1)
                h = places.stride_0 * p + places.dilation_0 * i - places.before_0
                w = places.stride_1 * q + places.dilation_1 * j - places.before_1
                dx[n, h, w] += dy[n, p, q]  # (CP1′)


def max_forward(x: np.ndarray, places: Places, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest number of each window of x (B, C, …), and which place of its window that is, (B, C, …)."""
    shape = (*x.shape[:2], *counts)
    y, taken = array(shape, x.dtype), array(shape, np.dtype(np.int32))
    flat = planes(x)
    _max(flat.reshape(-1), *flat.shape[1:], places, planes(y), planes(taken))
    return y, taken


def max_backward(dy: np.ndarray, taken: np.ndarray, places: Places, sizes: tuple[int, ...]) -> np.ndarray:
    """Return ∂L/∂x (B, C, …) from ∂L/∂y."""
    dx = array((*dy.shape[:2], *sizes), dy.dtype)
    _max_backward(planes(dy), planes(taken), places, planes(dx))
    return dx
