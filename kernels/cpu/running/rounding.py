"""Rows of float32 numbers rounded to bfloat16, as products read them; for x, a state and weights that are packed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from ..emitting.addresses import make_pointer
from ..emitting.bfloat16 import make_round
from ..emitting.integers import written
from ..emitting.simd import Lanes
from . import threads
from .compiled import compiled

ALONE = 1 << 18
"""Bytes that one thread rounds faster than two would."""


class RoundJob(NamedTuple):
    """The arguments of `make_round_rows`: sizes and addresses."""

    threads: int
    rows: int
    columns: int
    source: int
    source_row: int  # bytes
    out: int
    out_row: int


ROUND_JOB = np.dtype([(name, np.int64) for name in RoundJob._fields])
"""A `RoundJob` in memory."""

round_job_at = make_pointer(ROUND_JOB)


def make_round_rows(lanes: Lanes) -> Any:
    """Return the function, uncompiled, that rounds some rows."""
    count, rounded = lanes.count, written(make_round(lanes))

    def round_some(thread, address):
        job: Any = carray(round_job_at(address), 1)[0]
        first, end = job.rows * thread // job.threads, job.rows * (thread + 1) // job.threads
        vectors = (job.columns + count - 1) // count
        rounded(
            end - first, vectors, job.source + first * job.source_row, job.source_row,
            job.out + first * job.out_row, job.out_row, job.columns - (vectors - 1) * count,
        )  # fmt: skip

    return round_some


def round_rows(numbers: np.ndarray, out: int, out_row: int, lanes: Lanes, count: int) -> None:
    """Round an array (rows, columns), on at most `count` threads, to rows at `out` that are filled up with zeros."""
    count = count if numbers.nbytes > ALONE else 1
    rows, columns = numbers.shape
    job = RoundJob(count, rows, columns, numbers.ctypes.data, numbers.strides[0], out, out_row)
    arguments = np.array(job, np.int64)
    threads.run(compiled(make_round_rows, lanes).address, arguments.ctypes.data, count)
