"""The arrays of a call as a table, cut into blocks of numbers that threads take one after another."""

from __future__ import annotations

import ctypes
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit

from ..emitting.addresses import make_pointer
from ..emitting.simd import Lanes
from ..emitting.subnormal import leave, make_enter
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import constant
from ..running.threads import fetch_add

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}
"""The numbers that there are loops for, and their names: NumPy takes longer to say them than a small loop to run."""

BLOCK = 4096
"""Numbers of a block: a sum of squares is added up a block at a time, whatever the number of threads."""


class Part(NamedTuple):
    """What a loop needs of one parameter: addresses and counts, then the numbers of its step."""

    p: int = 0  # the parameter
    g: int = 0  # its gradient, or the rows of it that are not zero
    m: int = 0  # what the optimizer keeps
    v: int = 0
    size: int = 0  # numbers
    width: int = 0  # numbers of a row, where the gradient has rows; otherwise 0
    rows: int = 0  # int64 (row_count,), ascending
    row_count: int = 0
    zeros: int = 0  # as many as a row has: the gradient of the other rows
    resting: int = 0  # 1 where a row whose m and v are zero stays as it is without a gradient
    block: int = BLOCK  # numbers in a block
    scale: float = 1.0
    decay: float = 0.0
    keep: float = 1.0
    beta1: float = 0.0
    rest1: float = 0.0
    beta2: float = 0.0
    rest2: float = 0.0
    eps: float = 0.0
    rate: float = 0.0


PART = np.dtype([("first", np.int64), *((name, type(value)) for name, value in Part._field_defaults.items())])
"""A `Part` in memory; before it stands how many blocks there are before its own."""

_WRITTEN = Struct("q" + "".join("d" if isinstance(value, float) else "q" for value in Part._field_defaults.values()))


class Table(NamedTuple):
    """The arguments of a loop over parts."""

    next: int = 0  # the block that the next thread takes, which is why it stands at the table's own address
    blocks: int = 0
    parts: int = 0
    part_count: int = 0
    sums: int = 0  # float64 (blocks,), for loops that have results


TABLE = np.dtype([(name, np.int64) for name in Table._fields])
"""A `Table` in memory."""

table_at, part_at, integer_at = make_pointer(TABLE), make_pointer(PART), make_pointer(np.int64)


def phase(function: Callable[..., Any]) -> Any:
    """Mark a part of a loop: numba writes its lines wherever it is called."""
    return njit(inline="always", error_model="numpy")(function)


def make_each_block(do: Any) -> Any:
    """Return the loop, uncompiled, in which threads call ``do(table, part, block, begin, end)`` while there are blocks.

    `begin` and `end` are numbers of the part. When a thread is late, the others take more of them.
    """
    enter = make_enter(Lanes("float64", 16))  # subnormal numbers stay what they are, in float32 too

    def each_block(thread, address):
        before = enter()
        table: Any = carray(table_at(address), 1)[0]
        parts = carray(part_at(table.parts), table.part_count)
        number, block = 0, fetch_add(address, 1)
        while block < table.blocks:
            while number + 1 < table.part_count and parts[number + 1].first <= block:
                number += 1
            part = parts[number]
            begin = (block - part.first) * part.block
            do(table, part, block, begin, min(begin + part.block, part.size))
            block = fetch_add(address, 1)
        leave(before)

    return each_block


@phase
def first_row_from(part, row):
    """Return which of a gradient's rows is the first that is not above another one."""
    rows = carray(integer_at(part.rows), part.row_count)
    low, high = 0, part.row_count
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low


