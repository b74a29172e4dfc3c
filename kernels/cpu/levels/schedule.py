"""In which order a program's levels are done, and what goes from one to the next: worked out once a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kernels.definition import ACROSS, Definition, Operation, Program, Value

from ..emitting.cell import KernelCell
from ..emitting.simd import Vector
from .cutting import Level, levels


class Product(NamedTuple):
    """A product with one of a cell's matrices."""

    value: int  # which its result is
    matrix: int
    transposed: bool
    operand: int  # which of the rows that products read


class Walk(NamedTuple):
    """What is done while all vectors of some units are gone through, in this order."""

    within: tuple[int, ...]  # operations of one unit, by their values
    stored: tuple[int, ...]  # values that later walks read
    operands: tuple[int, ...]  # values that products read
    outputs: tuple[int, ...]  # of the program, by their places in it
    means: tuple[int, ...]  # that are added up for the next level
    alike: tuple[int, ...]  # values that it reads and that are the same for all units of a row
    divisors: tuple[int, ...]  # those of them that it divides by


class Segment(NamedTuple):
    """What a thread does between two meetings."""

    products: tuple[Product, ...]
    walks: tuple[Walk, ...]
    whole_rows: bool  # otherwise tiles: the thread's own units of all rows of its group


class Schedule(NamedTuple):
    """A program's segments, in order, and where its values are between them."""

    program: Program
    segments: tuple[Segment, ...]
    places: dict[int, int]  # values that are stored, and results of products: which of a row's values each is
    operands: dict[int, int]  # and values that products read
    means: dict[int, int]  # and means that other segments than their own read
    alike: frozenset[int]  # values that are the same for all units of a row: means, and what is made of them

    @property
    def products(self) -> tuple[Product, ...]:
        """All products, in order."""
        return tuple(product for segment in self.segments for product in segment.products)


@dataclass(frozen=True, eq=False, kw_only=True)
class LevelledCell(KernelCell):
    """A cell with operations across the units of a row."""

    order: tuple[int, ...]  # the slot of each sum, in the order of its programs
    apply: Mapping[str, Callable[..., Vector]]  # each operation of one unit, on vectors
    forward: Schedule
    backward: Schedule
    projection: int | None  # which of its matrices makes h, if one does: then "h" in both programs is what that reads
    apart: LevelledCell | None = None  # the same for constants that differ from unit to unit

    @property
    def meetings(self) -> int:
        """How often the threads of a group meet in a step, forwards."""
        return len(self.forward.segments) + (self.projection is not None)

    def weights(self, I: int, H: int, P: int) -> int:
        """Return how many weights a step multiplies by, where h has P numbers."""
        return super().weights(I, H, P) + sum((P if k == self.projection else H) * H for k in range(len(self.matrices)))


def levelled(definition: Definition, alike: bool = True) -> dict[str, Any]:
    """Return what a `LevelledCell` has of a definition besides; `alike` where a constant is the same for all units."""
    step, back, its = definition.step, definition.step_backward, definition
    projection = its.matrices.index(its.projection) if its.projection else None
    numbers = len(its.streams) + len(its.vectors) + len(its.constants)
    states, sums = len(its.states), len(its.sums)
    dh = len(its.kept) + 2 * states  # the input that is ∂L/∂h
    matrices = sums + states + numbers, dh + states + numbers  # the first of them
    wanted, before, fleeting = None, None, frozenset(range(dh, dh + states))
    constants = [frozenset(range(first - (len(its.constants) if alike else 0), first)) for first in matrices]
    if projection is not None:
        step, back = _unprojected(step, matrices[0] + projection, dh), _unprojected(back, matrices[1] + projection, dh)
        wanted, before = 0, Product(dh, projection, True, 0)
        fleeting -= {dh}
    return {
        "forward": make_schedule(step, matrices[0], frozenset(range(sums)), constants[0], wanted=wanted),
        "backward": make_schedule(back, matrices[1], fleeting, constants[1], before),
        "projection": projection,
    }


def _unprojected(program: Program, matrix: int, dh: int) -> Program:
    """Return a program in which h is what the projection reads: its products are no operations of a step's any more.

    So ∂L/∂h, the input `dh`, is what comes back through that product.
    """
    first, same = len(program.inputs), {}
    for number, one in enumerate(program.operations, first):
        if one.name in ACROSS and one.operands[0] == Value(matrix):
            same[number] = one.operands[1] if one.name == "product" else Value(dh)

    def of(operand: Value | float) -> Value | float:
        return same.get(operand.number, operand) if isinstance(operand, Value) else operand

    operations = [
        Operation("negative", (0.0,), one.line) if number in same
        else Operation(one.name, tuple(map(of, one.operands)), one.line)
        for number, one in enumerate(program.operations, first)
    ]  # fmt: skip
    return replace(program, operations=tuple(operations), outputs=tuple(map(of, program.outputs)))


@dataclass(eq=False)
class _Walk:
    """A walk, while it is put together."""

    level: Level | None  # None: nothing but sums
    means: list[int] = field(default_factory=list)


@dataclass(eq=False)
class _Segment:
    whole_rows: bool
    walks: list[_Walk]
    products: list[int] = field(default_factory=list)


