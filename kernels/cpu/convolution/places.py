"""Where windows lie, as the loops are told: always over two axes, of which the first may have one place."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Places(NamedTuple):
    """Window (p, q) reads rows ``stride_0 · p + dilation_0 · i − before_0`` that there are, and columns likewise."""

    kernel_0: int
    kernel_1: int
    stride_0: int
    stride_1: int
    dilation_0: int
    dilation_1: int
    before_0: int
    before_1: int
    size: int  # places of a window


def places_of(axes: tuple[tuple[int, int, int, int], ...]) -> Places:
    """Return places from kernel, stride, dilation and padding before, of each of one axis or two."""
    first, second = ((1, 1, 1, 0), *axes)[-2:]
    kernel, stride, dilation, before = zip(first, second, strict=True)
    return Places(*kernel, *stride, *dilation, *before, kernel[0] * kernel[1])


GEOMETRY = (*Places._fields[:-1], "H", "W", "P", "Q")
"""What every loop over windows is told first: where they lie, a plane's sizes, how many there are over either axis."""


def geometry_of(places: Places, sizes: tuple[int, ...], counts: tuple[int, ...]) -> tuple[int, ...]:
    """Return that, of planes and windows over one axis or two."""
    return (*places[:-1], *(1, *sizes)[-2:], *(1, *counts)[-2:])


def job_type(own: Any) -> np.dtype:
    """Return the type of a job in memory: the geometry, then the fields of a NamedTuple of its own."""
    return np.dtype([(name, np.int64) for name in (*GEOMETRY, *own._fields)])


def planes(x: np.ndarray) -> np.ndarray:
    """Return (B, C, L) or (B, C, H, W) as (B·C, H, W), row by row in memory."""
    x = np.ascontiguousarray(x)
    return x.reshape(x.shape[0] * x.shape[1], *(1, *x.shape[2:])[-2:])
