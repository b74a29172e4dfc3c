"""A product of two matrices in the pool, A·B + b: what `Linear` needs forward and back.

Either factor may lie as it is or the other way round: x·Wᵀ, dy·W and dyᵀ·x all read what there is. A's numbers go into
the tile one by one, so both ways are the same to it; of B some columns and one chain of rows are gathered, and serve
all rows of A before the next ones are. In bfloat16 A is rounded first, all of it, and B as it is gathered.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numba import carray

from ..emitting.bfloat16 import make_round, operands
from ..emitting.integers import least, where, written
from ..emitting.microkernel import ALONG_K, ALONG_ROWS, CHAIN, Factor, View, make_product, max_rows
from ..emitting.reading import make_read_rows, make_read_turned
from ..emitting.simd import EXACT, PAIRS, Lanes, host_width
from ..emitting.subnormal import leave, make_enter
from ..loops.gradients import most_rows
from ..loops.parts import Panel, panel_of, phase
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import aligned, array, constant, take
from ..running.threads import barrier
from ..shapes import Parts
from .cuts import WIDEST
from .factors import ADDRESSES, ProductJob, product_job_at
from .few import fits, make_few
from .job import vectors_of

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}


MEMORY = 4
"""Rows of a product that take the time in which the other factor comes from memory: with fewer it takes no less."""


def make_multiply(lanes: Lanes, layout: str, turned: bool) -> Any:
    """Return the loop of a product, uncompiled: A lies along rows or along k, and B is `turned` or not."""
    of, count, most, together = Loop(lanes, layout), lanes.count, most_rows(lanes), lanes.together
    columns, rows, tile = written(of.columns), written(of.rows), written(of.tile)
    round_a, enter = make_round_factor(lanes, layout), make_enter(lanes)

    def multiply(thread, address):
        before = enter()
        job: Any = carray(product_job_at(address), 1)[0]
        round_a(job, thread)
        vectors, sets = vectors_of(job.C, count), job.threads // job.column_groups
        scratch, mine = job.scratch + thread * job.scratch_size, thread // job.column_groups
        begin, end = job.M * mine // sets, job.M * (mine + 1) // sets
        for p in range(thread % job.column_groups, vectors_of(vectors, WIDEST), job.column_groups):
            panel = panel_of(p, WIDEST, vectors)
            for k in range(0, job.K, CHAIN * together):
                terms = min(CHAIN * together, job.K - k)
                if turned:
                    for vector in range(panel.vectors):
                        columns(job, panel, vector, k, terms, scratch)
                else:
                    rows(job, panel, k, terms, scratch)
                for row in range(begin, end, most[panel.vectors]):
                    tile(job, panel, row, min(most[panel.vectors], end - row), k, terms, scratch)
        leave(before)

    return multiply


def make_round_factor(lanes: Lanes, layout: str) -> Any:
    """Return ``round_factor(job, thread)``: a thread's part of A as products read it, until all threads have theirs."""
    if lanes.operands == EXACT:
        return _nothing
    count, along_k, lines = lanes.count, layout == ALONG_K, written(RoundFactor(lanes, layout).lines)
    together = 1 if along_k else lanes.together  # lines of memory that share words

    @phase
    def round_factor(job, thread):
        height, width = (job.M, job.K) if along_k else (job.K, job.M)
        shares = (height + together - 1) // together
        first, last = shares * thread // job.threads, shares * (thread + 1) // job.threads
        vectors = vectors_of(width, count)
        lines(job, first * together, min(height, last * together), first, vectors, width - (vectors - 1) * count)
        if job.threads > 1:
            barrier(job.meeting, job.threads)

    return round_factor


class RoundFactor:
    """Lines of A in memory: rows, or columns where it lies the other way round."""

    def __init__(self, lanes: Lanes, layout: str):
        self.in_words = lanes.operands == PAIRS and layout == ALONG_ROWS  # along the sum are then two lines
        self.round, self.read = make_round(lanes), make_read_rows(lanes)

    def lines(self, job: ProductJob, begin: int, end: int, out: int, vectors: int, valid: int) -> None:
        """Round some lines to those from `out` on; the last vector of each has `valid` numbers."""
        at, to = job.a + begin * job.a_row, job.a_read + out * job.read_row
        if self.in_words:
            self.read(end - begin, vectors, at, job.a_row, to, valid)
        else:
            self.round(end - begin, vectors, at, job.a_row, to, job.read_row, valid)


@phase
def _nothing(job, thread):
    pass


