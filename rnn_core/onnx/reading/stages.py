"""The recurrent layers that are found in a graph, with the weights that a node has, and the chain of all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...formats import steps as ours
from ...formats.chain import Chain
from ..order import Packed, class_of, gates_of, unpacked
from .values import CantRead


@dataclass(frozen=True, eq=False)
class Cells:
    """One layer of a stack, in one direction or two."""

    node: str  # as errors call it
    kind: str  # of order.FORMS
    packed: Packed
    nonlinearity: str  # of a vanilla RNN, or ""
    reverse: bool = False  # the one direction goes backwards: the other half of a pair
    others: frozenset[str] = frozenset()  # the inputs that its states and lengths come from

    @property
    def directions(self) -> int:
        """1 or 2."""
        return len(self.packed.W)

    def like(self, other: Cells) -> bool:
        """Return whether both may be directions of one layer."""
        return (
            (self.kind, self.nonlinearity, self.directions) == (other.kind, other.nonlinearity, other.directions)
            and self.packed.R.shape == other.packed.R.shape
            and (self.packed.B is None) == (other.packed.B is None)
        )


def chain_of(steps: Sequence[Any], backend: str | None, **layout: Any) -> Chain:
    """Return the chain of some steps, made whole before any of it is handed out.

    Raises
    ------
    CantRead, ValueError
        Sizes that should be the same are not, or what is half of something stands alone.
    """
    return ours.chain_of([_ours(one) if isinstance(one, Cells) else one for one in steps], backend, **layout)


def _ours(cells: Cells) -> ours.Cells:
    """Return a layer with our own parameters."""
    if cells.reverse:
        raise CantRead(f"{cells.node} must have a forward layer beside it, to be joined with, as it goes backwards")
    kind = class_of(cells.kind)
    gates = gates_of(kind)
    each = tuple(unpacked(cells.kind, gates, cells.packed, d) for d in range(cells.directions))
    return ours.Cells(kind, each, cells.nonlinearity)
