"""`TimeSeries`: values at equal steps, and what else is known at each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...foreign import shown
from ...layers.checks import as_array, first
from ..batches import count


class TimeSeries:
    """Values at equal steps, NaN where one is missing, and covariates.

    Parameters
    ----------
    values : array, shape (T,)
        What is to be forecast. NaN says that a value is missing; nothing is put in its place.
    past : array, shape (T, P) or (T,), optional
        Covariates that are known up to now and no further, such as what else was measured; NaN where one is missing.
    known : array, shape (T + n, K) or (T + n,), optional
        Covariates that are known in advance, such as holidays and prices that are fixed. To forecast h steps they must
        reach n ≥ h steps beyond the values. None may be missing.
    name : str
        By which its scale, and its identity, are found again. Series that stand side by side have different names.
    times : sequence of str, optional
        A time stamp for each of the values, shown and never computed with.

    Attributes
    ----------
    values : ndarray, shape (T,)
    past : ndarray, shape (T, P)
        P is 0 where there are none.
    known : ndarray, shape (T + n, K)
    name : str
    times : tuple of str or None

    Raises
    ------
    ValueError
        There is no value, one is infinite, a covariate known in advance is NaN or infinite, or numbers of steps differ.
    TypeError
        Something is no array of numbers, or the name is no string.
    """

    def __init__(
        self,
        values: Any,
        *,
        past: Any = None,
        known: Any = None,
        name: str = "series",
        times: Sequence[str] | None = None,
    ) -> None:
        where = "TimeSeries"
        if not isinstance(name, str):
            raise TypeError(f"{where}: name must be a string, got {shown(name)}")
        self.name = name
        self.values = np.array(as_array(where, "values", values), np.float64)
        T = len(self)
        if self.values.ndim != 1 or not T:
            raise ValueError(
                f"{where}: values must have shape (T,) with T ≥ 1, got {self.values.shape}; of several series make one "
                "TimeSeries each"
            )
        self.past = _columns(where, "past", past, T)
        self.known = _columns(where, "known", known, T)
        if len(self.past) != T:
            raise ValueError(f"{where}: past must have {T} steps, as values, got {len(self.past)}")
        if len(self.known) < T:
            raise ValueError(f"{where}: known must have {T} steps or more, as values, got {len(self.known)}")
        for what, array in (("values", self.values), ("past", self.past), ("known", self.known)):
            bad = ~np.isfinite(array) if what == "known" else np.isinf(array)
            if bad.any():
                place = first(bad)
                raise ValueError(
                    f"{where}: {what} of {shown(name, 40)} must be finite"
                    f"{'' if what == 'known' else ', or NaN where one is missing'}, got {array[place]} at index {place}"
                )
        self.times = None if times is None else tuple(map(str, times))
        if self.times is not None and len(self.times) != T:
            raise ValueError(f"{where}: times must have {T} stamps, one for each value, got {len(self.times)}")

    def __len__(self) -> int:
        """T, the number of values."""
        return len(self.values)

    def __repr__(self) -> str:
        missing = int(np.isnan(self.values).sum())
        covariates = f", {self.past.shape[1]} past and {self.known.shape[1]} known covariates"
        return (
            f"TimeSeries({self.name!r}: {len(self)} steps{f', {missing} missing' if missing else ''}"
            f"{covariates if self.past.shape[1] + self.known.shape[1] else ''})"
        )

    def until(self, stop: int) -> TimeSeries:
        """Return the series as it was known before step `stop`; a negative one counts from the end.

        What is known in advance stays known. Raises ValueError where no step would be left.
        """
        steps = len(range(len(self))[:stop])
        if not steps:
            raise ValueError(f"TimeSeries.until: stop must leave a step of the {len(self)}, got {stop}")
        times = None if self.times is None else self.times[:steps]
        return TimeSeries(self.values[:steps], past=self.past[:steps], known=self.known, name=self.name, times=times)

    def with_known(self, known: Any) -> TimeSeries:
        """Return the series with more covariates known in advance, (T + n, K'), behind those that it has."""
        more = _columns("TimeSeries.with_known", "known", known, len(self))
        if self.known.shape[1]:
            steps = min(len(more), len(self.known))
            more = np.concatenate([self.known[:steps], more[:steps]], axis=1)
        return TimeSeries(self.values, past=self.past, known=more, name=self.name, times=self.times)


def checked_series(where: str, series: Any) -> tuple[TimeSeries, ...]:
    """Return one or many series as a tuple, if they have names of their own and the same covariates."""
    found = (series,) if isinstance(series, TimeSeries) else tuple(series)
    if not found:
        raise ValueError(f"{where}: series must be at least one, got none")
    names: set[str] = set()
    for one in found:
        if not isinstance(one, TimeSeries):
            raise TypeError(
                f"{where}: series must be TimeSeries, got {type(one).__name__}; TimeSeries(values) makes one"
            )
        if one.name in names:
            raise ValueError(f"{where}: series must have names of their own, got two called {shown(one.name, 40)}")
        names.add(one.name)
        for what in ("past", "known"):
            columns, others = getattr(one, what).shape[1], getattr(found[0], what).shape[1]
            if columns != others:
                raise ValueError(
                    f"{where}: series must have the same covariates, got {columns} {what} ones of "
                    f"{shown(one.name, 40)} and {others} of {shown(found[0].name, 40)}"
                )
    return found


def checked_count(where: str, name: str, value: Any, least: int) -> int:
    """Return a whole number, if it is at least so large."""
    if count(where, name, value) < least:
        raise ValueError(f"{where}: {name} must be at least {least}, got {value}")
    return int(value)


def _columns(where: str, name: str, value: Any, T: int) -> np.ndarray:
    """Return covariates (steps, columns); none at all is no column."""
    if value is None:
        return np.empty((T, 0))
    array = np.array(as_array(where, name, value), np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        raise ValueError(f"{where}: {name} must have shape (T, columns) or (T,), got {array.shape}")
    return array
