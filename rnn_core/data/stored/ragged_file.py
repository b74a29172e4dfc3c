"""`RaggedFile`: rows of different lengths that lie one behind the other in a file; and some of them, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...foreign import named, shown
from ...layers.checks import as_array
from .file_array import FileArray


class Runs:
    """Rows of different lengths in memory, one behind the other.

    Parameters
    ----------
    values : array, shape (M,) or (M, I)
    lengths : array of int, shape (n,)
        Their sum is M.
    """

    def __init__(self, values: np.ndarray, lengths: np.ndarray) -> None:
        self.values, self.lengths = values, np.asarray(lengths, np.int64)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.lengths)

    def __getitem__(self, rows: Any) -> Runs:
        """Return some rows, in the order that they are asked for."""
        starts = np.cumsum(self.lengths) - self.lengths
        starts, lengths = starts[rows], self.lengths[rows]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Runs(self.values[np.repeat(starts, lengths) + within], lengths)

    def padded(self) -> np.ndarray:
        """Return them as an array (n, T, …), filled up with zeros."""
        found = np.zeros((len(self), int(self.lengths.max()), *self.values.shape[1:]), self.values.dtype)
        found[np.arange(found.shape[1]) < self.lengths[:, None]] = self.values
        return found

    def without_last(self) -> Runs:
        """Return each row but for its last step."""
        ends = np.cumsum(self.lengths) - 1
        return Runs(np.delete(self.values, ends, axis=0), self.lengths - 1)

    def without_first(self) -> Runs:
        """Return each row but for its first step."""
        starts = np.cumsum(self.lengths) - self.lengths
        return Runs(np.delete(self.values, starts, axis=0), self.lengths - 1)

    @staticmethod
    def joined(parts: Sequence[Runs]) -> Runs:
        """Return the rows of several, one behind the other."""
        if len(parts) == 1:
            return parts[0]
        return Runs(np.concatenate([p.values for p in parts]), np.concatenate([p.lengths for p in parts]))


class RaggedFile:
    """Rows of different lengths in a file: ``values[offsets[k]:offsets[k + 1]]`` is row k.

    Parameters
    ----------
    values : FileArray, shape (M,), of int, or (M, I)
        Tokens or features.
    offsets : FileArray or array of int, shape (N + 1,)
        Where each row begins, and where the last one ends.

    Attributes
    ----------
    values, offsets : FileArray or array

    Raises
    ------
    ValueError
        The offsets are not of that shape, or don't end where the values do; or, when they are read, a row is empty.
    TypeError
        The offsets are no integers.
    """

    def __init__(self, values: FileArray, offsets: Any) -> None:
        if not isinstance(values, FileArray):
            raise TypeError(f"RaggedFile: values must be a FileArray, got {type(values).__name__}")
        offsets = offsets if isinstance(offsets, FileArray) else as_array("RaggedFile", "offsets", offsets)
        if offsets.dtype.kind not in "iu":
            raise TypeError(f"RaggedFile: offsets must be integers, got {offsets.dtype}")
        if offsets.ndim != 1 or offsets.shape[0] < 2:
            raise ValueError(f"RaggedFile: offsets must have shape (N + 1,), of N ≥ 1 rows, got {tuple(offsets.shape)}")
        self.values, self.offsets = values, offsets
        ends = int(offsets[:1][0]), int(offsets[-1:][0])
        if ends != (0, len(values)):
            raise ValueError(
                f"RaggedFile: offsets must go from 0 to {len(values)}, the values of {named(values.path)}, got "
                f"{ends[0]} to {ends[1]}; both files must be of one encoding"
            )

    def __len__(self) -> int:
        """The number of rows."""
        return int(self.offsets.shape[0]) - 1

    def read(self, start: int, stop: int) -> Runs:
        """Return the rows from `start` up to `stop`."""
        offsets = np.asarray(self.offsets[start : stop + 1]).astype(np.int64)
        lengths = np.diff(offsets)
        if (bad := lengths < 1).any():
            k = int(bad.argmax())
            raise ValueError(
                f"RaggedFile: offsets must grow from row to row, got {shown(offsets[k : k + 2].tolist())} for row "
                f"{start + k}; leave empty rows out"
            )
        if offsets[0] < 0 or offsets[-1] > len(self.values):
            raise ValueError(
                f"RaggedFile: offsets must be in 0…{len(self.values)}, got {shown(offsets[[0, -1]].tolist())}"
            )
        return Runs(self.values[int(offsets[0]) : int(offsets[-1])], lengths)
