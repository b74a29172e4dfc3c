"""Vectors from one place in memory to another: copies, copies with a ragged edge, transposes; and ahead of time.

What is made here is for functions that are `written`, or is to be `written` itself: see integers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llvmlite import ir

from .integers import call
from .simd import INT, LINE, Code, Lanes, Vector


def make_copy(lanes: Lanes) -> Callable[..., None]:
    """Return ``copy(…)`` of rows of vectors; with a `source_row` of 0 the same row each time."""

    def emit(code: Code, rows: ir.Value, vectors: ir.Value, out: ir.Value, out_row: ir.Value,
             source: ir.Value, source_row: ir.Value) -> None:  # fmt: skip
        builder = code.builder
        with code.loop(rows) as row, code.loop(vectors) as vector:
            offset = builder.mul(vector.index, ir.Constant(INT, lanes.width))
            value = code.load(source, builder.add(builder.mul(row.index, source_row), offset))
            code.store(value, out, builder.add(builder.mul(row.index, out_row), offset))

    def copy(rows: int, vectors: int, out: int, out_row: int, source: int, source_row: int) -> None:
        call(f"copy.{lanes.suffix}", emit, lanes, rows, vectors, out, out_row, source, source_row)

    return copy


@contextmanager
def turned_blocks(
    code: Code, rows: ir.Value, K: ir.Value, source: ir.Value, source_row: ir.Value
) -> Iterator[tuple[ir.Value, ir.Value, list[Vector]]]:
    """Emit a loop over square blocks of `source`, up to `lanes` rows and as many columns at a time.

    Inside it there are the block's first column, how many columns are left from there on, and the columns as vectors,
    with zeros where there is no row.
    """
    builder, lanes, n = code.builder, code.lanes, code.lanes.count
    blocks = builder.sdiv(builder.add(K, ir.Constant(INT, n - 1)), ir.Constant(INT, n))
    none = ir.Constant(ir.VectorType(ir.IntType(1), n), [ir.Constant(ir.IntType(1), 0)] * n)
    with code.loop(blocks) as block:
        first = builder.mul(block.index, ir.Constant(INT, n))
        left = builder.sub(K, first)
        columns = code.first_lanes(left)
        block_rows = []
        for i in range(n):
            exists = builder.icmp_signed("<", ir.Constant(INT, i), rows)
            along = builder.mul(first, ir.Constant(INT, lanes.size))
            offset = builder.add(builder.mul(source_row, ir.Constant(INT, i)), along)
            block_rows.append(code.load_first(builder.select(exists, columns, none), source, offset))
        yield first, left, code.transpose(block_rows)


def make_transpose(lanes: Lanes) -> Callable[..., None]:
    """Return ``transpose(…)``, which packs `lanes` rows: vector k of `out` is column k of `source`."""

    def emit(code: Code, rows: ir.Value, K: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, out_row: ir.Value) -> None:  # fmt: skip
        builder = code.builder
        with turned_blocks(code, rows, K, source, source_row) as (first, left, turned):
            for k, column in enumerate(turned):
                with builder.if_then(builder.icmp_signed("<", ir.Constant(INT, k), left), likely=True):
                    code.store(column, out, builder.mul(builder.add(first, ir.Constant(INT, k)), out_row))

    def transpose(rows: int, K: int, source: int, source_row: int, out: int, out_row: int) -> None:
        call(f"transpose.{lanes.suffix}", emit, lanes, rows, K, source, source_row, out, out_row)

    return transpose


def make_copy_columns(lanes: Lanes) -> Callable[..., None]:
    """Return ``copy_columns(…)`` of rows of `vectors` vectors; the last has `valid` numbers, then zeros."""

    def emit(code: Code, rows: ir.Value, vectors: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, valid: ir.Value) -> None:  # fmt: skip
        builder, width = code.builder, ir.Constant(INT, lanes.width)
        edge, last = code.first_lanes(valid), builder.sub(vectors, ir.Constant(INT, 1))
        every = code.first_lanes(ir.Constant(INT, lanes.count))
        with code.loop(rows) as row, code.loop(vectors) as vector:
            mask = builder.select(builder.icmp_signed("==", vector.index, last), edge, every)
            offset = builder.mul(vector.index, width)
            value = code.load_first(mask, source, builder.add(builder.mul(row.index, source_row), offset))
            code.store(value, out, builder.add(builder.mul(builder.mul(row.index, vectors), width), offset))

    def copy_columns(rows: int, vectors: int, source: int, source_row: int, out: int, valid: int) -> None:
        call(f"copy columns.{lanes.suffix}", emit, lanes, rows, vectors, source, source_row, out, valid)

    return copy_columns


def make_fetch(lanes: Lanes) -> Callable[..., None]:
    """Return ``fetch(…)``, which asks for `vectors` vectors at each of `rows` places, and does not wait for them."""

    def emit(code: Code, rows: ir.Value, row_bytes: ir.Value, vectors: ir.Value, address: ir.Value) -> None:
        builder = code.builder
        lines = builder.sdiv(
            builder.add(builder.mul(vectors, ir.Constant(INT, lanes.width)), ir.Constant(INT, LINE - 1)),
            ir.Constant(INT, LINE),
        )
        with code.loop(rows) as row, code.loop(lines) as line:
            offset = builder.mul(line.index, ir.Constant(INT, LINE))
            code.prefetch(address, builder.add(builder.mul(row.index, row_bytes), offset))

    def fetch(rows: int, row_bytes: int, vectors: int, address: int) -> None:
        call(f"fetch.{lanes.suffix}", emit, lanes, rows, row_bytes, vectors, address)

    return fetch
