"""`Series`: what was read, each row for itself, and padded only where that is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ....foreign import shown

EPSILON = float(np.finfo(np.float32).eps)

LOST = 1e-2
"""Of a row's standard deviation: what float32 may change before something is said."""


@dataclass(frozen=True, eq=False)
class Series:
    """Series and what they are.

    Attributes
    ----------
    rows : tuple of ndarray, shape (T_k, I) each, float64
        The numbers as they were read: scale these, and make them float32 then. What is far from 0 and varies little, as
        a time since 1970 does, is lost in float32 if it isn't scaled before.
    labels : ndarray of int, shape (N,), or None
        The number of each series' class, −1 where it has none and may; None if no label was asked for.
    classes : tuple of str
        The classes' names: as the file declares them, in its order, or else those found, by value or by the alphabet.
        A declared class may have no example.
    places : tuple of str
        Where each series stands: its line, or its file.
    rate : int or None
        Steps a second, of waveforms.
    whole : ndarray of int, shape (N,)
        Steps that each row has in its file, whatever ``max_steps`` has left of them.
    inputs : ndarray, shape (N, T, I), float32
        The rows padded to the longest, zero past a row's length. Made when first asked for; one long row makes it
        large.
    lengths : ndarray of int, shape (N,), or None
        Valid steps of each row; None where all are.
    """

    rows: tuple[np.ndarray, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    places: tuple[str, ...]
    rate: int | None
    whole: np.ndarray

    def __iter__(self) -> Iterator[Any]:
        """Yield inputs, lengths, labels, classes, places and rate."""
        return iter((self.inputs, self.lengths, self.labels, self.classes, self.places, self.rate))

    def __len__(self) -> int:
        """The number of series."""
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray | None:
        """Valid steps of each row; None where all are."""
        lengths = np.array([len(row) for row in self.rows], np.int64)
        return None if (lengths == lengths[0]).all() else lengths

    @cached_property
    def inputs(self) -> np.ndarray:
        """The rows padded to the longest.

        Raises
        ------
        MemoryError
            There is none for so much; the message names the longest row.
        """
        longest = max(range(len(self.rows)), key=lambda k: len(self.rows[k]))
        shape = (len(self.rows), *self.rows[longest].shape)
        try:
            inputs = np.zeros(shape, np.float32)
        except MemoryError:
            raise MemoryError(
                f"Series.inputs: {shape[0]:,} series padded to the {shape[1]:,} steps of {shown(self.places[longest])} "
                f"are {4e-9 * np.prod(shape, dtype=float):.1f} GB; give the reader max_steps, or pad few at a time"
            ) from None
        lengths = np.array([len(row) for row in self.rows])
        values = np.concatenate(self.rows)
        inputs[np.arange(shape[1]) < lengths[:, None]] = values
        starts = np.cumsum(lengths) - lengths
        varies = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
        far = EPSILON * abs(values[starts]) > LOST / 4 * varies
        suspects = np.flatnonzero((far & (varies > 0)).any(axis=1))  # what never varies has nothing to lose
        lost = [self.places[k] for k in suspects if _is_lost(inputs[k, : lengths[k]], self.rows[k])]
        if lost:
            warnings.warn(
                f"Series.inputs: float32 keeps little of how {len(lost):,} of {len(self.rows):,} series vary, "
                f"{shown(lost[0])} for one, which are far from 0; scale `rows`, which are float64, and pad them then",
                stacklevel=2,
            )
        return inputs


def _is_lost(rounded: np.ndarray, row: np.ndarray) -> bool:
    """Return whether float32 changes a dimension by much of how it varies; what never varies has nothing to lose."""
    changed = abs(rounded - row).max(axis=0) > LOST * row.std(axis=0)
    return bool((changed & (np.ptp(row, axis=0) > 0)).any())
