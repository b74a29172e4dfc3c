"""A cell's step and its step back as segments see them: where the inputs of a program are, and where its outputs go."""

from __future__ import annotations

from typing import Protocol

from llvmlite import ir

from ..emitting.bfloat16 import store_operand
from ..emitting.finish import BACKWARD_ARGUMENTS, FORWARD_ARGUMENTS, Units, of_some
from ..emitting.simd import EXACT, Lanes, Vector
from .layout import RowLayout
from .schedule import LevelledCell, Schedule

ROW_ARGUMENTS = (
    "row",  # what goes from level to level: address of the first row
    "row_size",  # bytes from row to row
    "first",  # the panel's first vector
    "all_vectors",
    "count",  # units of a row
)


class Side(Protocol):
    """A cell's step, or its step back: where the inputs of its program are, and where its outputs go."""

    name: str
    schedule: Schedule
    layout: RowLayout
    fleeting: frozenset[int]
    arguments: tuple[str, ...]

    def load(self, units: Units, number: int) -> Vector:
        """Return an input."""

    def store(self, units: Units, number: int, value: Vector) -> None:
        """Put an output away."""

    def constant_at(self, units: Units, number: int) -> ir.Value:
        """Return where an input is that is a constant of the cell."""


def _places(*counts: int) -> list[tuple[int, int]]:
    """Return of each number of a program's inputs or outputs which group it is of, and which it is there."""
    return [(group, k) for group, count in enumerate(counts) for k in range(count)]


class Forward:
    """A step: sums, states before, streams, numbers → states, kept."""

    def __init__(self, cell: LevelledCell, lanes: Lanes, keep: bool):
        self.cell, self.lanes, self.keep, self.schedule = cell, lanes, keep, cell.forward
        self.layout = RowLayout(cell.forward, lanes, projects=False)
        self.name = f"forward.{cell.name}.{lanes.suffix}.{keep}"
        self.arguments = FORWARD_ARGUMENTS + of_some(cell)
        self.fleeting = frozenset(range(len(cell.slot_names)))
        self._inputs = _places(len(cell.slot_names), len(cell.states), len(cell.streams), cell.numbers)
        self._outputs = _places(len(cell.states), len(cell.kept))

    def load(self, units: Units, number: int) -> Vector:
        """Return an input."""
        group, k = self._inputs[number]
        if group == 0:
            at, width = units.at, self.lanes.width
            slot = (at["vectors"], self.cell.order[k] * width)
            return units.code.load(units.place(at["sums"], (units.row, at["sums_row"]), slot, (units.vector, width)))
        if group == 1:
            return units.code.load(units.state("prev", k))
        return units.stream(k) if group == 2 else units.own_number(k)

    def constant_at(self, units: Units, number: int) -> ir.Value:
        """Return where an input is that is a constant of the cell."""
        return units.number_at(self._inputs[number][1])

    def store(self, units: Units, number: int, value: Vector) -> None:
        """Put an output away."""
        group, k = self._outputs[number]
        if group == 1:
            if self.keep:
                units.code.store(value, units.kept(len(self.cell.kept)), k * self.lanes.width)
        elif k > 0:
            units.code.store(value, units.state("next", k))
        elif self.cell.projection is None:  # otherwise it is what a product reads, and that makes h
            store_h(units, units.guard(value), self.lanes)


def store_h(units: Units, h: Vector, lanes: Lanes) -> None:
    """Put h where states are, as products read it, and into y."""
    at = units.at
    units.code.store(h, units.state("next", 0))
    if lanes.operands != EXACT:
        read = units.place(at["next_read"], (units.row, at["read_row"]), (units.vector, lanes.operand_width))
        store_operand(h, read)  # (BF2)
    units.store_caller(h, units.caller(at["y"], at["y_row"]))


