"""The sum of each token's vectors, for an embedding's gradient: (E1′)."""

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
from .table import integer_at

WORK = 20
"""What a number costs: about as much as so many operations of a product."""

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


rows_job_at = make_pointer(np.dtype([(name, np.int64) for name in RowsJob._fields]))


def make_sum_rows(dtype: str) -> Any:
    """Return the loop, uncompiled. A row is one thread's, and added up in the order of the vectors."""
    numbers_at, size = make_pointer(dtype), np.dtype(dtype).itemsize
    enter = make_enter(Lanes("float64", 16))  # subnormal numbers stay what they are

    def sum_rows(thread, address):
        before = enter()
        job: Any = carray(rows_job_at(address), 1)[0]
        order = carray(integer_at(job.order), 1)
        starts, ends = carray(integer_at(job.starts), job.row_count), carray(integer_at(job.ends), job.row_count)
        first = fetch_add(address, ROWS)
        while first < job.row_count:
            for k in range(first, min(first + ROWS, job.row_count)):
                total = carray(numbers_at(job.sums + k * job.width * size), job.width)
                for n in range(starts[k], ends[k]):
                    vector = carray(numbers_at(job.vectors + order[n] * job.width * size), job.width)
                    if n == starts[k]:
                        for d in range(job.width):
                            total[d] = vector[d]
                    else:
                        for d in range(job.width):
                            total[d] += vector[d]  # (E1′)
            first = fetch_add(address, ROWS)
        leave(before)

    return sum_rows


def sums_of_rows(vectors: np.ndarray, order: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return for each k the sum of ``vectors[order[starts[k]:ends[k]]]``, added up in this order.

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
    job = np.array(
        RowsJob(
            0, K, D, order.ctypes.data, starts.ctypes.data, ends.ctypes.data, vectors.ctypes.data, sums.ctypes.data
        ),
        np.int64,
    )
    code = compiled(make_sum_rows, vectors.dtype.name)
    with threads.share(WORK * vectors.size) as count:
        threads.run(code.address, job.ctypes.data, count)
    return sums
