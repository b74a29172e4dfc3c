"""Sequences of unequal length side by side: past its length a row's state stands still and its output is zero.

``lengths=None`` means that every row is full; then nothing here costs anything.
"""

from __future__ import annotations

import numpy as np


def hold(lengths: np.ndarray | None, t: int, new: np.ndarray, old: np.ndarray | float) -> np.ndarray:
    """`new` in the rows that are still running at step t, `old` in those that have ended.  (V1)"""
    if lengths is None:
        return new
    running = (t < lengths)[:, np.newaxis]
    return np.where(running, new, old)


def zero_past(lengths: np.ndarray | None, sequence: np.ndarray) -> np.ndarray:
    """A (T, B, …) array with zeros past each row's length.  (V2)

    A NaN in the padding must not reach a result, and 0·NaN is NaN: hence `where`, not a product.
    """
    if lengths is None:
        return sequence
    running = np.arange(len(sequence))[:, np.newaxis] < lengths
    return np.where(running[..., np.newaxis], sequence, 0)
