"""Packed batches, step behind step, and the padded ones that the passes take."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """How the rows of a packed batch stand in a padded one; those of each step are its first."""

    lengths: np.ndarray | None  # (B,), None where all are as long as the batch
    there: np.ndarray  # bool (T, B)

    @classmethod
    def of(cls, batch_sizes: np.ndarray) -> Packing:
        """Return that of a batch with so many rows at each step, (T,), never more than at the step before."""
        there = np.arange(batch_sizes[0]) < batch_sizes[:, np.newaxis]
        return cls(None if there.all() else there.sum(axis=0), there)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (N, K) as (T, B, K); what stands in the padding has no influence on anything."""
        if self.lengths is None:
            return rows.reshape(*self.there.shape, -1)
        full = np.zeros((*self.there.shape, rows.shape[-1]), rows.dtype)
        full[self.there] = rows
        return full

    def packed(self, sequence: np.ndarray) -> np.ndarray:
        """Return (T, B, K) as its rows (N, K)."""
        if self.lengths is None:
            return sequence.reshape(-1, sequence.shape[-1])
        return sequence[self.there]
