"""The arguments of a loop, as Python fills them in and as a loop reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..emitting.addresses import make_pointer


class Job(NamedTuple):
    """The arguments of a loop: sizes, strides and addresses. What a loop doesn't use stays 0.

    All sizes that end in `_row` are in bytes, and so are all offsets: to the loops an array is an address.
    """

    T: int = 0
    B: int = 0
    I: int = 0
    H: int = 0
    Hp: int = 0  # H filled up to whole vectors
    vectors: int = 0  # and how many those are
    N: int = 0  # valid steps of all rows: T·B without lengths
    offsets: int = 0  # int64 (T + 1,): where the rows of each step begin
    order: int = 0  # int64 (B,): which row of the caller's batch each row is
    groups: int = 1  # of threads
    members: int = 1  # of a group
    meeting: int = 0  # the words of the barriers: everybody's, then each group's
    tiles: int = 1  # the rows of a step are cut into so many; a group has every groups-th of them
    scratch: int = 0
    scratch_size: int = 0  # of each thread
    zeros: int = 0
    ones: int = 0
    ones_read: int = 0  # as products read them
    # forwards
    x: int = 0  # (N, I)
    x_row: int = 0
    chunk: int = 0  # steps whose input products are done ahead of the recurrence; 0: in the tile itself, step by step
    w_x: int = 0  # panels
    w_h: int = 0
    bias: int = 0
    panel: int = 0  # vectors of hidden units in a panel (the last may have fewer)
    h: int = 0  # (blocks, Hp)
    h_row: int = 0
    h_read: int = 0  # h as products read it: h itself, or (blocks, Hp) of bfloat16
    read_row: int = 0
    c: int = 0  # [states but h][vectors][blocks]
    blocks: int = 0  # rows of the states: B + N, or 2·B that take turns where no tape is kept
    kept: int = 0  # [vectors][N][what a tape keeps]
    numbers: int = 0  # (vectors and constants of the cell, Hp)
    streams: int = 0  # int64: the address of each stream, (T, B, H)
    streams_row: int = 0
    streams_step: int = 0
    y: int = 0
    y_row: int = 0
    y_step: int = 0
    # backwards
    dy: int = 0
    dy_row: int = 0
    dy_step: int = 0
    carry_h: int = 0  # (B, Hp)
    carry_c: int = 0  # [states but h](B, Hp)
    upstream: int = 0  # int64 [states but h][address of (T, B, H), and how far it is from row to row, and step to step]
    da: int = 0  # twice [slots, and d of each matrix's gradient][vectors][span]
    da_pairs: int = 0  # [the same][vectors][pairs of rows], where products read pairs
    dp: int = 0  # twice [vectors of the cell][vectors][span]
    span: int = 0  # most rows of the steps that are taken together
    steps: int = 0  # how many those are
    w_back: int = 0  # panels of W_h the other way round
    back_panel: int = 0
    dh0: int = 0  # (B, Hp); 0 where it is not wanted, and the rest likewise
    dx: int = 0  # (N, I)
    dx_row: int = 0
    w_dx: int = 0
    dx_panel: int = 0
    dw_x: int = 0  # (G·H, I)
    dw_h: int = 0  # (G·H, H)
    h_prev: int = 0  # (N, Hp), the state before each step
    h_prev_row: int = 0
    db: int = 0  # [slots][vectors]
    dvectors: int = 0  # [vectors of the cell][vectors]
    # of a cell whose step looks at a whole row of units (levels/)
    P: int = 0  # numbers of h: H, unless a matrix makes h of another size; all cells have it
    h_vectors: int = 0  # and how many vectors those are
    row: int = 0  # (B, what goes from level to level)
    row_size: int = 0
    products: int = 0  # int64: where the panels of each product are
    factors: int = 0  # twice [matrices](span, Hp), as products read it: v of each matrix's gradient, Σ d vᵀ
    factor_row: int = 0
    dmatrices: int = 0  # int64: where each matrix's gradient goes, 0 where it is not wanted


JOB = np.dtype([(name, np.int64) for name in Job._fields])
"""A `Job` in memory."""

PLACE = {name: k for k, name in enumerate(Job._fields)}
"""Which of a job's numbers is which."""

job_at = make_pointer(JOB)
