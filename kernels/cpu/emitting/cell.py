"""What the kernels know of a cell: its names, their order, and its equations on vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class KernelCell:
    """A cell, as tiles see it.

    Its functions take vectors of units of one row of the batch: ``step(sums, prev, *streams, *numbers)`` returns the
    next states and what a tape keeps; ``step_backward(kept, prev, state, dstate, *streams, *numbers)`` returns what the
    states before get directly (None for nothing), the sums' gradients in the order of the slots, and the gradient of
    each of its vectors. The numbers are its vectors, then its constants.
    """

    name: str  # which no other cell has: machine code is kept under it
    states: tuple[str, ...]  # the first is h
    slots: Callable[..., Any]  # the NamedTuple of a tile's sums for one unit: the input's, those of both, the state's
    from_x: tuple[str, ...]  # the slots that W_x x_t adds to, in the order of their rows in the weight
    from_h: tuple[str, ...]  # the slots that W_h h_{t−1} adds to, likewise; without any there is no W_h
    kept: tuple[str, ...]  # what a tape keeps of a step, besides the states
    step: Callable[..., Any]
    step_backward: Callable[..., Any]
    streams: tuple[str, ...] = ()  # numbers that come with each step
    vectors: tuple[str, ...] = ()  # parameters of one number a unit
    constants: tuple[str, ...] = ()  # numbers of a unit that have no gradient
    matrices: tuple[str, ...] = ()  # parameters that products within a step read (levels/)
    guarded: bool = False  # whether the units that fill the last vector may come to be no numbers: they are made 0

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots, in order."""
        return self.slots._fields  # type: ignore[attr-defined]

    @property
    def numbers(self) -> int:
        """How many numbers there are of a unit: its vectors and its constants."""
        return len(self.vectors) + len(self.constants)

    @property
    def meetings(self) -> int:
        """How often threads that share its units meet in a step."""
        return 1

    def weights(self, I: int, H: int, P: int) -> int:
        """Return how many weights a step multiplies by, where h has P numbers."""
        return H * (len(self.from_x) * I + len(self.from_h) * P)

    @property
    def first_from_h(self) -> int:
        """The first slot that W_h h_{t−1} adds to; those of x begin with the first of all."""
        return min((self.slot_names.index(slot) for slot in self.from_h), default=0)

    @property
    def places_x(self) -> tuple[tuple[int, int], ...]:
        """Which slot each of W_x's is, and which block of its rows is that slot's, in the order of the slots."""
        return self._places(self.from_x)

    @property
    def places_h(self) -> tuple[tuple[int, int], ...]:
        """The same of W_h."""
        return self._places(self.from_h)

    def _places(self, rows: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
        return tuple((k, rows.index(slot)) for k, slot in enumerate(self.slot_names) if slot in rows)

    @property
    def blocks_x(self) -> tuple[int, ...]:
        """Which block of W_x's rows belongs to each of its slots, in the order of the slots."""
        return tuple(block for _, block in self.places_x)

    @property
    def blocks_h(self) -> tuple[int, ...]:
        """The same of W_h."""
        return tuple(block for _, block in self.places_h)
