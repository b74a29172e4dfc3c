"""Sequences of unequal length, sorted and packed: what has ended costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kernels.contract import Cut


@dataclass(frozen=True)
class Rows:
    """The rows of a batch step by step: longest sequence first, the steps one behind the other.

    Step t has the rows ``offsets[t]`` to ``offsets[t + 1]``; those that are still running are the first ones. A row is
    a sequence of the caller's batch or, where that is cut, a segment of one, whose step 0 may be anywhere in it.
    """

    count: int  # N, of all steps together
    steps: np.ndarray  # (S,) valid steps, longest first
    offsets: np.ndarray  # (L + 1,), of L steps at most
    order: np.ndarray  # (S,) where in the caller's (T·B, …) arrays each row's first step is
    sort: np.ndarray  # (S,) which of the caller's states, (S, …), each row has
    ragged: bool
    gaps: bool  # some places of the caller's arrays are in no row
    index: np.ndarray | None  # (N,) which row of a (T·B, …) array each row is, if ragged
    before: np.ndarray | None  # (N,) which row of the states comes before each, if ragged
    offsets_at: int  # addresses
    order_at: int

    @property
    def sizes(self) -> tuple[int, int]:
        """L, the steps of the longest row, and S, how many rows there are."""
        return len(self.offsets) - 1, len(self.order)

    def packed(self, sequence: np.ndarray) -> np.ndarray:
        """Return a (T, B, …) array as its valid rows (N, …), contiguous."""
        if not sequence.flags.c_contiguous:
            sequence = np.ascontiguousarray(sequence)
        flat = sequence.reshape(-1, sequence.shape[-1])
        return flat[self.index] if self.ragged else flat

    def unpacked(self, flat: np.ndarray, T: int, B: int) -> np.ndarray:
        """Return (N, …) rows as a (T, B, …) array with zeros past the end of each sequence."""
        if self.ragged:
            full = (np.zeros if self.gaps else np.empty)((T * B, flat.shape[-1]), flat.dtype)
            full[self.index] = flat
            flat = full
        return flat.reshape(T, B, -1)

    def sorted(self, state: np.ndarray) -> np.ndarray:
        """Return an (S, …) array in the order of the rows."""
        return state[self.sort] if self.ragged else state

    def unsorted(self, state: np.ndarray) -> np.ndarray:
        """Return an (S, …) array, in the order of the rows, in the caller's; fresh."""
        if not self.ragged:
            return state.copy()
        back = np.empty_like(state)
        back[self.sort] = state
        return back


def running(T: int, B: int, lengths: np.ndarray | Cut | None) -> Rows:
    """Return the rows of T steps of B sequences, of these lengths or cut into these segments."""
    if isinstance(lengths, Cut):
        L, first, steps = int(lengths.steps.max()), lengths.begin * B + lengths.row, lengths.steps
        return _ragged(L, B, steps, first, gaps=int(steps.sum()) < T * B)
    return _full(T, B) if lengths is None or lengths.min() == T else _ragged(T, B, lengths, np.arange(B), gaps=True)


@lru_cache(maxsize=256)
def _full(T: int, B: int) -> Rows:
    return _rows(np.full(B, T), np.arange(T + 1) * B, np.arange(B), np.arange(B))


def _ragged(L: int, B: int, lengths: np.ndarray, first: np.ndarray, *, gaps: bool) -> Rows:
    """Return rows of these lengths, of L steps at most, whose first steps are there."""
    sort = np.argsort(-lengths, kind="stable")
    steps, order = lengths[sort].astype(np.int64), first[sort]
    counts = np.searchsorted(-steps, -np.arange(L))  # how many last longer than t
    offsets = np.concatenate(([0], np.cumsum(counts)))
    t = np.repeat(np.arange(L), counts)
    place = np.arange(offsets[-1]) - offsets[t]
    before = place + np.where(t == 0, 0, len(order) + offsets[t - 1])
    return _rows(steps, offsets, order, sort, t * B + order[place], before, gaps=gaps)


def _rows(
    steps: np.ndarray,
    offsets: np.ndarray,
    order: np.ndarray,
    sort: np.ndarray,
    index: np.ndarray | None = None,
    before: np.ndarray | None = None,
    *,
    gaps: bool = False,
) -> Rows:
    offsets, order = (np.ascontiguousarray(array, np.int64) for array in (offsets, order))
    ragged, at = index is not None, (offsets.ctypes.data, order.ctypes.data)
    return Rows(int(offsets[-1]), steps, offsets, order, sort, ragged, gaps, index, before, *at)
