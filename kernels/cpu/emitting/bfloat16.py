"""bfloat16, in which products read their operands where a layer asks for it: a float32 without its last 16 bits.

There are two ways. In *pairs*, two numbers with neighbouring k share a word, as the instruction `vdpbf16ps` of
AVX512-BF16 wants them: it multiplies a word of A by words of W, and adds both products to a float32. Elsewhere a number
is *rounded* to bfloat16 and kept as float32, so that float32's own instructions multiply it; a product of two such
numbers is exact.

llvmlite has no type for bfloat16, and needs none: what is stored are 16-bit integers, and LLVM takes the instruction's
older form, whose arguments are integers, in any release.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import llvmlite.binding as llvm
from llvmlite import ir

from .integers import call
from .simd import EXACT, INT, PAIRS, ROUNDED, Code, Lanes, Vector, declared

HALF = 16
"""Bits of a bfloat16, and those that a float32 has besides."""


@cache
def host_operands() -> str:
    """Return how products read bfloat16 on this machine, `PAIRS` or `ROUNDED`; RNN_CORE_BFLOAT16 forces one."""
    forced = os.environ.get("RNN_CORE_BFLOAT16")
    if forced not in (None, PAIRS, ROUNDED):
        raise RuntimeError(f"RNN_CORE_BFLOAT16 must be {PAIRS} (AVX512-BF16) or {ROUNDED} (any host), got {forced!r}")
    there = bool(llvm.get_host_cpu_features().get("avx512bf16"))
    if forced == PAIRS and not there:
        raise RuntimeError(f"RNN_CORE_BFLOAT16 is {PAIRS}, and this processor has no AVX512-BF16; leave it out")
    return forced or (PAIRS if there else ROUNDED)


def operands(precision: str, width: int) -> str:
    """Return how products read numbers of a precision in vectors of so many bytes."""
    if precision == "float32":
        return EXACT
    return host_operands() if width == 64 else ROUNDED


def multiply_add(a: Vector, b: Vector, total: Vector) -> Vector:
    """Return a·b + total. Of pairs, both products are added."""
    code, lanes = a.code, a.code.lanes
    if lanes.operands != PAIRS:
        return a.fma(b, total)
    builder = code.builder
    kind = ir.FunctionType(lanes.type, [lanes.type, lanes.int_type, lanes.int_type])
    function = declared(builder.module, "llvm.x86.avx512bf16.dpbf16ps.512", kind)
    words = [builder.bitcast(vector.value, lanes.int_type) for vector in (a, b)]
    return Vector(code, builder.call(function, [total.value, *words]))


def _every(code: Code, number: int) -> ir.Constant:
    return ir.Constant(code.lanes.int_type, [ir.Constant(ir.IntType(32), number)] * code.lanes.count)


def _rounded_bits(vector: Vector) -> ir.Value:
    """Return float32 numbers as bits whose upper half is the nearest bfloat16, of two the even one; a NaN stays one."""
    code, builder = vector.code, vector.code.builder
    bits = builder.bitcast(vector.value, code.lanes.int_type)
    odd = builder.and_(builder.lshr(bits, _every(code, HALF)), _every(code, 1))
    nearest = builder.add(bits, builder.add(odd, _every(code, 0x7FFF)))
    quiet = builder.or_(bits, _every(code, 0x400000))
    return builder.select(builder.fcmp_unordered("uno", vector.value, vector.value), quiet, nearest)


def _upper(code: Code, bits: ir.Value) -> ir.Value:
    """Return words without their lower halves."""
    return code.builder.and_(bits, _every(code, 0xFFFF0000))


def rounded(vector: Vector) -> Vector:
    """Return numbers as products read them, and still as float32: the nearest bfloat16, or the numbers themselves."""
    code, lanes = vector.code, vector.code.lanes
    if lanes.operands == EXACT:
        return vector
    return Vector(code, code.builder.bitcast(_upper(code, _rounded_bits(vector)), lanes.type))


def paired(first: Vector, second: Vector) -> Vector:
    """Return words of two numbers each, rounded."""
    code, builder = first.code, first.code.builder
    low = builder.lshr(_rounded_bits(first), _every(code, HALF))
    both = builder.or_(low, _upper(code, _rounded_bits(second)))
    return Vector(code, builder.bitcast(both, code.lanes.type))


def store_operand(vector: Vector, address: ir.Value) -> None:
    """Put a vector at an address in the form in which products read it."""
    code, builder, lanes = vector.code, vector.code.builder, vector.code.lanes
    if lanes.operands != PAIRS:
        code.store(rounded(vector), address)
    else:
        halves = builder.trunc(builder.lshr(_rounded_bits(vector), _every(code, HALF)), _halves(lanes))
        builder.store(halves, code.pointer(address), align=2)


def load_operand(code: Code, address: ir.Value) -> Vector:
    """Return as float32 the vector that `store_operand` has put at an address."""
    if code.lanes.operands != PAIRS:
        return code.load(address)
    builder = code.builder
    halves = builder.load(code.pointer(address), align=2, typ=_halves(code.lanes))
    bits = builder.shl(builder.zext(halves, code.lanes.int_type), _every(code, HALF))
    return Vector(code, builder.bitcast(bits, code.lanes.type))


def _halves(lanes: Lanes) -> ir.VectorType:
    return ir.VectorType(ir.IntType(HALF), lanes.count)


def make_round(lanes: Lanes) -> Callable[..., None]:
    """Return ``round(…)`` of rows of `vectors` vectors; the last has `valid` numbers, then zeros."""

    def emit(code: Code, rows: ir.Value, vectors: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, out_row: ir.Value, valid: ir.Value) -> None:  # fmt: skip
        builder = code.builder
        edge, last = code.first_lanes(valid), builder.sub(vectors, ir.Constant(INT, 1))
        every = code.first_lanes(ir.Constant(INT, lanes.count))
        with code.loop(rows) as row, code.loop(vectors) as vector:
            mask = builder.select(builder.icmp_signed("==", vector.index, last), edge, every)
            along, into = (builder.mul(vector.index, ir.Constant(INT, n)) for n in (lanes.width, lanes.operand_width))
            value = code.load_first(mask, source, builder.add(builder.mul(row.index, source_row), along))
            place = builder.add(builder.mul(row.index, out_row), into)
            store_operand(value, builder.add(out, place))

    def round_rows(rows: int, vectors: int, source: int, source_row: int, out: int, out_row: int, valid: int) -> None:
        call(f"round.{lanes.suffix}", emit, lanes, rows, vectors, source, source_row, out, out_row, valid)

    return round_rows


def make_pair_rows(lanes: Lanes) -> Callable[..., None]:
    """Return ``pair_rows(…)``: of rows of bfloat16, each two together, word by word; after an odd one come zeros."""

    def emit(code: Code, rows: ir.Value, vectors: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, zeros: ir.Value) -> None:  # fmt: skip
        builder, one = code.builder, ir.Constant(INT, 1)

        def words(address: ir.Value) -> ir.Value:
            halves = builder.load(code.pointer(address), align=2, typ=_halves(lanes))
            return builder.zext(halves, lanes.int_type)

        with code.loop(builder.lshr(builder.add(rows, one), one)) as pair, code.loop(vectors) as vector:
            along = builder.mul(vector.index, ir.Constant(INT, lanes.operand_width))
            row = builder.shl(pair.index, one)
            first = builder.add(source, builder.add(builder.mul(row, source_row), along))
            alone = builder.icmp_signed("==", builder.add(row, one), rows)
            second = builder.select(alone, zeros, builder.add(first, source_row))
            both = builder.or_(words(first), builder.shl(words(second), _every(code, HALF)))
            place = builder.add(builder.mul(pair.index, vectors), vector.index)
            value = Vector(code, builder.bitcast(both, lanes.type))
            code.store(value, out, builder.mul(place, ir.Constant(INT, lanes.width)))

    def pair_rows(rows: int, vectors: int, source: int, source_row: int, out: int, zeros: int) -> None:
        call(f"pair rows.{lanes.suffix}", emit, lanes, rows, vectors, source, source_row, out, zeros)

    return pair_rows
