"""What the loops know of a cell, and how its states are put together.

A cell's own file gives its equations on one number each: one thread has one hidden unit of one row of the batch. Those
of a cell that a user has defined are made of its programs (kernels/cuda/defined.py).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from kernels.contract import CellSpec
from kernels.definition import Definition

from .device import device_function
from .unrolled import Kind, Named, count, make_join, make_others


@dataclass(frozen=True, eq=False, kw_only=True)
class CellNumbers:
    """How many numbers a cell has of each kind, and what becomes of its sums."""

    name: str
    spec: CellSpec
    from_x: Kind  # what W_x x_t gives of a step
    from_h: Kind  # what W_h h_{t−1} gives; with nothing there is no W_h
    kept: Kind  # what a tape keeps of a step besides the states
    pre_activation: Callable[[Any, Any, Any, Any], Any]  # from W_x x_t, b_x, W_h h_{t−1} and b_h, gate by gate, to a
    halves_differ: bool
    streams: int = 0  # numbers that come with a step
    parameters: int = 0  # of a unit: its vectors, then its constants
    vectors: int = 0  # those alone that have a gradient

    @property
    def others(self) -> int:
        """How many states there are besides h."""
        return len(self.spec.states) - 1


@dataclass(frozen=True, eq=False, kw_only=True)
class KernelCell(CellNumbers):
    """A cell of which no unit looks at another within a step, as a thread sees it."""

    step: Callable[..., tuple[Any, Any]]
    step_backward: Callable[..., tuple[Any, ...]]
    halves: Callable[[Any], tuple[Any, Any]]  # from da to what W_x x_t and what W_h h_{t−1} get, gate by gate

    def numbers(self, direction: str) -> int:
        """Return how many numbers a thread has in registers while its block multiplies."""
        states, given = len(self.spec.states), self.streams + self.parameters
        if direction == "forward":
            return count(self.from_x) + states + given
        # What is recalled; dh and the others, and what comes from outside; sums for the vectors.
        return count(self.kept) + 2 * states + 2 * states + given + self.vectors


@dataclass(frozen=True, eq=False, kw_only=True)
class StagedCell(CellNumbers):
    """A cell whose programs have operations across the units of a row: a step is more than one launch."""

    definition: Definition


@cache
def _named(states: tuple[str, ...]) -> Named:
    return namedtuple("States", states)


def make_states(cell: CellNumbers, real: Any = None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `states` and `others`: from h and a tuple of the others to a NamedTuple, and from it back to the tuple.

    With `real` each number becomes one of that kind: a plain zero may be among them.
    """
    kind = _named(cell.spec.states)
    return make_join(kind, real), make_others(kind)


def make_steps(cell: KernelCell) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `step` and `step_backward`, as a cell has them that a user has defined.

    ``step(a, prev, m, p)`` and ``step_backward(kept, prev, state, dstate, m, p)`` take streams and parameters too, and
    the second returns dp besides. The cells of the contract have neither.
    """
    step, step_backward = cell.step, cell.step_backward
    if cell.parameters or cell.streams:
        return step, step_backward

    @device_function
    def alone(a, prev, m, p):
        return step(a, prev)

    @device_function
    def alone_backward(kept, prev, state, dstate, m, p):
        carries, da = step_backward(kept, prev, state, dstate)
        return carries, da, ()

    return alone, alone_backward
