"""What a thread does of a block of rows between two meetings: panels of x, scores, gradients, and their sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.copying import make_copy_columns, make_transpose
from ..emitting.integers import least, where, written
from ..emitting.microkernel import ALONG_K, ALONG_ROWS, Factor, View, make_product
from ..emitting.simd import Lanes
from ..loops.gradients import most_rows
from ..loops.parts import Panel, panel_of, phase
from .cuts import WIDEST
from .job import Block, Chunk, HeadJob, chunk_of, scores_at, vectors_of
from .softmax import make_combine, make_exponentials, make_gradient, make_row_sums

PANELS = tuple(range(1, WIDEST + 1))


def make_panels_of_x(lanes: Lanes, *, keep: bool) -> Any:
    """Return ``panels_of_x(job, thread, block)``: x of a block, across for the scores and along for dW."""
    at, count = PanelsOfX(lanes), lanes.count
    across, along = written(at.across), written(at.along)

    @phase
    def panels_of_x(job, thread, block):
        threads = job.groups * job.members
        vectors, columns = vectors_of(block.rows, count), vectors_of(job.K, count)
        for vector in range(vectors * thread // threads, vectors * (thread + 1) // threads):
            across(job, block, panel_of(vector // WIDEST, WIDEST, vectors), vector % WIDEST)
        if keep and job.dw:
            panels = vectors_of(columns, WIDEST)
            for p in range(panels * thread // threads, panels * (thread + 1) // threads):
                along(job, block, panel_of(p, WIDEST, columns))

    return panels_of_x


class PanelsOfX:
    """Panels of a block's x, and where they are."""

    def __init__(self, lanes: Lanes):
        self.lanes, self.width, self.count = lanes, lanes.width, lanes.count
        self.transpose, self.copy = make_transpose(lanes), make_copy_columns(lanes)

    def panel_across(self, job: HeadJob, panel: Panel) -> View:
        """Return a panel of the block's rows: a view's `row` leads from k to k."""
        return View(job.x_across + panel.first * job.K * self.width, panel.vectors * self.width)

    def panel_along(self, job: HeadJob, panel: Panel) -> View:
        """Return a panel of the block's columns: a view's `row` leads from row to row."""
        return View(job.x_along + panel.first * job.rows * self.width, panel.vectors * self.width)

    def across(self, job: HeadJob, block: Block, panel: Panel, vector: int) -> None:
        """Make a vector of a panel of rows; where there is no row it has zeros."""
        row, (at, k_row) = (panel.first + vector) * self.count, self.panel_across(job, panel)
        source = job.x + (block.first + row) * job.x_row
        self.transpose(least(self.count, block.rows - row), job.K, source, job.x_row, at + vector * self.width, k_row)

    def along(self, job: HeadJob, block: Block, panel: Panel) -> None:
        """Make a panel of columns."""
        source = job.x + block.first * job.x_row + panel.first * self.width
        valid = least(self.count, job.K - (panel.first + panel.vectors - 1) * self.count)
        self.copy(block.rows, panel.vectors, source, job.x_row, self.panel_along(job, panel).at, valid)


def make_scores(lanes: Lanes, *, keep: bool) -> Any:
    """Return ``scores(job, who, block)``: z of a thread's chunks and rows, and the exponentials of each chunk."""
    of, count, size, most = Scores(lanes, keep=keep), lanes.count, lanes.size, most_rows(lanes)
    tile, exponentials = written(of.tile), written(of.exponentials_of)
    numbers, integers = make_pointer(lanes.dtype), make_pointer("int64")

    @phase
    def scores(job, who, block):
        vectors = vectors_of(block.rows, count)
        targets = carray(integers(job.targets), job.N)
        z_target = carray(numbers(job.z_target), job.N)
        for c in range(who.first, who.last):
            chunk = chunk_of(job, c)
            biases = carray(numbers(job.bias), job.V)
            for p in range(who.member, vectors_of(vectors, WIDEST), job.members):
                panel = panel_of(p, WIDEST, vectors)
                for first in range(0, chunk.classes, most[panel.vectors]):
                    tile(job, who.scratch, chunk, panel, first, min(most[panel.vectors], chunk.classes - first))
                z = scores_at(job, chunk, who.scratch)
                if keep:
                    z += panel.first * count * size
                for row in range(panel.first * count, min(block.rows, (panel.first + panel.vectors) * count)):
                    k = targets[block.first + row] - chunk.first
                    if 0 <= k < chunk.classes:  # the right class stands apart from the others
                        place = carray(numbers(z + k * job.z_row + (row - panel.first * count) * size), 1)
                        bias = biases[chunk.first + k] if job.bias_step else place.dtype.type(0)
                        z_target[block.first + row] = place[0] + bias
                        place[0] = -place.dtype.type(np.inf)
                exponentials(job, chunk, panel, z)

    return scores


