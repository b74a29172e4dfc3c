"""A segment's operations on vectors: what emitting/finish.py is to the tile of a plain cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llvmlite import ir

from kernels.definition import Value

from ..emitting.bfloat16 import store_operand
from ..emitting.finish import Units
from ..emitting.integers import call
from ..emitting.simd import INT, WIDTHS, Code, Vector
from .schedule import LevelledCell, Walk
from .sides import ROW_ARGUMENTS, Side

_FIRST = ir.Constant(ir.IntType(32), 0)


class _Row:
    """What is the same for all units of a row: it is worked out once, before its vectors, in as few lanes as there are.

    A division or a square root takes a wide vector several times as long as a narrow one.
    """

    def __init__(self, side: Side, apply: Mapping[str, Any], code: Code, at: dict[str, ir.Value], row: ir.Value):
        self.side, self.apply, self.units = side, apply, Units(code, at, row, ir.Constant(INT, 0))
        self.narrow = Code(code.builder, replace(code.lanes, width=min(WIDTHS)))
        self._found: dict[int, Vector] = {}
        self.wide: dict[int, Vector] = {}
        self.reciprocals: dict[int, Vector] = {}

    def prepare(self, walk: Walk) -> None:
        """Work out what a walk reads."""
        for number in walk.alike:
            self.wide[number] = self._spread(self._value(number))
        for number in walk.divisors:
            self.reciprocals[number] = self._spread(1 / self._value(number))

    def end(self, walk: Walk, totals: list[ir.Value], share: Vector) -> None:
        """Make means of the sums that a walk has taken."""
        for mean, total in zip(walk.means, totals, strict=True):
            self._found[mean] = self._across(total) * share
            if mean in self.side.schedule.means:
                self.narrow.store(self._found[mean], self.side.layout.mean_at(self.units, mean))

    def reciprocal(self, count: ir.Value) -> Vector:
        """Return 1/n."""
        builder, lanes = self.narrow.builder, self.narrow.lanes
        n = builder.sitofp(count, lanes.scalar_type)
        first = builder.insert_element(ir.Constant(lanes.type, ir.Undefined), n, _FIRST)
        return 1 / Vector(self.narrow, self._lanes(first, lanes.count))

    def _value(self, number: int) -> Vector:
        if number not in self._found:
            self._found[number] = self._made(number)
        return self._found[number]

    def _made(self, number: int) -> Vector:
        schedule, first = self.side.schedule, len(self.side.schedule.program.inputs)
        if number < first:
            return self.narrow.broadcast(self.side.constant_at(self.units, number))
        name, operands, _ = schedule.program.operations[number - first]
        if name == "mean":
            return self.narrow.load(self.side.layout.mean_at(self.units, number))
        return self.apply[name](
            *(self._value(o.number) if isinstance(o, Value) else self.narrow.splat(o) for o in operands)
        )

    def _lanes(self, value: ir.Value, count: int) -> ir.Value:
        """Return the first lane in as many as these."""
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [_FIRST] * count)
        return self.narrow.builder.shuffle_vector(value, value, zeros)

    def _spread(self, value: Vector) -> Vector:
        code = self.units.code
        return Vector(code, self._lanes(value.value, code.lanes.count))

    def _across(self, total: ir.Value) -> Vector:
        """Return the sum of all lanes, half upon half."""
        builder, count = self.narrow.builder, self.units.code.lanes.count
        while count > self.narrow.lanes.count:
            count //= 2
            halves = [
                builder.shuffle_vector(total, total, ir.Constant(
                    ir.VectorType(ir.IntType(32), count), [ir.Constant(ir.IntType(32), k + n) for n in range(count)]
                ))
                for k in (0, count)
            ]  # fmt: skip
            total = builder.fadd(*halves)
        vector = Vector(self.narrow, total)
        while count > 1:
            count //= 2
            vector = vector + self.narrow.shuffle(vector, vector, [n ^ count for n in range(self.narrow.lanes.count)])
        return vector


class _Values:
    """The values of a program, of one vector of units, as far as a walk wants them."""

    def __init__(self, row: _Row, units: Units, fresh: bool):
        self.row, self.side, self.units, self.fresh = row, row.side, units, fresh
        self._found: dict[int, Vector] = {}

    def at(self, operand: Value | float) -> Vector:
        """Return a value: what has been computed, or lies in memory."""
        if not isinstance(operand, Value):
            return self.units.code.splat(operand)
        number = operand.number
        if number in self.side.schedule.alike:
            return self.row.wide[number]
        if number not in self._found:
            self._found[number] = self._loaded(number)
        return self._found[number]

    def _loaded(self, number: int) -> Vector:
        side = self.side
        if number in side.schedule.places and not (self.fresh and number in side.fleeting):
            return self.units.code.load(side.layout.value_at(self.units, number))
        return side.load(self.units, number)

    def _operation(self, number: int) -> tuple[str, tuple[Value | float, ...]]:
        program = self.side.schedule.program
        name, operands, _ = program.operations[number - len(program.inputs)]
        return name, operands

    def summed(self, mean: int) -> Vector:
        """Return what a mean is taken of, and 0 where there is no unit."""
        (operand,) = self._operation(mean)[1]
        return self.units.guard(self.at(operand))

    def go(self, walk: Walk) -> None:
        """Do a walk's operations, and put away what others read."""
        side, units = self.side, self.units
        for number in walk.within:
            name, operands = self._operation(number)
            over = operands[1].number if name == "divide" and isinstance(operands[1], Value) else -1
            if over in self.row.reciprocals:
                self._found[number] = self.at(operands[0]) * self.row.reciprocals[over]
            else:
                self._found[number] = self.row.apply[name](*map(self.at, operands))
        for number in walk.stored:
            units.code.store(self.at(Value(number)), side.layout.value_at(units, number))
        for number in walk.operands:
            place = side.layout.operand_at(units, side.schedule.operands[number])
            store_operand(units.guard(self.at(Value(number))), place)
        outputs = [(k, self.at(side.schedule.program.outputs[k])) for k in walk.outputs]
        for k, value in outputs:  # once all are there: an output may lie where an input was
            side.store(units, k, value)


