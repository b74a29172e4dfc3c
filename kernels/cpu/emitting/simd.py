"""Vectors of the host's own width, as values that Python's operators work on while a kernel is being emitted.

numba compiles loops well, but not a register tile: whether 24 accumulators stay in registers is then up to chance.
So the innermost code is emitted through llvmlite, which numba carries along. What is emitted is written here as
ordinary Python over `Vector`::

    c = f * c_prev + i * g

adds two multiplications and an addition to the function under construction. Nothing is computed at that moment;
llvmlite writes down instructions, LLVM chooses registers. The same line computes on NumPy arrays, and a test does so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import extending

from .host import host

INT = ir.IntType(64)
"""Addresses, counts and strides in bytes: one type for all of them."""

BYTE = ir.IntType(8)
intrinsic: Any = extending.intrinsic
"""What makes of a function of types one that numba calls by emitting it; untyped: its own type misleads mypy."""

SIDE = 16
"""Bytes within which, and of which, vectors are shuffled at the least cost."""

LINE = 64
"""Bytes that memory hands out at a time."""

WIDTHS = (16, 32, 64)
"""Bytes of a vector register: NEON and SSE, AVX2, AVX-512."""


@cache
def host_width() -> int:
    """Return the bytes of this machine's widest vector register with fused multiply-add; RNN_CORE_SIMD forces one."""
    forced = os.environ.get("RNN_CORE_SIMD")
    if forced is not None:
        if forced not in map(str, WIDTHS):
            raise RuntimeError(f"RNN_CORE_SIMD must be one of {', '.join(map(str, WIDTHS))} (bytes), got {forced!r}")
        return int(forced)
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 16


EXACT, ROUNDED, PAIRS = "exact", "rounded", "pairs"
"""What products read: numbers as they are; rounded to bfloat16, and kept as float32; or as bfloat16, two to a word."""


