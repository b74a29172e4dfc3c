"""A product of two matrices in the pool, A·B + b: what `Linear` needs forward and back.

Either factor may lie as it is or the other way round: x·Wᵀ, dy·W and dyᵀ·x all read what there is. A's numbers go into
the tile one by one, so both ways are the same to it; of B some columns and one chain of rows are gathered, and serve
all rows of A before the next ones are.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.copying import make_copy_columns, make_transpose
from ..emitting.integers import least, where, written
from ..emitting.microkernel import ALONG_K, ALONG_ROWS, CHAIN, Factor, View, make_product
from ..emitting.simd import Lanes, host_width
from ..emitting.subnormal import leave, make_enter
from ..loops.gradients import most_rows
from ..loops.parts import Panel, panel_of
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import aligned, array, constant, take
from .cuts import WIDEST
from .job import vectors_of

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}


class ProductJob(NamedTuple):
    """The arguments of a product: sizes, strides and addresses."""

    M: int  # rows of A
    K: int  # terms of a sum
    C: int  # columns of B
    threads: int
    column_groups: int  # of threads: each has columns to itself; the threads of one part the rows
    scratch_size: int  # of each thread
    start_step: int  # bytes from vector to vector of what is added; 0: the same zeros
    start: int
    scratch: int = 0
    a: int = 0
    a_row: int = 0  # bytes from row to row, or from column to column where A lies the other way round
    b: int = 0
    b_row: int = 0  # likewise
    out: int = 0


PRODUCT_JOB = np.dtype([(name, np.int64) for name in ProductJob._fields])
"""A `ProductJob` in memory."""

product_job_at = make_pointer(PRODUCT_JOB)


def make_multiply(lanes: Lanes, layout: str, turned: bool) -> Any:
    """Return the loop of a product, uncompiled: A lies along rows or along k, and B is `turned` or not."""
    of, count, most = Multiply(lanes, layout), lanes.count, most_rows(lanes)
    columns, rows, tile = written(of.columns), written(of.rows), written(of.tile)
    enter = make_enter(lanes)

    def multiply(thread, address):
        before = enter()
        job: Any = carray(product_job_at(address), 1)[0]
        vectors, sets = vectors_of(job.C, count), job.threads // job.column_groups
        scratch, mine = job.scratch + thread * job.scratch_size, thread // job.column_groups
        begin, end = job.M * mine // sets, job.M * (mine + 1) // sets
        for p in range(thread % job.column_groups, vectors_of(vectors, WIDEST), job.column_groups):
            panel = panel_of(p, WIDEST, vectors)
            for k in range(0, job.K, CHAIN):
                terms = min(CHAIN, job.K - k)
                if turned:
                    for vector in range(panel.vectors):
                        columns(job, panel, vector, k, terms, scratch)
                else:
                    rows(job, panel, k, terms, scratch)
                for row in range(begin, end, most[panel.vectors]):
                    tile(job, panel, row, min(most[panel.vectors], end - row), k, terms, scratch)
        leave(before)

    return multiply


class Multiply:
    """What a product does with a panel and a tile."""

    def __init__(self, lanes: Lanes, layout: str):
        self.width, self.size, self.count, self.layout = lanes.width, lanes.size, lanes.count, layout
        self.product = make_product(lanes, layout, tuple(range(1, WIDEST + 1)))
        self.transpose, self.copy = make_transpose(lanes), make_copy_columns(lanes)

    def _valid(self, job: ProductJob, panel: Panel) -> int:
        return least(self.count, job.C - (panel.first + panel.vectors - 1) * self.count)

    def rows(self, job: ProductJob, panel: Panel, k: int, terms: int, scratch: int) -> None:
        """Gather some rows of B, in a panel's columns."""
        at = job.b + k * job.b_row + panel.first * self.width
        self.copy(terms, panel.vectors, at, job.b_row, scratch, self._valid(job, panel))

    def columns(self, job: ProductJob, panel: Panel, vector: int, k: int, terms: int, scratch: int) -> None:
        """Gather a vector of columns of a B that lies the other way round."""
        first = (panel.first + vector) * self.count
        at, out = job.b + first * job.b_row + k * self.size, scratch + vector * self.width
        self.transpose(least(self.count, job.C - first), terms, at, job.b_row, out, panel.vectors * self.width)

    def tile(self, job: ProductJob, panel: Panel, row: int, rows: int, k: int, terms: int, scratch: int) -> None:
        """Add some terms to a tile of the result; the first ones are added to what is to be added to all."""
        out = View(job.out + panel.first * self.width, job.C * self.size).below(row)
        start = View(
            where(k > 0, out.at, job.start + panel.first * job.start_step), where(k > 0, out.row, 0)
        )  # fmt: skip
        row_step, k_step = (job.a_row, self.size) if self.layout == ALONG_K else (self.size, job.a_row)
        a, panel_row = Factor(job.a + row * row_step + k * k_step, job.a_row), panel.vectors * self.width
        self.product(rows, panel.vectors, out, start, a, terms, View(scratch, panel_row), self._valid(job, panel))


@lru_cache(maxsize=256)
def _job(dtype: str, M: int, K: int, C: int, count: int, bias: bool) -> tuple[Lanes, ProductJob]:
    """Return all that follows from the sizes of a product on `count` threads."""
    lanes = Lanes(dtype, host_width())
    panels = -(-lanes.filled(C) // (WIDEST * lanes.count))
    job = ProductJob(
        M=M, K=K, C=C, threads=count, column_groups=gcd(panels, count), start_step=lanes.width if bias else 0,
        scratch_size=aligned(CHAIN * WIDEST * lanes.width), start=constant(0, dtype, WIDEST * lanes.count).address,
    )  # fmt: skip
    return lanes, job


def multiply(A: np.ndarray, B: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Return A·B + b, of A (M, K) and B (K, C), each or its transpose C-contiguous, and b (C,)."""
    (M, K), C, dtype = A.shape, B.shape[1], A.dtype
    if not A.dtype == B.dtype or dtype not in DTYPES:
        raise TypeError(f"cpu.multiply: A and B must both be float32 or float64, got {A.dtype} and {B.dtype}")
    if not (A.flags.c_contiguous or A.T.flags.c_contiguous):
        A = np.ascontiguousarray(A)
    if not (B.flags.c_contiguous or B.T.flags.c_contiguous):
        B = np.ascontiguousarray(B)
    b = None if b is None else np.ascontiguousarray(b, dtype)
    layout, turned = ALONG_K if A.flags.c_contiguous else ALONG_ROWS, not B.flags.c_contiguous
    out, size = array((M, C), dtype), dtype.itemsize
    if not K:  # a sum of nothing, for which no tile is called
        out[...] = 0 if b is None else b
        return out
    with threads.share(2.0 * M * K * C) as count:
        lanes, job = _job(DTYPES[dtype], M, K, C, count, b is not None)
        scratch = take(count * job.scratch_size)
        job = job._replace(
            scratch=scratch.address, a=A.ctypes.data, a_row=(K if layout == ALONG_K else M) * size, b=B.ctypes.data,
            b_row=(K if turned else C) * size, out=out.ctypes.data, start=job.start if b is None else b.ctypes.data,
        )  # fmt: skip
        numbers = np.array(job, np.int64)
        threads.run(compiled(make_multiply, lanes, layout, turned).address, numbers.ctypes.data, count)
    return out
