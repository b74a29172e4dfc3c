"""Σ g² of each gradient, in double precision, a block after another, each in one order.

The square of a float32 is exact in float64, and neither overflows nor vanishes there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types

from ..emitting.addresses import make_pointer
from ..emitting.simd import INT, Code, Lanes, intrinsic
from .table import Part, address, make_each_block, phase, run

WORK = 20
"""What a number costs: about as much as so many operations of a product."""

LANES = 32
"""Sums that are carried side by side, on every processor: vectors of any width do as many."""


def make_squares(dtype: str) -> Any:
    """Return ``squares(address, count)``: Σ x² of `count` numbers, a multiple of `LANES`.

    Lane k adds up numbers k, k + 32, …; then the upper half of the lanes is added to the lower, until there is one.
    """
    lanes = Lanes(dtype, LANES * np.dtype(dtype).itemsize)
    doubles = ir.VectorType(ir.DoubleType(), LANES)

    @intrinsic
    def squares(typing: Any, address: Any, count: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            at, numbers = arguments
            code = Code(builder, lanes)
            turns = builder.sdiv(numbers, ir.Constant(INT, LANES))
            with code.loop(turns, ir.Constant(doubles, [0.0] * LANES)) as turn:
                x = code.load(at, builder.mul(turn.index, ir.Constant(INT, lanes.width))).value
                x = builder.fpext(x, doubles) if dtype == "float32" else x
                turn.next = [builder.fadd(turn.values[0], builder.fmul(x, x))]
            total, left = turn.values[0], LANES // 2
            while left:
                total = builder.fadd(*(_some(builder, total, first, left) for first in (0, left)))
                left //= 2
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return types.float64(types.int64, types.int64), generate

    return squares


def _some(builder: ir.IRBuilder, vector: ir.Value, first: int, count: int) -> ir.Value:
    """Return `count` lanes of a vector, from `first` on."""
    whole = ir.IntType(32)
    which = [ir.Constant(whole, lane) for lane in range(first, first + count)]
    return builder.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(whole, count), which))


def make_norm(dtype: str) -> Any:
    """Return the loop, uncompiled: the sum of squares of each block."""
    squares, numbers_at, size = make_squares(dtype), make_pointer(dtype), np.dtype(dtype).itemsize

    @phase
    def sum_block(table, part, block, begin, end):
        whole = (end - begin) // LANES * LANES
        total = squares(part.g + begin * size, whole)
        x = carray(numbers_at(part.g + begin * size), end - begin)
        for k in range(whole, end - begin):
            total += np.float64(x[k]) * np.float64(x[k])
        carray(doubles_at(table.sums), table.blocks)[block] = total

    return make_each_block(sum_block)


doubles_at = make_pointer(np.float64)


def sums_of_squares(arrays: list[np.ndarray]) -> list[float]:
    """Return Σ g² of each array; not finite where a number isn't, or in float64 a square overflows."""
    totals = [0.0] * len(arrays)
    for dtype in {array.dtype for array in arrays}:
        which = [k for k, array in enumerate(arrays) if array.dtype == dtype and array.size]
        if which:
            parts = [Part(0, address(arrays[k]), 0, 0, arrays[k].size) for k in which]
            sums, firsts = run(make_norm, dtype, parts, WORK)
            for k, total in zip(which, np.add.reduceat(sums, firsts).tolist(), strict=True):
                totals[k] = total
    return totals
