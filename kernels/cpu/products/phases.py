"""What a thread does of a block of rows between two meetings, up to the loss: panels of x, scores, their softmax."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.bfloat16 import make_round
from ..emitting.integers import least, written
from ..emitting.microkernel import ALONG_K, Factor, View, make_product
from ..emitting.reading import make_read_rows, make_read_turned
from ..emitting.simd import EXACT, Lanes
from ..loops.gradients import most_rows
from ..loops.parts import Panel, panel_of, phase
from .cuts import WIDEST
from .job import Block, Chunk, HeadJob, chunk_of, scores_at, vectors_of
from .softmax import make_combine, make_exponentials

PANELS = tuple(range(1, WIDEST + 1))


def make_round_weights(lanes: Lanes) -> Any:
    """Return ``round_weights(job, who)``: a thread's rows of W as products read them, once for all blocks."""
    if lanes.operands == EXACT:
        return _nothing
    count, rounded = lanes.count, written(make_round(lanes))

    @phase
    def round_weights(job, who):
        first, end = who.first * job.chunk, min(job.V, who.last * job.chunk)
        begin = first + (end - first) * who.member // job.members
        end = first + (end - first) * (who.member + 1) // job.members
        vectors = vectors_of(job.K, count)
        rounded(
            end - begin, vectors, job.w + begin * job.w_row, job.w_row,
            job.w_read + begin * job.read_row, job.read_row, job.K - (vectors - 1) * count,
        )  # fmt: skip

    return round_weights


@phase
def _nothing(job, who):
    pass


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
        self.words, self.width, self.count = lanes.words, lanes.width, lanes.count
        self.read_turned, self.read_rows = make_read_turned(lanes), make_read_rows(lanes)

    def panel_across(self, job: HeadJob, panel: Panel) -> View:
        """Return a panel of the block's rows: a view's `row` leads from k to k."""
        return View(job.x_across + panel.first * self.words(job.K) * self.width, panel.vectors * self.width)

    def panel_along(self, job: HeadJob, panel: Panel) -> View:
        """Return a panel of the block's columns: a view's `row` leads from row to row."""
        return View(job.x_along + panel.first * self.words(job.rows) * self.width, panel.vectors * self.width)

    def across(self, job: HeadJob, block: Block, panel: Panel, vector: int) -> None:
        """Make a vector of a panel of rows; where there is no row it has zeros."""
        row, (at, k_row) = (panel.first + vector) * self.count, self.panel_across(job, panel)
        source = job.x + (block.first + row) * job.x_row
        self.read_turned(least(self.count, block.rows - row), job.K, source, job.x_row, at + vector * self.width, k_row)

    def along(self, job: HeadJob, block: Block, panel: Panel) -> None:
        """Make a panel of columns."""
        source = job.x + block.first * job.x_row + panel.first * self.width
        valid = least(self.count, job.K - (panel.first + panel.vectors - 1) * self.count)
        self.read_rows(block.rows, panel.vectors, source, job.x_row, self.panel_along(job, panel).at, valid)


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
        z, K, across = self._z(job, chunk, panel, scratch), self.x.words(job.K), self.x.panel_across(job, panel)
        w = Factor(*View(job.w_read, job.read_row).below(chunk.first + first))
        self.product(classes, panel.vectors, z.below(first), View(job.zeros, 0), w, K, across, self.count)

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
