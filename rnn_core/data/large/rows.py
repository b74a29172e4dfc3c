"""Some examples in memory, and what has them: `Blocks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..batches import Batch
from ..stored.ragged_file import Runs


class Rows(NamedTuple):
    """Some examples, which can be taken from and put together.

    Attributes
    ----------
    inputs : Runs, or array of shape (n, T) or (n, T, I)
    targets : Runs, or array of shape (n, …), or None
        Runs where each step has one. None: what comes next in each row of tokens.
    lengths : array of int, shape (n,), or None
        Of inputs that are an array; those of `Runs` are known.
    weights : array, shape (n, …), or None
    """

    inputs: Any
    targets: Any
    lengths: np.ndarray | None = None
    weights: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Rows:
        """Return some, in the order that they are asked for."""
        return Rows(*(None if part is None else part[rows] for part in self))

    def batch(self) -> Batch:
        """Return them side by side, padded to the longest."""
        if not isinstance(self.inputs, Runs):
            return Batch(self.inputs, self.targets, self.lengths, self.weights)
        inputs, targets = self.inputs, self.targets
        if targets is None:
            inputs, targets = inputs.without_last(), inputs.without_first()
        lengths = None if (inputs.lengths == inputs.lengths[0]).all() else inputs.lengths
        return Batch(
            inputs.padded(), targets.padded() if isinstance(targets, Runs) else targets, lengths, self.weights
        )


def joined(parts: Sequence[Rows]) -> Rows:
    """Return the examples of several, one behind the other."""
    return parts[0] if len(parts) == 1 else Rows(*map(_joined, zip(*parts, strict=True)))


def _joined(parts: Sequence[Any]) -> Any:
    if parts[0] is None:
        return None
    return Runs.joined(parts) if isinstance(parts[0], Runs) else np.concatenate(parts)


class Blocks(Protocol):
    """Examples that lie in blocks, each of which is read whole.

    Attributes
    ----------
    sizes : array of int, shape (K,)
        Examples of each block, at least one.
    """

    sizes: np.ndarray

    def read(self, block: int) -> Rows:
        """Return a block; it depends on its number alone."""
