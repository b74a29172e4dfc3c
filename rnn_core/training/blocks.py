"""What keeps long chains of elementwise operations fast: short pieces that stay in a cache, and no subnormal numbers.

A processor takes a hundred times longer for a number below the smallest normal one (1.2e-38 in float32). A moment that
decays ends there, and stays: rounded, nine tenths of the smallest number is that number again.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import numpy as np

from kernels.contract import Array

BLOCK = 1 << 16
"""Numbers in a piece. Adam on four million takes a third less time so, and no temporary as long as the array."""

SHORT = 1 << 12
"""Up to so many numbers an array takes little time, whatever they are."""

SAMPLE = 512
"""How many numbers of an array are looked at, to see whether to look at all."""


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Yield tuples of flat views that together cover arrays of one shape.

    Arrays that are short, not C-contiguous, or not NumPy's are yielded whole, as they are; single numbers with an axis.
    """
    cut = all(isinstance(array, np.ndarray) and array.flags.c_contiguous for array in arrays)
    if not cut or (arrays[0].ndim and arrays[0].size <= BLOCK):
        yield arrays
        return
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, flat[0].size, BLOCK):
        yield tuple(array[start : start + BLOCK] for array in flat)


def flush(array: Array) -> None:
    """Set subnormal numbers to zero, in place, if a sample of a long array says that there are some.

    What is done depends on the array alone. A share of them that no sample meets costs less than looking for it in
    every step. On a GPU they cost nothing.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.size <= SHORT:
        return
    tiny = np.finfo(array.dtype).tiny
    stride = array.size // SAMPLE
    while gcd(stride, array.size) > 1:  # so that no axis is walked in step, and every row and column has its turn
        stride += 1
    sample = abs(array.ravel(order="K")[::stride])
    if np.count_nonzero(sample < tiny) == np.count_nonzero(sample == 0):
        return
    for (part,) in blocks(array):
        part[abs(part) < tiny] = 0