@dataclass(frozen=True)
class Lanes:
    """The shape of a vector: which numbers, and how many fill a register; and how products read them."""

    dtype: str  # float32, float64
    width: int  # bytes
    operands: str = EXACT

    @property
    def size(self) -> int:
        """Bytes of one number."""
        return np.dtype(self.dtype).itemsize

    @property
    def count(self) -> int:
        """Numbers in a vector."""
        return self.width // self.size

    def filled(self, n: int) -> int:
        """Return n rounded up to whole vectors."""
        return -(-n // self.count) * self.count

    @property
    def operand_size(self) -> int:
        """Bytes of one number as products read it."""
        return 2 if self.operands == PAIRS else self.size

    @property
    def operand_width(self) -> int:
        """Bytes of as many of those as there are lanes."""
        return self.count * self.operand_size

    @property
    def together(self) -> int:
        """Numbers that share a word where products read them."""
        return 2 if self.operands == PAIRS else 1

    def words(self, n: Any) -> Any:
        """Return how many words n numbers are that a product reads; two share one in pairs."""
        return (n + 1) // 2 if self.operands == PAIRS else n

    @property
    def registers(self) -> int:
        """How many vectors the host can hold: AVX-512 and NEON have 32, AVX2 and SSE have 16."""
        return 32 if self.width == 64 or not llvm.get_process_triple().startswith(("x86_64", "i386")) else 16

    @property
    def estimates(self) -> bool:
        """Whether 1/x is estimated, and mended, rather than divided: see host.py."""
        return self.size == 4 and host().estimates

    @property
    def asks(self) -> bool:
        """Whether tiles ask for weights before they need them: see host.py. Only whole lines are asked for."""
        return self.width == LINE and host().asks

    @property
    def scalar_type(self) -> ir.Type:
        """LLVM's type of one number."""
        return ir.FloatType() if self.size == 4 else ir.DoubleType()

    @property
    def type(self) -> ir.VectorType:
        """LLVM's type of the vector."""
        return ir.VectorType(self.scalar_type, self.count)

    @property
    def int_type(self) -> ir.VectorType:
        """LLVM's type of as many integers of the same size."""
        return ir.VectorType(ir.IntType(8 * self.size), self.count)

    @property
    def suffix(self) -> str:
        """What LLVM appends to the name of an operation on such vectors."""
        return f"v{self.count}f{8 * self.size}"


class Vector:
    """A vector under construction. Numbers that meet one are spread over all lanes."""

    def __init__(self, code: Code, value: ir.Value):
        self.code, self.value = code, value

    def _other(self, other: Vector | float) -> ir.Value:
        return other.value if isinstance(other, Vector) else self.code.splat(other).value

    def _with(self, instruction: Callable[..., ir.Value], *values: ir.Value) -> Vector:
        return Vector(self.code, instruction(*values, flags=("contract",)))  # a·b + c may become one instruction

    def __add__(self, other: Vector | float) -> Vector:
        return self._with(self.code.builder.fadd, self.value, self._other(other))

    def __sub__(self, other: Vector | float) -> Vector:
        return self._with(self.code.builder.fsub, self.value, self._other(other))

    def __mul__(self, other: Vector | float) -> Vector:
        return self._with(self.code.builder.fmul, self.value, self._other(other))

    def __truediv__(self, other: Vector | float) -> Vector:
        return self._with(self.code.builder.fdiv, self.value, self._other(other))

    def __rsub__(self, other: float) -> Vector:
        return self._with(self.code.builder.fsub, self._other(other), self.value)

    def __rtruediv__(self, other: float) -> Vector:
        return self._with(self.code.builder.fdiv, self._other(other), self.value)

    def __neg__(self) -> Vector:
        return Vector(self.code, self.code.builder.fneg(self.value))

    __radd__ = __add__
    __rmul__ = __mul__

    def fma(self, factor: Vector | float, term: Vector | float) -> Vector:
        """Return self·factor + term, rounded once."""
        return self.code.call("fma", self, factor, term)

    def where_below(self, bound: Vector | float, then: Vector | float, otherwise: Vector | float) -> Vector:
        """Return `then` in the lanes below the bound and `otherwise` in the rest; a NaN is not below."""
        builder = self.code.builder
        below = builder.fcmp_ordered("<", self.value, self._other(bound))
        return Vector(self.code, builder.select(below, self._other(then), self._other(otherwise)))

    def at_most(self, bound: float) -> Vector:
        """Return self, lowered to a bound where it is above; a NaN stays one."""
        builder = self.code.builder
        above = builder.fcmp_ordered(">", self.value, self._other(bound))
        return Vector(self.code, builder.select(above, self._other(bound), self.value))

    def extreme(self, other: Vector, sign: str) -> Vector:
        """Return self where it is ">" or "<" than another, and otherwise the other; a NaN where either is one."""
        builder = self.code.builder
        beyond = builder.fcmp_ordered(sign, self.value, other.value)
        missing = builder.fcmp_unordered("uno", self.value, self.value)
        return Vector(self.code, builder.select(builder.or_(beyond, missing), self.value, other.value))

    def __abs__(self) -> Vector:
        return self.code.call("fabs", self)

    def copysign(self, sign: Vector) -> Vector:
        """Return self with another's sign."""
        return self.code.call("copysign", self, sign)

    def round_and_power(self) -> tuple[Vector, Vector]:
        """Return the nearest whole numbers n and 2ⁿ, which must be normal; a NaN's n is a NaN.

        To add a number whose last bit is worth 1 is to round to whole numbers, and leaves n in the last bits. With the
        exponent's bias in them, too, they are 2ⁿ as soon as they are shifted to the exponent's place.
        """
        lanes, builder = self.code.lanes, self.code.builder
        mantissa, bias = (23, 127) if lanes.size == 4 else (52, 1023)
        whole = ir.IntType(8 * lanes.size)
        places = ir.Constant(lanes.int_type, [ir.Constant(whole, mantissa)] * lanes.count)
        shift = 1.5 * 2.0**mantissa + bias
        shifted = self + shift
        bits = builder.shl(builder.bitcast(shifted.value, lanes.int_type), places)
        return shifted - shift, Vector(self.code, builder.bitcast(bits, lanes.type))

    def estimated_reciprocal(self) -> Vector | None:
        """Return 1/self to 14 bits, or None where a division is the better choice."""
        lanes, builder = self.code.lanes, self.code.builder
        if not lanes.estimates:
            return None
        mask = ir.IntType(max(8, lanes.count))
        kind = ir.FunctionType(lanes.type, [lanes.type, lanes.type, mask])
        function = declared(builder.module, f"llvm.x86.avx512.rcp14.ps.{8 * lanes.width}", kind)
        return Vector(self.code, builder.call(function, [self.value, self.value, ir.Constant(mask, -1)]))


class Code:
    """A function under construction: its instructions, the vectors in them, and the memory they speak to."""

    def __init__(self, builder: ir.IRBuilder, lanes: Lanes):
        self.builder, self.lanes = builder, lanes

    def call(self, operation: str, *values: Vector | float) -> Vector:
        """Apply one of LLVM's own functions, such as fma, to vectors."""
        operands = [v.value if isinstance(v, Vector) else self.splat(v).value for v in values]
        kind = ir.FunctionType(self.lanes.type, [self.lanes.type] * len(operands))
        function = declared(self.builder.module, f"llvm.{operation}.{self.lanes.suffix}", kind)
        return Vector(self, self.builder.call(function, operands))

    def splat(self, number: float) -> Vector:
        """Return a number in every lane."""
        one = ir.Constant(self.lanes.scalar_type, float(np.dtype(self.lanes.dtype).type(number)))
        return Vector(self, ir.Constant(self.lanes.type, [one] * self.lanes.count))

    def pointer(self, address: ir.Value, offset: ir.Value | int = 0) -> ir.Value:
        """Return an address, and so many bytes more, as a pointer."""
        base = self.builder.inttoptr(address, ir.PointerType())
        offset = ir.Constant(INT, offset) if isinstance(offset, int) else offset
        return self.builder.gep(base, [offset], source_etype=BYTE)

    def load(self, address: ir.Value, offset: ir.Value | int = 0) -> Vector:
        """Return the vector at an address; it needs no alignment."""
        pointer = self.pointer(address, offset)
        return Vector(self, self.builder.load(pointer, align=self.lanes.size, typ=self.lanes.type))

    def store(self, vector: Vector, address: ir.Value, offset: ir.Value | int = 0) -> None:
        """Put a vector at an address."""
        self.builder.store(vector.value, self.pointer(address, offset), align=self.lanes.size)

    def broadcast(self, address: ir.Value, offset: ir.Value | int = 0) -> Vector:
        """Return the number at an address in every lane."""
        number = self.builder.load(self.pointer(address, offset), align=self.lanes.size, typ=self.lanes.scalar_type)
        first = ir.Constant(ir.IntType(32), 0)
        lane = self.builder.insert_element(ir.Constant(self.lanes.type, ir.Undefined), number, first)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes.count), [first] * self.lanes.count)
        return Vector(self, self.builder.shuffle_vector(lane, lane, zeros))

    def prefetch(self, address: ir.Value, offset: ir.Value | int = 0) -> None:
        """Ask for the cache line at an address, which need not exist."""
        whole = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), whole, whole, whole])
        function = declared(self.builder.module, "llvm.prefetch.p0", kind)
        read, near, data = (ir.Constant(whole, number) for number in (0, 3, 1))
        self.builder.call(function, [self.pointer(address, offset), read, near, data])

    def first_lanes(self, valid: ir.Value) -> ir.Value:
        """Return a mask that is true in the first `valid` lanes."""
        whole = ir.IntType(32)
        kind = ir.VectorType(whole, self.lanes.count)
        numbers = ir.Constant(kind, [ir.Constant(whole, n) for n in range(self.lanes.count)])
        first = self.builder.insert_element(
            ir.Constant(kind, ir.Undefined), self.builder.trunc(valid, whole), ir.Constant(whole, 0)
        )
        zeros = ir.Constant(kind, [ir.Constant(whole, 0)] * self.lanes.count)
        counts = self.builder.shuffle_vector(first, first, zeros)
        return self.builder.icmp_signed("<", numbers, counts)

    def load_first(self, mask: ir.Value, address: ir.Value, offset: ir.Value | int = 0) -> Vector:
        """Return the vector at an address, with zeros, and nothing read, where the mask is false."""
        lanes = self.lanes
        kind = ir.FunctionType(lanes.type, [ir.PointerType(), ir.IntType(32), mask.type, lanes.type])
        function = declared(self.builder.module, f"llvm.masked.load.{lanes.suffix}.p0", kind)
        align = ir.Constant(ir.IntType(32), lanes.size)
        pointer = self.pointer(address, offset)
        return Vector(self, self.builder.call(function, [pointer, align, mask, self.splat(0).value]))

    def store_first(self, mask: ir.Value, vector: Vector, address: ir.Value, offset: ir.Value | int = 0) -> None:
        """Put the lanes where the mask is true at an address; the rest of the memory is not touched."""
        lanes = self.lanes
        kind = ir.FunctionType(ir.VoidType(), [lanes.type, ir.PointerType(), ir.IntType(32), mask.type])
        function = declared(self.builder.module, f"llvm.masked.store.{lanes.suffix}.p0", kind)
        align = ir.Constant(ir.IntType(32), lanes.size)
        self.builder.call(function, [vector.value, self.pointer(address, offset), align, mask])

    def shuffle(self, a: Vector, b: Vector, order: list[int]) -> Vector:
        """Return numbers of a, and behind them of b, in some order."""
        whole = ir.IntType(32)
        mask = ir.Constant(ir.VectorType(whole, len(order)), [ir.Constant(whole, k) for k in order])
        return Vector(self, self.builder.shuffle_vector(a.value, b.value, mask))

    def transpose(self, rows: list[Vector]) -> list[Vector]:
        """Return the columns of a square block.

        A shuffle is cheap where numbers stay within 16 bytes of a vector, or 16 bytes stay together. So the blocks on a
        side of 16 bytes are turned first, all those side by side at once, and then these blocks change places.
        """
        side = max(1, SIDE // self.lanes.size)
        groups = [self._turned(rows[first : first + side], side) for first in range(0, len(rows), side)]
        columns = [self._dealt([group[c] for group in groups], side) for c in range(side)]
        return [column[k] for k in range(len(rows) // side) for column in columns]

    def _turned(self, rows: list[Vector], side: int) -> list[Vector]:
        """Turn square blocks side by side: as often as 2 goes into their side, halves are interleaved."""
        n, half = self.lanes.count, side // 2
        low = [block + k // 2 + (n if k % 2 else 0) for block in range(0, n, side) for k in range(side)]
        for _ in range(half.bit_length()):
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [self.shuffle(a, b, [k + up for k in low]) for a, b in pairs for up in (0, half)]
        return rows

    def _dealt(self, rows: list[Vector], side: int) -> list[Vector]:
        """Return of each row its first block, its second, and so on, as many as there are rows."""
        if len(rows) == 1:
            return rows
        even = [block + k for block in range(0, 2 * self.lanes.count, 2 * side) for k in range(side)]
        pairs = list(zip(rows[::2], rows[1::2], strict=True))
        firsts = self._dealt([self.shuffle(a, b, even) for a, b in pairs], side)
        seconds = self._dealt([self.shuffle(a, b, [k + side for k in even]) for a, b in pairs], side)
        return [vector for pair in zip(firsts, seconds, strict=True) for vector in pair]

    @contextmanager
    def loop(self, count: ir.Value, *carried: ir.Value) -> Iterator[Loop]:
        """Repeat what is emitted inside `count` times (none if it is 0), handing values on from turn to turn."""
        builder = self.builder
        before, head = builder.block, builder.append_basic_block("loop")
        body, after = builder.append_basic_block("body"), builder.append_basic_block("after")
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(INT)
        index.add_incoming(ir.Constant(INT, 0), before)
        values = [builder.phi(value.type) for value in carried]
        for phi, value in zip(values, carried, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", index, count), body, after)
        builder.position_at_end(body)
        loop = Loop(index, values)
        yield loop
        index.add_incoming(builder.add(index, ir.Constant(INT, 1)), builder.block)
        for phi, value in zip(values, loop.next, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)


class Loop:
    """The inside of a loop: its index and the values carried along; `next` is to be set to what the next turn gets."""

    def __init__(self, index: ir.Value, values: list[ir.Value]):
        self.index, self.values = index, values
        self.next: list[Any] = []


def declared(module: ir.Module, name: str, kind: ir.FunctionType) -> ir.Function:
    """Return a function of the module by name, declared on first use."""
    found = module.globals.get(name)
    return ir.Function(module, kind, name) if found is None else found


def emitted(module: ir.Module, name: str, arguments: int, body: Callable[..., None], lanes: Lanes) -> ir.Function:
    """Return a function of integers that returns nothing; on first use `body(code, *arguments)` writes it."""
    found = module.globals.get(name)
    if found is None:
        found = ir.Function(module, ir.FunctionType(ir.VoidType(), [INT] * arguments), name)
        found.linkage = "internal"
        found.attributes.add("noinline")
        builder = ir.IRBuilder(found.append_basic_block("entry"))
        body(Code(builder, lanes), *found.args)
        builder.ret_void()
    return found
