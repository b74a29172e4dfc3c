"""Softmax and cross-entropy of scores that lie class by class: z [classes][rows], a vector has one class of many rows.

With t_n the right class of row n, and all others apart from it::

    m_n = max_k z_nk,  r_n = Σ_k exp(z_nk − m_n)          over k ≠ t_n
    ℓ_n = log(1 + r_n exp(m_n − z_nt))                    (S1)
    dz_nk = exp(z_nk − M_n) · s_n                         (S1′) off the target, M_n = max(m_n, z_nt)
    dz_nt = −r_n exp(m_n − M_n) · s_n                     (S1′) on it: softmax − 1, of which nothing cancels
    s_n = dℓ_n / (exp(z_nt − M_n) + r_n exp(m_n − M_n))

A chunk of classes has a maximum and a sum of its own, m and r over its classes, in four sums that are then added up.
`combine` makes of all chunks those of the row, and leaves for each chunk what its exponentials are to be multiplied by.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir

from ..emitting.bfloat16 import load_operand, paired, rounded, store_operand
from ..emitting.integers import call
from ..emitting.pointwise import exp
from ..emitting.simd import INT, Code, Lanes, Vector

SIDE_BY_SIDE = 4
"""Sums of a chunk's exponentials: shorter chains are more exact, and none waits for another."""


def lowest(lanes: Lanes) -> float:
    """Return what is below every score: of two such numbers the difference is still a number."""
    return -float(np.finfo(lanes.dtype).max) / 4


def larger(a: Vector, b: Vector) -> Vector:
    """Return the larger of two; a b that is NaN doesn't count."""
    return a.where_below(b, b, a)


def smaller(a: Vector, b: Vector) -> Vector:
    """Return the smaller of two."""
    return b.where_below(a, b, a)


def _address(code: Code, base: ir.Value, *offsets: tuple[ir.Value, ir.Value | int]) -> ir.Value:
    """Return base + Σ index·bytes."""
    for index, size in offsets:
        size = ir.Constant(INT, size) if isinstance(size, int) else size
        base = code.builder.add(base, code.builder.mul(index, size))
    return base


def _every(code: Code, number: ir.Value) -> Vector:
    """Return an integer as a vector of it."""
    lanes, builder, first = code.lanes, code.builder, ir.Constant(ir.IntType(32), 0)
    one = builder.sitofp(number, lanes.scalar_type)
    lane = builder.insert_element(ir.Constant(lanes.type, ir.Undefined), one, first)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), [first] * lanes.count)
    return Vector(code, builder.shuffle_vector(lane, lane, zeros))


def _by_fours(
    code: Code, rows: ir.Value, chains: list[list[Vector]], body: Callable[[ir.Value, list[Vector]], list[Vector]]
) -> list[list[Vector]]:
    """Emit ``chain = body(row, chain)`` over all rows, four chains in turn; what is left over goes to the first."""
    builder = code.builder
    width, side = len(chains[0]), ir.Constant(INT, SIDE_BY_SIDE)
    fours = builder.sdiv(rows, side)
    with code.loop(fours, *(vector.value for chain in chains for vector in chain)) as turn:
        first, new = builder.mul(turn.index, side), []
        for k in range(SIDE_BY_SIDE):
            chain = [Vector(code, value) for value in turn.values[k * width : (k + 1) * width]]
            new += [vector.value for vector in body(builder.add(first, ir.Constant(INT, k)), chain)]
        turn.next = new
    done, values = builder.mul(fours, side), turn.values
    with code.loop(builder.sub(rows, done), *values[:width]) as rest:
        chain = [Vector(code, value) for value in rest.values]
        rest.next = [vector.value for vector in body(builder.add(done, rest.index), chain)]
    values = [*rest.values, *values[width:]]
    return [[Vector(code, value) for value in values[k * width : (k + 1) * width]] for k in range(SIDE_BY_SIDE)]


CHUNK_ARGUMENTS = (
    "classes",
    "vectors",  # of rows
    "z",  # [classes][vectors], without biases; their exponentials afterwards, if they are kept
    "z_row",  # bytes from class to class
    "bias",
    "bias_step",  # 0 where there is none
    "begin",  # number of the first class
    "top",  # [vectors]: m of the chunk
    "total",  # [vectors]: r of the chunk
    "first",  # [vectors]: the first class that has m
)


