"""All that follows from the sizes of a call: the plan, the parts of its memory, the numbers of its job."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from .emitting.bfloat16 import operands
from .emitting.cell import KernelCell
from .emitting.simd import EXACT, PAIRS, Lanes, host_width
from .levels.layout import RowLayout
from .levels.schedule import LevelledCell
from .loops.job import Job
from .plan import Split, make_plan
from .running import threads
from .running.memory import ALIGNMENT, aligned, constant
from .running.packing import BiasPanels, Panels

PAGE = 4096
"""Bytes after which a core's nearest cache begins again with its first line."""


def spread(row: int) -> int:
    """Return the bytes from row to row: a little more than a row where rows would fall on the same lines of a cache.

    The rows of a tile are read side by side. Whole pages apart, all of them would want the same few places in the
    nearest cache, and drive one another out.
    """
    return row if row % PAGE else row + ALIGNMENT


def lanes_of(dtype: str, precision: str) -> Lanes:
    """Return this host's vectors of a dtype, and how products read numbers in a precision."""
    width = host_width()
    return Lanes(dtype, width, operands(precision, width))


def row_of_x(I: int, lanes: Lanes) -> int:
    """Return the bytes from row to row of x as products read it; rounded, it is filled up to whole vectors."""
    return spread(I * lanes.size if lanes.operands == EXACT else lanes.filled(I) * lanes.operand_size)


def ones_read(lanes: Lanes) -> int:
    """Return where a 1 is as products read it: in pairs, two in bfloat16."""
    return (constant(0x3F803F80, "int32", 1) if lanes.operands == PAIRS else constant(1, lanes.dtype, 1)).address


class Parts(dict[str, int]):
    """Where parts of one piece of memory lie, by name: sizes go in, offsets come out."""

    def __init__(self, **sizes: int):
        super().__init__()
        self.size = 0
        for name, size in sizes.items():
            self[name] = self.size
            self.size += aligned(size)


class Shape(NamedTuple):
    """All that follows from the sizes of a call."""

    plan: Split
    lanes: Lanes
    Hp: int  # H, filled up to whole vectors
    Pp: int  # and P, the numbers of h
    work: Parts  # of the memory that a call needs
    tape: Parts  # of the memory that a tape keeps
    job: np.ndarray  # a `Job` with all sizes; addresses are still to come
    how: tuple[Any, ...]  # weights and biases are packed


@lru_cache(maxsize=512)
def forward_shape(
    cell: KernelCell, dtype: str, T: int, B: int, N: int, I: int, H: int, count: int, keep: bool,
    precision: str = "float32", P: int | None = None,
) -> Shape:  # fmt: skip
    """Return what follows for a forward, with or without a tape; P is H without a word."""
    lanes, P = lanes_of(dtype, precision), H if P is None else P
    plan = make_plan(cell, lanes, T, B, N, I, H, count, P)
    Hp, Pp, slots = lanes.filled(H), lanes.filled(P), len(cell.slot_names)
    panels_each = ceil(ceil(Hp / lanes.count / plan.panel) / plan.members)
    scratch_rows = max(ceil(B / plan.tiles), plan.chunk * B * panels_each)
    scratch_size = aligned(scratch_rows * slots * plan.panel * lanes.width)
    blocks, h_row, read_row = B + N if keep else 2 * B, spread(Pp * lanes.size), spread(Pp * lanes.operand_size)
    exact, x_row = lanes.operands == EXACT, row_of_x(I, lanes)
    states = {"h": blocks * h_row, "c": blocks * Hp * lanes.size * (len(cell.states) - 1)}
    read = {} if exact else {"x": N * x_row, "h_read": blocks * read_row}
    work = Parts(
        meeting=(1 + plan.groups) * threads.BETWEEN,
        scratch=scratch_size * plan.groups * plan.members,
        numbers=cell.numbers * Hp * lanes.size,
        **_rows(cell, lanes, B, Hp, forward=True),
        **({"x": N * x_row} if exact and x_row > I * lanes.size else {}),
        **({} if keep else states | read),
    )
    tape = Parts(**states, **read, kept=N * len(cell.kept) * Hp * lanes.size) if keep else Parts()
    job = Job(
        T=T, B=B, I=I, H=H, Hp=Hp, vectors=Hp // lanes.count, N=N,
        groups=plan.groups, members=plan.members, tiles=plan.tiles,
        scratch_size=scratch_size, x_row=x_row, chunk=plan.chunk, panel=plan.panel,
        blocks=blocks, h_row=h_row, read_row=read_row, y_row=P * lanes.size, y_step=B * P * lanes.size,
        streams_row=H * lanes.size, streams_step=B * H * lanes.size,
        P=P, h_vectors=Pp // lanes.count, back_panel=plan.back_panel,
        zeros=constant(0, dtype, max(Hp, 4 * lanes.count)).address, row_size=_row(cell, lanes, Hp, forward=True),
    )  # fmt: skip
    from_h = [Panels(True, cell.blocks_h, plan.panel, lanes)] if cell.from_h else []
    return Shape(
        plan, lanes, Hp, Pp, work, tape, np.array(job, np.int64),
        how=(
            Panels(True, cell.blocks_x, plan.panel, lanes),
            *from_h,
            BiasPanels(slots, cell.places_x, cell.places_h, plan.panel, lanes),
        ),
    )  # fmt: skip


