"""The arguments of a product of two matrices, as Python fills them in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..emitting.addresses import make_pointer


class ProductJob(NamedTuple):
    """The arguments of a product: sizes, strides and addresses."""

    M: int  # rows of A
    K: int  # terms of a sum
    C: int  # columns of B
    threads: int
    column_groups: int  # of threads: each has columns to itself; the threads of one part the rows
    scratch_size: int  # of each thread
    a_row: int  # bytes from row to row, or from column to column where A lies the other way round
    read_row: int  # the same of A as products read it
    b_row: int  # likewise
    start_step: int  # bytes from vector to vector of what is added; 0: the same zeros
    meeting: int = 0  # addresses, `ADDRESSES` of them
    scratch: int = 0
    a: int = 0
    a_read: int = 0  # as products read it: A itself, or rounded
    b: int = 0
    out: int = 0
    start: int = 0


ADDRESSES = 7
"""The last numbers of a `ProductJob`, which each call has for itself."""

PRODUCT_JOB = np.dtype([(name, np.int64) for name in ProductJob._fields])
"""A `ProductJob` in memory."""

product_job_at = make_pointer(PRODUCT_JOB)
