"""Rows of tokens for a model that is asked for each token by those around it: bounded, or cut out of a long text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..layers.checks import as_array, positive_int
from .batches import count
from .sequences import sequence_lengths


def bounded(rows: Sequence[Any], begin: int, end: int) -> list[np.ndarray]:
    """Return rows of tokens with a token before and a token behind each.

    A `Tokenizer` knows neither: a vocabulary of V tokens with ``begin=V`` and ``end=V + 1`` is one of V + 2.

    Parameters
    ----------
    rows : sequence of N arrays of int, shape (n_k,)
    begin, end : int
        The two tokens, each at least 0; they may be one and the same.

    Returns
    -------
    list of ndarray of int64, shape (n_k + 2,)

    Raises
    ------
    ValueError
        There are no rows, one is empty or no row of numbers, or a token is below 0.
    TypeError
        A row or a token is not of integers.

    Examples
    --------
    >>> bounded([[1, 2, 3], [4]], 5, 6)
    [array([5, 1, 2, 3, 6]), array([5, 4, 6])]
    """
    first, last = count("bounded", "begin", begin), count("bounded", "end", end)
    sequence_lengths(rows)
    return [np.array([first, *_tokens("bounded", f"rows[{k}]", row), last]) for k, row in enumerate(rows)]


def windows(tokens: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a long text into rows, each of which begins with the token that the one before ends with.

    So each pair of neighbours stands in one row, and a `BidirectionalLanguageModel` is asked once for each token by
    the one before it, and once by the one behind it: nothing is left out at the seams, and nothing counts twice.

    Parameters
    ----------
    tokens : array of int, shape (N,)
        At least two.
    steps : int
        Tokens of a row, S, at least 2: gradients and context reach no further.

    Returns
    -------
    rows : ndarray of int, shape (K, S)
        K is (N − 1)/(S − 1), rounded up. The last row is filled up with 0.
    lengths : ndarray of int64, shape (K,)

    Raises
    ------
    ValueError
        The text is not one row or has fewer than two tokens, or `steps` is below 2.
    TypeError
        Something is not an integer.

    Examples
    --------
    >>> windows([1, 2, 3, 4, 5, 6], 3)
    (array([[1, 2, 3],
           [3, 4, 5],
           [5, 6, 0]]), array([3, 3, 2]))
    """
    tokens, S = _tokens("windows", "tokens", tokens), positive_int("windows", "steps", steps)
    if S < 2:
        raise ValueError(f"windows: steps must be at least 2, a token and its neighbour, got {S}")
    N = len(tokens)
    if N < 2:
        raise ValueError(f"windows: tokens must be at least 2, a token and its neighbour, got {N}")
    starts = np.arange(0, N - 1, S - 1)
    lengths = np.minimum(S, N - starts)
    places = starts[:, None] + np.arange(S)
    return np.where(places < N, tokens[np.minimum(places, N - 1)], 0), lengths


def _tokens(where: str, name: str, value: Any) -> np.ndarray:
    """Return one row of tokens as an array."""
    tokens = as_array(where, name, value)
    if tokens.ndim != 1:
        raise ValueError(f"{where}: {name} must have shape (n,), one row of tokens, got {tokens.shape}")
    if tokens.dtype.kind not in "iu":
        raise TypeError(f"{where}: {name} must be integers, got {tokens.dtype}; a Tokenizer makes them")
    return tokens