@lru_cache(maxsize=512)
def backward_shape(
    cell: KernelCell, dtype: str, T: int, B: int, N: int, I: int, H: int, count: int, precision: str = "float32",
    P: int | None = None,
) -> Shape:  # fmt: skip
    """Return what follows for a backward."""
    lanes, P = lanes_of(dtype, precision), H if P is None else P
    plan = make_plan(cell, lanes, T, B, N, I, H, count, P)
    slots, size, Pp = len(cell.slot_names), lanes.size, lanes.filled(P)
    all_da = slots + len(cell.matrices)
    Hp, span = lanes.filled(H), min(N, plan.steps * B)
    scratch_size = aligned(max(ceil(B / plan.tiles) * plan.back_panel, 4 * span) * lanes.width)
    forward = forward_shape(cell, dtype, T, B, N, I, H, count, True, precision, P)
    exact, factor_row = lanes.operands == EXACT, spread(Hp * lanes.operand_size)
    work = Parts(
        meeting=(1 + plan.groups) * threads.BETWEEN,
        scratch=scratch_size * plan.groups * plan.members,
        carry_h=B * Hp * size,
        carry_c=B * Hp * size * (len(cell.states) - 1),
        numbers=cell.numbers * Hp * size,
        **_rows(cell, lanes, B, Hp, forward=False),
        **({"factors": 2 * len(cell.matrices) * span * factor_row} if cell.matrices else {}),
        da=2 * all_da * Hp * span * lanes.operand_size,
        dp=2 * len(cell.vectors) * Hp * span * size,
        **({"da_pairs": all_da * Hp * lanes.words(span) * size} if lanes.operands == PAIRS else {}),
        dh0=B * Hp * size,
        db=slots * Hp * size,
        dvectors=len(cell.vectors) * Hp * size,
    )
    job = Job(
        T=T, B=B, I=I, H=H, Hp=Hp, vectors=Hp // lanes.count, N=N,
        groups=plan.groups, members=plan.members, tiles=plan.tiles,
        scratch_size=scratch_size, zeros=constant(0, dtype, max(Hp, 4 * lanes.count)).address,
        ones=constant(1, dtype, 1).address, ones_read=ones_read(lanes),
        x_row=I * size if exact else row_of_x(I, lanes), blocks=B + N, h_row=spread(Pp * size), steps=plan.steps,
        streams_row=H * size, streams_step=B * H * size,
        span=span, back_panel=plan.back_panel, dx_row=I * size, dx_panel=plan.dx_panel,
        P=P, h_vectors=Pp // lanes.count, row_size=_row(cell, lanes, Hp, forward=False), factor_row=factor_row,
    )  # fmt: skip
    from_h = [Panels(False, cell.blocks_h, plan.back_panel, lanes)] if cell.from_h else []
    return Shape(
        plan, lanes, Hp, Pp, work, forward.tape, np.array(job, np.int64),
        how=(*from_h, Panels(False, cell.blocks_x, plan.dx_panel, lanes)),
    )  # fmt: skip


def _row(cell: KernelCell, lanes: Lanes, Hp: int, *, forward: bool) -> int:
    """Return the bytes of what goes from level to level for a row of the batch; none where there is one level."""
    if not isinstance(cell, LevelledCell):
        return 0
    schedule, projects = cell.forward if forward else cell.backward, cell.projection is not None and not forward
    return spread(RowLayout(schedule, lanes, projects).size(Hp // lanes.count))


def _rows(cell: KernelCell, lanes: Lanes, B: int, Hp: int, *, forward: bool) -> dict[str, int]:
    """Return the bytes of all these rows, if there are any."""
    size = B * _row(cell, lanes, Hp, forward=forward)
    return {"row": size} if size else {}
