"""What a thread does of a block of rows after its loss is known: dz, and what it adds to dW, db and dx."""

from __future__ import annotations

from typing import Any

from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.bfloat16 import HALF, make_pair_rows
from ..emitting.copying import make_copy_columns
from ..emitting.integers import least, where, written
from ..emitting.microkernel import ALONG_K, ALONG_ROWS, Factor, View, make_product
from ..emitting.simd import PAIRS, Lanes
from ..loops.gradients import most_rows
from ..loops.parts import Panel, panel_of, phase
from .cuts import WIDEST
from .job import Block, Chunk, HeadJob, chunk_of, dz_at, dz_of, scores_at, vectors_of
from .phases import PANELS, PanelsOfX
from .softmax import make_gradient, make_gradient_pairs, make_row_sums


def make_gradients(lanes: Lanes) -> Any:
    """Return ``gradients(job, who, block, chunk)``: dz of a chunk as products read it, in its exponentials' place."""
    if lanes.operands == PAIRS:
        return _make_gradients_in_pairs(lanes)
    count, size, gradient = lanes.count, lanes.size, make_gradient(lanes)
    numbers, integers = make_pointer(lanes.dtype), make_pointer("int64")

    @written
    def off_target(job: HeadJob, chunk: Chunk, panel: Panel, z: int) -> None:
        along = panel.first * count * size
        factor = job.total + chunk.number * job.rows * size + along
        gradient(chunk.classes, panel.vectors, z + along, job.z_row, factor)

    @phase
    def gradients(job, who, block, chunk):
        vectors = vectors_of(block.rows, count)
        targets = carray(integers(job.targets), job.N)
        at_target = carray(numbers(job.at_target), job.N)
        z = scores_at(job, chunk, who.scratch)
        for p in range(who.member, vectors_of(vectors, WIDEST), job.members):
            panel = panel_of(p, WIDEST, vectors)
            off_target(job, chunk, panel, z)
            for row in range(panel.first * count, min(block.rows, (panel.first + panel.vectors) * count)):
                k = targets[block.first + row] - chunk.first
                if 0 <= k < chunk.classes:
                    carray(numbers(z + k * job.z_row + row * size), 1)[0] = at_target[block.first + row]

    return gradients


def _make_gradients_in_pairs(lanes: Lanes) -> Any:
    """Return the same where products read pairs: by rows for dW, at `dz_at`, and by classes for dx, in their place."""
    count, size, half, gradient_pairs = lanes.count, lanes.size, lanes.operand_size, make_gradient_pairs(lanes)
    words, halves, integers = make_pointer("uint32"), make_pointer("uint16"), make_pointer("int64")

    @written
    def off_target(job: HeadJob, chunk: Chunk, panel: Panel, z: int, dz: int) -> None:
        row = panel.first * count
        factor = job.total + (chunk.number * job.rows + row) * size
        gradient_pairs(chunk.classes, panel.vectors, z + row * size, job.z_row, factor, dz + row * half, job.dz_row)

    @phase
    def gradients(job, who, block, chunk):
        vectors = vectors_of(block.rows, count)
        targets = carray(integers(job.targets), job.N)
        at_target = carray(words(job.at_target), job.N)
        z, dz = scores_at(job, chunk, who.scratch), dz_at(job, who.group, chunk)
        for p in range(who.member, vectors_of(vectors, WIDEST), job.members):
            panel = panel_of(p, WIDEST, vectors)
            off_target(job, chunk, panel, z, dz)
            for row in range(panel.first * count, min(block.rows, (panel.first + panel.vectors) * count)):
                k = targets[block.first + row] - chunk.first
                if 0 <= k < chunk.classes:
                    number = at_target[block.first + row] >> HALF
                    carray(halves(dz + k * job.dz_row + row * half), 1)[0] = number
                    carray(halves(z + (k - k % 2) * job.z_row + row * size + k % 2 * half), 1)[0] = number

    return gradients


def make_weight_gradient(lanes: Lanes) -> Any:
    """Return ``weight_gradient(job, who, block, chunk)``: dW += dz x of a thread's columns of a chunk, db += Σ dz."""
    of, count, most = WeightGradient(lanes), lanes.count, most_rows(lanes)
    tile, sums = written(of.tile), written(of.sums)

    @phase
    def weight_gradient(job, who, block, chunk):
        columns = vectors_of(job.K, count)
        if job.dw:
            for p in range(who.member, vectors_of(columns, WIDEST), job.members):
                panel = panel_of(p, WIDEST, columns)
                for first in range(0, chunk.classes, most[panel.vectors]):
                    tile(job, who.group, block, chunk, panel, first, min(most[panel.vectors], chunk.classes - first))
        if job.db and who.member == job.members - 1:
            sums(job, who.group, block, chunk)

    return weight_gradient


