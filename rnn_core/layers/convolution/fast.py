"""Where the CPU kernels help: memory that is used again, and loops that go over it once.

A fresh array of some megabytes costs more than what is computed in it: the system hands out its pages one by one when
they are first touched. So large results and scratch are lent by the kernels, as those of the recurrent core are.
Without numba, on complex numbers and on the GPU, everything is the array's own namespace's; the numbers are the
same.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ... import backends
from .geometry import Geometry

DTYPES = tuple(map(np.dtype, ("float32", "float64")))
"""What the loops compute in."""

BESIDE = tuple(map(np.dtype, ("int32", "bool")))
"""Of what a tape has beside numbers."""


@cache
def _module(name: str) -> Any:
    """Return a file of the kernels, or None where they can't be used."""
    return importlib.import_module(f"kernels.cpu.{name}") if backends.default() == "cpu" else None


def loops(name: str, *arrays: Array) -> Any:
    """Return the kernels of that name, such as ``pools``, if they can take these numbers, and a tape's; else None."""
    if not all(isinstance(one, np.ndarray) for one in arrays):
        return None
    real = arrays[0].dtype in DTYPES and all(one.dtype in BESIDE for one in arrays[1:])
    return _module(f"convolution.{name}") if real else None


def empty(like: Array, shape: tuple[int, ...], backend: str | None = None) -> Array:
    """Return an array to be filled, of another's home and dtype."""
    if backend != "numpy" and isinstance(like, np.ndarray) and (memory := _module("running.memory")) is not None:
        lent: Array = memory.array(shape, like.dtype)
        return lent
    return array_namespace(like).empty(shape, dtype=like.dtype)


def places_of(geometry: Geometry) -> Any:
    """Return where windows lie, as the kernels are told."""
    axes = tuple((axis.kernel, axis.stride, axis.dilation, axis.before) for axis in geometry.axes)
    return _module("convolution.places").places_of(axes)
