"""Four products of bytes and their sum, in every lane: the one step of arithmetic that differs from host to host.

A lane of 32 bits holds four neighbours of k. What comes from a row is 0 to 255 (its numbers, with 128 added), what
comes from a weight is −127 to 127, and a lane's sum is exact in int32 in each of the three ways:

- ``vpdpbusd``: AVX512-VNNI or AVX-VNNI, one instruction. It is written as assembly: the arguments of LLVM's own
  function for it have changed from release to release, the instruction has not.
- ``pmaddwd``: any other x86. Even and odd bytes become two vectors of 16-bit numbers, each pair of which is multiplied
  and added by one instruction. (``pmaddubsw``, of bytes, would be shorter; its sums saturate at 16 bits.)
- ``shifts``: wherever else, four ordinary multiplications.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import llvmlite.binding as llvm
import numba
from llvmlite import ir

from ..emitting.simd import Code, Lanes, declared

llvm.initialize_native_asmparser()  # numba itself compiles no assembly

VNNI, AVX_VNNI, PAIRS, SHIFTS = "vpdpbusd", "{vex} vpdpbusd", "pmaddwd", "shifts"
"""The ways; the second is the first in the encoding of hosts that have it without AVX-512."""


def ways(lanes: Lanes) -> tuple[str, ...]:
    """Return the ways that this host has for vectors of this width, the best one first."""
    if not llvm.get_process_triple().startswith(("x86_64", "i386")) or numba.config.CPU_NAME:  # type: ignore[attr-defined]
        return (SHIFTS,)
    has = llvm.get_host_cpu_features().get
    found = []
    if has("avx512vnni") and (lanes.width == 64 or has("avx512vl")):
        found.append(VNNI)
    if has("avxvnni") and lanes.width < 64:
        found.append(AVX_VNNI)
    if has({16: "sse2", 32: "avx2", 64: "avx512bw"}[lanes.width]):
        found.append(PAIRS)
    return (*found, SHIFTS)


class Dots(NamedTuple):
    """A way: what is made of a vector of weights, of four numbers of a row in every lane, and how they meet a sum."""

    weights: Callable[[Code, ir.Value], tuple[ir.Value, ...]]
    numbers: Callable[[Code, ir.Value], tuple[ir.Value, ...]]
    add: Callable[[Code, ir.Value, tuple[ir.Value, ...], tuple[ir.Value, ...]], ir.Value]


def dots(way: str) -> Dots:
    """Return a way by its name."""
    if way == PAIRS:
        return Dots(_signed_pairs, _unsigned_pairs, _add_pairs)
    if way == SHIFTS:
        return Dots(_signed_bytes, _unsigned_bytes, _add_bytes)

    def add(code: Code, total: ir.Value, weights: tuple[ir.Value, ...], numbers: tuple[ir.Value, ...]) -> ir.Value:
        kind = ir.FunctionType(total.type, [total.type] * 3)
        registers = "=v,0,v,v" if way == VNNI else "=x,0,x,x"
        return code.builder.asm(kind, f"{way} $3, $2, $0", registers, [total, *numbers, *weights], side_effect=False)

    return Dots(lambda _, value: (value,), lambda _, value: (value,), add)


def _every(kind: ir.VectorType, number: int) -> ir.Constant:
    return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)


def _halves(lanes: Lanes) -> ir.VectorType:
    return ir.VectorType(ir.IntType(16), 2 * lanes.count)


def _signed_pairs(code: Code, value: ir.Value) -> tuple[ir.Value, ...]:
    builder, kind = code.builder, _halves(code.lanes)
    words, eight = builder.bitcast(value, kind), _every(kind, 8)
    return builder.ashr(builder.shl(words, eight), eight), builder.ashr(words, eight)


def _unsigned_pairs(code: Code, value: ir.Value) -> tuple[ir.Value, ...]:
    builder, kind = code.builder, _halves(code.lanes)
    words = builder.bitcast(value, kind)
    return builder.and_(words, _every(kind, 255)), builder.lshr(words, _every(kind, 8))


def _add_pairs(code: Code, total: ir.Value, weights: tuple[ir.Value, ...], numbers: tuple[ir.Value, ...]) -> ir.Value:
    kind = _halves(code.lanes)
    name = {16: "sse2.pmadd.wd", 32: "avx2.pmadd.wd", 64: "avx512.pmaddw.d.512"}[code.lanes.width]
    function = declared(code.builder.module, f"llvm.x86.{name}", ir.FunctionType(total.type, [kind, kind]))
    for w, a in zip(weights, numbers, strict=True):
        total = code.builder.add(total, code.builder.call(function, [w, a]))
    return total


def _signed_bytes(code: Code, value: ir.Value) -> tuple[ir.Value, ...]:
    builder, kind = code.builder, code.lanes.int_type
    moved = (builder.shl(value, _every(kind, 24 - 8 * k)) for k in range(4))
    return tuple([builder.ashr(one, _every(kind, 24)) for one in moved])


def _unsigned_bytes(code: Code, value: ir.Value) -> tuple[ir.Value, ...]:
    builder, kind = code.builder, code.lanes.int_type
    moved = (builder.lshr(value, _every(kind, 8 * k)) for k in range(4))
    return tuple([builder.and_(one, _every(kind, 255)) for one in moved])


def _add_bytes(code: Code, total: ir.Value, weights: tuple[ir.Value, ...], numbers: tuple[ir.Value, ...]) -> ir.Value:
    for w, a in zip(weights, numbers, strict=True):
        total = code.builder.add(total, code.builder.mul(w, a))
    return total