def make_schedule(
    program: Program, first_matrix: int, fleeting: frozenset[int], constants: frozenset[int],
    before: Product | None = None, wanted: int | None = None,
) -> Schedule:  # fmt: skip
    """Return the schedule of a program.

    Parameters
    ----------
    program : Program
        Whose last inputs are matrices, from `first_matrix` on.
    first_matrix : int
        An input.
    fleeting : frozenset of int
        Inputs that the first walk alone can read: sums of products.
    constants : frozenset of int
        Inputs that are the same for all units.
    before : Product or None
        A product that makes one of the inputs, before all else.
    wanted : int or None
        An output that is to be left as products read it, besides.
    """
    operations = {len(program.inputs) + k: one for k, one in enumerate(program.operations)}
    segments, alike = _segments(program, operations), _alike(operations, constants)
    walks = [walk for segment in segments for walk in segment.walks]
    of_value = {
        number: walks[at] for at, walk in enumerate(walks) if walk.level
        for number in (*walk.level.across, *walk.level.within)
    }  # fmt: skip
    first = walks[0]
    matrix, read = _factors(operations, first_matrix)
    read += [] if wanted is None else _numbers([program.outputs[wanted]])
    operands = {number: k for k, number in enumerate(dict.fromkeys(read), start=before is not None)}

    stored: dict[int, None] = {}
    for at, walk in enumerate(walks):
        for number in _reads(walk, operations, alike):
            passing = number in fleeting or (number in operations and number not in alike and number not in matrix)
            if passing and walks.index(of_value.get(number, first)) < at:
                stored[number] = None
    places = {number: k for k, number in enumerate([*stored, *matrix, *([before.value] if before else [])])}

    def walk_of(one: _Walk) -> Walk:
        def here(numbers: Iterable[int]) -> tuple[int, ...]:
            return tuple(n for n in numbers if of_value.get(n, first) is one)

        within, left = _wide(one, alike), here(operands)
        outputs = one.level.outputs if one.level else ()
        read = [*_reads(one, operations, alike), *left, *_numbers(program.outputs[k] for k in outputs)]
        by = _numbers(operations[n].operands[1] for n in within if operations[n].name == "divide")
        return Walk(
            within, here(stored), left, outputs, tuple(one.means), tuple(n for n in dict.fromkeys(read) if n in alike),
            tuple(n for n in dict.fromkeys(by) if n in alike),
        )  # fmt: skip

    def product_of(number: int) -> Product:
        name, factors, _ = operations[number]
        return Product(number, matrix[number], name == "product_transposed", operands[_numbers(factors)[1]])

    made = [
        Segment(tuple(map(product_of, one.products)), tuple(map(walk_of, one.walks)), one.whole_rows)
        for one in segments
    ]
    if before is not None:
        made[0] = made[0]._replace(products=(before,))
    return Schedule(program, tuple(made), places, operands, _means_of_others(made, operations), alike)


def _segments(program: Program, operations: dict[int, Operation]) -> list[_Segment]:
    """Return segments with their levels: products begin one of tiles, means one of rows, unless they are in one."""
    first, *others = levels(program)
    segments = [_Segment(False, [_Walk(first)])]
    for level in others:
        means = [number for number in level.across if operations[number].name == "mean"]
        products = [number for number in level.across if operations[number].name != "mean"]
        if means:
            if not segments[-1].whole_rows:
                segments.append(_Segment(True, [_Walk(None)]))
            segments[-1].walks[-1].means = means
        if products:
            segments.append(_Segment(False, [_Walk(level)], products))
        else:
            segments[-1].walks.append(_Walk(level))
    return segments


def _factors(operations: dict[int, Operation], first_matrix: int) -> tuple[dict[int, int], list[int]]:
    """Return of each product which matrix it reads; and the other values that products read."""
    products = {number: one for number, one in operations.items() if one.name in ACROSS and one.name != "mean"}
    pairs = {number: _numbers(one.operands) for number, one in products.items()}
    return {n: W - first_matrix for n, (W, _) in pairs.items()}, [v for _, v in pairs.values()]


def _numbers(operands: Iterable[Value | float]) -> list[int]:
    """Return values without constants."""
    return [one.number for one in operands if isinstance(one, Value)]


def _alike(operations: dict[int, Operation], constants: frozenset[int]) -> frozenset[int]:
    """Return the values that are the same for all units of a row: of means and constants, whatever is made of them."""
    found = set(constants)
    for number, (name, operands, _) in operations.items():
        if name == "mean" or (name not in ACROSS and found.issuperset(_numbers(operands))):
            found.add(number)
    return frozenset(found)


def _wide(walk: _Walk, alike: frozenset[int]) -> tuple[int, ...]:
    """Return the operations that a walk has to do for each vector of units."""
    return tuple(number for number in (walk.level.within if walk.level else ()) if number not in alike)


def _reads(walk: _Walk, operations: dict[int, Operation], alike: frozenset[int]) -> list[int]:
    """Return the values that a walk reads unit by unit; what it puts away is its own."""
    readers = [*_wide(walk, alike), *walk.means]
    return [number for reader in readers for number in _numbers(operations[reader].operands)]


def _means_of_others(segments: list[Segment], operations: dict[int, Operation]) -> dict[int, int]:
    """Return the means that a segment wants which has not made them, each with a place."""
    found: dict[int, None] = {}

    def note(number: int, own: set[int]) -> None:
        if number in own or number not in operations:
            return
        if operations[number].name == "mean":
            found[number] = None
        else:
            for one in _numbers(operations[number].operands):
                note(one, own)

    for segment in segments:
        own = {number for walk in segment.walks for number in walk.means}
        for walk in segment.walks:
            for number in walk.alike:
                note(number, own)
    return {number: k for k, number in enumerate(found)}
