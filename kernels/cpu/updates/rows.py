"""The sum of each token's vectors, for an embedding's gradient: (E1′).

A row is one thread's. Its vectors are added up in their order, in chains of `CHAIN`; the chains' sums in theirs, what a
sum has lost being added to the next. So however often a token comes, the rounding error is about that of one chain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.simd import Lanes
from ..emitting.subnormal import leave, make_enter
from ..running import threads
from ..running.compiled import compiled
from ..running.memory import array
from ..running.threads import fetch_add
from .table import integer_at, phase

WORK = 20
"""What a number costs: about as much as so many operations of a product."""

CHAIN = 128
"""Vectors that are added up one after another, as the terms of a product are."""

ROWS = 16
"""Sums that a thread takes at a time."""


class RowsJob(NamedTuple):
    """The arguments of `make_sum_rows`."""

    next: int  # the row that the next thread begins with, which is why it stands at the job's own address
    row_count: int
    width: int
    order: int  # int64: which vectors, the same token's side by side
    starts: int  # int64 (row_count,): where in `order` a row's vectors begin
    ends: int  # int64 (row_count,)
    vectors: int
    sums: int  # (row_count, width)
    scratch: int  # (threads, 2, width): a chain's sum, and what the sum of chains has lost


rows_job_at = make_pointer(np.dtype([(name, np.int64) for name in RowsJob._fields]))


def make_sum_rows(dtype: str) -> Any:
    """Return the loop, uncompiled."""
    numbers_at, size = make_pointer(dtype), np.dtype(dtype).itemsize
    enter = make_enter(Lanes("float64", 16))  # subnormal numbers stay what they are

    @phase
    def sum_chain(job, order, begin, end, chain):
        for n in range(begin, end):
            vector = carray(numbers_at(job.vectors + order[n] * job.width * size), job.width)
            if n == begin:
                for d in range(job.width):
                    chain[d] = vector[d]
            else:
                for d in range(job.width):
                    chain[d] += vector[d]  # (E1′)

    def sum_rows(thread, address):
        before = enter()
        job: Any = carray(rows_job_at(address), 1)[0]
        order = carray(integer_at(job.order), 1)
        starts, ends = carray(integer_at(job.starts), job.row_count), carray(integer_at(job.ends), job.row_count)
        scratch = carray(numbers_at(job.scratch + thread * 2 * job.width * size), (2, job.width))
        chain, lost = scratch[0], scratch[1]
        first = fetch_add(address, ROWS)
        while first < job.row_count:
            for k in range(first, min(first + ROWS, job.row_count)):
                total = carray(numbers_at(job.sums + k * job.width * size), job.width)
                begin = starts[k] + CHAIN
                sum_chain(job, order, starts[k], min(begin, ends[k]), total)
                lost[:] = 0
                while begin < ends[k]:
                    sum_chain(job, order, begin, min(begin + CHAIN, ends[k]), chain)
                    for d in range(job.width):
                        more = chain[d] - lost[d]
                        new = total[d] + more
                        lost[d] = (new - total[d]) - more
                        total[d] = new
                    begin += CHAIN
            first = fetch_add(address, ROWS)
        leave(before)

    return sum_rows


def sums_of_rows(vectors: np.ndarray, order: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return for each k the sum of ``vectors[order[starts[k]:ends[k]]]``, added up in this order, in chains of `CHAIN`.

    Parameters
    ----------
    vectors : ndarray, shape (N, D)
    order : ndarray of int64
    starts, ends : ndarray of int64, shape (K,)
        No sum is empty.

    Returns
    -------
    sums : ndarray, shape (K, D)
    """
    K, D = starts.size, vectors.shape[1]
    sums = array((K, D), vectors.dtype)
    code = compiled(make_sum_rows, vectors.dtype.name)
    with threads.share(WORK * vectors.size) as count:
        scratch = np.empty((count, 2, D), vectors.dtype)
        arrays = (order, starts, ends, vectors, sums, scratch)
        job = np.array(RowsJob(0, K, D, *(array.ctypes.data for array in arrays)), np.int64)
        threads.run(code.address, job.ctypes.data, count)
    return sums
