"""A layer's inference of small shapes: what has been found out once about a shape is not asked again.

The first calls of a shape go the ordinary way, with all its checks. From then on there is a desk for it (see
`kernels.contract`): memory whose addresses, plans and panels are known to the kernels. What can differ from call to
call is still looked at: whether x and state0 are NumPy's own arrays, their shapes and dtypes; whether all in them is
finite, in the compiled call; and whether weights may have been written into. Where anything is odd, the answer is None,
and the ordinary way says what is wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from kernels.contract import Array

from ... import backends
from ..layout import Layout

SHAPES = 16
"""Shapes of x for which a layer keeps desks, a megabyte or two each at most; the one not seen for longest goes."""


class Stamped(Protocol):
    """Arrays of which it is known whether somebody can have written into them."""

    def stamp(self) -> object:
        """Return the same object while nobody can have, or None where that isn't known."""


class Place:
    """A desk in the layout of a layer's caller."""

    __slots__ = ("run", "states", "x", "y")

    def __init__(self, desk: Any, layout: Layout):
        self.run = desk.run
        self.x, self.y = layout.outward(desk.x), layout.outward(desk.y)
        self.states = desk.states if layout.batched else tuple([state[:, 0] for state in desk.states])


class SmallCalls:
    """Inference of small shapes by a layer on a backend that has desks.

    Parameters
    ----------
    backend : str
    cell : str or Definition
    stack : list of list
        [layer][direction]: what the backend's `prepare` takes.
    dtype : dtype
    batch_first : bool
    watch : Stamped
        Of all arrays in `stack`; a `Watch`, as a rule.
    precision : {"float32", "bfloat16"}
    """

    def __init__(
        self,
        backend: str,
        cell: Any,
        stack: Sequence[Sequence[Any]],
        dtype: np.dtype,
        batch_first: bool,
        watch: Stamped,
        precision: str,
    ):
        self._made_of = backend, cell, stack, dtype, batch_first, watch, precision
        self._dtype, self._batch_first, self.stamp = dtype, batch_first, watch.stamp
        self._prepared = backends.get(backend).prepare(cell, stack, precision)
        self._free: dict[tuple[int, ...], deque[Place] | None] = {}  # None: met once, or too large for a desk

    def __call__(self, x: Array, state0: Any) -> tuple[Array, Any] | None:
        """Return y and the final state, as the layer does; None where the ordinary way is to be gone."""
        if type(x) is not np.ndarray or x.dtype != self._dtype:
            return None
        free = self._free.get(x.shape)
        if free is None:
            return None
        try:
            place = free.pop()  # in one step, whatever other threads and signals do
        except IndexError:
            place = Place(*self._desk(x.shape))
        place.x[...] = x
        if state0 is not None and not self._filled(place.states, state0):
            return None
        if not place.run(state0 is None, self.stamp()):
            return None
        y, states = place.y.copy(), tuple([state.copy() for state in place.states])
        free.append(place)
        return y, states if len(states) > 1 else states[0]

    def met(self, x: Any) -> None:
        """Take note of an x that has gone the ordinary way, and passed: of the second of a shape there is a desk."""
        if type(x) is not np.ndarray:
            return
        if x.shape not in self._free:
            kept = list(self._free.items())[1 - SHAPES :]
            self._free = {**dict(kept), x.shape: None}
        elif self._free[x.shape] is None and (place := self.place(x.shape)):
            self._free[x.shape] = deque([place])

    def place(self, shape: tuple[int, ...]) -> Place | None:
        """Return a place for an x of this shape, or None where it is too large for a desk."""
        desk, layout = self._desk(shape)
        return None if desk is None else Place(desk, layout)

    def _desk(self, shape: tuple[int, ...]) -> tuple[Any, Layout]:
        layout = Layout.of(shape, self._batch_first)
        return self._prepared.desk(layout.T, layout.B), layout

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def _filled(self, places: tuple[Array, ...], state0: Any) -> bool:
        """Fill in the initial states, if they are what they must be."""
        if len(places) == 1:
            state0 = (state0,)
        elif type(state0) is not tuple or len(state0) != len(places):
            return False
        for place, state in zip(places, state0, strict=True):
            if type(state) is not np.ndarray or state.dtype != self._dtype or state.shape != place.shape:
                return False
            place[...] = state
        return True
