"""A stack of cells as desks see it: its sizes, its weights as the loops read them, and each cell's loop.

A stack of another kind, such as one in int8 (`int8/stack.py`), says the same of itself; the desks are these (small.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from kernels.contract import DefinedParameters, Parameters

from .calls import DTYPES, hidden_size, set_numbers, weights_forward
from .emitting.cell import KernelCell
from .emitting.simd import Lanes
from .loops.forward import make_forward
from .loops.job import PLACE
from .plan import effort
from .running.compiled import compiled
from .running.memory import Block, take
from .shapes import Shape, forward_shape, lanes_of


class Loop(NamedTuple):
    """A cell's loop, cut for some threads."""

    groups: int  # of threads
    members: int  # of a group
    job: np.ndarray  # with all sizes; addresses are still to come
    place: Mapping[str, int]  # which of the job's numbers is which
    works_in: dict[str, int]  # bytes of memory, by the job's name for its address; the next loop may have the same
    weights: Callable[[], tuple[Block, ...]]  # panels of W_x and W_h, biases, and a cell's numbers if it has any
    how: Any  # they are packed: the same for loops that can share them


class Stack(Protocol):
    """A stack of cells of one kind; they are counted layer by layer, and by direction in a layer."""

    cell: KernelCell
    inputs: list[int]  # I of each cell
    H: int
    dtype: np.dtype

    def effort(self, T: int, B: int) -> float:
        """Return what T steps of B sequences count for `threads.share`, all cells together, in float32's time."""

    @property
    def lanes(self) -> Lanes:
        """The loops' vectors."""

    def loop(self, at: int, T: int, B: int, count: int) -> Loop:
        """Return a cell's loop over T steps of B sequences, for at most `count` threads."""

    def compiled(self) -> int:
        """Return the address of the loop's code."""


class FloatStack:
    """A stack whose weights are float32 or float64, in a precision."""

    def __init__(self, cell: KernelCell, params: Sequence[Parameters | DefinedParameters], precision: str):
        self.cell, self.params, self.precision = cell, params, precision
        self.inputs = [p.weight_ih.shape[1] for p in params]
        self.H, self.dtype = hidden_size(cell, params[0]), params[0].weight_ih.dtype

    def effort(self, T: int, B: int) -> float:
        """Return what T steps of B sequences count for `threads.share`."""
        weights = (sum(W.size for W in p[:2] if W is not None) for p in self.params)
        return sum(effort(T, T * B, one, self.lanes.operand_size) for one in weights)

    @property
    def lanes(self) -> Lanes:
        """The loops' vectors."""
        return lanes_of(DTYPES[self.dtype], self.precision)

    def loop(self, at: int, T: int, B: int, count: int) -> Loop:
        """Return a cell's loop over T steps of B sequences, for at most `count` threads."""
        sizes = T, B, T * B, self.inputs[at], self.H, count
        shape = forward_shape(self.cell, DTYPES[self.dtype], *sizes, False, self.precision)
        groups, members = shape.plan.groups, shape.plan.members
        works_in = {"scratch": int(shape.job[PLACE["scratch_size"]]) * groups * members}
        weights = partial(self._weights, self.params[at], shape)
        return Loop(groups, members, shape.job, PLACE, works_in, weights, shape.how)

    def _weights(self, params: Parameters | DefinedParameters, shape: Shape) -> tuple[Block, ...]:
        panels = weights_forward(self.cell, params, shape)
        if not self.cell.numbers:
            return panels
        numbers = take(self.cell.numbers * shape.Hp * shape.lanes.size)
        set_numbers(self.cell, numbers, 0, shape, params)
        return *panels, numbers

    def compiled(self) -> int:
        """Return the address of the loop's code."""
        return compiled(make_forward, self.cell, self.lanes, False).address
