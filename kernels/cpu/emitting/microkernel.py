"""The micro-kernel: a tile of a matrix product that lives in registers while it is computed.

Everything heavy in a recurrent layer is a product, forwards (W_x x_t, W_h h_{t−1}) and backwards (da·W_h, da·W_x,
daᵀ·x, daᵀ·h). All of them come down to one loop::

    for k in range(K):                        # one column of A, one row of W
        for i in range(rows):                 # ≤ 6
            for p in range(vectors):          # ≤ 4
                acc[i][p] += A[i, k] · W[k, p]    # a number times a vector of 16

**The register tile.** rows × vectors accumulators stay in registers for the whole loop. With 6 × 4 a turn has 24
multiply-adds but only 4 loads of W and 6 of A: arithmetic, not memory, sets the pace. A core that starts two
multiply-adds a cycle and needs four cycles for each must have eight under way that don't wait for one another, and
the tile has 24. AVX-512 and NEON have 32 registers, so 24 accumulators, 4 vectors of W and a number of A fit; where
there are 16, `TILES` is smaller.

**Packed panels.** The vectors of W that one tile needs in turn k lie together: a panel is [K][vectors][lanes], read
from its first byte to its last. A panel serves all rows of the batch before the next one is touched, so it comes
from far away once, and from the core's own cache after that.

**Which vectors make a panel.** For a cell with gates, the gates of the same hidden units: an LSTM's panel has i, f, g
and o of 16 units, so when the loop ends the tile holds all that these units need to take their step, and
`finish` (cell.py) turns it into c and h at once. Where there are no gates, up to four neighbouring vectors.

**One order of addition.** acc[i][p] is added up in the order of k, in chains of `CHAIN` terms that are then added to
one another, whatever the size of the tile. Therefore a row's result doesn't depend on the batch around it, nor on the
number of threads: same bits. The chains keep the rounding error down: that of one long chain grows with its length.

**Compiled once.** Of the machine code of a loop, its tiles are the most by far, and they are the same for every cell.
So the tiles over a panel are compiled by themselves, when a loop first wants one, and all loops call them
(running/compiled.py).

**Asking ahead.** With one row, memory sets the pace, and a tile asks for what its panel has some turns later. Where
the host's third level of cache is slow (host.py), every tile does, and asks for a line of the next panel besides, each
turn: `upcoming` tells which tile of a panel asks for what.

**Pairs.** Where products read pairs of bfloat16 (bfloat16.py), a turn takes two columns of A and two rows of W, and all
else stays: K counts the pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir

from .bfloat16 import multiply_add
from .integers import Shared, call, shared_function, written
from .simd import INT, LINE, Code, Lanes, Vector, emitted

TILES = {32: {1: 8, 2: 8, 3: 8, 4: 6}, 16: {1: 6, 2: 5, 3: 3, 4: 2}}
"""Most rows of a tile, by the registers there are and by the vectors of a panel."""

SOON = 8
"""Turns ahead of which a panel is asked for, where there is one row."""

QUARTERS = 4
"""Tiles that ask for a panel together, a line of it each turn."""

CHAIN = 128
"""Terms that are added up in registers before they are added to what there is."""

ARGUMENTS = 12
"""Of a tile that asks for nothing ahead."""

ALONG_K = "along k"
ALONG_ROWS = "along rows"
"""How A lies in memory: numbers of one row side by side, or numbers of one k (a product with Aᵀ)."""


def max_rows(lanes: Lanes, vectors: int) -> int:
    """Return the most rows that a tile over a panel of so many vectors has."""
    return TILES[lanes.registers][vectors]


def _tile(lanes: Lanes, layout: str, rows: int, vectors: int):
    """Return the body of a tile: out = start + A·W, for `emitted`."""

    def body(
        code: Code,
        out: ir.Value,  # address of the tile's first number
        out_row: ir.Value,  # bytes from row to row
        start: ir.Value,  # what is added: `out` itself, a bias (start_row = 0), zeros
        start_row: ir.Value,
        a: ir.Value,  # A
        a_row: ir.Value,  # bytes from row to row, or from k to k, whichever are not side by side
        blocks: ir.Value,  # K comes in blocks of A: one a gate in da·W_h
        a_block: ir.Value,  # bytes from block to block
        K: ir.Value,  # of one block
        w: ir.Value,  # the panel
        w_row: ir.Value,  # bytes from k to k
        valid: ir.Value,  # numbers of the last vector that exist; beyond them memory is not touched
        ahead: ir.Value | None = None,  # what is asked for, a line each turn
    ) -> None:
        builder = code.builder
        zero = code.splat(0).value
        asked = [] if ahead is None else [ahead]
        first = 2 + len(asked)
        with code.loop(blocks, a, w, *asked, *[zero] * (rows * vectors)) as block:
            (a_at, w_at, *asked), acc = block.values[:first], block.values[first:]
            row_at = [builder.add(a_at, builder.mul(a_row, ir.Constant(INT, i))) for i in range(rows)]
            with code.loop(K, a_at, w_at, *asked, *acc) as turn:
                (a_k, w_k, *asked), acc = turn.values[:first], turn.values[first:]
                panel = [code.load(w_k, p * lanes.width) for p in range(vectors)]
                for line in asked:
                    code.prefetch(line)
                if rows == 1 or lanes.asks:  # memory sets the pace, and the processor's own foresight is not enough
                    for p in range(vectors):
                        code.prefetch(w_k, (SOON * vectors + p) * lanes.width)
                new: list[ir.Value] = []
                for i in range(rows):
                    if layout == ALONG_K:
                        number = code.broadcast(row_at[i], builder.mul(turn.index, ir.Constant(INT, lanes.size)))
                    else:
                        number = code.broadcast(a_k, i * lanes.size)
                    for p in range(vectors):
                        new.append(multiply_add(number, panel[p], Vector(code, acc[i * vectors + p])).value)
                step = ir.Constant(INT, 0) if layout == ALONG_K else a_row
                asked = [builder.add(line, ir.Constant(INT, LINE)) for line in asked]
                turn.next = [builder.add(a_k, step), builder.add(w_k, w_row), *asked, *new]
            block.next = [builder.add(a_at, a_block), *turn.values[1:]]
        acc = block.values[first:]
        _add_to(code, [Vector(code, value) for value in acc], vectors, out, out_row, start, start_row, valid)

    return body


def _add_to(
    code: Code, acc: list[Vector], vectors: int, out: ir.Value, out_row: ir.Value, start: ir.Value,
    start_row: ir.Value, valid: ir.Value,
) -> None:  # fmt: skip
    """Emit out = start + acc, row by row; of the last vector `valid` numbers exist."""
    builder, lanes = code.builder, code.lanes
    full = builder.icmp_signed("==", valid, ir.Constant(INT, lanes.count))
    with builder.if_else(full) as (whole, partial):
        for branch in (whole, partial):
            with branch:
                mask = None if branch is whole else code.first_lanes(valid)
                for i in range(len(acc) // vectors):
                    start_at = builder.add(start, builder.mul(start_row, ir.Constant(INT, i)))
                    out_at = builder.add(out, builder.mul(out_row, ir.Constant(INT, i)))
                    for p in range(vectors):
                        offset, total = p * lanes.width, acc[i * vectors + p]
                        if mask is not None and p == vectors - 1:
                            total = total + code.load_first(mask, start_at, offset)
                            code.store_first(mask, total, out_at, offset)
                        else:
                            code.store(total + code.load(start_at, offset), out_at, offset)


def make_tiles(lanes: Lanes, layout: str, vectors: int, asked: int) -> Callable[..., None]:
    """Return ``tiles(thread, address)``, which puts there where the tiles over such a panel are, by their rows."""

    def tell(address: int) -> None:
        first: Any = address
        code = Code(first.builder, lanes)
        for i, name in enumerate(_names(lanes, layout, vectors, asked)):
            tile = emitted(code.builder.module, name, ARGUMENTS + asked, _tile(lanes, layout, i + 1, vectors), lanes)
            code.builder.store(code.builder.ptrtoint(tile, INT), code.pointer(first.value, 8 * i), align=8)

    told = written(tell)

    def tiles(thread, address):
        told(address)

    return tiles


def _names(lanes: Lanes, layout: str, vectors: int, asked: int) -> tuple[str, ...]:
    """Return what the tiles over a panel are called, by their rows."""
    kind = f"tile.{lanes.operands}.{lanes.suffix}.{layout}.{asked}"
    return tuple(f"{kind}.{i}x{vectors}" for i in range(1, max_rows(lanes, vectors) + 1))


def call_tile(
    code: Code, tile: Callable[[int, int], ir.Function], panels: tuple[int, ...], rows: ir.Value,
    vectors: ir.Value, arguments: list[ir.Value],
) -> None:  # fmt: skip
    """Call the tile of that size, a function of its own: ``tile(rows, vectors)`` returns it.

    A size that no tile has does nothing: panels have as many vectors as `panels` says, and rows are `max_rows` at most.
    """
    builder, lanes = code.builder, code.lanes
    end = builder.append_basic_block("end")
    over_vectors = builder.switch(vectors, end)
    for p in panels:
        block = builder.append_basic_block(f"{p} vectors")
        over_vectors.add_case(ir.Constant(INT, p), block)
        builder.position_at_end(block)
        over_rows = builder.switch(rows, end)
        for i in range(1, max_rows(lanes, p) + 1):
            block = builder.append_basic_block(f"{i} x {p}")
            over_rows.add_case(ir.Constant(INT, i), block)
            builder.position_at_end(block)
            builder.call(tile(i, p), arguments)
            builder.branch(end)
    builder.position_at_end(end)


def _shared_tile(code: Code, layout: str, asked: int, rows: int, vectors: int) -> ir.Function:
    """Return a tile that other loops call, too."""
    shared = Shared(make_tiles, (code.lanes, layout, vectors, asked), _names(code.lanes, layout, vectors, asked))
    return shared_function(code.builder.module, shared, rows - 1, ARGUMENTS + asked)


class View(NamedTuple):
    """Rows of numbers in memory."""

    at: int  # address of the first number
    row: int  # bytes from row to row; 0: the same row again and again

    def below(self, rows: int) -> View:
        """Return the view from some row on."""
        return View(self.at + rows * self.row, self.row)

    def along(self, offset: int) -> View:
        """Return the view from some bytes of each row on."""
        return View(self.at + offset, self.row)


class Factor(NamedTuple):
    """The left factor of a product: rows of numbers, which may come in blocks."""

    at: int
    row: int
    blocks: int = 1
    block: int = 0  # bytes from block to block


def upcoming(lanes: Lanes, number: int, terms: int, following: int) -> Any:
    """Return from where on tile `number` of a panel asks for the one that follows, or None on a host that doesn't ask.

    In `terms` turns it asks for a quarter of a panel of four vectors; tiles take the quarters in turn.
    """
    return following + number % QUARTERS * terms * LINE if lanes.asks else None


def make_product(lanes: Lanes, layout: str, panels: tuple[int, ...]) -> Callable[..., None]:
    """Return ``product(rows, vectors, out, start, a, K, w, valid)``: out = start + a·w, for panels of so many vectors.

    From ``ahead`` on, if that is given, it asks for a line of memory each turn.

    It is for functions that are `written`, and calls the tile of that size, once for every chain. K, the terms of a
    block, is at least 1, or nothing is written; several blocks have at most `CHAIN` terms each. Of the last vector,
    `valid` numbers exist.
    """

    def chains(
        code: Code, rows: ir.Value, vectors: ir.Value, out: ir.Value, out_row: ir.Value, start: ir.Value,
        start_row: ir.Value, a: ir.Value, a_row: ir.Value, blocks: ir.Value, a_block: ir.Value, K: ir.Value,
        w: ir.Value, w_row: ir.Value, valid: ir.Value, *ahead: ir.Value,
    ) -> None:  # fmt: skip
        """Take the sums in chains: so many terms of a single block, or so many short blocks."""
        builder = code.builder
        one, chain, line = (ir.Constant(INT, number) for number in (1, CHAIN, LINE))
        single = builder.icmp_signed("==", blocks, one)
        a_k = ir.Constant(INT, lanes.size) if layout == ALONG_K else a_row
        total = builder.select(single, K, blocks)
        most = builder.select(single, chain, builder.sdiv(chain, builder.select(single, one, K)))
        a_step = builder.mul(most, builder.select(single, a_k, a_block))
        w_step = builder.mul(most, builder.select(single, w_row, builder.mul(K, w_row)))
        ahead_step = builder.mul(most, builder.select(single, line, builder.mul(K, line)))
        count = builder.sdiv(builder.add(total, builder.sub(most, one)), most)
        with code.loop(count, start, start_row, a, w, *ahead) as part:
            start_at, start_by, a_at, w_at, *asked = part.values
            left = builder.sub(total, builder.mul(part.index, most))
            n = builder.select(builder.icmp_signed("<", left, most), left, most)
            terms, parts = builder.select(single, n, K), builder.select(single, one, n)
            call_tile(
                code, partial(_shared_tile, code, layout, len(asked)), panels, rows, vectors,
                [out, out_row, start_at, start_by, a_at, a_row, parts, a_block, terms, w_at, w_row, valid, *asked],
            )  # fmt: skip
            asked = [builder.add(place, ahead_step) for place in asked]
            part.next = [out, out_row, builder.add(a_at, a_step), builder.add(w_at, w_step), *asked]

    name = f"product.{lanes.operands}.{lanes.suffix}.{layout}.{panels}"

    def product(
        rows: int, vectors: int, out: View, start: View, a: Factor, K: int, w: View, valid: int, ahead: Any = None
    ) -> None:
        asked = () if ahead is None else (ahead,)
        call(f"{name}.{len(asked)}", chains, lanes, rows, vectors, *out, *start, *a, K, *w, valid, *asked)

    return product
