"""What lies at an address, for compiled loops: to them an array is the address of its first number."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types

from .simd import INT, intrinsic


def make_pointer(kind: Any) -> Any:
    """Return an intrinsic that takes an address for a pointer to numbers, or records, of a NumPy dtype."""
    pointer = types.CPointer(numba.from_dtype(np.dtype(kind)))

    @intrinsic
    def pointer_to(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(pointer))

        return pointer(types.int64), generate

    return pointer_to


@intrinsic
def word(typing: Any, address: Any) -> Any:
    """Return the 8-byte integer at an address."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.PointerType()), typ=INT, align=8)

    return types.int64(types.int64), generate
