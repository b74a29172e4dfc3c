"""Columns of a long text in a file: read some hundred thousand at a time, and given out batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...foreign import named
from .file_array import FileArray

PANEL = 1 << 22
"""Bytes of a panel, as int64."""


class Panels:
    """Tokens of a file, (N,), as rows that lie one below the other, each with one column more than it has.

    Parameters
    ----------
    tokens : FileArray
        (N,), of integers.
    rows, columns : int
        ``rows·columns + 1`` is at most N.
    below : int, optional
        What all tokens must be below.
    """

    def __init__(self, tokens: FileArray, rows: int, columns: int, below: int | None) -> None:
        self.tokens, self.rows, self.columns, self.below = tokens, rows, columns, below
        self.width = max(1, PANEL // (8 * rows))
        self._latest: tuple[int, np.ndarray] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_latest": None}

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return columns, (rows, stop − start), as int64; `stop` may be one more than there are."""
        parts = []
        while start < stop:
            number = min(start, self.columns - 1) // self.width
            begin = number * self.width
            end = min(stop, begin + self.width + 1)
            parts.append(self._panel(number)[:, start - begin : end - begin])
            start = end
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _panel(self, number: int) -> np.ndarray:
        """Return a panel with the first column of the next."""
        latest = self._latest  # two threads may come at once: each has a panel of its own in hand
        if latest is not None and latest[0] == number:
            return latest[1]
        start = number * self.width
        width = min(self.width, self.columns - start) + 1
        found = np.empty((self.rows, width), np.int64)
        for k, row in enumerate(found):
            first = k * self.columns + start
            row[:] = self.tokens[first : first + width]
            self._check(row, first)
        self._latest = (number, found)
        return found

    def _check(self, row: np.ndarray, first: int) -> None:
        if row.min() >= 0 and (self.below is None or row.max() < self.below):
            return
        bad = (row < 0) | (row >= (np.iinfo(np.int64).max if self.below is None else self.below))
        k = int(bad.argmax())
        most = "at least 0" if self.below is None else f"in 0…{self.below - 1}"
        raise ValueError(
            f"TextStream: tokens must be {most}, got {row[k]} at position {first + k} of {named(self.tokens.path)}; "
            "encode the text with the vocabulary of the model"
        )


class Columns:
    """What stands for an array (B, C): ``columns[:, start:stop]`` reads some.

    Parameters
    ----------
    panels : Panels
    shift : int
        0 or 1: by how many columns it is further on.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    ndim : int
    """

    ndim, dtype = 2, np.dtype(np.int64)

    def __init__(self, panels: Panels, shift: int) -> None:
        self.panels, self.shift = panels, shift
        self.shape = (panels.rows, panels.columns)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return some columns of some rows."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        start, stop, step = columns.indices(self.shape[1])
        found: np.ndarray = self.panels.read(start + self.shift, max(stop, start) + self.shift)[rows, ::step]
        return found
