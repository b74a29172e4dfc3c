"""Sequences of unequal length, sorted and packed: what has ended costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True)
class Rows:
    """The rows of a batch step by step: longest sequence first, the steps one behind the other.

    Step t has the rows ``offsets[t]`` to ``offsets[t + 1]``; those that are still running are the first ones.
    """

    count: int  # N, of all steps together
    steps: np.ndarray  # (B,) valid steps, in the order of `order`
    offsets: np.ndarray  # (T + 1,)
    order: np.ndarray  # (B,) which row of the caller's batch each row is
    ragged: bool
    index: np.ndarray | None  # (N,) which row of a (T·B, …) array each row is, if ragged
    before: np.ndarray | None  # (N,) which row of the states comes before each, if ragged
    offsets_at: int  # addresses
    order_at: int

    def packed(self, sequence: np.ndarray) -> np.ndarray:
        """Return a (T, B, …) array as its valid rows (N, …), contiguous."""
        if not sequence.flags.c_contiguous:
            sequence = np.ascontiguousarray(sequence)
        flat = sequence.reshape(-1, sequence.shape[-1])
        return flat[self.index] if self.ragged else flat

    def unpacked(self, flat: np.ndarray, T: int, B: int) -> np.ndarray:
        """Return (N, …) rows as a (T, B, …) array with zeros past the end of each sequence."""
        if self.ragged:
            full = np.zeros((T * B, flat.shape[-1]), flat.dtype)
            full[self.index] = flat
            flat = full
        return flat.reshape(T, B, -1)

    def sorted(self, state: np.ndarray) -> np.ndarray:
        """Return a (B, …) array in the order of the rows."""
        return state[self.order] if self.ragged else state

    def unsorted(self, state: np.ndarray) -> np.ndarray:
        """Return a (B, …) array, in the order of the rows, in the caller's; fresh."""
        if not self.ragged:
            return state.copy()
        back = np.empty_like(state)
        back[self.order] = state
        return back


def running(T: int, B: int, lengths: np.ndarray | None) -> Rows:
    """Return the rows of T steps of B sequences."""
    return _full(T, B) if lengths is None or lengths.min() == T else _ragged(T, B, lengths)


@lru_cache(maxsize=256)
def _full(T: int, B: int) -> Rows:
    return _rows(np.full(B, T), np.arange(T + 1) * B, np.arange(B))


def _ragged(T: int, B: int, lengths: np.ndarray) -> Rows:
    order = np.argsort(-lengths, kind="stable")
    steps = lengths[order].astype(np.int64)
    counts = np.searchsorted(-steps, -np.arange(T))  # how many last longer than t
    offsets = np.concatenate(([0], np.cumsum(counts)))
    t = np.repeat(np.arange(T), counts)
    place = np.arange(offsets[-1]) - offsets[t]
    before = place + np.where(t == 0, 0, B + offsets[t - 1])
    return _rows(steps, offsets, order, t * B + order[place], before)


def _rows(
    steps: np.ndarray,
    offsets: np.ndarray,
    order: np.ndarray,
    index: np.ndarray | None = None,
    before: np.ndarray | None = None,
) -> Rows:
    offsets, order = (np.ascontiguousarray(array, np.int64) for array in (offsets, order))
    ragged, at = index is not None, (offsets.ctypes.data, order.ctypes.data)
    return Rows(int(offsets[-1]), steps, offsets, order, ragged, index, before, *at)
