"""Factors on their way to where products read them: moved as copying.py moves numbers, and rounded or paired at once.

Numbers come as float32, or as float64 where products read them as they are. In pairs, the two numbers of a word are
neighbours along the sum: of a row that is turned two of its columns, of rows that stay as they are two of them.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from .bfloat16 import paired, rounded
from .copying import make_copy_columns, make_transpose, turned_blocks
from .integers import call
from .simd import EXACT, INT, PAIRS, Code, Lanes


def make_read_turned(lanes: Lanes) -> Callable[..., None]:
    """Return ``read_turned(…)``, which packs `lanes` rows: vector k of `out` is column k of `source`, or a pair."""
    if lanes.operands == EXACT:
        return make_transpose(lanes)
    n, together = lanes.count, lanes.together

    def emit(code: Code, rows: ir.Value, K: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, out_row: ir.Value) -> None:  # fmt: skip
        builder = code.builder
        with turned_blocks(code, rows, K, source, source_row) as (first, left, turned):
            word = builder.sdiv(first, ir.Constant(INT, together))
            for k in range(0, n, together):  # past the last column there are zeros
                with builder.if_then(builder.icmp_signed("<", ir.Constant(INT, k), left), likely=True):
                    value = paired(turned[k], turned[k + 1]) if lanes.operands == PAIRS else rounded(turned[k])
                    code.store(value, out, builder.mul(builder.add(word, ir.Constant(INT, k // together)), out_row))

    def read_turned(rows: int, K: int, source: int, source_row: int, out: int, out_row: int) -> None:
        call(f"read turned.{lanes.operands}", emit, lanes, rows, K, source, source_row, out, out_row)

    return read_turned


def make_read_rows(lanes: Lanes) -> Callable[..., None]:
    """Return ``read_rows(…)`` of rows of `vectors` vectors, or of pairs; the last has `valid` numbers, then zeros."""
    if lanes.operands == EXACT:
        return make_copy_columns(lanes)
    together = ir.Constant(INT, lanes.together)

    def emit(code: Code, rows: ir.Value, vectors: ir.Value, source: ir.Value, source_row: ir.Value,
             out: ir.Value, valid: ir.Value) -> None:  # fmt: skip
        builder, width = code.builder, ir.Constant(INT, lanes.width)
        edge, last = code.first_lanes(valid), builder.sub(vectors, ir.Constant(INT, 1))
        every, none = (code.first_lanes(ir.Constant(INT, n)) for n in (lanes.count, 0))
        words = builder.sdiv(builder.add(rows, builder.sub(together, ir.Constant(INT, 1))), together)
        with code.loop(words) as word, code.loop(vectors) as vector:
            mask = builder.select(builder.icmp_signed("==", vector.index, last), edge, every)
            along, row = builder.mul(vector.index, width), builder.mul(word.index, together)
            at = builder.add(builder.mul(row, source_row), along)
            value = code.load_first(mask, source, at)
            if lanes.operands == PAIRS:
                alone = builder.icmp_signed("==", builder.add(row, ir.Constant(INT, 1)), rows)
                beside = builder.select(alone, none, mask)
                value = paired(value, code.load_first(beside, source, builder.add(at, source_row)))
            else:
                value = rounded(value)
            code.store(value, out, builder.add(builder.mul(builder.mul(word.index, vectors), width), along))

    def read_rows(rows: int, vectors: int, source: int, source_row: int, out: int, valid: int) -> None:
        call(f"read rows.{lanes.operands}", emit, lanes, rows, vectors, source, source_row, out, valid)

    return read_rows
