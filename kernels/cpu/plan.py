"""How a layer's work is cut up among threads: one readable function of its sizes."""

from __future__ import annotations

from typing import NamedTuple

from .emitting.cell import KernelCell
from .emitting.host import host
from .emitting.microkernel import max_rows
from .emitting.simd import Lanes
from .loops.forward import max_panel, tallest


class Split(NamedTuple):
    """Threads, tiles, panels."""

    groups: int  # of threads: each has rows of the batch to itself
    members: int  # of a group: each has hidden units to itself
    tiles: int  # that the rows of a step are cut into
    panel: int  # vectors of hidden units in a panel, forwards
    back_panel: int  # and backwards
    dx_panel: int  # vectors of the input in a panel
    chunk: int  # steps whose input products are done ahead; 0: each in its own step
    steps: int  # that the backward takes together, before the products of the weights' gradients


SUM = 512
"""Rows whose gradients are taken together: what their products read has just been written, and is still near."""

AHEAD = 128
"""Rows whose input products are done ahead."""

NEAR = host().near
"""Bytes of weights that a core's own cache holds."""


CLOSE, FAR = 2, 4
"""Rows of a step that take no longer than its weights need to come: from a core's own cache, and from further away."""

MEETING = 100_000
"""Operations of a step, some 0.5 µs, below which threads that part its units lose more by meeting than they save."""


def effort(T: int, N: int, weights: int, size: int) -> float:
    """Return what N rows over T steps count for `threads.share`, in operations; a weight has `size` bytes."""
    return 2.0 * weights * max(N, T * (FAR if weights * size > NEAR else CLOSE))


def make_plan(
    cell: KernelCell, lanes: Lanes, T: int, B: int, N: int, I: int, H: int, count: int, P: int | None = None
) -> Split:
    """Return how `count` threads share N rows over T steps of B sequences.

    Each group is to have four rows of the batch or more; no step waits for another group's. Where there are too few
    rows for that, and where the weights are so many that a core's cache holds only a part of them, the members of a
    group part the hidden units; where a step is over sooner than they could meet, one thread has them all. Of h there
    are P numbers, H without a word.

    The input's products belong to the step that needs them, in the same tile, unless there are too few rows for a
    product to be worth its name, or the weights come from far: then those of several steps are done at once.
    """
    vectors, columns = (lanes.filled(n) // lanes.count for n in (H, I))
    panel, back_panel, dx_panel = _even(vectors, max_panel(cell)), _even(vectors, 4), _even(columns, 4)
    weights = cell.weights(I, H, H if P is None else P) * lanes.operand_size
    groups = max(1, min(count // min(count, -(-weights // NEAR)), B // 4))
    step = effort(1, B, weights // lanes.operand_size, lanes.operand_size)
    short = T > 1 and step < cell.meetings * MEETING
    members = 1 if short else min(count // groups, -(-vectors // back_panel))
    most = min(tallest(cell, lanes, panel), max_rows(lanes, back_panel))
    return Split(
        groups=groups,
        members=members,
        tiles=min(B, groups * -(-B // (groups * most))),
        panel=panel,
        back_panel=back_panel,
        dx_panel=dx_panel,
        chunk=min(T, -(-AHEAD // B)) if groups == 1 and (B < 16 or weights > NEAR) else 0,
        steps=min(T, -(-SUM // B)),
    )


def _even(vectors: int, most: int) -> int:
    """Return the vectors of a panel, so that the panels are about equal."""
    return -(-vectors // -(-vectors // most))