def make_exponentials(lanes: Lanes, *, keep: bool) -> Callable[..., None]:
    """Return ``exponentials(…)`` of `CHUNK_ARGUMENTS`, by name; to `keep` them, or to count hits."""

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(CHUNK_ARGUMENTS, arguments, strict=True))
        begin, none = _every(code, at["begin"]), code.splat(0)
        with code.loop(at["vectors"]) as vector:
            column = _address(code, at["z"], (vector.index, lanes.width))

            def score(row: ir.Value, column: ir.Value = column) -> tuple[ir.Value, Vector]:
                place = _address(code, column, (row, at["z_row"]))
                return place, code.load(place) + code.broadcast(_address(code, at["bias"], (row, at["bias_step"])))

            start = code.splat(lowest(lanes))
            maxima = _by_fours(
                code, at["classes"], [[start]] * SIDE_BY_SIDE, lambda row, chain: [larger(chain[0], score(row)[1])]
            )
            top = larger(larger(maxima[0][0], maxima[1][0]), larger(maxima[2][0], maxima[3][0]))

            def add(row: ir.Value, chain: list[Vector], top: Vector = top) -> list[Vector]:
                place, z = score(row)
                e = exp(z - top)
                if keep:
                    code.store(e, place)
                    return [chain[0] + e]
                number = begin + _every(code, row)
                return [chain[0] + e, z.where_below(top, chain[1], smaller(chain[1], number))]

            far = code.splat(-lowest(lanes))
            sums = _by_fours(code, at["classes"], [[none] if keep else [none, far]] * SIDE_BY_SIDE, add)
            place = (vector.index, lanes.width)
            code.store(top, _address(code, at["top"], place))
            code.store((sums[0][0] + sums[1][0]) + (sums[2][0] + sums[3][0]), _address(code, at["total"], place))
            if not keep:
                firsts = [chain[1] for chain in sums]
                one = smaller(smaller(firsts[0], firsts[1]), smaller(firsts[2], firsts[3]))
                code.store(one, _address(code, at["first"], place))

    def exponentials(**at: int) -> None:
        call(f"exponentials.{lanes.suffix}.{keep}", emit, lanes, *(at[name] for name in CHUNK_ARGUMENTS))

    return exponentials


COMBINE_ARGUMENTS = (
    "vectors",  # of rows
    "chunks",
    "stride",  # bytes from chunk to chunk
    "top",  # [chunks][vectors]
    "total",  # with a backward, what the chunk's exponentials are to be multiplied by, afterwards
    "first",
    "z_target",  # [vectors], and so is all that follows
    "scale",  # dℓ_n
    "row_top",  # m_n
    "row_total",  # r_n
    "row_first",  # the first class that has m_n
    "at_target",  # dz_nt
)


def make_combine(lanes: Lanes, *, keep: bool) -> Callable[..., None]:
    """Return ``combine(…)`` of `COMBINE_ARGUMENTS`, by name."""

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(COMBINE_ARGUMENTS, arguments, strict=True))
        none = code.splat(0)
        with code.loop(at["vectors"]) as vector:

            def place(name: str, chunk: ir.Value | None = None, index: ir.Value = vector.index) -> ir.Value:
                along = () if chunk is None else ((chunk, at["stride"]),)
                return _address(code, at[name], (index, lanes.width), *along)

            start = code.splat(lowest(lanes))
            with code.loop(at["chunks"], start.value, none.value) as turn:
                best, first = (Vector(code, value) for value in turn.values)
                top = code.load(place("top", turn.index))
                if not keep:
                    first = best.where_below(top, code.load(place("first", turn.index)), first)
                turn.next = [larger(best, top).value, first.value]
            m, first = (Vector(code, value) for value in turn.values)
            with code.loop(at["chunks"], none.value, none.value) as turn:  # what a sum has lost is added to the next
                total, lost = (Vector(code, value) for value in turn.values)
                part = code.load(place("total", turn.index)) * exp(code.load(place("top", turn.index)) - m) - lost
                new = total + part
                turn.next = [new.value, ((new - total) - part).value]
            r = Vector(code, turn.values[0])
            code.store(m, place("row_top"))
            code.store(r, place("row_total"))
            if not keep:
                code.store(first, place("row_first"))
            else:
                z_t = code.load(place("z_target"))
                M = larger(m, z_t)
                others = r * exp(m - M)
                s = code.load(place("scale")) / (exp(z_t - M) + others)
                code.store(rounded(0 - others * s), place("at_target"))  # (S1′)
                with code.loop(at["chunks"]) as turn:
                    code.store(exp(code.load(place("top", turn.index)) - M) * s, place("total", turn.index))

    def combine(**at: int) -> None:
        call(f"combine.{lanes.suffix}.{keep}", emit, lanes, *(at[name] for name in COMBINE_ARGUMENTS))

    return combine


