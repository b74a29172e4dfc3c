"""A row or a few of them times a matrix that lies the other way round: x·Wᵀ, W turned in registers as it is read.

A model that answers one step at a time multiplies one row by W (O, I), and W comes from memory for it alone. To gather
a panel of W first, as multiply.py does, is to write W once more and read it again. Here a square block of W, as many
rows and columns as a vector has lanes, is loaded, turned in registers, and multiplied: with 16 lanes 64 shuffles a
kilobyte, less time than the next kilobyte needs to come.

A dot product along k would do without the shuffles, but each of its lanes would have a sum of its own. So the order of
addition is the tile's (emitting/microkernel.py): a row by itself has the bits that it has among others.

The last outputs, and the last columns, are taken together with as many before them as fill a block. What is computed
twice has the same bits twice.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import carray

from ..emitting.integers import call, where, written
from ..emitting.microkernel import CHAIN, View
from ..emitting.simd import INT, Code, Lanes, Vector
from ..emitting.subnormal import ANY_MEMORY, leave, make_enter
from .factors import ProductJob, product_job_at

MOST = 4
"""Rows that are taken together. With more of them a panel is gathered: then it serves enough."""

SIDE_BY_SIDE = 2
"""Chains whose terms are added in turn: where one waits for its last multiply-add, the other one's block is turned."""


def fits(lanes: Lanes, M: int, K: int, C: int) -> bool:
    """Return whether a product of these sizes can be made here, of a B that lies the other way round."""
    return M <= MOST and K >= lanes.count and C >= lanes.count


