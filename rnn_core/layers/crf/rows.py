"""What a batch asks of a chain: which steps are no padding, which tags are known, how much a row counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..checks import as_array, as_found, check_range, first
from ..home import move, to_host


class Counted(NamedTuple):
    """How much the rows of a batch count, on the host."""

    rows: np.ndarray  # (B,), each row's weight
    known: np.ndarray | None  # (B, T), where the tag is known or does not matter; None where all are
    total: float  # Σ of the rows' weights over all steps with a known tag


def valid_first(xp: Any, lengths: np.ndarray | None, T: int) -> Array | None:
    """Return a mask (T, B) that leaves the padding out; None where there is none."""
    return None if lengths is None else xp.asarray(np.arange(T)[:, None] < lengths)


def checked_tags(where: str, tags: Any, shape: tuple[int, int], K: int, lengths: np.ndarray | None, xp: Any) -> Array:
    """Return tags (T, B) where the layer lives, past a row's length its last one.

    Raises
    ------
    ValueError
        They have another shape, or one is out of range.
    TypeError
        They are not integers.
    """
    tags = as_found(where, "tags", tags, xp)
    there = array_namespace(tags)
    if tuple(tags.shape) != shape:
        raise ValueError(f"{where}: tags must have shape {shape}, one for each step, got {tuple(tags.shape)}")
    if not there.isdtype(tags.dtype, "integral"):
        raise TypeError(f"{where}: tags must be integers, the tags' numbers, got {tags.dtype}")
    if lengths is not None:
        tags = there.take_along_axis(tags, there.asarray(held(lengths, shape[1])), axis=1)
    check_range(where, "tags", tags, K, f"num_tags is {K}")
    return move(tags, xp).T


def held(lengths: np.ndarray, T: int) -> np.ndarray:
    """Return, for each step (B, T), itself or, past a row's length, the row's last."""
    return np.minimum(np.arange(T), lengths[:, None] - 1)


def counted(where: str, weights: Any, lengths: np.ndarray | None, shape: tuple[int, int]) -> Counted:
    """Return how much rows count, and which tags are known, from weights (B,) or (B, T).

    Raises
    ------
    ValueError
        Weights have another shape, differ within a row without being 0, are negative or not finite, or are all 0.
    TypeError
        They are not real numbers.
    """
    B, T = shape
    steps = np.full(B, T) if lengths is None else lengths
    if weights is None:
        return Counted(np.ones(B), None, float(steps.sum()))
    weights = as_array(where, "weights", to_host(weights))
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"{where}: weights must be real numbers, got {weights.dtype}")
    if weights.shape not in ((B,), shape):
        raise ValueError(
            f"{where}: weights must have shape ({B},) or {shape}, a weight for each row, got {weights.shape}"
        )
    valid = np.arange(T) < steps[:, None]
    w = np.where(valid, np.broadcast_to(weights.reshape(B, -1), shape), 0).astype(float)
    if not (possible := (w >= 0) & (w < np.inf)).all():
        place = first(~possible)
        raise ValueError(f"{where}: weights must be finite and at least 0, got {w[place]} at index {place}")
    rows = w.max(axis=1)
    if ((w != 0) & (w != rows[:, None])).any():
        place = first((w != 0) & (w != rows[:, None]))
        raise ValueError(
            f"{where}: weights must be alike within a row, or 0 where the tag is not known, got {w[place]} and "
            f"{rows[place[0]]} in row {place[0]}; a chain's loss is that of the whole row"
        )
    known = (w > 0) | ~valid | (rows == 0)[:, None]
    total = float(rows @ (w > 0).sum(axis=1))
    if total == 0:
        raise ValueError(f"{where}: weights must not all be zero; leave this batch out")
    if known.all():
        return Counted(rows, None, total)
    return Counted(rows, known if lengths is None else np.take_along_axis(known, held(lengths, T), axis=1), total)
