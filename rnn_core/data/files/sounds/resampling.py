"""Bringing a sound to another rate."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np

from ..lines import named
from .decoding import AUDIO

FURTHEST = 64
"""How many times as many samples, or as few, there may be."""

FINEST = 100_000
"""Terms of a ratio of rates: the filter has twenty times as many weights."""


def resampled(where: str, path: Path, samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return samples (n,) of one rate at another, by SciPy's polyphase filter.

    Raises
    ------
    ValueError
        The rates are too far apart, or have no common part.
    RuntimeError
        SciPy is missing.
    """
    if rate == wanted:
        return samples
    try:
        from scipy.signal import resample_poly
    except ImportError:
        raise RuntimeError(f"{where}: rate must be left out without the package scipy: {AUDIO}") from None
    up, down = wanted // gcd(rate, wanted), rate // gcd(rate, wanted)
    if max(up, down) > FURTHEST * min(up, down) or max(up, down) > FINEST:
        raise ValueError(
            f"{where}: {named(path)} must have a rate that {wanted:,} can be made of, from a {FURTHEST}th to "
            f"{FURTHEST} times as much, got {rate:,}; is its header right?"
        )
    return np.asarray(resample_poly(samples, up, down))
