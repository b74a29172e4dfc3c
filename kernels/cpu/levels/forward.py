"""A step in segments, forwards: the first is a plain cell's step up to its first level, the rest come after it."""

from __future__ import annotations

from typing import Any

from kernels.definition import Value

from ..emitting.finish import Units
from ..emitting.integers import written
from ..emitting.microkernel import View
from ..emitting.simd import Lanes
from ..loops.forward import Finish, Products, make_loop
from ..loops.gradients import Part
from ..loops.job import Job
from ..loops.layout import MemoryLayout
from ..loops.parts import Panel, RowTile, Step, phase
from .finish import make_rows, make_segment
from .products import MatrixProducts
from .schedule import LevelledCell
from .segments import chain, nowhere
from .sides import Forward, store_h


def make_forward(cell: LevelledCell, lanes: Lanes, keep: bool) -> Any:
    """Return the time loop of a cell with levels, uncompiled; with `keep`, it writes a tape."""
    first, *others = (Segment(cell, lanes, keep, number) for number in range(len(cell.forward.segments)))
    if cell.projection is not None:
        others.append(Projection(cell, lanes, keep))
    after_first, no_part = chain(others), written(nowhere)

    @phase
    def after_panels(job, mine, step):
        after_first(job, mine, step, 0, no_part(job))

    return make_loop(cell, lanes, Products(cell, lanes), keep=keep, finish=first, after_panels=after_panels)


class Segment(Finish):
    """A segment of a step: its products with matrices, and the operations after them."""

    of_h = False

    def __init__(self, cell: LevelledCell, lanes: Lanes, keep: bool, number: int):
        side = Forward(cell, lanes, keep)
        self.at, self.rows = MemoryLayout(cell, lanes), side.layout
        self.whole_rows = cell.forward.segments[number].whole_rows
        self.finish = make_segment(side, cell, number)
        self.products = MatrixProducts(cell, lanes, side.layout, cell.forward.segments[number].products)

    def arguments(self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View) -> dict[str, int]:
        """Return where all is that belongs to a tile."""
        return super().arguments(job, panel, step, tile, sums) | self.rows.arguments(job, panel, tile)

    def multiply(self, job: Job, panel: Panel, step: Step, tile: RowTile) -> None:
        """Do the products that the segment begins with."""
        self.products.multiply(job, panel, tile)

    def end(self, job: Job, panel: Panel, step: Step, tile: RowTile, da: int, part: Part) -> None:
        """Do the segment's operations: there are no sums of W_x and W_h any more."""
        self.tile(job, panel, step, tile, View(job.row, 0))


class Projection(Segment):
    """The last segment where a matrix makes h: a product, and its results put away."""

    of_h = True

    def __init__(self, cell: LevelledCell, lanes: Lanes, keep: bool):
        side = Forward(cell, lanes, keep)
        self.at, self.rows, self.whole_rows = MemoryLayout(cell, lanes), side.layout, False
        self.products = MatrixProducts(cell, lanes, side.layout, cell.forward.products)
        (h,) = (one for one in cell.forward.program.outputs[:1] if isinstance(one, Value))
        self.place = cell.forward.operands[h.number]
        self.finish = make_rows("project", side, self._put_away)

    @staticmethod
    def _put_away(units: Units) -> None:
        store_h(units, units.code.load(units.state("next", 0)), units.code.lanes)

    def arguments(self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View) -> dict[str, int]:
        """Return where all is that belongs to a tile of h."""
        return super().arguments(job, panel, step, tile, sums) | {"valid": job.P - panel.first * self.at.count}

    def multiply(self, job: Job, panel: Panel, step: Step, tile: RowTile) -> None:
        """Make h_t."""
        h = self.at.h(job, step.next + tile.first, panel)
        self.products.project(job, panel, tile, self.place, h)
