"""Who has what of a layer: threads, panels of hidden units, steps, tiles of rows; and where threads meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import njit

from ..emitting.integers import greatest, least, where, word_at, written
from ..running.threads import BETWEEN, barrier
from .job import Job


def phase(function: Callable[..., Any]) -> Any:
    """Mark a part of a loop: numba writes its lines wherever it is called, so it has a name and costs nothing."""
    return njit(inline="always")(function)


class Mine(NamedTuple):
    """A thread's part of a layer."""

    group: int
    member: int  # of the group
    first: int  # panels of hidden units, or backwards of h
    last: int
    scratch: int


class Panel(NamedTuple):
    """Neighbouring vectors, of hidden units or columns, whose weights lie together."""

    number: int
    first: int  # vectors before it
    vectors: int


class Step(NamedTuple):
    """A step of all sequences that last so long."""

    t: int
    first: int  # its first row among the valid rows of all steps
    rows: int  # how many sequences still run: the first ones
    prev: int  # where its rows begin among the states: those before the step, and those after it
    next: int


class RowTile(NamedTuple):
    """Some rows of a step."""

    first: int
    rows: int  # 0 or less: these sequences have ended, and those behind them too
    turn: int  # how many tiles of a panel a thread has had before, about


@written
def mine_of(job: Job, thread: int, most: int, vectors: int) -> Mine:
    """Return a thread's part of so many vectors, where a panel has `most`."""
    group, member = thread // job.members, thread % job.members
    panels = (vectors + most - 1) // most
    first, last = panels * member // job.members, panels * (member + 1) // job.members
    return Mine(group, member, first, last, job.scratch + thread * job.scratch_size)


@written
def panel_of(number: int, most: int, vectors: int) -> Panel:
    """Return a panel by its number, where there are so many vectors and a panel has `most`."""
    first = number * most
    return Panel(number, first, least(most, vectors - first))


def following(panel: Panel, mine: Mine, most: int, vectors: int) -> Panel:
    """Return the panel that a thread takes after one of its own: after the last the first, for the next step."""
    number = where(mine.last > panel.number + 1, panel.number + 1, mine.first)
    return Panel(number, number * most, least(most, vectors - number * most))


@written
def first_row(job: Job, t: int) -> int:
    """Return where the rows of step t begin among the valid rows of all steps."""
    return word_at(job.offsets + 8 * t)


@written
def step_on_tape(job: Job, t: int) -> Step:
    """Return step t, where states have a block for the initial one, then a row for each valid step."""
    first, end = word_at(job.offsets + 8 * t), word_at(job.offsets + 8 * (t + 1))
    before = word_at(job.offsets + 8 * greatest(t - 1, 0))
    return Step(t, first, end - first, prev=where(t > 0, job.B + before, 0), next=job.B + first)


@written
def step_in_turn(job: Job, t: int) -> Step:
    """Return step t, where two blocks of states take turns: a row that ends stays where it was written last."""
    first, end = word_at(job.offsets + 8 * t), word_at(job.offsets + 8 * (t + 1))
    return Step(t, first, end - first, prev=t % 2 * job.B, next=(t + 1) % 2 * job.B)


@written
def tile_of(job: Job, number: int, rows: int) -> RowTile:
    """Return what still runs of a tile, in a step of so many rows."""
    first = job.B * number // job.tiles
    turn = where(job.groups > 1, number // 2, number)
    return RowTile(first, least(job.B * (number + 1) // job.tiles, rows) - first, turn)


@phase
def meet(job, group):
    """Wait for the members of a group: each needs what the others have made in this step."""
    if job.members > 1:
        barrier(job.meeting + BETWEEN * (1 + group), job.members)


@phase
def meet_all(job):
    """Wait for all threads."""
    if job.groups * job.members > 1:
        barrier(job.meeting, job.groups * job.members)
