"""Rows of float32 as bytes, with a scale each: what the products read.  (IQ1), (IQ2)

A row's numbers are stored with 128 added, because the instruction that multiplies bytes takes one factor without a
sign. What that adds to a sum, 128·Σw, is taken off by the panel (panels.py).
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from ..emitting.integers import call
from ..emitting.simd import BYTE, INT, Code, Lanes, Vector, declared

MOST = 127
"""The largest number of a row, and the smallest is −127: −128 stays out, so that the two sides are alike."""

OFFSET = 128
"""What is added to a row's numbers."""

LEAST = 2.0**-100
"""A row whose largest number is below this counts as zeros: 127 over it might not be finite."""


def make_quantize(lanes: Lanes) -> Callable[..., None]:
    """Return ``quantize(rows, K, source, source_row, out, out_row, scales)``, for functions that are `written`.

    Of each row K numbers are read, and as many bytes written as fill whole vectors, and up to one vector more.
    """

    def emit(code: Code, rows: ir.Value, K: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, out_row: ir.Value, scales: ir.Value) -> None:  # fmt: skip
        builder, count = code.builder, ir.Constant(INT, lanes.count)
        whole = builder.sdiv(K, count)
        edge = code.first_lanes(builder.sub(K, builder.mul(whole, count)))
        with code.loop(rows) as row:
            numbers = builder.add(source, builder.mul(row.index, source_row))
            bytes_at = builder.add(out, builder.mul(row.index, out_row))
            rest_at = builder.mul(whole, ir.Constant(INT, lanes.width))
            with code.loop(whole, code.splat(0).value) as part:
                value = code.load(numbers, builder.mul(part.index, ir.Constant(INT, lanes.width)))
                part.next = [_greater(code, part.values[0], abs(value).value)]
            rest = code.load_first(edge, numbers, rest_at)
            largest = _largest(code, _greater(code, part.values[0], abs(rest).value))
            times, scale = _scale(code, largest)
            builder.store(scale, code.pointer(scales, builder.mul(row.index, ir.Constant(INT, 4))), align=4)
            with code.loop(whole) as part:
                value = code.load(numbers, builder.mul(part.index, ir.Constant(INT, lanes.width)))
                _store(code, value * times, builder.add(bytes_at, builder.mul(part.index, count)))
            _store(code, rest * times, builder.add(bytes_at, builder.mul(whole, count)))

    def quantize(rows: int, K: int, source: int, source_row: int, out: int, out_row: int, scales: int) -> None:
        call(f"quantize.{lanes.suffix}", emit, lanes, rows, K, source, source_row, out, out_row, scales)

    return quantize


def _greater(code: Code, a: ir.Value, b: ir.Value) -> ir.Value:
    builder = code.builder
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _largest(code: Code, value: ir.Value) -> ir.Value:
    """Return the largest of a vector's numbers."""
    kind = ir.FunctionType(code.lanes.scalar_type, [code.lanes.type])
    function = declared(code.builder.module, f"llvm.vector.reduce.fmax.{code.lanes.suffix}", kind)
    return code.builder.call(function, [value])


def _scale(code: Code, largest: ir.Value) -> tuple[Vector, ir.Value]:
    """Return 127/m in every lane, and m/127: of a row's largest number m."""
    builder, kind = code.builder, code.lanes.scalar_type
    some = builder.fcmp_ordered(">=", largest, ir.Constant(kind, LEAST))
    most, zero = ir.Constant(kind, float(MOST)), ir.Constant(kind, 0.0)
    times = builder.select(some, builder.fdiv(most, largest), zero)
    scale = builder.select(some, builder.fdiv(largest, most), zero)  # (IQ1)
    return Vector(code, spread(code, times, code.lanes.type)), scale


def spread(code: Code, number: ir.Value, kind: ir.VectorType) -> ir.Value:
    """Return a number in every lane."""
    builder, first = code.builder, ir.Constant(ir.IntType(32), 0)
    lane = builder.insert_element(ir.Constant(kind, ir.Undefined), number, first)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [first] * kind.count)
    return builder.shuffle_vector(lane, lane, zeros)


def _store(code: Code, value: Vector, address: ir.Value) -> None:
    """Put a vector's numbers, rounded to whole ones and with `OFFSET` added, at an address, a byte each."""
    builder, kind = code.builder, code.lanes.int_type
    whole = builder.fptosi(code.call("rint", value).value, kind)  # (IQ2)
    offset = ir.Constant(kind, [ir.Constant(kind.element, OFFSET)] * kind.count)
    small = builder.trunc(builder.add(whole, offset), ir.VectorType(BYTE, kind.count))
    builder.store(small, code.pointer(address), align=1)
