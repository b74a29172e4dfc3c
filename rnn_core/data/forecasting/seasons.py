"""`fourier`: where in its season a step is, as numbers that are always known in advance."""

from __future__ import annotations

import numpy as np

from ...layers.checks import positive_int


def fourier(steps: int, season: int, order: int = 1, *, begin: int = 0) -> np.ndarray:
    """Return sine and cosine of the season's first harmonics, (steps, 2·order).

    Parameters
    ----------
    steps : int
        As many as the values have, and the horizon beyond them.
    season : int
        Steps of a season: 12 for months, 7 for days.
    order : int
        Harmonics, at most half the season: 1 is one wave a season.
    begin : int
        The step at which the first row is.

    Raises
    ------
    ValueError
        A number is out of range.
    TypeError
        One is no int.
    """
    where = "fourier"
    steps, season, order = (
        positive_int(where, name, value) for name, value in (("steps", steps), ("season", season), ("order", order))
    )
    if season < 2 or order > season // 2:
        raise ValueError(f"{where}: order must be at most half a season, got {order} of {season} steps")
    phase = 2 * np.pi * ((begin + np.arange(steps)[:, None]) % season) * np.arange(1, order + 1) / season
    return np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
