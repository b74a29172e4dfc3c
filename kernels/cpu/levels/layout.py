"""What goes from level to level of a step: a row of memory for each row of the batch, the same for every step.

A row has the means first, a vector each; then values, a number for each unit; then what products read, in their form.
"""

from __future__ import annotations

from llvmlite import ir

from ..emitting.finish import Units
from ..emitting.microkernel import View
from ..emitting.simd import Lanes
from ..loops.job import Job
from ..loops.parts import Panel, RowTile
from .schedule import Schedule


class RowLayout:
    """Where a row's numbers lie, of one of a cell's two schedules."""

    def __init__(self, schedule: Schedule, lanes: Lanes, projects: bool):
        self.schedule, self.lanes = schedule, lanes
        self.means, self.values = len(schedule.means), len(schedule.places)
        self.operands = len(schedule.operands) + projects

    def size(self, vectors: int) -> int:
        """Return the bytes of a row of so many vectors."""
        lanes = self.lanes
        return (self.means + self.values * vectors) * lanes.width + self.operands * vectors * lanes.operand_width

    def _value(self, vectors: int, place: int) -> int:
        return vectors * (place * self.lanes.width) + self.means * self.lanes.width

    def _operand(self, vectors: int, place: int) -> int:
        return self._value(vectors, self.values) + vectors * (place * self.lanes.operand_width)

    # For functions that are `written`: views of rows.

    def _rows(self, job: Job, tile: RowTile) -> View:
        return View(job.row, job.row_size).below(tile.first)

    def arguments(self, job: Job, panel: Panel, tile: RowTile) -> dict[str, int]:
        """Return what emitting functions need to find a tile's rows, by the names of finish.py."""
        rows = self._rows(job, tile)
        return {
            "row": rows.at, "row_size": rows.row, "first": panel.first, "all_vectors": job.vectors, "count": job.H,
        }  # fmt: skip

    def value(self, job: Job, panel: Panel, tile: RowTile, number: int) -> View:
        """Return a value of a panel's units."""
        at = self._value(job.vectors, self.schedule.places[number]) + panel.first * self.lanes.width
        return self._rows(job, tile).along(at)

    def operand(self, job: Job, tile: RowTile, place: int) -> View:
        """Return rows that a product reads."""
        return self._rows(job, tile).along(self._operand(job.vectors, place))

    # While code is emitted, of one vector of units.

    def mean_at(self, units: Units, number: int) -> ir.Value:
        """Return where a mean is: a vector of the same number."""
        return units.place(self._row(units), (self.schedule.means[number], self.lanes.width))

    def value_at(self, units: Units, number: int) -> ir.Value:
        """Return where a value is."""
        at, width = units.at, self.lanes.width
        return units.place(
            self._row(units), (self.means, width), (at["all_vectors"], self.schedule.places[number] * width),
            (at["first"], width), (units.vector, width),
        )  # fmt: skip

    def operand_at(self, units: Units, place: int) -> ir.Value:
        """Return where what a product reads is."""
        at, width, read = units.at, self.lanes.width, self.lanes.operand_width
        return units.place(
            self._row(units), (self.means, width), (at["all_vectors"], self.values * width + place * read),
            (at["first"], read), (units.vector, read),
        )  # fmt: skip

    @staticmethod
    def _row(units: Units) -> ir.Value:
        return units.place(units.at["row"], (units.row, units.at["row_size"]))
