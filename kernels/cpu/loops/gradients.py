"""What some steps add to the gradients, once their da is there: dx, dW_x and dW_h."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..emitting.bfloat16 import make_pair_rows
from ..emitting.cell import KernelCell
from ..emitting.copying import make_copy_columns
from ..emitting.integers import least, pick, where, written
from ..emitting.microkernel import ALONG_K, ALONG_ROWS, Factor, View, make_product, max_rows
from ..emitting.simd import PAIRS, Lanes
from .job import Job
from .layout import MemoryLayout
from .parts import Panel, panel_of, phase

BAND = 48
"""Rows of dx that are finished before the next ones are begun."""

WIDEST = 4
"""Vectors of a panel, at most."""


class Part(NamedTuple):
    """The valid rows of some steps."""

    begin: int  # the first among those of all steps
    rows: int
    da: int  # [slots][vectors][rows]
    dp: int  # [vectors of the cell][vectors][rows]
    v: int  # [matrices](rows, Hp)


def most_rows(lanes: Lanes) -> tuple[int, ...]:
    """Return the most rows of a tile, by the vectors of its panel."""
    return (0, *(max_rows(lanes, vectors) for vectors in range(1, WIDEST + 1)))


def make_input_gradient(cell: KernelCell, lanes: Lanes) -> Any:
    """Return ``input_gradient(job, thread, part)``: dx = da W_x. A thread has bands of rows."""
    most, count = most_rows(lanes), lanes.count
    tile = written(InputGradient(cell, lanes).tile)

    @phase
    def input_gradient(job, thread, part):
        threads = job.groups * job.members
        columns = (job.I + count - 1) // count
        bands = (part.rows + BAND - 1) // BAND
        for band in range(bands * thread // threads, bands * (thread + 1) // threads):
            end = min(part.rows, (band + 1) * BAND)
            for p in range((columns + job.dx_panel - 1) // job.dx_panel):
                panel = panel_of(p, job.dx_panel, columns)
                for row in range(band * BAND, end, most[panel.vectors]):
                    tile(job, part, panel, row, min(most[panel.vectors], end - row))

    return input_gradient


class InputGradient:
    """A tile of dx."""

    def __init__(self, cell: KernelCell, lanes: Lanes):
        self.at, self.product = MemoryLayout(cell, lanes), make_product(lanes, ALONG_K, (1, 2, 3, 4))

    def tile(self, job: Job, part: Part, panel: Panel, row: int, rows: int) -> None:
        """Make some rows of dx, in a panel of columns."""
        at = self.at
        dx = View(job.dx + (part.begin + row) * job.dx_row + panel.first * at.width, job.dx_row)
        da = at.gates(job, part.da, at.first_x, at.from_x, row)
        valid = least(at.count, job.I - (panel.first + panel.vectors - 1) * at.count)
        K = at.words(at.count)
        # dx_t = W_xᵀ da_t: (R1′), (L1′), (G1′), (G2′), (G4′)
        self.product(rows, panel.vectors, dx, View(job.zeros, 0), da, K, at.w_dx(job, panel), valid)


class Columns(NamedTuple):
    """Some columns of x, or of the states before each step: the right factor of a product over all rows."""

    first: int  # vectors before them
    vectors: int
    valid: int  # numbers of the last vector
    at: int
    row: int
    apart: int  # 1 if they have to be gathered first: they don't lie together, end within a vector, are to be paired


def make_weight_gradient(cell: KernelCell, lanes: Lanes, weight: str) -> Any:
    """Return ``weight_gradient(job, thread, scratch, part)``: dW_x += Σ daᵀ x, or dW_h += Σ daᵀ h_{t−1}.

    A thread has some rows of dW, and takes some columns at a time.
    """
    of = WeightGradient(cell, lanes, weight)
    return make_row_gradient(of) if of.blocks else _nothing


def make_row_gradient(of: WeightGradient) -> Any:
    """Return ``row_gradient(job, thread, scratch, part)``: a weight's gradient += Σ of products over the rows."""
    column_vectors, columns_of, gathered = written(of.column_vectors), written(of.columns_of), written(of.gathered)
    tiles_of, tile = written(of.tiles_of), written(of.tile)
    slots = len(of.blocks)

    @phase
    def weight_gradient(job, thread, scratch, part):
        threads = job.groups * job.members
        items = slots * job.vectors  # of da: the vectors of a slot, then those of the next
        begin, end = items * thread // threads, items * (thread + 1) // threads
        if begin == end:
            return
        for p in range(0, column_vectors(job), WIDEST):
            columns = columns_of(job, part, p)
            if columns.apart:
                columns = gathered(job, part, columns, scratch)
            for item in range(begin, end):
                tiles = tiles_of(job, item, columns)
                for number in range(tiles):
                    tile(job, part, columns, item, number, tiles)

    return weight_gradient


