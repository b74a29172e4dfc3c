"""Sequences of different lengths: read from a list, and as a `Ragged`, padded only where some of them are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..layers.checks import as_array, check_finite
from ..layers.layout import describe

MOST_STEPS = 1 << 18
"""Steps, padding included, that are computed at a time where nothing else bounds them: it bounds the memory."""


class Ragged:
    """Sequences of features that stand for one padded array.

    `Examples` takes them for inputs. What is taken of them, by a slice or by numbers, is an array padded with zeros to
    the longest that was taken; so one long sequence among a thousand short ones costs its own length, not a thousand
    times that.

    Parameters
    ----------
    rows : sequence of N arrays, shape (T_k, I) each
        Of one dtype.

    Attributes
    ----------
    lengths : ndarray of int, shape (N,)
        T_k.
    shape : tuple of int
        (N, T, I), with the longest T; of the array that they stand for.
    dtype : dtype
    ndim : int

    Raises
    ------
    ValueError
        There is no row, one is empty, or they differ in features or dtype.
    TypeError
        A row is no array of numbers.

    Examples
    --------
    >>> rows = Ragged([np.ones((2, 1)), np.ones((5, 1)), np.ones((3, 1))])
    >>> rows.shape, rows[[0, 2]].shape
    ((3, 5, 1), (2, 3, 1))
    """

    ndim = 3

    def __init__(self, rows: Sequence[np.ndarray]) -> None:
        self._rows = tuple(rows)
        if not self._rows:
            raise ValueError("Ragged: rows must have at least one sequence, got none")
        first = self._rows[0]
        for k, row in enumerate(self._rows):
            if not isinstance(row, np.ndarray) or row.dtype.kind not in "biufc":
                raise TypeError(f"Ragged: rows must be arrays of numbers, got {describe(row)} in row {k}")
            if row.ndim != 2 or 0 in row.shape:
                raise ValueError(
                    f"Ragged: rows must have shape (T, I) with at least one number, got {row.shape} in row {k}"
                )
            if row.shape[1] != first.shape[1] or row.dtype != first.dtype:
                raise ValueError(
                    f"Ragged: rows must have {first.shape[1]} features of {first.dtype}, as the first, got "
                    f"{row.shape[1]} of {row.dtype} in row {k}"
                )
        self.lengths = np.array([len(row) for row in self._rows], np.int64)
        self.dtype = first.dtype
        self.shape = (len(self._rows), int(self.lengths.max()), first.shape[1])

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self._rows)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield each sequence, (T_k, I)."""
        return iter(self._rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return some sequences (n, T, I), padded with zeros to the longest of them."""
        some = self.take(rows)
        padded = np.zeros(some.shape, self.dtype)
        for place, row in zip(padded, some, strict=True):
            place[: len(row)] = row
        return padded

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all of them as one array."""
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def take(self, rows: Any) -> Ragged:
        """Return some sequences, still apart."""
        return Ragged([self._rows[k] for k in np.arange(len(self))[rows]])


def is_list(X: Any) -> bool:
    """Return whether X is a list of sequences, and no array."""
    return isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind == "O")


def rows_of(where: str, X: Any, *, tokens: bool = False, turned: bool = False) -> list[np.ndarray]:
    """Return the sequences of a list, each checked: (T_k,) of tokens or (T_k, I) of features.

    Parameters
    ----------
    where : str
        The function to name in errors.
    X : sequence of array_like
        (T_k,) of integers with `tokens`; otherwise (T_k,), of one feature, or (T_k, I).
    tokens : bool
    turned : bool
        Each has its features first, (I, T_k).

    Raises
    ------
    ValueError
        There is none, one is empty or of another shape, NaN or infinite, or they differ in features.
    TypeError
        One is no array of numbers.
    """
    if len(X) == 0:
        raise ValueError(f"{where}: X must have at least one sequence, got none")
    shape, kinds = ("(T,) of integers", "iu") if tokens else ("(T,) or (T, I) of numbers", "biuf")
    rows: list[np.ndarray] = []
    for k, sequence in enumerate(X):
        row = as_array(where, f"X[{k}]", sequence)
        if row.ndim not in ((1,) if tokens else (1, 2)) or 0 in row.shape or row.dtype.kind not in kinds:
            raise ValueError(
                f"{where}: X must have sequences of shape {shape}, with at least one, got {row.dtype} of shape "
                f"{row.shape} in sequence {k}; a single sequence goes in a list"
            )
        if not tokens:
            row = row[:, None] if row.ndim == 1 else row.T if turned else row
            check_finite(where, f"X[{k}]", row)
            if rows and row.shape[1] != rows[0].shape[1]:
                raise ValueError(
                    f"{where}: X must have sequences of {rows[0].shape[1]} features, as the first has, got "
                    f"{row.shape[1]} in sequence {k}"
                )
        rows.append(row)
    return rows


def pieces(lengths: np.ndarray, most: int) -> Iterator[slice]:
    """Yield slices, one behind the other, of at most `most` rows, and of fewer where rows are long.

    Parameters
    ----------
    lengths : array of int, shape (N,)
    most : int
        Rows of a slice. Padded to their longest they have at most `MOST_STEPS` steps, unless one alone has more.
    """
    start = longest = 0
    for k, steps in enumerate(lengths.tolist()):
        longest = max(longest, steps)
        if k > start and (k - start == most or longest * (k + 1 - start) > MOST_STEPS):
            yield slice(start, k)
            start, longest = k, steps
    yield slice(start, len(lengths))
