"""The micro-kernel for bytes: the register tile of emitting/microkernel.py, with sums in int32.

A turn takes four numbers of k. A panel begins with what belongs to its rows of the weights::

    [vectors][lanes]         int32    −128·Σ_k w, where each sum begins
    [vectors][lanes]         float32  the scale of each row
    [K/4][vectors][lanes]    four int8 each, zeros past K

and a tile ends with the scales: out = start + s_w·s_a·Σ.  (IQ3)
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from ..emitting.integers import call
from ..emitting.microkernel import SOON, View, call_tile
from ..emitting.simd import INT, Code, Lanes, Vector, emitted
from .dots import dots
from .rows import spread

HEAD = 2
"""Rows of a panel that stand before its weights."""

TURN = 4
"""Numbers of k that a turn takes."""


def _word(code: Code, address: ir.Value, offset: ir.Value | int = 0) -> ir.Value:
    """Return a vector of 32-bit integers."""
    return code.builder.load(code.pointer(address, offset), align=4, typ=code.lanes.int_type)


def _tile(lanes: Lanes, way: str, rows: int, vectors: int) -> Callable[..., None]:
    """Return the body of a tile, for `emitted`."""
    weights_of, numbers_of, add = dots(way)

    def body(
        code: Code,
        out: ir.Value,  # address of the tile's first number, float32
        out_row: ir.Value,  # bytes from row to row
        start: ir.Value,  # what is added: `out` itself, or a bias (start_row = 0)
        start_row: ir.Value,
        a: ir.Value,  # rows of bytes
        a_row: ir.Value,
        scales: ir.Value,  # float32, one a row
        turns: ir.Value,
        w: ir.Value,  # the panel
        valid: ir.Value,  # numbers of the last vector that exist; beyond them memory is not touched
    ) -> None:
        builder, whole = code.builder, ir.IntType(32)
        heads = [_word(code, w, p * lanes.width) for p in range(vectors)]
        row_at = [builder.add(a, builder.mul(a_row, ir.Constant(INT, i))) for i in range(rows)]
        panel = builder.add(w, ir.Constant(INT, HEAD * vectors * lanes.width))
        with code.loop(turns, panel, *heads * rows) as turn:
            w_k, *acc = turn.values
            weights = [weights_of(code, _word(code, w_k, p * lanes.width)) for p in range(vectors)]
            if rows == 1:  # then memory sets the pace
                for p in range(vectors):
                    code.prefetch(w_k, (SOON * vectors + p) * lanes.width)
            offset, new = builder.mul(turn.index, ir.Constant(INT, TURN)), []
            for i in range(rows):
                four = builder.load(code.pointer(row_at[i], offset), align=TURN, typ=whole)
                numbers = numbers_of(code, spread(code, four, lanes.int_type))
                new += [add(code, acc[i * vectors + p], weights[p], numbers) for p in range(vectors)]
            turn.next = [builder.add(w_k, ir.Constant(INT, vectors * lanes.width)), *new]
        acc = turn.values[1:]
        full = builder.icmp_signed("==", valid, ir.Constant(INT, lanes.count))
        with builder.if_else(full) as (all_of_it, partial):
            for branch in (all_of_it, partial):
                with branch:
                    mask = None if branch is all_of_it else code.first_lanes(valid)
                    for i in range(rows):
                        scale = code.broadcast(scales, i * 4)
                        start_at = builder.add(start, builder.mul(start_row, ir.Constant(INT, i)))
                        out_at = builder.add(out, builder.mul(out_row, ir.Constant(INT, i)))
                        for p in range(vectors):
                            sums = Vector(code, builder.sitofp(acc[i * vectors + p], lanes.type))
                            scaled = sums * code.load(w, (vectors + p) * lanes.width)
                            _put(code, scaled, scale, start_at, out_at, p * lanes.width,
                                 mask if p == vectors - 1 else None)  # fmt: skip

    return body


def _put(
    code: Code, scaled: Vector, scale: Vector, start: ir.Value, out: ir.Value, offset: int, mask: ir.Value | None
) -> None:
    """Write start + scaled·scale, of the last vector only what exists.  (IQ3)"""
    if mask is None:
        code.store(scaled.fma(scale, code.load(start, offset)), out, offset)
    else:
        code.store_first(mask, scaled.fma(scale, code.load_first(mask, start, offset)), out, offset)


def make_product(lanes: Lanes, way: str, panels: tuple[int, ...]) -> Callable[..., None]:
    """Return ``product(rows, vectors, out, start, a, scales, turns, w, valid)``, for functions that are `written`.

    It calls the tile of that size, for panels of so many vectors; a tile is a function of its own, emitted once a
    module.
    """

    def choose(code: Code, rows: ir.Value, vectors: ir.Value, *arguments: ir.Value) -> None:
        def tile(rows: int, vectors: int) -> ir.Function:
            name, body = f"int8 tile.{lanes.suffix}.{way}.{rows}x{vectors}", _tile(lanes, way, rows, vectors)
            return emitted(code.builder.module, name, len(arguments), body, lanes)

        call_tile(code, tile, panels, rows, vectors, list(arguments))

    name = f"int8 product.{lanes.suffix}.{way}.{panels}"

    def product(
        rows: int, vectors: int, out: View, start: View, a: View, scales: int, turns: int, w: int, valid: int
    ) -> None:
        call(name, choose, lanes, rows, vectors, *out, *start, *a, scales, turns, w, valid)

    return product