@phase
def _nothing(job, thread, scratch, part):
    pass


class WeightGradient:
    """A tile of dW_x or dW_h."""

    def __init__(self, cell: KernelCell, lanes: Lanes, weight: str):
        self.at, self.lanes, self.of_x = MemoryLayout(cell, lanes), lanes, weight == "W_x"
        self.blocks = cell.blocks_x if self.of_x else cell.blocks_h
        self.first_slot = self.at.first_x if self.of_x else self.at.first_h
        self.product, self.pairs = make_product(lanes, ALONG_ROWS, (1, 2, 3, 4)), lanes.operands == PAIRS
        self.gather = make_pair_rows(lanes) if self.pairs else make_copy_columns(lanes)

    def numbers(self, job: Job) -> int:
        """Return the columns of the weight."""
        return job.I if self.of_x else job.P

    def right(self, job: Job, part: Part) -> View:
        """Return the right factor's rows."""
        rows = View(job.x, job.x_row) if self.of_x else View(job.h_prev, job.h_prev_row)
        return rows.below(part.begin)

    def gradient(self, job: Job) -> int:
        """Return where the gradient is."""
        return job.dw_x if self.of_x else job.dw_h

    def units(self, job: Job) -> int:
        """Return the rows of each block of the weight."""
        return job.H

    def column_vectors(self, job: Job) -> int:
        """Return how many vectors those are."""
        return (self.numbers(job) + self.at.count - 1) // self.at.count

    def columns_of(self, job: Job, part: Part, first: int) -> Columns:
        """Return the columns of the right factor from some vector on."""
        at, numbers, all_vectors = self.at, self.numbers(job), self.column_vectors(job)
        x = self.right(job, part).along(first * at.operand_width)
        vectors = least(WIDEST, all_vectors - first)
        valid = least(at.count, numbers - (first + vectors - 1) * at.count)
        apart = 1 if self.pairs else where(all_vectors > WIDEST, 1, where(at.count > valid, 1, 0))
        return Columns(first, vectors, valid, *x, apart)

    def gathered(self, job: Job, part: Part, columns: Columns, scratch: int) -> Columns:
        """Copy the columns to where they lie together, where products read pairs with their rows in pairs."""
        last = job.zeros if self.pairs else columns.valid
        self.gather(part.rows, columns.vectors, columns.at, columns.row, scratch, last)
        return columns._replace(at=scratch, row=columns.vectors * self.at.width)

    def _rows(self, job: Job, item: int) -> int:
        """Return how many units of a vector there are: the last vector of a gate may have fewer."""
        return least(self.at.count, self.units(job) - item % job.vectors * self.at.count)

    def tiles_of(self, job: Job, item: int, columns: Columns) -> int:
        """Return how many tiles the rows of a vector of da are cut into."""
        most = pick(most_rows(self.lanes), columns.vectors)
        return (self._rows(job, item) + most - 1) // most

    def tile(self, job: Job, part: Part, columns: Columns, item: int, number: int, tiles: int) -> None:
        """Add to some rows of dW; the first part finds in their memory what is left over from others."""
        at, numbers, rows = self.at, self.numbers(job), self._rows(job, item)
        first, end = rows * number // tiles, rows * (number + 1) // tiles
        block, unit = pick(self.blocks, item // job.vectors), item % job.vectors * at.count + first
        dw = View(self.gradient(job), numbers * at.size)
        out = dw.below(block * self.units(job) + unit).along(columns.first * at.width)
        added_to = job.N > part.begin + part.rows
        start = View(where(added_to, out.at, job.zeros), where(added_to, out.row, 0))
        slot = self.first_slot
        vector = (at.da_pairs(job, slot) if self.pairs else at.da(job, part.da, slot, 0)).below(item)
        da, K = Factor(vector.at + first * at.size, at.width), at.words(part.rows)
        x = View(columns.at, columns.row)
        # dW_x += Σ da_t x_tᵀ and dW_h += Σ da_t h_{t−1}ᵀ: (R1′), (L1′), (G1′)–(G4′)
        self.product(end - first, columns.vectors, out, start, da, K, x, columns.valid)