def make_gradient(lanes: Lanes) -> Callable[..., None]:
    """Return ``gradient(classes, vectors, z, z_row, factor)``: dz off the target, from a chunk's exponentials.

    It is left as products read it.
    """

    def emit(code: Code, classes: ir.Value, vectors: ir.Value, z: ir.Value, z_row: ir.Value, factor: ir.Value) -> None:
        with code.loop(classes) as row, code.loop(vectors) as vector:
            place = _address(code, z, (row.index, z_row), (vector.index, lanes.width))
            scale = code.load(_address(code, factor, (vector.index, lanes.width)))
            code.store(rounded(code.load(place) * scale), place)  # (S1′)

    def gradient(classes: int, vectors: int, z: int, z_row: int, factor: int) -> None:
        call(f"gradient.{lanes.suffix}", emit, lanes, classes, vectors, z, z_row, factor)

    return gradient


def make_gradient_pairs(lanes: Lanes) -> Callable[..., None]:
    """Return ``gradient_pairs(classes, vectors, z, z_row, factor, out, out_row)``: the same, where products read pairs.

    dW = dz·x sums over rows, and dx = dzᵀ·W over classes. So there is a bfloat16 for each row at `out`, class by class,
    and in the place of the exponentials of two classes, in the first one's, a word of both for each row.
    """

    def emit(code: Code, classes: ir.Value, vectors: ir.Value, z: ir.Value, z_row: ir.Value, factor: ir.Value,
             out: ir.Value, out_row: ir.Value) -> None:  # fmt: skip
        builder, one = code.builder, ir.Constant(INT, 1)
        every, none = (code.first_lanes(ir.Constant(INT, n)) for n in (lanes.count, 0))
        with code.loop(builder.lshr(builder.add(classes, one), one)) as pair:
            row = builder.shl(pair.index, one)
            beside = builder.add(row, one)
            mask = builder.select(builder.icmp_signed("==", beside, classes), none, every)
            with code.loop(vectors) as vector:
                scale = code.load(_address(code, factor, (vector.index, lanes.width)))
                place, other = (_address(code, z, (k, z_row), (vector.index, lanes.width)) for k in (row, beside))
                first, second = code.load(place) * scale, code.load_first(mask, other) * scale  # (S1′)
                code.store(paired(first, second), place)
                for k, dz in ((row, first), (beside, second)):
                    store_operand(dz, _address(code, out, (k, out_row), (vector.index, lanes.operand_width)))

    def gradient_pairs(classes: int, vectors: int, z: int, z_row: int, factor: int, out: int, out_row: int) -> None:
        call("gradient pairs", emit, lanes, classes, vectors, z, z_row, factor, out, out_row)

    return gradient_pairs


def make_row_sums(lanes: Lanes) -> Callable[..., None]:
    """Return ``row_sums(classes, vectors, z, z_row, out, start, start_step)``: out = start + Σ of each class's row.

    The rows are dz as products read it.
    """

    def emit(code: Code, classes: ir.Value, vectors: ir.Value, z: ir.Value, z_row: ir.Value, out: ir.Value,
             start: ir.Value, start_step: ir.Value) -> None:  # fmt: skip
        first = code.first_lanes(ir.Constant(INT, 1))
        with code.loop(classes) as row:
            along = _address(code, z, (row.index, z_row))
            with code.loop(vectors, code.splat(0).value) as vector:
                number = load_operand(code, _address(code, along, (vector.index, lanes.operand_width)))
                vector.next = [(Vector(code, vector.values[0]) + number).value]
            total, half = Vector(code, vector.values[0]), lanes.count // 2
            while half:  # the upper half of the lanes is added to the lower one
                order = [ir.Constant(ir.IntType(32), (k + half) % lanes.count) for k in range(lanes.count)]
                mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), order)
                total = total + Vector(code, code.builder.shuffle_vector(total.value, total.value, mask))
                half //= 2
            before = code.load_first(first, _address(code, start, (row.index, start_step)))
            code.store_first(first, total + before, _address(code, out, (row.index, lanes.size)))

    def row_sums(classes: int, vectors: int, z: int, z_row: int, out: int, start: int, start_step: int) -> None:
        call(f"row sums.{lanes.suffix}", emit, lanes, classes, vectors, z, z_row, out, start, start_step)

    return row_sums
