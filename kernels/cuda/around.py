"""What is around the recurrence: a look at arrays, single products, rows by length, arrays as kernels want them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from kernels.contract import Array

from .running import launch
from .running.launch import namespace
from .running.unit import Lengths

DTYPES = ("float32", "float64")


@contextmanager
def memory(where: str, T: int, B: int, H: int) -> Iterator[None]:
    """Turn the array library's word on missing memory into one that says what to do; nothing has been returned."""
    try:
        yield
    except MemoryError as error:
        raise MemoryError(
            f"{where}: the device must have room for T = {T} steps of {B} sequences with hidden_size {H}, got none "
            f"left ({error}); take fewer sequences or steps at a time, or free what is not in use with "
            "cupy.get_default_memory_pool().free_all_blocks()"
        ) from error


def check_arrays(where: str, *given: Array | None) -> None:
    """Raise where arrays are not of one dtype, of the right kind, and on the current device."""
    xp = namespace()
    arrays: list[Array] = [array for array in given if array is not None]
    for array in arrays:
        if not isinstance(array, xp.ndarray):
            raise TypeError(
                f"{where}: arrays must be on the GPU, got {type(array).__module__}.{type(array).__name__}; move "
                "them once with cupy.asarray"
            )
    if len({array.dtype for array in arrays}) > 1 or arrays[0].dtype.name not in DTYPES:
        found = ", ".join(str(array.dtype) for array in arrays)
        raise TypeError(f"{where}: x, weights and states must all be float32 or all float64, got {found}")
    if not launch.SIMULATED:
        current = xp.cuda.runtime.getDevice()
        if elsewhere := {int(array.device.id) for array in arrays} - {current}:
            raise ValueError(
                f"{where}: arrays must be on device {current}, the current one, got some on "
                f"{', '.join(map(str, sorted(elsewhere)))}; use `with cupy.cuda.Device(n):` and keep all on one"
            )


def rows_of(T: int, B: int, lengths: np.ndarray | None) -> Lengths:
    """Return how far rows go."""
    if lengths is None or (lengths == T).all():
        return _full_rows(T, B, launch.current_stream())
    xp = namespace()
    order = np.argsort(-lengths, kind="stable").astype(np.int32)
    return Lengths(xp.asarray(lengths.astype(np.int32)), xp.asarray(order), True)


@lru_cache(maxsize=64)
def _full_rows(T: int, B: int, stream: tuple[int, int]) -> Lengths:
    """Return the rows of a batch that is full; nobody writes into them, so they are made once for a stream."""
    xp = namespace()
    return Lengths(xp.full(B, T, np.int32), xp.arange(B, dtype=np.int32), False)


def zero_past(x: Array, rows: Lengths) -> Array:
    """Return x with zeros past the rows' lengths: what stands there may be no number."""
    if not rows.ragged:
        return x
    xp = namespace()
    return xp.where((xp.arange(len(x))[:, None] < rows.lengths)[:, :, None], x, x.dtype.type(0))


def product(a: Array, b: Array) -> Array:
    """Return a·b over all leading axes of a, as one product."""
    return namespace().matmul(a.reshape(-1, a.shape[-1]), b)


def columns(array: Array, H: int) -> Array:
    """Return the first H of each row, as an array of their own where there are more."""
    return array if array.shape[-1] == H else array[..., :H].copy()


def full(array: Array | None, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array as kernels read it; None stands for zeros."""
    xp = namespace()
    return xp.zeros(shape, dtype) if array is None else xp.ascontiguousarray(array)


def by_step(arrays: Sequence[Array], none: Array) -> Array:
    """Return arrays (T, B, H) as one, (T, n, B, H), without a copy where there is a single one; `none` for none."""
    xp = namespace()
    if not arrays:
        return none
    return xp.ascontiguousarray(arrays[0])[:, None] if len(arrays) == 1 else xp.stack(arrays, axis=1)
