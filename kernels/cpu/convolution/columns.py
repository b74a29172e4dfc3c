"""What lies in each window, as the columns of a matrix, and the way back, without a padded copy of either.

For one place of the window and one row of the input, the windows that read it are neighbours, and so are those that
stand over the padding there: `seen` says from which to which. What is left is a copy, or a sum, of numbers side by
side, which the compiler makes vectors of; for that, indices are reckoned in full and have no sign. The loops are one
thread's: the products between them are BLAS's, and it has threads of its own. The kernels' own products (product.py)
need no columns.

Sums are taken in the order of a window's places, as `rnn_core.layers.convolution.windows` takes them: same bits.
"""

from __future__ import annotations

import numpy as np

from ..running.compiled import helper
from ..running.memory import array
from .places import Places, planes


@helper
def seen(size, at, stride, count):
    """Return from which to which window ``at + stride · window`` lies within an axis of some size."""
    first = 0
    while first < count and at + stride * first < 0:
        first += 1
    last = count
    while last > first and at + stride * (last - 1) >= size:
        last -= 1
    return first, last


@helper
def _gather(x, C, H, W, places, B, P, Q, found):
    """Fill found [C][K_0][K_1][B][P][Q] from x [B][C][H][W]."""
    stride, zero = places.stride_1, x.dtype.type(0)
    for c in range(C):
        for i in range(places.kernel_0):
            for j in range(places.kernel_1):
                at = places.dilation_1 * j - places.before_1
                begin, end = seen(W, at, stride, Q)
                for b in range(B):
                    for p in range(P):
                        h = places.stride_0 * p + places.dilation_0 * i - places.before_0
                        first, last = (begin, end) if 0 <= h < H else (Q, Q)
                        out = ((((c * places.kernel_0 + i) * places.kernel_1 + j) * B + b) * P + p) * Q
                        row = ((b * C + c) * H + h) * W + at
                        for q in range(first):
                            found[np.uint64(out + q)] = zero
                        if stride == 1:
                            for q in range(first, last):
                                found[np.uint64(out + q)] = x[np.uint64(row + q)]
                        else:
                            for q in range(first, last):
                                found[np.uint64(out + q)] = x[np.uint64(row + stride * q)]
                        for q in range(last, Q):
                            found[np.uint64(out + q)] = zero


@helper
def _scatter(found, C, H, W, places, B, P, Q, dx):
    """Sum found [C][K_0][K_1][B][P][Q] up in dx [B][C][H][W]."""
    stride = places.stride_1
    dx[:] = 0
    for c in range(C):
        for i in range(places.kernel_0):
            for j in range(places.kernel_1):
                at = places.dilation_1 * j - places.before_1
                first, last = seen(W, at, stride, Q)
                for b in range(B):
                    for p in range(P):
                        h = places.stride_0 * p + places.dilation_0 * i - places.before_0
                        if h < 0 or h >= H:
                            continue
                        here = ((((c * places.kernel_0 + i) * places.kernel_1 + j) * B + b) * P + p) * Q
                        row = ((b * C + c) * H + h) * W + at
                        if stride == 1:
                            for q in range(first, last):
                                dx[np.uint64(row + q)] += found[np.uint64(here + q)]
                        else:
                            for q in range(first, last):
                                dx[np.uint64(row + stride * q)] += found[np.uint64(here + q)]


def columns(x: np.ndarray, places: Places, counts: tuple[int, ...]) -> np.ndarray:
    """Return what lies in each window of x (B, C, …), (C, K, B, P): a column for each row and window."""
    (B, C), (P, Q), flat = x.shape[:2], (1, *counts)[-2:], planes(x)
    _, H, W = flat.shape
    found = array((C, places.size, B, P * Q), x.dtype)
    _gather(flat.reshape(-1), C, H, W, places, B, P, Q, found.reshape(-1))
    return found


def from_columns(dcolumns: np.ndarray, places: Places, counts: tuple[int, ...], sizes: tuple[int, ...]) -> np.ndarray:
    """Return ∂L/∂x (B, C, …) from ∂L/∂columns: a place that lies in several windows has the sum of theirs."""
    C, _, B, _ = dcolumns.shape
    dx = array((B, C, *sizes), dcolumns.dtype)
    (_, H, W), (P, Q) = planes(dx).shape, (1, *counts)[-2:]
    _scatter(np.ascontiguousarray(dcolumns).reshape(-1), C, H, W, places, B, P, Q, dx.reshape(-1))
    return dx