class WeightGradient:
    """A tile of dW, and db of a chunk."""

    def __init__(self, lanes: Lanes):
        self.width, self.size, self.count = lanes.width, lanes.size, lanes.count
        self.x, self.product = PanelsOfX(lanes), make_product(lanes, ALONG_K, PANELS)
        self.pairs, self.row_sums = lanes.operands == PAIRS, make_row_sums(lanes)

    def _dz(self, job: HeadJob, group: int, chunk: Chunk) -> View:
        """Return dz of a chunk, class by class."""
        if self.pairs:
            return View(dz_of(job, group, chunk), job.dz_row)
        return View(job.z, job.z_row).below(chunk.first)

    def tile(
        self, job: HeadJob, group: int, block: Block, chunk: Chunk, panel: Panel, first: int, classes: int
    ) -> None:
        """Add a block's part to some rows of dW; the first block finds there what is left over from others."""
        k_row = job.K * self.size
        dw = View(job.dw + panel.first * self.width, k_row).below(chunk.first + first)
        later = block.first > 0
        start = View(where(later, dw.at, job.zeros), where(later, k_row, 0))
        dz, K = Factor(*self._dz(job, group, chunk).below(first)), self.x.words(block.rows)
        valid = least(self.count, job.K - (panel.first + panel.vectors - 1) * self.count)
        self.product(classes, panel.vectors, dw, start, dz, K, self.x.panel_along(job, panel), valid)

    def sums(self, job: HeadJob, group: int, block: Block, chunk: Chunk) -> None:
        """Add a block's part to db of a chunk."""
        db, later = job.db + chunk.first * self.size, block.first > 0
        start, step = where(later, db, job.zeros), where(later, self.size, 0)
        vectors = (block.rows + self.count - 1) // self.count
        self.row_sums(chunk.classes, vectors, *self._dz(job, group, chunk), db, start, step)


def make_input_gradient(lanes: Lanes) -> Any:
    """Return ``input_gradient(job, thread, scratch, block)``: dx = dzᵀ W, of a thread's columns and rows."""
    of, count, most = InputGradient(lanes), lanes.count, most_rows(lanes)
    gather, tile = written(of.gather), written(of.tile)

    @phase
    def input_gradient(job, thread, scratch, block):
        columns, sets = vectors_of(job.K, count), job.groups * job.members // job.column_groups
        begin = block.rows * (thread // job.column_groups) // sets
        end = block.rows * (thread // job.column_groups + 1) // sets
        for c in range(job.chunks):
            chunk = chunk_of(job, c)
            for p in range(thread % job.column_groups, vectors_of(columns, WIDEST), job.column_groups):
                panel = panel_of(p, WIDEST, columns)
                gather(job, chunk, panel, scratch)
                for row in range(begin, end, most[panel.vectors]):
                    tile(job, block, chunk, panel, scratch, row, min(most[panel.vectors], end - row))

    return input_gradient


class InputGradient:
    """A tile of dx."""

    def __init__(self, lanes: Lanes):
        self.width, self.size, self.count = lanes.width, lanes.size, lanes.count
        self.operand_width, self.words, self.pairs = lanes.operand_width, lanes.words, lanes.operands == PAIRS
        self.product = make_product(lanes, ALONG_ROWS, PANELS)
        self.gathered = make_pair_rows(lanes) if self.pairs else make_copy_columns(lanes)

    def _valid(self, job: HeadJob, panel: Panel) -> int:
        return least(self.count, job.K - (panel.first + panel.vectors - 1) * self.count)

    def gather(self, job: HeadJob, chunk: Chunk, panel: Panel, scratch: int) -> None:
        """Copy some columns of a chunk's rows of W to where they lie together, two rows in a word for pairs."""
        w = View(job.w_read, job.read_row).below(chunk.first).along(panel.first * self.operand_width)
        last = job.zeros if self.pairs else self._valid(job, panel)
        self.gathered(chunk.classes, panel.vectors, *w, scratch, last)

    def tile(self, job: HeadJob, block: Block, chunk: Chunk, panel: Panel, scratch: int, row: int, rows: int) -> None:
        """Add a chunk's part to some rows of dx; the first chunk finds there what is left over from others."""
        dx = View(job.dx + panel.first * self.width, job.dx_row).below(block.first + row)
        later = chunk.number > 0
        start = View(where(later, dx.at, job.zeros), where(later, dx.row, 0))
        dz = Factor(job.z + chunk.first * job.z_row + row * self.size, job.z_row * (2 if self.pairs else 1))
        w = View(scratch, panel.vectors * self.width)
        self.product(rows, panel.vectors, dx, start, dz, self.words(chunk.classes), w, self._valid(job, panel))
