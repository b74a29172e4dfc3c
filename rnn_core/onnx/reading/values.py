"""What stands on a graph's edges as it is read: numbers that are known, sizes, and what flows from the input.

No numbers flow while a file is read. What is followed instead is where each axis of a value comes from, so that
``Transpose``, ``Squeeze`` or ``Reshape`` are understood in whatever order a program has written them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np


class CantRead(Exception):
    """Why a node can't be read."""


@dataclass(frozen=True, eq=False)
class Atom:
    """An axis that is never taken apart: itself, whatever its size; None is any size."""

    size: int | None = None


MOST_AXES = 8
"""Of what comes in, and of a Reshape."""

Axis = tuple[Atom, ...]
"""An axis of a value: several atoms where a Reshape has made one of them, none where its size is 1 for nothing."""


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that the file holds, or that follow from it."""

    array: np.ndarray


@dataclass(frozen=True, eq=False)
class Zeros:
    """Zeros of whatever shape."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """Integers that are sizes of what comes in: a number, the size of an atom, or None for what isn't known."""

    entries: tuple[int | Atom | None, ...]
    scalar: bool = False


@dataclass(frozen=True, eq=False)
class Count:
    """0, 1, … up to an atom's size, and what is compared with it; `below` is the mask of those below that size."""

    of: Atom
    below: bool = False


@dataclass(frozen=True, eq=False)
class Flow:
    """What the input has become after some steps."""

    source: str  # the input
    steps: tuple[Any, ...]  # of stages.py
    axes: tuple[Axis, ...]
    features: Axis  # the atoms of the last axis, where a layer reads them; () of tokens
    time: Atom | None = None
    batch: Atom | None = None
    at: str = "steps"  # "h" or "c": that state after the last step, whose axes are (directions, B, H)
    directions: Atom | None = None  # of the last recurrent layer, where its two have not become features
    part: int | None = None  # the one of them that was taken out
    whole: bool = True  # False after a part of an input was taken, which can then be a state alone

    def after(self, step: Any, axes: tuple[Axis, ...], **changes: Any) -> Flow:
        """Return what it is after another step."""
        return replace(self, steps=(*self.steps, step), axes=axes, **changes)


@dataclass(frozen=True, eq=False)
class States:
    """Final states of several layers, one behind the other."""

    each: tuple[Flow, ...]


def axis_of(given: int, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= given < rank:
        raise CantRead(f"axis must be one of {rank}, got {given}")
    return given % rank


def size_of(axis: Axis) -> int | None:
    """Return the size of an axis, if it is known."""
    sizes = [atom.size for atom in axis]
    return None if None in sizes else prod(size for size in sizes if size is not None)


def entry_of(axis: Axis) -> int | Atom | None:
    """Return what `Sizes` says of an axis."""
    size = size_of(axis)
    return axis[0] if size is None and len(axis) == 1 else size


def regrouped(axes: Sequence[Axis], shape: Sequence[int | Atom | None]) -> tuple[Axis, ...]:
    """Return the axes after a Reshape to `shape`, in which 0 keeps an axis, and -1 and None are any size.

    Raises
    ------
    CantRead
        It cuts an atom into parts, or it can't be told where the atoms go.
    """
    if len(shape) > MOST_AXES:
        raise CantRead(f"shape must have at most {MOST_AXES} axes, got {len(shape)}")
    atoms = [atom for axis in axes for atom in axis]
    found: list[tuple[Axis, ...]] = []

    def place(k: int, first: int, done: tuple[Axis, ...]) -> None:
        if k == len(shape):
            if first == len(atoms):
                found.append(done)
            return
        for last in range(first, len(atoms) + 1):
            group = tuple(atoms[first:last])
            if _fits(group, shape[k], axes[k] if k < len(axes) else None):
                place(k + 1, last, (*done, group))

    place(0, 0, ())
    if not found:
        sizes = [entry if isinstance(entry, int) else "a size" for entry in shape]
        raise CantRead(f"shape must keep each axis whole or join neighbours, got {sizes}")
    return max(found, key=lambda groups: sum(1 for group in groups if group))


def _fits(group: Axis, entry: int | Atom | None, before: Axis | None) -> bool:
    """Return whether a group of atoms may be an axis of a shape's entry."""
    if isinstance(entry, Atom):
        return group == (entry,)
    if entry == 0:
        return group == before
    if entry is None or entry == -1:
        return True
    return size_of(group) == entry