def make_few(lanes: Lanes, rows: int) -> Any:
    """Return the loop of such a product, uncompiled, for so many rows. Threads share the outputs."""
    n, size, multiply = lanes.count, lanes.size, make_turning(lanes, rows)
    enter = make_enter(lanes)

    @written
    def turn(job: ProductJob, first: int) -> None:
        start = View(job.start + where(job.start_step > 0, first * size, 0), 0)
        multiply(View(job.out + first * size, job.C * size), start, View(job.a, job.a_row), job.K,
                 View(job.b, job.b_row).below(first))  # fmt: skip

    def few(thread, address):
        before = enter()
        job: Any = carray(product_job_at(address), 1)[0]
        turns = (job.C + n - 1) // n
        for number in range(turns * thread // job.threads, turns * (thread + 1) // job.threads):
            turn(job, min(number * n, job.C - n))
        leave(before)

    return few


def make_turning(lanes: Lanes, rows: int) -> Any:
    """Return ``multiply(out, start, a, K, w)``: out = start + a·wᵀ, for rows of a and a vector of outputs."""

    def emit(code: Code, out: ir.Value, out_row: ir.Value, start: ir.Value, start_row: ir.Value, a: ir.Value,
             a_row: ir.Value, K: ir.Value, w: ir.Value, w_row: ir.Value) -> None:  # fmt: skip
        builder, n = code.builder, lanes.count
        zeros = [code.splat(0).value] * rows
        turned = Turned(code, rows, a, a_row, w, w_row, K)
        together = whole(SIDE_BY_SIDE * CHAIN)
        begin = [code.load(builder.add(start, builder.mul(start_row, whole(r)))).value for r in range(rows)]
        with code.loop(builder.sdiv(K, together), *begin) as some:
            first = builder.mul(some.index, whole(SIDE_BY_SIDE * CHAIN * lanes.size))
            with code.loop(whole(CHAIN // n), first, *zeros * SIDE_BY_SIDE) as turn:
                at, *sums = turn.values
                turn.next = [builder.add(at, whole(lanes.width))]
                for one in range(SIDE_BY_SIDE):
                    own = sums[one * rows : (one + 1) * rows]
                    turn.next += turned.block(builder.add(at, whole(one * CHAIN * lanes.size)), own)
            _, *sums = turn.values
            totals = some.values
            for one in range(SIDE_BY_SIDE):
                totals = added(code, totals, sums[one * rows : (one + 1) * rows])
            some.next = totals
        done = builder.mul(builder.sdiv(K, together), together)
        rest = builder.sub(K, done)
        with code.loop(builder.sdiv(builder.add(rest, whole(CHAIN - 1)), whole(CHAIN)), *some.values) as chain:
            k = builder.add(done, builder.mul(chain.index, whole(CHAIN)))
            left = builder.sub(K, k)
            terms = builder.select(builder.icmp_signed("<", left, whole(CHAIN)), left, whole(CHAIN))
            with code.loop(builder.sdiv(terms, whole(n)), builder.mul(k, whole(lanes.size)), *zeros) as turn:
                at, *sums = turn.values
                turn.next = [builder.add(at, whole(lanes.width)), *turned.block(at, sums)]
            edge = builder.srem(terms, whole(n))
            once = builder.select(builder.icmp_signed(">", edge, whole(0)), whole(1), whole(0))
            with code.loop(once, *turn.values[1:]) as last:
                at = builder.mul(builder.sub(K, whole(n)), whole(lanes.size))
                last.next = turned.block(at, last.values, builder.sub(whole(n), edge))
            chain.next = added(code, chain.values, last.values)
        for r, total in enumerate(chain.values):
            code.store(Vector(code, total), builder.add(out, builder.mul(out_row, whole(r))))

    def multiply(out: View, start: View, a: View, K: int, w: View) -> None:
        call(f"few.{rows}.{lanes.suffix}", emit, lanes, *out, *start, *a, K, *w)

    return multiply


def whole(number: int) -> ir.Constant:
    """Return a number that is known."""
    return ir.Constant(INT, number)


def added(code: Code, totals: list[ir.Value], sums: list[ir.Value]) -> list[ir.Value]:
    """Return totals + sums, row by row."""
    return [(Vector(code, total) + Vector(code, own)).value for total, own in zip(totals, sums, strict=True)]


class Turned:
    """Rows of a, and those of W, whose square blocks are turned and multiplied."""

    def __init__(
        self, code: Code, rows: int, a: ir.Value, a_row: ir.Value, w: ir.Value, w_row: ir.Value, K: ir.Value
    ) -> None:
        builder, lanes = code.builder, code.lanes
        self.code = code
        self._a = [builder.add(a, builder.mul(a_row, whole(r))) for r in range(rows)]
        self._w = [builder.add(w, builder.mul(w_row, whole(i))) for i in range(lanes.count)]
        self._end = builder.mul(K, whole(lanes.size))
        self._to_next = builder.sub(builder.mul(w_row, whole(lanes.count)), self._end)

    def block(self, at: ir.Value, sums: list[ir.Value], first: ir.Value | None = None) -> list[ir.Value]:
        """Add the terms of a block, from byte `at` of each row on, or of its columns from `first` on."""
        code, builder, n, size = self.code, self.code.builder, self.code.lanes.count, self.code.lanes.size
        # So many rows at once are more than a processor foresees; behind a row's end come the next outputs'.
        ahead = builder.add(at, whole(SIDE_BY_SIDE * CHAIN * size))
        beyond = builder.icmp_signed(">=", ahead, self._end)
        ahead = builder.select(beyond, builder.add(ahead, self._to_next), ahead)
        # LLVM is to leave this block's loads where they are: two blocks at once find no room in the registers.
        builder.asm(ir.FunctionType(ir.VoidType(), []), "", ANY_MEMORY, [], side_effect=True)
        block = []
        for row in self._w:
            block.append(code.load(row, at))
            if first is None:
                code.prefetch(row, ahead)
        for k, column in zip(range(n), code.transpose(block), strict=True):
            offset = builder.add(at, whole(k * size))
            new = [code.broadcast(a, offset).fma(column, Vector(code, own)).value
                   for a, own in zip(self._a, sums, strict=True)]  # fmt: skip
            if first is not None:
                skipped = builder.icmp_signed("<", whole(k), first)
                new = [builder.select(skipped, before, after) for before, after in zip(sums, new, strict=True)]
            sums = new
        return sums
