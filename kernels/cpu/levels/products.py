"""Products of a cell's matrices with rows that segments before have left, a panel and a tile of rows at a time."""

from __future__ import annotations

from ..emitting.integers import word_at
from ..emitting.microkernel import ALONG_K, Factor, View, make_product
from ..emitting.simd import Lanes
from ..loops.job import Job
from ..loops.layout import MemoryLayout
from ..loops.parts import Panel, RowTile
from .layout import RowLayout
from .schedule import LevelledCell, Product


class MatrixProducts:
    """Some products of one of a cell's two schedules."""

    def __init__(self, cell: LevelledCell, lanes: Lanes, rows: RowLayout, products: tuple[Product, ...]):
        self.at, self.rows, self.products, self.projection = MemoryLayout(cell, lanes), rows, products, cell.projection
        self.product = make_product(lanes, ALONG_K, (1, 2, 3, 4))
        self.all = rows.schedule.products

    def multiply(self, job: Job, panel: Panel, tile: RowTile) -> None:
        """Do them all."""
        for one in self.products:
            K, filled = job.H, job.Hp
            if one.matrix == self.projection:  # of its P rows
                K, filled = job.P, job.h_vectors * self.at.count
            out = self.rows.value(job, panel, tile, one.value)
            self._multiply(job, panel, tile, self.all.index(one), one.operand, K, filled if one.transposed else K, out)

    def project(self, job: Job, panel: Panel, tile: RowTile, operand: int, out: View) -> None:
        """Do the product that makes h, whose panels come last."""
        self._multiply(job, panel, tile, len(self.all), operand, job.H, job.H, out)

    def _multiply(
        self, job: Job, panel: Panel, tile: RowTile, number: int, operand: int, K: int, packed: int, out: View
    ) -> None:
        """Out = a panel of a matrix times rows of K numbers; the panel has as many rows as `packed` numbers need."""
        at = self.at
        panels = word_at(job.products + 8 * number) + panel.first * at.words(packed) * at.width
        v = Factor(*self.rows.operand(job, tile, operand))
        weights = View(panels, panel.vectors * at.width)
        self.product(tile.rows, panel.vectors, out, View(job.zeros, 0), v, at.words(K), weights, at.count)
