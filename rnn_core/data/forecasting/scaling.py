"""`SeriesScaling`: in which units a network reads and says values; fitted on the training part alone.

::

    u = (y − μ) / ν                                                              (FC1)

"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Self

import numpy as np

from ...foreign import shown
from ...schema import check_arguments
from .series import TimeSeries, checked_series

KINDS = ("window", "standard", "mean-abs", "none")
"""Every way of scaling."""

NOISE = 1e-12
"""Of the largest value: what differs by less differs by rounding alone."""

Pair = tuple[float, float]


class SeriesScaling:
    """Location μ and scale ν of each series, and of each covariate: (FC1).

    Parameters
    ----------
    kind : {"window", "standard", "mean-abs", "none"}
        "window": mean and standard deviation of what was seen in each window's own context, so that a trend carries no
        series out of the range that was learned. "standard": those of the series' training part. "mean-abs": 0 and the
        mean of ``abs(y)`` there. "none": 0 and 1, for covariates too.
    series : mapping of str to (μ, ν)
        By the series' names, for the two kinds that have them.
    past, known : sequence of (μ, ν)
        Of the covariates, over all series.

    Raises
    ------
    ValueError
        There is no such kind, or a number is not finite, or no scale.

    Notes
    -----
    Where a standard deviation or a mean of ``abs(y)`` is 0, as that of a constant is, ν is ``abs(μ)``, and 1
    where that is 0 too.
    """

    def __init__(
        self,
        kind: str,
        series: Mapping[str, Sequence[float]] | None = None,
        past: Sequence[Sequence[float]] = (),
        known: Sequence[Sequence[float]] = (),
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"SeriesScaling: kind must be one of {', '.join(map(repr, KINDS))}, got {shown(kind)}")
        self.kind = kind
        self.series: dict[str, Pair] = {name: _pair(pair) for name, pair in dict(series or {}).items()}
        self.past: tuple[Pair, ...] = tuple(map(_pair, past))
        self.known: tuple[Pair, ...] = tuple(map(_pair, known))

    @classmethod
    def fit(cls, series: Any, kind: str = "window") -> Self:
        """Return the scaling of some series; hand over their training part, and nothing later is seen.

        Raises ValueError where a series has no value at all, or the kind is none.
        """
        found = checked_series("SeriesScaling.fit", series)
        for one in found:
            if np.isnan(one.values).all():
                raise ValueError(
                    f"SeriesScaling.fit: {shown(one.name, 40)} must have a value that is not missing, got none"
                )
        table = {one.name: pair_of(one.values, kind) for one in found} if kind in ("standard", "mean-abs") else {}
        past, known = (_of_columns(found, what, kind) for what in ("past", "known"))
        return cls(kind, table, past, known)

    def of(self, where: str, name: str) -> Pair:
        """Return μ and ν of a series; ValueError where it was not there when they were fitted."""
        if self.kind == "none":
            return 0.0, 1.0
        if name not in self.series:
            raise ValueError(
                f"{where}: {shown(name, 40)} must be a series whose scale is known, got one that was not in the "
                f"training part; there were {shown(', '.join(self.series), 100)}, and scaling='window' needs none"
            )
        return self.series[name]

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has; floats keep every bit."""
        return {
            "kind": self.kind,
            "series": {name: list(pair) for name, pair in self.series.items()},
            "past": [list(pair) for pair in self.past],
            "known": [list(pair) for pair in self.known],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote; ValueError for anything else."""
        return cls(**check_arguments("scaling", cls, found))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SeriesScaling) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.series.items()), self.past, self.known))


def pair_of(values: np.ndarray, kind: str) -> Pair:
    """Return μ and ν of some values, NaN left out; at least one is there."""
    location, scale = pairs_of(values[None], kind)
    return float(location[0]), float(scale[0])


def pairs_of(values: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return μ and ν (N,) of each row of values (N, n), NaN left out; at least one a row is there."""
    seen = ~np.isnan(values)
    n = seen.sum(axis=1)
    y = np.where(seen, values, 0.0)
    largest = abs(y).max(axis=1)
    unit = np.where(largest > 0, largest, 1.0)  # so that no square overflows
    y = y / unit[:, None]
    if kind == "mean-abs":
        location, scale = np.zeros(len(y)), abs(y).sum(axis=1) / n
    else:
        location = y.sum(axis=1) / n
        scale = np.sqrt((np.where(seen, y - location[:, None], 0.0) ** 2).sum(axis=1) / n)
    scale = np.where(scale > NOISE, scale, abs(location))
    return location * unit, np.where(scale > 0, scale * unit, 1.0)


def _of_columns(series: Sequence[TimeSeries], what: str, kind: str) -> list[Pair]:
    """Return μ and ν of each covariate over the steps of the values; of one that was never seen, 0 and 1."""
    columns = np.concatenate([getattr(one, what)[: len(one)] for one in series]).T
    if kind == "none":
        return [(0.0, 1.0)] * len(columns)
    return [(0.0, 1.0) if np.isnan(column).all() else pair_of(column, "standard") for column in columns]


def _pair(pair: Any) -> Pair:
    numbers = tuple(pair) if isinstance(pair, list | tuple) else ()
    if len(numbers) != 2 or not all(isinstance(x, int | float) and isfinite(x) for x in numbers) or numbers[1] <= 0:
        raise ValueError(f"SeriesScaling: μ and ν must be two finite numbers, the second above 0, got {shown(pair)}")
    return float(numbers[0]), float(numbers[1])
