"""The first values of a layer's parameters: drawn at random or, where others will take their place, not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from math import prod
from typing import Any

import numpy as np

from kernels.contract import Array

_instead: ContextVar[Callable[[tuple[int, ...], np.dtype], np.ndarray] | None] = ContextVar("instead", default=None)


def first_values(xp: Any, shape: tuple[int, ...], dtype: np.dtype, draw: Callable[[tuple[int, ...]], Any]) -> Array:
    """Return a new parameter.

    Parameters
    ----------
    xp : namespace
        Where it is to live.
    shape : tuple of int
    dtype : dtype
    draw : callable
        From the shape to its numbers, on the host; not called within `undrawn` and `outlined`.
    """
    instead = _instead.get()
    return xp.asarray(draw(shape).astype(dtype) if instead is None else instead(shape, dtype))


def drawing() -> bool:
    """Return whether a new layer is for itself: within `undrawn` and `outlined` it is another's twin, or a draft."""
    return _instead.get() is None


def undrawn() -> contextlib.AbstractContextManager[None]:
    """Return a context in which new layers hold ones: their values are written next, and drawing takes longer."""
    return _with(np.ones)


def outlined(arrays: int, numbers: int) -> contextlib.AbstractContextManager[None]:
    """Return a context in which new layers have shapes and no memory, so that a size may be whatever a file claims.

    Parameters
    ----------
    arrays : int
        How many may be made; one more is a ValueError.
    numbers : int
        How many one of them may hold; more is a ValueError.
    """
    made = 0

    def outline(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        nonlocal made
        made += 1
        if made > arrays:
            raise ValueError(f"too large: more than {arrays:,} arrays, far beyond what there is")
        if prod(shape) > numbers:
            raise ValueError(f"too large: an array of shape {shape}, far beyond what there is")
        # Every element is the same one: writing to it, as a constructor may, takes no memory either.
        return np.ndarray(shape, dtype, buffer=np.ones(1, dtype), strides=(0,) * len(shape))

    return _with(outline)


@contextlib.contextmanager
def _with(instead: Callable[[tuple[int, ...], np.dtype], np.ndarray]) -> Iterator[None]:
    token = _instead.set(instead)
    try:
        yield
    finally:
        _instead.reset(token)
