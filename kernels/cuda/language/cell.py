"""What the loops know of a cell, and how its values are read from memory and written to it.

A cell's own file gives its equations on one number each: one thread has one hidden unit of one row of the batch.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernels.contract import CellSpec

from .device import device_function


@dataclass(frozen=True, eq=False)
class KernelCell:
    """A cell, as a thread sees it."""

    name: str
    spec: CellSpec
    kept: Callable[..., Any] | None  # the NamedTuple of what a tape keeps of a step besides the states; None: nothing
    pre_activation: Callable[[Any, Any, Any, Any], Any]  # from W_x x_t, b_x, W_h h_{t−1} and b_h, gate by gate, to a
    step: Callable[[Any, Any], tuple[Any, Any]]
    step_backward: Callable[[Any, Any, Any, Any], tuple[Any, Any]]
    halves: Callable[[Any], tuple[Any, Any]]  # from da to what W_x x_t and what W_h h_{t−1} get, gate by gate
    halves_differ: bool

    @property
    def has_c(self) -> bool:
        """Whether there is a second state."""
        return "c" in self.spec.states

    @property
    def kept_count(self) -> int:
        """How many numbers a tape keeps of a step for a hidden unit, besides the states."""
        return len(self.kept._fields) if self.kept else 0  # type: ignore[attr-defined]


StatesH: Any = namedtuple("StatesH", ("h",))
StatesHC: Any = namedtuple("StatesHC", ("h", "c"))


def states_of(cell: KernelCell) -> Any:
    """Return the function that names the states: from (h, c) in either form to a NamedTuple."""
    if cell.has_c:
        return device_function(lambda h, c: StatesHC(h, c))
    return device_function(lambda h, c: StatesH(h))