def make_each_piece(step: Any, dtype: str) -> Any:
    """Return ``each_piece(…)``, which calls ``step(part, begin, end, g)`` with the address of the gradient there.

    A piece is a block or, where the gradient has rows, one row; those that the gradient leaves out read zeros.
    """
    size = np.dtype(dtype).itemsize
    bits_at = make_pointer(f"int{8 * size}")

    @phase
    def rests(part, begin, end):
        """Whether a row without a gradient stays as it is: nothing is kept of it, to the last bit."""
        if part.resting == 0:
            return False
        if part.m == 0:
            return True
        m = carray(bits_at(part.m + begin * size), end - begin)
        v = carray(bits_at(part.v + begin * size), end - begin)
        bits = m[0] | v[0]
        for k in range(1, end - begin):
            bits |= m[k] | v[k]
        return bits == 0

    def each_piece(table, part, block, begin, end):
        at = 0
        if part.width > 0:
            at = first_row_from(part, begin // part.width)
        while begin < end:
            stop, g = end, part.g + begin * size
            if part.width > 0:
                stop = begin + part.width
                if at < part.row_count and carray(integer_at(part.rows), part.row_count)[at] * part.width == begin:
                    g = part.g + at * part.width * size
                    at += 1
                elif rests(part, begin, stop):
                    g = 0
                else:
                    g = part.zeros
            if g != 0:
                step(part, begin, stop, g)
            begin = stop

    return phase(each_piece)


def takes(g: Any, *changed: Any) -> bool:
    """Return whether there are loops for a gradient and what it changes: in rows, and all float32 or all float64."""
    dtype = g.dtype
    if dtype not in DTYPES or not isinstance(g, np.ndarray) or not (g.flags.c_contiguous and g.flags.aligned):
        return False
    for array in changed:
        if not isinstance(array, np.ndarray) or array.dtype != dtype or not array.flags.carray:
            return False
    return True


def address(array: np.ndarray) -> int:
    """Return where an array is that `takes` has let pass, and that has a number: five times faster than NumPy says."""
    return ctypes.addressof(_Byte(array)) if array.flags.writeable else array.ctypes.data


_Byte: Any = ctypes.c_char.from_buffer


def places(
    p: np.ndarray, g: np.ndarray, rows: np.ndarray | None, m: np.ndarray | None, v: np.ndarray | None
) -> tuple[int, int, int, int, int, int, int, int, int]:
    """Return the fields of a `Part` from `p` to `zeros`; the arrays must live until the loop has run."""
    kept = (0, 0) if m is None or v is None else (address(m), address(v))
    if rows is None:
        return address(p), address(g), *kept, p.size, 0, 0, 0, 0
    width = p.size // p.shape[0]
    if rows.dtype != np.int64 or not rows.flags.c_contiguous:
        raise TypeError(f"cpu.update_kernels: rows must be int64 and lie side by side, got {rows.dtype}")
    zeros = constant(0, DTYPES[p.dtype], width).address
    return address(p), g.ctypes.data, *kept, p.size, width, rows.ctypes.data, rows.size, zeros  # g may have no number


def block_of(p: np.ndarray, rows: np.ndarray | None) -> int:
    """Return the numbers of a block: where the gradient has rows, those of whole ones."""
    if rows is None:
        return BLOCK
    width = p.size // p.shape[0]
    return max(1, BLOCK // width) * width


def in_turn(parts: list[Part], dtype: np.dtype) -> Iterator[list[Part]]:
    """Yield parts that can be done together: none writes to what another one reads or writes.

    Two names for one array, say, are two parts that share memory. Then each part is done alone, as NumPy would.
    """
    width = dtype.itemsize
    apart = _written(tuple([(part.p, part.m, part.v, part.size) for part in parts]), width)
    if apart is None or any(_reads(part, width, *apart) for part in parts):
        yield from ([part] for part in parts)
    else:
        yield parts


@lru_cache(maxsize=64)
def _written(places: tuple[tuple[int, int, int, int], ...], width: int) -> tuple[list[int], list[int]] | None:
    """Return where what parts write to begins, ascending, and where it ends; None where two write to the same memory.

    Parameters and moments stay where they are from step to step, so this is found out once.
    """
    spans = sorted((at, at + size * width) for *written, size in places for at in {*written} - {0})
    begins, ends = [begin for begin, _ in spans], [end for _, end in spans]
    return None if any(begin < end for begin, end in zip(begins[1:], ends[:-1], strict=True)) else (begins, ends)


def _reads(part: Part, width: int, begins: list[int], ends: list[int]) -> bool:
    """Whether a gradient lies where something is written, other than its own parameter as a whole."""
    if part.g == part.p:
        return False
    size = part.row_count * part.width if part.width else part.size
    before = bisect_left(begins, part.g + size * width)  # how many begin before the gradient ends
    return before > 0 and ends[before - 1] > part.g


@cache
def _code(make: Callable[..., Any], dtype: np.dtype) -> int:
    return compiled(make, DTYPES[dtype]).address


def run(make: Callable[..., Any], dtype: np.dtype, parts: Iterable[Part], work: float) -> tuple[np.ndarray, list[int]]:
    """Let threads run ``make(dtype)`` over all parts; return the sum of each block, and where a part's blocks begin.

    `work` is what a number costs, in floating-point operations of a product: `threads.share` decides by it.
    """
    written, firsts, blocks, size = bytearray(), [], 0, 0
    for part in parts:
        written += _WRITTEN.pack(blocks, *part)
        firsts.append(blocks)
        blocks += -(-part.size // part.block)
        size += part.size
    sums = np.empty(blocks)
    parts_at = ctypes.addressof(_Byte(written))
    table = np.array((0, blocks, parts_at, len(firsts), address(sums)), np.int64)  # as in `Table`
    code = _code(make, dtype)
    with threads.share(work * size) as count:
        threads.run(code, address(table), min(count, blocks))
    return sums, firsts
