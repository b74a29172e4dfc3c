"""How a group's threads go through the segments of a step: they meet, then each has its own units, or its own rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ..emitting.integers import written
from ..loops.gradients import Part
from ..loops.job import Job
from ..loops.parts import Mine, Panel, RowTile, Step, meet, panel_of, phase, tile_of


class Segment(Protocol):
    """What a thread does with a tile."""

    whole_rows: bool
    of_h: bool  # whether its tiles are of h's numbers

    def multiply(self, job: Job, panel: Panel, step: Step, tile: RowTile) -> None:
        """Do the products that the segment begins with."""

    def end(self, job: Job, panel: Panel, step: Step, tile: RowTile, da: int, part: Part) -> None:
        """Do the segment's operations."""


class Share(NamedTuple):
    """A thread's panels."""

    first: int
    last: int


def chain(segments: Sequence[Segment]) -> Any:
    """Return ``rest(job, mine, step, da, part)``: the segments, one after the other, and a meeting before each."""
    if not segments:
        return _nothing
    *before, last = segments
    earlier, this = chain(before), (_in_rows if last.whole_rows else _in_tiles)(last)

    @phase
    def rest(job, mine, step, da, part):
        earlier(job, mine, step, da, part)
        meet(job, mine.group)
        this(job, mine, step, da, part)

    return rest


@phase
def _nothing(job, mine, step, da, part):
    pass


def _in_tiles(segment: Segment) -> Any:
    multiply, end, share = written(segment.multiply), written(segment.end), written(_share)
    vectors_of = written(_h_vectors if segment.of_h else _vectors)

    @phase
    def in_tiles(job, mine, step, da, part):
        vectors = vectors_of(job)
        own = share(job, mine, vectors)
        for p in range(own.first, own.last):
            panel = panel_of(p, job.back_panel, vectors)
            for number in range(mine.group, job.tiles, job.groups):
                tile = tile_of(job, number, step.rows)
                if tile.rows <= 0:
                    break
                multiply(job, panel, step, tile)
                end(job, panel, step, tile, da, part)

    return in_tiles


def _in_rows(segment: Segment) -> Any:
    end, whole, share = written(segment.end), written(_all_units), written(_rows_of)

    @phase
    def in_rows(job, mine, step, da, part):
        for number in range(mine.group, job.tiles, job.groups):
            tile = tile_of(job, number, step.rows)
            if tile.rows <= 0:
                break
            rows = share(job, mine, tile)
            if rows.rows > 0:
                end(job, whole(job), step, rows, da, part)

    return in_rows


def _vectors(job: Job) -> int:
    return job.vectors


def _h_vectors(job: Job) -> int:
    return job.h_vectors


def _share(job: Job, mine: Mine, vectors: int) -> Share:
    """Return a thread's panels of so many vectors."""
    panels = (vectors + job.back_panel - 1) // job.back_panel
    return Share(panels * mine.member // job.members, panels * (mine.member + 1) // job.members)


def _rows_of(job: Job, mine: Mine, tile: RowTile) -> RowTile:
    """Return a member's rows of a tile."""
    first, end = tile.rows * mine.member // job.members, tile.rows * (mine.member + 1) // job.members
    return RowTile(tile.first + first, end - first, tile.turn)


def _all_units(job: Job) -> Panel:
    """Return all units as one panel."""
    return Panel(0, 0, job.vectors)


def nowhere(job: Job) -> Part:
    """Return the part of a step forwards, which adds to no gradients."""
    return Part(0, 0, 0, 0, 0)