class Loop:
    """What a product does with a panel and a tile."""

    def __init__(self, lanes: Lanes, layout: str):
        self.width, self.size, self.count, self.layout = lanes.width, lanes.size, lanes.count, layout
        self.words, self.together = lanes.words, lanes.together
        self.product = make_product(lanes, layout, tuple(range(1, WIDEST + 1)))
        self.read_turned, self.read_rows = make_read_turned(lanes), make_read_rows(lanes)

    def _valid(self, job: ProductJob, panel: Panel) -> int:
        return least(self.count, job.C - (panel.first + panel.vectors - 1) * self.count)

    def rows(self, job: ProductJob, panel: Panel, k: int, terms: int, scratch: int) -> None:
        """Gather some rows of B, in a panel's columns."""
        at = job.b + k * job.b_row + panel.first * self.width
        self.read_rows(terms, panel.vectors, at, job.b_row, scratch, self._valid(job, panel))

    def columns(self, job: ProductJob, panel: Panel, vector: int, k: int, terms: int, scratch: int) -> None:
        """Gather a vector of columns of a B that lies the other way round."""
        first = (panel.first + vector) * self.count
        at, out = job.b + first * job.b_row + k * self.size, scratch + vector * self.width
        self.read_turned(least(self.count, job.C - first), terms, at, job.b_row, out, panel.vectors * self.width)

    def tile(self, job: ProductJob, panel: Panel, row: int, rows: int, k: int, terms: int, scratch: int) -> None:
        """Add some terms to a tile of the result; the first ones are added to what is to be added to all."""
        out = View(job.out + panel.first * self.width, job.C * self.size).below(row)
        start = View(
            where(k > 0, out.at, job.start + panel.first * job.start_step), where(k > 0, out.row, 0)
        )  # fmt: skip
        row_step, k_step = (job.read_row, self.size) if self.layout == ALONG_K else (self.size, job.read_row)
        a = Factor(job.a_read + row * row_step + k // self.together * k_step, job.read_row)
        w, K = View(scratch, panel.vectors * self.width), self.words(terms)
        self.product(rows, panel.vectors, out, start, a, K, w, self._valid(job, panel))


class Plan(NamedTuple):
    """All that follows from the sizes of a product, and from how its factors lie."""

    function: int  # the loop's address
    work: Parts  # of the memory that a call needs
    exact: bool  # products read A itself
    zeros: int  # the address of what is added where nothing is
    job: np.ndarray  # a `ProductJob`; addresses are still to come


@lru_cache(maxsize=256)
def plan(
    dtype: str, M: int, K: int, C: int, count: int, bias: bool, layout: str, turned: bool, precision: str
) -> Plan:
    """Return what follows for `count` threads. A row or a few of them need no scratch."""
    lanes = Lanes(dtype, host_width(), operands(precision, host_width()))
    panels, size, (lines, numbers) = -(-lanes.filled(C) // (WIDEST * lanes.count)), lanes.size, (M, K)
    read_row, exact = lanes.filled(K) * lanes.operand_size, lanes.operands == EXACT
    if layout == ALONG_ROWS:
        (lines, numbers), read_row = (lanes.words(K), M), lanes.filled(M) * size
    few = exact and turned and layout == ALONG_K and fits(lanes, M, K, C)
    parted = panels >= count and M < max_rows(lanes, WIDEST) * count
    job = ProductJob(
        M=M, K=K, C=C, threads=count, column_groups=count if parted else gcd(panels, count),
        scratch_size=0 if few else aligned(CHAIN * WIDEST * lanes.width), start_step=lanes.width if bias else 0,
        a_row=numbers * size, read_row=numbers * size if exact else read_row, b_row=(K if turned else C) * size,
    )  # fmt: skip
    work = Parts(
        meeting=threads.BETWEEN, scratch=count * job.scratch_size, a_read=0 if exact else lines * read_row
    )  # fmt: skip
    function = compiled(make_few, lanes, M) if few else compiled(make_multiply, lanes, layout, turned)
    zeros = constant(0, dtype, WIDEST * lanes.count).address
    return Plan(function.address, work, exact, zeros, np.array(job, np.int64))


class Multiply(NamedTuple):
    """A product of two matrices, as the contract has it, in a precision."""

    precision: str = "float32"

    def __call__(self, A: np.ndarray, B: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
        """Return A·B + b, of A (M, K) and B (K, C), each or its transpose C-contiguous, and b (C,)."""
        return multiply(A, B, b, self.precision)


def multiply(A: np.ndarray, B: np.ndarray, b: np.ndarray | None = None, precision: str = "float32") -> np.ndarray:
    """Return A·B + b, of A (M, K) and B (K, C), each or its transpose C-contiguous, and b (C,)."""
    (M, K), C, dtype = A.shape, B.shape[1], A.dtype
    if not A.dtype == B.dtype or dtype not in DTYPES:
        raise TypeError(f"cpu.multiply: A and B must both be float32 or float64, got {A.dtype} and {B.dtype}")
    if precision != "float32" and dtype != np.float32:
        raise TypeError(f"cpu.multiply: A and B must be float32 in {precision}, got {dtype}")
    if not (A.flags.c_contiguous or A.flags.f_contiguous):
        A = np.ascontiguousarray(A)
    if not (B.flags.c_contiguous or B.flags.f_contiguous):
        B = np.ascontiguousarray(B)
    b = None if b is None else np.ascontiguousarray(b, dtype)
    layout, turned = ALONG_K if A.flags.c_contiguous else ALONG_ROWS, not B.flags.c_contiguous
    out = array((M, C), dtype)
    if not K:  # a sum of nothing, for which no tile is called
        out[...] = 0 if b is None else b
        return out
    with threads.share(2.0 * max(M, MEMORY) * K * C) as count:
        found = plan(DTYPES[dtype], M, K, C, count, b is not None, layout, turned, precision)
        memory, work, job, a = take(found.work.size), found.work, found.job.copy(), A.ctypes.data
        meeting = memory.address + work["meeting"]
        job[-ADDRESSES:] = (
            meeting, memory.address + work["scratch"], a, a if found.exact else memory.address + work["a_read"],
            B.ctypes.data, out.ctypes.data, found.zeros if b is None else b.ctypes.data,
        )  # fmt: skip
        threads.run(found.function, job.ctypes.data, count, meeting, 0)
    return out