def make_segment(side: Side, cell: LevelledCell, number: int) -> Callable[..., None]:
    """Return ``segment(…)`` of some rows and vectors, by the names of the side's arguments and `ROW_ARGUMENTS`."""
    names, walks, lanes = side.arguments + ROW_ARGUMENTS, side.schedule.segments[number].walks, side.layout.lanes

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(names, arguments, strict=True))
        share = _Row(side, cell.apply, code, at, ir.Constant(INT, 0)).reciprocal(at["count"])
        with code.loop(at["rows"]) as row:
            its = _Row(side, cell.apply, code, at, row.index)
            for position, walk in enumerate(walks):
                its.prepare(walk)
                with code.loop(at["vectors"], *(code.splat(0).value for _ in walk.means)) as vector:
                    values = _Values(its, Units(code, at, row.index, vector.index), fresh=number == position == 0)
                    values.go(walk)
                    vector.next = [
                        (Vector(code, total) + values.summed(mean)).value
                        for mean, total in zip(walk.means, vector.values, strict=True)
                    ]
                its.end(walk, vector.values, share)

    def segment(**at: int) -> None:
        call(f"segment {number} {side.name}", emit, lanes, *(at[argument] for argument in names))

    return segment


def make_rows(name: str, side: Side, body: Callable[[Units], None]) -> Callable[..., None]:
    """Return a function like a segment's that does `body` with each vector of each row."""
    names, lanes = side.arguments + ROW_ARGUMENTS, side.layout.lanes

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(names, arguments, strict=True))
        with code.loop(at["rows"]) as row, code.loop(at["vectors"]) as vector:
            body(Units(code, at, row.index, vector.index))

    def rows(**at: int) -> None:
        call(f"{name} {side.name}", emit, lanes, *(at[argument] for argument in names))

    return rows
