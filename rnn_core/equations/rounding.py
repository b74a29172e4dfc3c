"""What the products of a cell read: numbers as they are, or rounded to bfloat16.

::

    q(v) = v                            precision "float32", and float64
    q(v) = the bfloat16 nearest to v    precision "bfloat16"                             (BF1)

bfloat16 is a float32 without its last 16 bits: the same exponents, 8 bits of precision. A product of two such numbers
is exact in float32; sums, and all that is no product, are float32's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels.contract import check_precision

Rounding = Callable[[np.ndarray], np.ndarray]
"""q: what a product reads of an array."""


def exact(v: np.ndarray) -> np.ndarray:
    """q(v) = v."""
    return v


def rounded_to_bfloat16(v: np.ndarray) -> np.ndarray:
    """q(v), as float32: the nearest bfloat16, of two equally near the one whose last bit is 0.  (BF1)

    A NaN stays one. What is half a step beyond the largest bfloat16, or more, becomes infinite.
    """
    if v.dtype != np.float32:
        raise TypeError(f"rounded_to_bfloat16: numbers must be float32, got {v.dtype}; convert them with astype")
    bits = np.ascontiguousarray(v).view(np.uint32)
    last = (bits >> np.uint32(16)) & np.uint32(1)  # of those that stay
    nearest = (bits + (np.uint32(0x7FFF) + last)) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(v), v, nearest.view(np.float32))


def rounding(where: str, precision: str) -> Rounding:
    """Return q for a precision by name."""
    return exact if check_precision(where, precision) == "float32" else rounded_to_bfloat16
