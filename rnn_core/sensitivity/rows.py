"""Some examples of a batch, and how much each counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.checks import as_array
from ..layers.home import to_host
from ..layers.layout import describe


def check_batch(where: str, batch: Any) -> int:
    """Return B, how many examples a batch has, if it is one batch of one task."""
    if not isinstance(batch, Batch):
        raise TypeError(
            f"{where}: batch must be a Batch, whose rows are examples, got {describe(batch)}; of several tasks take "
            "one after the other"
        )
    shape = getattr(batch.inputs, "shape", ())
    if not shape or shape[0] == 0:
        raise ValueError(
            f"{where}: batch must have an array of at least one row as inputs, got {describe(batch.inputs)}"
        )
    return int(shape[0])


def weighed(where: str, batch: Batch) -> Batch:
    """Return a batch in which each example has a weight that is written down, as it counted before."""
    B = batch.inputs.shape[0]
    if batch.weights is None:
        return batch._replace(weights=np.ones(B))
    weights = as_array(where, "weights", to_host(batch.weights))
    if weights.ndim == 0 or weights.shape[0] != B:
        raise ValueError(f"{where}: weights must have {B} rows, one for each example, got shape {weights.shape}")
    return batch._replace(weights=weights.astype(np.float64))


def some_rows(batch: Batch, rows: slice) -> Batch:
    """Return the batch of some examples alone."""
    inputs, targets, lengths, weights = (None if part is None else part[rows] for part in batch[:4])
    return Batch(inputs, targets, lengths, weights)


def row_of_state(state: Any, b: int) -> Any:
    """Return the initial state (layers·directions, B, H) of example b alone."""
    if isinstance(state, tuple | list):
        return tuple(row_of_state(part, b) for part in state)
    return None if state is None else state[:, b : b + 1]


def scaled(batch: Batch, factors: np.ndarray) -> Batch:
    """Return a batch, weighed, in which each example counts as many times as much."""
    weights: Array = batch.weights
    return batch._replace(weights=weights * factors.reshape(-1, *(1,) * (weights.ndim - 1)))
