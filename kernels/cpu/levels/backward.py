"""A step in segments, backwards: the first is a plain cell's step back up to its first level, the rest come after."""

from __future__ import annotations

from typing import Any

from ..emitting.microkernel import View
from ..emitting.simd import Lanes
from ..loops.backward import StepBack, make_loop_back, make_step_backward
from ..loops.gradients import Part
from ..loops.job import Job
from ..loops.parts import Panel, RowTile, Step, phase
from .finish import make_rows, make_segment
from .gradients import make_matrix_gradients
from .products import MatrixProducts
from .schedule import LevelledCell
from .segments import chain
from .sides import Backward


def make_backward(cell: LevelledCell, lanes: Lanes, upstream: bool = False) -> Any:
    """Return the time loop of the backward of a cell with levels, uncompiled; see loops/backward.py."""
    segments = [Segment(cell, lanes, upstream, number) for number in range(len(cell.backward.segments))]
    first: StepBack = segments[0]
    if cell.projection is None:
        segments = segments[1:]
    else:
        first = GradientOfH(cell, lanes, upstream)
    first_panels, rest = make_step_backward(first), chain(segments)

    @phase
    def step_backward(job, mine, step, da, part, after):
        first_panels(job, mine, step, da, part, after)
        rest(job, mine, step, da, part)

    return make_loop_back(cell, lanes, step_backward, make_matrix_gradients(cell, lanes))


class Segment(StepBack):
    """A segment of a step back: its products with matrices, and the operations after them."""

    of_h = False

    def __init__(self, cell: LevelledCell, lanes: Lanes, upstream: bool, number: int):
        super().__init__(cell, lanes)
        side, segment = Backward(cell, lanes, upstream), cell.backward.segments[number]
        self.rows, self.whole_rows, self.finish = side.layout, segment.whole_rows, make_segment(side, cell, number)
        self.matrix_products = MatrixProducts(cell, lanes, side.layout, segment.products)

    def arguments(
        self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View, da: int, part: Part
    ) -> dict[str, int]:
        """Return where all is that belongs to a tile."""
        found = super().arguments(job, panel, step, tile, sums, da, part)
        v = View(part.v, job.factor_row).below(step.first + tile.first - part.begin)
        found.update(v=v.at + panel.first * self.at.operand_width, v_row=v.row, v_matrix=job.span * job.factor_row)
        return found | self.rows.arguments(job, panel, tile)

    def multiply(self, job: Job, panel: Panel, step: Step, tile: RowTile) -> None:
        """Do the products that the segment begins with."""
        self.matrix_products.multiply(job, panel, tile)

    def end(self, job: Job, panel: Panel, step: Step, tile: RowTile, da: int, part: Part) -> None:
        """Do the segment's operations: there are no sums of da W_h any more."""
        self.finish(**self.arguments(job, panel, step, tile, View(job.row, 0), da, part))


class GradientOfH(Segment):
    """The first segment where a matrix makes h: dh, of P numbers, which that matrix turns into what the rest reads."""

    of_h = True

    def __init__(self, cell: LevelledCell, lanes: Lanes, upstream: bool):
        super().__init__(cell, lanes, upstream, 0)
        side = Backward(cell, lanes, upstream)
        self.finish = make_rows("gradient of h", side, side.store_gradient_of_h)

    def arguments(
        self, job: Job, panel: Panel, step: Step, tile: RowTile, sums: View, da: int, part: Part
    ) -> dict[str, int]:
        """Return where all is that belongs to a tile of h."""
        found = super().arguments(job, panel, step, tile, sums, da, part)
        return found | {"valid": job.P - panel.first * self.at.count}
