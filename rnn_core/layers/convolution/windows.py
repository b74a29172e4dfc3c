"""What lies in the windows of an array, as the columns of a matrix, and the way back.

A place of the window is a slice of the padded array, one for all windows at once. So both ways are as many copies as a
window has places, in any namespace, and the products are left to one matrix multiplication.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from .fast import empty, loops, places_of
from .geometry import Geometry


def padded(x: Array, geometry: Geometry, value: float = 0.0) -> Array:
    """Return x (B, C, …) with padding around its last axes; x itself where there is none."""
    sides = geometry.padding
    if not any(map(any, sides)):
        return x
    xp = array_namespace(x)
    outer = tuple(size + before + after for size, (before, after) in zip(x.shape[2:], sides, strict=True))
    around = xp.full((*x.shape[:2], *outer), value, dtype=x.dtype)
    around[inner(x.shape[2:], geometry)] = x
    return around


def inner(sizes: tuple[int, ...], geometry: Geometry) -> tuple[Any, ...]:
    """Return the index, into a padded array, of what the padding surrounds."""
    return (..., *(slice(axis.before, axis.before + n) for axis, n in zip(geometry.axes, sizes, strict=True)))


def columns(x: Array, geometry: Geometry, counts: tuple[int, ...], backend: str | None = None) -> Array:
    """Return what lies in each window, (C, K, B, P): column (b, p) is the window p of row b, channel by channel."""
    if backend != "numpy" and (fast := loops("columns", x)):
        copied: Array = fast.columns(x, places_of(geometry), counts)
        return copied
    xp = array_namespace(x)
    around = xp.moveaxis(padded(x, geometry), 0, 1)  # (C, B, …)
    found = empty(x, (x.shape[1], geometry.size, x.shape[0], *counts), backend)
    for k, offset in enumerate(geometry.offsets()):
        found[:, k] = around[geometry.places(offset, counts)]
    return xp.reshape(found, (x.shape[1], geometry.size, x.shape[0], int(np.prod(counts))))


def from_columns(
    dcolumns: Array, geometry: Geometry, counts: tuple[int, ...], sizes: tuple[int, ...], backend: str | None = None
) -> Array:
    """Return ∂L/∂x (B, C, …) from ∂L/∂columns: a place that lies in several windows has the sum of theirs."""
    if backend != "numpy" and (fast := loops("columns", dcolumns)):
        summed: Array = fast.from_columns(dcolumns, places_of(geometry), counts, sizes)
        return summed
    xp = array_namespace(dcolumns)
    C, K, B, _ = dcolumns.shape
    outer = tuple(n + before + after for n, (before, after) in zip(sizes, geometry.padding, strict=True))
    around = empty(dcolumns, (C, B, *outer), backend)
    around[...] = 0
    parts = xp.reshape(dcolumns, (C, K, B, *counts))
    for k, offset in enumerate(geometry.offsets()):
        around[geometry.places(offset, counts)] += parts[:, k]
    return xp.moveaxis(around[inner(sizes, geometry)], 0, 1)