class Backward:
    """A step back: kept, states before and after, their gradients, streams, numbers → gradients, two factors each."""

    def __init__(self, cell: LevelledCell, lanes: Lanes, upstream: bool):
        self.cell, self.lanes, self.upstream, self.schedule = cell, lanes, upstream, cell.backward
        self.projects = cell.projection is not None
        self.layout = RowLayout(cell.backward, lanes, self.projects)
        self.name = f"backward.{cell.name}.{lanes.suffix}.{upstream}"
        self.arguments = BACKWARD_ARGUMENTS + ("v", "v_row", "v_matrix") + of_some(cell, upstream=upstream)
        states, kept = len(cell.states), len(cell.kept)
        self._inputs = _places(kept, states, states, states, len(cell.streams), cell.numbers)
        self._outputs = _places(states, len(cell.slot_names), len(cell.vectors), 2 * len(cell.matrices))
        first = kept + 2 * states
        self.fleeting = frozenset(range(first + self.projects, first + states))

    def load(self, units: Units, number: int) -> Vector:
        """Return an input."""
        group, k = self._inputs[number]
        if group == 0:
            return units.code.load(units.kept(len(self.cell.kept)), k * self.lanes.width)
        if group in (1, 2):
            return units.code.load(units.state("prev" if group == 1 else "next", k))
        if group == 3:
            return self._gradient(units, k)
        return units.stream(k) if group == 4 else units.own_number(k)

    def constant_at(self, units: Units, number: int) -> ir.Value:
        """Return where an input is that is a constant of the cell."""
        return units.number_at(self._inputs[number][1])

    def _gradient(self, units: Units, k: int) -> Vector:
        """Return the complete gradient of a state after the step."""
        carried = units.code.load(units.carry(k))
        if k == 0:
            return gradient_of_h(units, carried)
        return carried + units.upstream(k) if self.upstream else carried

    def store(self, units: Units, number: int, value: Vector) -> None:
        """Put an output away."""
        (group, k), at = self._outputs[number], units.at
        if group == 0:
            if k > 0 or not self.projects:  # of a projected h nothing is carried
                units.code.store(value, units.carry(k))
        elif group == 1:
            self._store_da(units, self.cell.order[k], value)
        elif group == 2:
            place = (units.row, self.lanes.width), (units.vector, at["dp_vector"]), (k, at["dp_slot"])
            units.code.store(value, units.place(at["dp"], *place))
        elif k % 2 == 0:
            if k // 2 != self.cell.projection:  # whose d is dh, which has been put away
                self._store_da(units, len(self.cell.slot_names) + k // 2, value)
        else:
            place = (units.row, at["v_row"]), (units.vector, self.lanes.operand_width), (k // 2, at["v_matrix"])
            store_operand(units.guard(value), units.place(at["v"], *place))  # (BF2′)

    def _store_da(self, units: Units, slot: int, value: Vector) -> None:
        at = units.at
        place = (units.row, self.lanes.operand_width), (units.vector, at["da_vector"]), (slot, at["da_slot"])
        store_operand(units.guard(value), units.place(at["da"], *place))  # (BF2′)

    def store_gradient_of_h(self, units: Units) -> None:
        """Put dh, of a row's P numbers, where the projection's two products read it; nothing is carried any more."""
        code, cell = units.code, self.cell
        dh = units.guard(gradient_of_h(units, code.load(units.carry(0))))
        code.store(code.splat(0), units.carry(0))
        store_operand(dh, self.layout.operand_at(units, 0))
        self._store_da(units, len(cell.slot_names) + (cell.projection or 0), dh)


def gradient_of_h(units: Units, carried: Vector) -> Vector:
    """Return dh: what is carried, what comes through W_h, and the caller's."""
    at = units.at
    dy = units.load_caller(units.caller(at["dy"], at["dy_row"]))
    sums = units.place(at["sums"], (units.row, at["sums_row"]), (units.vector, units.width))
    return carried + units.code.load(sums) + dy
