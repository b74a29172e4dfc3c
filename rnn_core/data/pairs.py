"""`Pairs`: a sequence to read and one to write, in batches of similar lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..foreign import shown
from ..layers.checks import as_array, check_finite, flag, positive_int
from .batches import Batch, as_data, checked_place, count
from .ragged import Ragged

WINDOW = 64
"""Batches that are cut, at a time, from examples in the order of their lengths: few enough for a new mixture in each
epoch, and enough for batches that are hardly padded."""


class Pairs:
    """Minibatches of what is read and what is written, for `Seq2Seq`.

    Each batch is padded to its own longest, with 0, and behind each target there is a 0, its end. With `shuffle` an
    epoch's order is drawn from the seed and the epoch's number, and what stands in a batch is of similar length, so
    that little of it is padding.

    Parameters
    ----------
    sources : sequence of N arrays, or Ragged
        What is read: tokens (T,) of int, or features (T, I).
    targets : sequence of N arrays of int, shape (T,)
        What is written, each token at least 1: 0 is the end, and is put behind each here.
    weights : array, shape (N,), optional
        How much each token of a target counts, at least 0.
    batch_size : int
        The last batch has what is left.
    shuffle : bool
        Draw a new order each epoch. Without it the order is that of the rows, whatever their lengths.
    seed : int

    Raises
    ------
    ValueError
        There is no pair, the numbers differ, a row is empty or of another shape, a token or weight is out of range, a
        value is NaN or infinite (the message says where), or `batch_size` is below 1.
    TypeError
        Tokens, `batch_size` or `seed` are not integers, or something is no array of numbers.

    Examples
    --------
    >>> pairs = Pairs([[5, 6, 7], [8]], [[1, 2], [3]], shuffle=False)
    >>> pairs.batch(0, 0).targets
    array([[1, 2, 0],
           [3, 0, 0]])
    """

    def __init__(
        self,
        sources: Any,
        targets: Sequence[Any],
        *,
        weights: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.batch_size = positive_int("Pairs", "batch_size", batch_size)
        self.shuffle = flag("Pairs", "shuffle", shuffle)
        self.seed = count("Pairs", "seed", seed)
        self.sources: Ragged | _Rows = sources if isinstance(sources, Ragged) else _sources(sources)
        self.targets = _Rows("targets", targets, 1, end=True)
        if isinstance(self.sources, Ragged):
            for k, row in enumerate(self.sources):
                check_finite("Pairs", f"sources[{k}]", row)
        N = len(self.sources)
        if len(self.targets) != N:
            raise ValueError(f"Pairs: targets must have {N} rows, one for each source, got {len(self.targets)}")
        self.weights = None if weights is None else _weights(weights, N)
        self._latest: tuple[int, list[np.ndarray]] | None = None

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.sources) // self.batch_size)

    def batch(self, epoch: int, index: int) -> Batch:
        """Return a batch: inputs (B, Tx) or (B, Tx, I), targets (B, Ty), lengths and weights (B,).

        Parameters
        ----------
        epoch : int
            At least 0.
        index : int
            At least 0 and below ``len(self)``.

        Raises
        ------
        ValueError
            A number is out of range.
        TypeError
            A number is not an integer.
        """
        epoch, index = checked_place("Pairs.batch", epoch, index, len(self))
        rows = self._batches(epoch)[index]
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.sources[rows], self.targets[rows], self.sources.lengths[rows], weights)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Return the rows of each batch of an epoch. The latest is kept: it is asked for once a batch."""
        if self._latest is None or self._latest[0] != epoch:
            self._latest = (epoch, self._drawn(epoch))
        return self._latest[1]

    def _drawn(self, epoch: int) -> list[np.ndarray]:
        N, size = len(self.sources), self.batch_size
        if not self.shuffle:
            return [np.arange(N)[start : start + size] for start in range(0, N, size)]
        rng = np.random.default_rng([self.seed, epoch])
        order, found = rng.permutation(N), []
        for start in range(0, N, WINDOW * size):
            rows = order[start : start + WINDOW * size]
            rows = rows[np.lexsort((self.targets.lengths[rows], self.sources.lengths[rows]))]
            found += [rows[k : k + size] for k in range(0, len(rows), size)]
        return [found[k] for k in rng.permutation(len(found))]


class _Rows:
    """Rows of tokens of different lengths, one behind the other in one array; some of them, padded, are an array."""

    def __init__(self, name: str, rows: Any, least: int, *, end: bool = False) -> None:
        arrays = [_tokens(name, k, row, least) for k, row in enumerate(_several(name, rows))]
        if not arrays:
            raise ValueError(f"Pairs: {name} must have at least one row, got none")
        self.lengths = np.array([len(row) for row in arrays], np.int64)
        self._flat = np.concatenate(arrays)
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self._end = int(end)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows (n, T), padded with 0, and one more behind the longest where each has an end."""
        lengths, T = self.lengths[rows], int(self.lengths[rows].max())
        steps = np.arange(T + self._end)
        inside = steps < lengths[:, None]
        places = np.where(inside, self._starts[rows][:, None] + steps, 0)
        return np.where(inside, self._flat[places], 0)


def _sources(rows: Any) -> Ragged | _Rows:
    """Return what is read: features, if the first row has two axes, or tokens."""
    rows = _several("sources", rows)
    if len(rows) and np.ndim(rows[0]) == 2:
        return Ragged([as_array("Pairs", f"sources[{k}]", row) for k, row in enumerate(rows)])
    return _Rows("sources", rows, 0)


def _several(name: str, rows: Any) -> Any:
    """Return rows, if there can be several of them."""
    if isinstance(rows, str | bytes) or not hasattr(rows, "__len__") or not hasattr(rows, "__getitem__"):
        raise TypeError(f"Pairs: {name} must be a list of arrays, one for each pair, got {shown(rows)}")
    return rows


def _tokens(name: str, k: int, row: Any, least: int) -> np.ndarray:
    """Return a row of tokens, if it is one."""
    row = as_array("Pairs", f"{name}[{k}]", row)
    if row.ndim != 1 or row.size == 0:
        raise ValueError(
            f"Pairs: {name}[{k}] must have shape (T,) with at least one token, got {row.shape}"
            + ("; leave such pairs out" if row.size == 0 else "")
        )
    if row.dtype.kind not in "iu":
        raise TypeError(f"Pairs: {name}[{k}] must be integers, got {row.dtype}; a Tokenizer makes them")
    if row.min() < least:
        place = int(np.argmax(row < least))
        why = "; 0 is the end, which is put behind each target here" if least else ""
        raise ValueError(f"Pairs: {name}[{k}] must be at least {least}, got {row[place]} at index {place}{why}")
    return row.astype(np.int64)


def _weights(weights: Any, N: int) -> np.ndarray:
    """Return a weight for each pair, if they are such."""
    weights = as_data("Pairs", "weights", weights)
    if tuple(weights.shape) != (N,):
        raise ValueError(f"Pairs: weights must have shape ({N},), one for each pair, got {tuple(weights.shape)}")
    check_finite("Pairs", "weights", weights)
    if (weights < 0).any():
        place = int(np.argmax(weights < 0))
        raise ValueError(f"Pairs: weights must be at least 0, got {weights[place]} at index {place}")
    return np.asarray(weights)
