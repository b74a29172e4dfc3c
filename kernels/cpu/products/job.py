"""The arguments of a head's loop, as Python fills them in; and where the loop finds what it wants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..emitting.addresses import make_pointer
from ..emitting.integers import least, where, written


class HeadJob(NamedTuple):
    """The arguments of a head's loop: sizes, strides and addresses. What it doesn't use stays 0.

    All sizes that end in `_row` are in bytes.
    """

    N: int = 0  # rows
    K: int = 0  # numbers of one
    V: int = 0  # classes
    rows: int = 0  # of a block: whole vectors
    chunk: int = 0  # classes of a chunk
    chunks: int = 0
    groups: int = 1  # of threads
    members: int = 1  # of a group
    column_groups: int = 1
    meeting: int = 0
    scratch: int = 0
    scratch_size: int = 0  # of each thread
    zeros: int = 0
    x: int = 0  # (N, K)
    x_row: int = 0
    w: int = 0  # (V, K)
    w_row: int = 0
    w_read: int = 0  # as products read it: W itself, or rounded, its rows filled up to whole vectors
    read_row: int = 0
    bias: int = 0  # (V,)
    bias_step: int = 0  # 0: there is none
    targets: int = 0  # int64 (blocks · rows,): none, −1, where there is no row
    scale: int = 0  # dℓ_n (blocks · rows,), 0 where there is no row
    x_across: int = 0  # panels of a block's rows [K][vectors], for z = W·xᵀ; where products read pairs, [K/2]
    x_along: int = 0  # panels of a block's columns [rows][vectors], for dW = dz·x; likewise
    z: int = 0  # [classes][rows] of a block; 0 where only a chunk's are kept, in a thread's scratch
    z_row: int = 0
    dz: int = 0  # twice [classes][rows] of a chunk for each group, where products read pairs
    dz_row: int = 0
    top: int = 0  # [chunks][rows]
    total: int = 0
    first: int = 0
    z_target: int = 0  # (blocks · rows,)
    row_top: int = 0
    row_total: int = 0
    row_first: int = 0
    at_target: int = 0
    dw: int = 0  # (V, K); 0 where it is not wanted, and the rest likewise
    db: int = 0  # (V,)
    dx: int = 0  # (N, K)
    dx_row: int = 0


HEAD_JOB = np.dtype([(name, np.int64) for name in HeadJob._fields])
"""A `HeadJob` in memory."""

head_job_at = make_pointer(HEAD_JOB)


class Block(NamedTuple):
    """Rows that are taken together."""

    first: int
    rows: int  # the last block may have fewer


class Chunk(NamedTuple):
    """Classes that are taken together."""

    number: int
    first: int
    classes: int


@written
def block_of(job: HeadJob, number: int) -> Block:
    """Return a block by its number."""
    return Block(number * job.rows, least(job.rows, job.N - number * job.rows))


@written
def chunk_of(job: HeadJob, number: int) -> Chunk:
    """Return a chunk by its number."""
    return Chunk(number, number * job.chunk, least(job.chunk, job.V - number * job.chunk))


class Who(NamedTuple):
    """A thread's part of a block."""

    group: int
    member: int
    first: int  # chunks
    last: int
    scratch: int


@written
def who_is(job: HeadJob, thread: int) -> Who:
    """Return a thread's part."""
    group, member = thread // job.members, thread % job.members
    first, last = job.chunks * group // job.groups, job.chunks * (group + 1) // job.groups
    return Who(group, member, first, last, job.scratch + thread * job.scratch_size)


def dz_of(job: HeadJob, group: int, chunk: Chunk) -> int:
    """Return where a group has dz of a chunk, class by class; the next chunk's goes elsewhere, until all have read it.

    In pairs alone: otherwise dz is where the scores were.
    """
    return job.dz + (2 * group + chunk.number % 2) * job.chunk * job.dz_row


dz_at = written(dz_of)
"""The same for a loop."""


@written
def vectors_of(numbers: int, count: int) -> int:
    """Return how many vectors of `count` numbers some numbers fill."""
    return (numbers + count - 1) // count


@written
def scores_at(job: HeadJob, chunk: Chunk, scratch: int) -> int:
    """Return where the scores of a chunk are: in their place, or in a thread's scratch."""
    return where(job.z > 0, job.z + chunk.first * job.z_row, scratch)
