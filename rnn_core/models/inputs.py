"""What models take in: rows of tokens, and how much each target counts."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.checks import as_array, as_found, check_lengths
from ..layers.home import move


def as_tokens(where: str, tokens: Any, lengths: Any, home: Any) -> tuple[Array, np.ndarray | None]:
    """Return `tokens` as an array of integers (B, T), and `lengths`.

    To a model on the GPU, whose namespace is `home`, tokens may come from the host; the embedding takes them over.
    Past a row's length a token 0 is put, so that anything may stand there. The range of the others is the embedding's
    to check.
    """
    tokens = as_found(where, "tokens", tokens, home)
    xp = array_namespace(tokens)
    if tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(
            f"{where}: tokens must have shape (B, T), B rows of T ≥ 1 tokens, got {tuple(tokens.shape)}"
            + ("; for a single row use tokens[None]" if tokens.ndim == 1 and tokens.size else "")
        )
    if not xp.isdtype(tokens.dtype, "integral"):
        raise TypeError(f"{where}: tokens must be integers, got {tokens.dtype}; a Tokenizer makes them")
    B, T = tokens.shape
    lengths = check_lengths(where, lengths, T, B)
    return tokens if lengths is None else xp.where(valid_steps(xp, lengths, T), tokens, 0), lengths


def as_features(where: str, x: Any, lengths: Any, I: int, home: Any) -> tuple[Array, np.ndarray | None]:
    """Return `x` as an array of features (B, T, I) where the model lives, and `lengths`."""
    x = as_array(where, "x", x, home)
    if x.ndim != 3 or x.shape[2] != I or 0 in x.shape:
        raise ValueError(
            f"{where}: x must have shape (B, T, {I}), B rows of T ≥ 1 steps, got {tuple(x.shape)}; input_size is {I}"
        )
    return x, check_lengths(where, lengths, x.shape[1], x.shape[0])


def valid_steps(xp: Any, lengths: np.ndarray, T: int) -> Array:
    """Return a mask (B, T) that leaves the padding out."""
    return xp.asarray(np.arange(T) < lengths[:, None])


def as_targets(
    where: str,
    batch: Batch,
    shape: tuple[int, ...],
    home: Any,
    *,
    rows: tuple[int, ...] | None = None,
    of: str = "",
    why: str = "",
) -> tuple[Array, Array | None]:
    """Return a batch's targets, if they have this shape, and how much each counts; where they were.

    `rows` is the shape of what counts as one target each, where that is not `shape`: (B,), or (B, T) if each step has
    its own. Then those past a row's length count nothing, and are made 0, which is always a valid one.
    """
    targets = as_found(where, "targets", batch.targets, home)
    if tuple(targets.shape) != shape:
        hint = "; of one-hot rows take argmax(axis=-1)" if tuple(targets.shape[:-1]) == shape else ""
        raise ValueError(f"{where}: targets{of} must have shape {shape}{why}, got {tuple(targets.shape)}{hint}")
    rows = shape if rows is None else rows
    lengths = check_lengths(where, batch.lengths, rows[1], rows[0]) if len(rows) == 2 else None
    weights = target_weights(where, batch.weights, lengths, rows, home)
    if lengths is None:
        return targets, weights
    xp = array_namespace(targets)
    valid = xp.reshape(valid_steps(xp, lengths, rows[1]), rows + (1,) * (len(shape) - 2))
    return xp.where(valid, targets, 0), weights


def target_weights(
    where: str, weights: Any, lengths: np.ndarray | None, shape: tuple[int, ...], home: Any
) -> Array | None:
    """Return how much each target counts, as an array of this shape, where it was; None where all count alike.

    `lengths` says which targets are padding: that counts nothing, whatever its weight.
    """
    if weights is None:
        return None if lengths is None else valid_steps(np, lengths, shape[1])
    weights = as_found(where, "weights", weights, home)
    xp = array_namespace(weights)
    if tuple(weights.shape) not in (shape, shape[:1]):
        raise ValueError(
            f"{where}: weights must have shape {shape} or {shape[:1]}, a weight for each target or row, "
            f"got {tuple(weights.shape)}"
        )
    if xp.isdtype(weights.dtype, "complex floating"):
        raise TypeError(f"{where}: weights must be real numbers, got {weights.dtype}")
    weights = xp.reshape(weights, weights.shape + (1,) * (len(shape) - weights.ndim))
    weights = xp.astype(xp.broadcast_to(weights, shape), xp.float64)
    return weights if lengths is None else xp.where(valid_steps(xp, lengths, shape[1]), weights, 0)


def total(weights: Array | None, shape: tuple[int, ...]) -> float:
    """Return the number of targets or, if they have weights, the sum of these."""
    return prod(shape) if weights is None else weights.sum().item()


def total_of(hits: Array, weights: Array | None) -> float:
    """Return the number of hits, or the sum of their weights."""
    return (hits if weights is None else hits * move(weights, array_namespace(hits))).sum().item()
