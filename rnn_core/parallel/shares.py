"""Batches and states, cut into shares: rows that lie side by side, the same for any number of ranks that has them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from ..data.batches import Batch
from ..layers.dropout import RowsOf

STATE_ROWS = 1
"""The axis of the rows in a state, (layers·directions, B, H)."""


class Share(NamedTuple):
    """Some rows of a batch, and what they are computed from."""

    rows: slice
    of: int  # rows of the whole batch
    batch: Batch
    state: Any
    counts: bool  # or else the state after it alone is wanted


def bounds(count: int, shares: int) -> list[slice]:
    """Return the rows of each share, of sizes that differ by one at most; some have none where rows are too few."""
    ends = [count * k // shares for k in range(shares + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


def rows_of(batch: Any) -> int:
    """Return how many rows a batch has.

    Raises
    ------
    TypeError
        It is none that can be cut by rows.
    """
    if not isinstance(batch, Batch):
        raise TypeError(
            f"fit: with parallel, batches must be Batch, which is cut by rows, got {type(batch).__name__}; train it in "
            "one process"
        )
    count: int = batch.inputs.shape[0]
    return count


def cut(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a batch, padded as they were."""
    some = [None if part is None else part[rows] for part in batch[:4]]
    return batch._replace(inputs=some[0], targets=some[1], lengths=some[2], weights=some[3])


def counted(batch: Batch) -> tuple[Batch, bool]:
    """Return a batch that can be computed, and whether it counts.

    A share may have no target that counts where the batch has some. A model refuses that; what it is needed for is
    the state after it.
    """
    if batch.weights is None or bool((batch.weights != 0).any()):
        return batch, True
    return batch._replace(weights=array_namespace(batch.weights).ones_like(batch.weights)), False


def generator_of(seeds: list[int], rows: slice, count: int) -> RowsOf:
    """Return what draws the masks of some rows, out of those of the whole batch."""
    return RowsOf(np.random.default_rng(seeds).bit_generator, rows, count)


def cut_state(state: Any, rows: slice) -> Any:
    """Return some rows of a state, an array or a tuple of arrays; None without any."""
    if state is None or rows.start == rows.stop:
        return None
    if isinstance(state, tuple):
        return tuple(array[:, rows] for array in state)
    return state[:, rows]


def join_states(parts: list[Any]) -> Any:
    """Return the state of all rows from those of the shares; None where no share has one."""
    parts = [part for part in parts if part is not None]
    if not parts:
        return None
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(arrays, axis=STATE_ROWS) for arrays in zip(*parts, strict=True))
    return np.concatenate(parts, axis=STATE_ROWS)


def rows_of_state(state: Any) -> int:
    """Return how many rows a state has; 0 for None."""
    first = state[0] if isinstance(state, tuple) else state
    return 0 if first is None else first.shape[STATE_ROWS]
