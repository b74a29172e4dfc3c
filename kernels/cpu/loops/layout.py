"""Where a loop finds what it wants: from a job, rows and a panel to views of memory.

x, h, y, dy, dx and what is carried from step to step lie *row by row*. c and the states behind it, what a tape keeps,
da and dp lie *vector by vector*: the same units of all rows, then the next units, so that a product over all steps
reads them in one direction.
"""

from __future__ import annotations

from ..emitting.cell import KernelCell
from ..emitting.microkernel import Factor, View
from ..emitting.simd import Lanes
from .job import Job
from .parts import Mine, Panel, RowTile, Step


class MemoryLayout:
    """What is known of a cell and its vectors when a loop is compiled, for functions that are `written`."""

    def __init__(self, cell: KernelCell, lanes: Lanes):
        self.size, self.width, self.count = lanes.size, lanes.width, lanes.count
        self.operand_width, self.words = lanes.operand_width, lanes.words
        self.slots, self.kept = len(cell.slot_names), len(cell.kept)
        self.all_da = self.slots + len(cell.matrices)  # behind da of the sums there is d of each matrix's gradient
        self.from_x, self.first_x = len(cell.from_x), 0  # the slots that W_x x_t adds to
        self.from_h, self.first_h = len(cell.from_h), cell.first_from_h  # and W_h h_{t−1}

    # Row by row: views of rows.

    def x(self, job: Job, row: int) -> View:
        """Return x from a valid row on."""
        return View(job.x + row * job.x_row, job.x_row)

    def h(self, job: Job, row: int, panel: Panel) -> View:
        """Return h of a panel's units, from a row of the states on."""
        return View(job.h + row * job.h_row + panel.first * self.width, job.h_row)

    def h_read(self, job: Job, row: int) -> View:
        """Return h as products read it, from a row of the states on."""
        return View(job.h_read + row * job.read_row, job.read_row)

    def carry(self, job: Job, carry: int, tile: RowTile, panel: Panel) -> View:
        """Return a tile of what is carried from step to step, (B, Hp)."""
        row = job.Hp * self.size
        return View(carry + tile.first * row + panel.first * self.width, row)

    def carry_state(self, job: Job) -> int:
        """Return how far it is from what is carried for c to the same of the state behind it."""
        return job.B * job.Hp * self.size

    def numbers(self, job: Job, panel: Panel) -> View:
        """Return the cell's vectors and constants of a panel's units."""
        return View(job.numbers + panel.first * self.width, job.Hp * self.size)

    def streams(self, job: Job, step: Step, panel: Panel) -> View:
        """Return a step of a stream, from where the stream begins."""
        return View(step.t * job.streams_step + panel.first * self.width, job.streams_row)

    # Vector by vector: a view's `row` leads from vector to vector.

    def c(self, job: Job, row: int, panel: Panel) -> View:
        """Return c of a panel's units, from a row of the states on; where a cell has no c, anything."""
        return View(job.c + (panel.first * job.blocks + row) * self.width, job.blocks * self.width)

    def c_state(self, job: Job) -> int:
        """Return how far it is from c to the state behind it."""
        return job.vectors * job.blocks * self.width

    def tape(self, job: Job, row: int, panel: Panel) -> View:
        """Return what a tape keeps of a panel's units, from a valid row on."""
        return View(job.kept + (panel.first * job.N + row) * self.kept * self.width, job.N * self.kept * self.width)

    def da(self, job: Job, da: int, slot: int, row: int) -> View:
        """Return a slot of da, and those behind it, from a row on."""
        width = self.operand_width
        return View(da + (slot * job.vectors * job.span + row) * width, job.span * width)

    def dp(self, job: Job, dp: int, row: int) -> View:
        """Return the gradients of a cell's first vector, and those behind it, from a row on."""
        return View(dp + row * self.width, job.span * self.width)

    def da_pairs(self, job: Job, slot: int) -> View:
        """Return a slot of da whose rows come in pairs, and those behind it."""
        vector = self.words(job.span) * self.width
        return View(job.da_pairs + slot * job.vectors * vector, vector)

    def gates(self, job: Job, da: int, first: int, count: int, row: int) -> Factor:
        """Return `count` slots of da from a row on, to be multiplied by the weights of their gates."""
        at, vector = self.da(job, da, first, row)
        return Factor(at, self.operand_width, count * job.vectors, vector)

    # Panels of weights: a view's `row` leads from k to k.

    def bias(self, job: Job, slot: int, panel: Panel) -> View:
        """Return the biases of a panel's units, from a slot on: the same for every row."""
        return View(job.bias + (panel.first * self.slots + slot * panel.vectors) * self.width, 0)

    def w_x(self, job: Job, panel: Panel) -> View:
        """Return W_x of a panel's units."""
        row = self.from_x * self.width
        return View(job.w_x + panel.first * self.words(job.I) * row, panel.vectors * row)

    def w_h(self, job: Job, panel: Panel) -> View:
        """Return W_h of a panel's units."""
        row = self.from_h * self.width
        return View(job.w_h + panel.first * self.words(job.P) * row, panel.vectors * row)

    def w_back(self, job: Job, panel: Panel) -> View:
        """Return W_h of a panel's units, the other way round: from da to dh."""
        size = self.from_h * self.words(job.Hp) * self.width
        return View(job.w_back + panel.first * size, panel.vectors * self.width)

    def w_dx(self, job: Job, panel: Panel) -> View:
        """Return W_x of a panel of columns, the other way round: from da to dx."""
        size = self.from_x * self.words(job.Hp) * self.width
        return View(job.w_dx + panel.first * size, panel.vectors * self.width)

    # A thread's scratch.

    def sums(self, mine: Mine, panel: Panel) -> View:
        """Return a tile's sums, [rows][slots][vectors], made and used in one step."""
        return View(mine.scratch, self.slots * panel.vectors * self.width)

    def sums_ahead(self, job: Job, mine: Mine, panel: Panel, row: int) -> View:
        """Return the sums of a panel that are made ahead, from a row on: [panels][rows][slots][vectors]."""
        size = job.chunk * job.B * self.slots * job.panel * self.width
        return View(mine.scratch + (panel.number - mine.first) * size, self.sums(mine, panel).row).below(row)

    def slot(self, sums: View, slot: int, panel: Panel) -> View:
        """Return a slot of a tile's sums, and those behind it."""
        return sums.along(slot * panel.vectors * self.width)