class Scores:
    """Scores of a chunk of classes and a panel of rows."""

    def __init__(self, lanes: Lanes, *, keep: bool):
        self.width, self.count, self.size, self.keep = lanes.width, lanes.count, lanes.size, keep
        self.x, self.product = PanelsOfX(lanes), make_product(lanes, ALONG_K, PANELS)
        self.exponentials = make_exponentials(lanes, keep=keep)

    def _z(self, job: HeadJob, chunk: Chunk, panel: Panel, scratch: int) -> View:
        at = job.z + chunk.first * job.z_row + panel.first * self.width if self.keep else scratch
        return View(at, job.z_row)

    def tile(self, job: HeadJob, scratch: int, chunk: Chunk, panel: Panel, first: int, classes: int) -> None:
        """z = W xᵀ of some classes, without their biases. W lies as the tile reads it."""
        z, w = self._z(job, chunk, panel, scratch).below(first), View(job.w, job.w_row).below(chunk.first + first)
        across = self.x.panel_across(job, panel)
        self.product(classes, panel.vectors, z, View(job.zeros, 0), Factor(*w), job.K, across, self.count)

    def exponentials_of(self, job: HeadJob, chunk: Chunk, panel: Panel, z: int) -> None:
        """Take maximum, exponentials and sum over the chunk's classes."""
        at = (chunk.number * job.rows + panel.first * self.count) * self.size
        self.exponentials(
            classes=chunk.classes, vectors=panel.vectors, z=z, z_row=job.z_row,
            bias=job.bias + chunk.first * job.bias_step, bias_step=job.bias_step, begin=chunk.first,
            top=job.top + at, total=job.total + at, first=job.first + at,
        )  # fmt: skip


def make_combined(lanes: Lanes, *, keep: bool) -> Any:
    """Return ``combined(job, thread, block)``: of all chunks the softmax of a thread's rows."""
    count, size, combine = lanes.count, lanes.size, make_combine(lanes, keep=keep)

    @written
    def rows(job: HeadJob, block: Block, vector: int, vectors: int) -> None:
        at, row = vector * count * size, (block.first + vector * count) * size
        combine(
            vectors=vectors, chunks=job.chunks, stride=job.rows * size,
            top=job.top + at, total=job.total + at, first=job.first + at,
            z_target=job.z_target + row, scale=job.scale + row, row_top=job.row_top + row,
            row_total=job.row_total + row, row_first=job.row_first + row, at_target=job.at_target + row,
        )  # fmt: skip

    @phase
    def combined(job, thread, block):
        threads, vectors = job.groups * job.members, vectors_of(block.rows, count)
        first, last = vectors * thread // threads, vectors * (thread + 1) // threads
        rows(job, block, first, last - first)

    return combined


def make_gradients(lanes: Lanes) -> Any:
    """Return ``gradients(job, who, block, chunk)``: dz of a chunk, in the place of its exponentials."""
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


def make_weight_gradient(lanes: Lanes) -> Any:
    """Return ``weight_gradient(job, who, block, chunk)``: dW += dz x of a thread's columns of a chunk, db += Σ dz."""
    of, count, most, row_sums = WeightGradient(lanes), lanes.count, most_rows(lanes), make_row_sums(lanes)
    tile, size = written(of.tile), lanes.size

    @written
    def sums(job: HeadJob, block: Block, chunk: Chunk) -> None:
        db, z = job.db + chunk.first * size, job.z + chunk.first * job.z_row
        later = block.first > 0
        start, step = where(later, db, job.zeros), where(later, size, 0)
        row_sums(chunk.classes, (block.rows + count - 1) // count, z, job.z_row, db, start, step)

    @phase
    def weight_gradient(job, who, block, chunk):
        columns = vectors_of(job.K, count)
        if job.dw:
            for p in range(who.member, vectors_of(columns, WIDEST), job.members):
                panel = panel_of(p, WIDEST, columns)
                for first in range(0, chunk.classes, most[panel.vectors]):
                    tile(job, block, chunk, panel, first, min(most[panel.vectors], chunk.classes - first))
        if job.db and who.member == job.members - 1:
            sums(job, block, chunk)

    return weight_gradient


class WeightGradient:
    """A tile of dW."""

    def __init__(self, lanes: Lanes):
        self.width, self.size, self.count = lanes.width, lanes.size, lanes.count
        self.x, self.product = PanelsOfX(lanes), make_product(lanes, ALONG_K, PANELS)

    def tile(self, job: HeadJob, block: Block, chunk: Chunk, panel: Panel, first: int, classes: int) -> None:
        """Add a block's part to some rows of dW; the first block finds there what is left over from others."""
        row, k_row = chunk.first + first, job.K * self.size
        dw = View(job.dw + panel.first * self.width, k_row).below(row)
        later = block.first > 0
        start = View(where(later, dw.at, job.zeros), where(later, k_row, 0))
        dz = Factor(job.z + row * job.z_row, job.z_row)
        valid = least(self.count, job.K - (panel.first + panel.vectors - 1) * self.count)
        self.product(classes, panel.vectors, dw, start, dz, block.rows, self.x.panel_along(job, panel), valid)


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
        self.product, self.copy = make_product(lanes, ALONG_ROWS, PANELS), make_copy_columns(lanes)

    def _valid(self, job: HeadJob, panel: Panel) -> int:
        return least(self.count, job.K - (panel.first + panel.vectors - 1) * self.count)

    def gather(self, job: HeadJob, chunk: Chunk, panel: Panel, scratch: int) -> None:
        """Copy some columns of a chunk's rows of W to where they lie together."""
        w = job.w + chunk.first * job.w_row + panel.first * self.width
        self.copy(chunk.classes, panel.vectors, w, job.w_row, scratch, self._valid(job, panel))

    def tile(
        self, job: HeadJob, block: Block, chunk: Chunk, panel: Panel, scratch: int, row: int, rows: int
    ) -> None:
        """Add a chunk's part to some rows of dx; the first chunk finds there what is left over from others."""
        dx = View(job.dx + panel.first * self.width, job.dx_row).below(block.first + row)
        later = chunk.number > 0
        start = View(where(later, dx.at, job.zeros), where(later, dx.row, 0))
        dz = Factor(job.z + chunk.first * job.z_row + row * self.size, job.z_row)
        w = View(scratch, panel.vectors * self.width)
        self.product(rows, panel.vectors, dx, start, dz, chunk.classes, w, self._valid(job, panel))
