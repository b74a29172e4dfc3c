"""Segments through a stack, and back: what the stack does with a batch, it does with each group of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kernels.contract import Array, State

from .segments import Group, Segments

Forward = Callable[[Group, Array, State], tuple[list[Array], State, Any]]
"""From a group with its x (L, S, I) and first states to sequences (L, S, ·), final states, and a tape or None."""

States = tuple[Array | None, ...]

Backward = Callable[[Any, list[Array | None], States], tuple[Array | None, States, dict[str, Array]]]
"""From a tape, and gradients of its sequences and final states, to those of x, of the first states, of parameters."""


class Tapes(NamedTuple):
    """What the backward of segments needs."""

    segments: Segments
    groups: list[Any]  # the stack's own tape of each


def through(
    segments: Segments, run: Forward, x: Array, state0: State, put_back: State
) -> tuple[list[Array], State, Tapes]:
    """Return sequences (T, B, ·), final states, and the tapes of all groups."""
    found = [run(group, group.of(x), segments.begin(group, state0, put_back)) for group in segments.groups]
    sequences, finals, tapes = zip(*found, strict=True)
    return (
        [segments.together(parts) for parts in zip(*sequences, strict=True)],
        tuple([segments.end(parts) for parts in zip(*finals, strict=True)]),
        Tapes(segments, list(tapes)),
    )


def back_through(
    tapes: Tapes, run: Backward, dsequences: list[Array | None], dfinal: States, *, again: bool
) -> tuple[Array | None, States, States, dict[str, Array]]:
    """Return the gradients of x, of the first states, with `again` of those put back to, and of parameters."""
    segments, dxs, dstates = tapes.segments, [], []
    total: dict[str, Array] = {}
    for group, tape in zip(segments.groups, tapes.groups, strict=True):
        dx, dstate, grads = run(
            tape,
            [None if d is None else group.of(d) for d in dsequences],
            tuple([segments.end_backward(group, ds) for ds in dfinal]),
        )
        dxs.append(dx)
        dstates.append(dstate)
        total = {name: total[name] + grad if name in total else grad for name, grad in grads.items()}
    by_state = list(zip(*dstates, strict=True))
    return (
        None if dxs[0] is None else segments.together(dxs),
        tuple([None if parts[0] is None else segments.first_backward(parts) for parts in by_state]),
        tuple([segments.again_backward(parts) if again and parts[0] is not None else None for parts in by_state]),
        total,
    )
