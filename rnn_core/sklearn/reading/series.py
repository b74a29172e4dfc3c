"""What X may be where it is series to go on from: one or many, of any lengths, with values that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ...data import TimeSeries
from ...foreign import shown
from ...layers.checks import as_array
from ...schema import check_value
from .sequences import FLOATS, LAYOUTS, remember

MOST = 1 << 16
"""Numbers of the ends of series that a file holds beside its weights; of more it holds none."""


class Read(NamedTuple):
    """Series as they were read."""

    series: tuple[TimeSeries, ...]
    single: bool  # one series by itself, and no list of one
    named: bool = True  # by their user
    columns: bool = False  # as an array (cases, time)


def read_series(estimator: Any, where: str, X: Any, *, reset: bool) -> Read:
    """Return the series of X; with `reset` the estimator remembers what they look like."""
    if estimator.layout not in LAYOUTS:
        raise ValueError(
            f"{where}: layout must be one of {', '.join(map(repr, LAYOUTS))}, got {shown(estimator.layout)}"
        )
    columns, turned = False, estimator.layout == "channels_first"
    if isinstance(X, TimeSeries):
        read = Read((X,), single=True)
    elif isinstance(X, list | tuple):
        if not X:
            raise ValueError(f"{where}: X must have at least one series, got none")
        found = tuple(_one(where, one, k, turned) for k, one in enumerate(X))
        read = Read(found, single=False, named=all(isinstance(one, TimeSeries) for one in X))
    elif getattr(X, "ndim", 2) == 1:
        read = Read((_one(where, X, 0, turned),), single=True, named=isinstance(getattr(X, "name", None), str))
    elif getattr(X, "ndim", 2) == 3:
        array = check_array(X, allow_nd=True, dtype=FLOATS, ensure_all_finite="allow-nan", input_name="X")
        read = Read(tuple(_one(where, one, k, turned) for k, one in enumerate(array)), single=False, named=False)
    else:
        if columns := reset or estimator._columns:
            array = validate_data(estimator, X, reset=reset, dtype=FLOATS, ensure_all_finite="allow-nan")
        else:
            array = check_array(X, dtype=FLOATS, ensure_all_finite="allow-nan", input_name="X")
        found = tuple(_one(where, one, k, turned) for k, one in enumerate(array))
        read = Read(found, single=False, named=False, columns=columns)
    first = read.series[0]
    remember(estimator, 1 + first.past.shape[1] + first.known.shape[1], columns, reset=reset)
    return read


def _one(where: str, value: Any, k: int, turned: bool) -> TimeSeries:
    """Return one series, of values (T,), or of values and past covariates (T, I)."""
    if isinstance(value, TimeSeries):
        return value
    array = as_array(where, f"X[{k}]", value)
    if array.ndim == 2:
        array = array.T if turned else array
    if array.ndim not in (1, 2) or 0 in array.shape or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{where}: X must have series of shape (T,) or (T, I) of numbers, got {array.dtype} of shape {array.shape} "
            f"in series {k}; a single series of values is an array (T,)"
        )
    name = getattr(value, "name", None)
    name = name if isinstance(name, str) else f"series {k}"
    if array.ndim == 1:
        return TimeSeries(array, name=name)
    return TimeSeries(array[:, 0], past=array[:, 1:] if array.shape[1] > 1 else None, name=name)


def tail(series: TimeSeries, steps: int) -> TimeSeries:
    """Return the last steps of a series, and all that is known of what comes behind them."""
    start = max(len(series) - steps, 0)
    times = None if series.times is None else series.times[start:]
    return TimeSeries(
        series.values[start:], past=series.past[start:], known=series.known[start:], name=series.name, times=times
    )


def stored_series(series: Sequence[TimeSeries]) -> list[dict[str, Any]]:
    """Return series in types that JSON has, None for what is missing; none where they are too many."""
    if sum(one.values.size + one.past.size + one.known.size for one in series) > MOST:
        return []
    return [
        {"name": one.name, "times": None if one.times is None else list(one.times)}
        | {what: _numbers(getattr(one, what)) for what in ("values", "past", "known")}
        for one in series
    ]


def series_of(stored: Any) -> tuple[TimeSeries, ...]:
    """Return what `stored_series` wrote."""
    check_value("series", list[dict[str, Any]], stored)
    found = []
    for one in stored:
        check_value("name", str, one["name"])
        check_value("times", list[str] | None, one["times"])
        T = len(one["values"])
        arrays = {what: np.array(one[what], np.float64) for what in ("values", "past", "known")}
        past, known = arrays["past"].reshape(T, -1), arrays["known"].reshape(len(one["known"]), -1)
        found.append(TimeSeries(arrays["values"], past=past, known=known, name=one["name"], times=one["times"]))
    return tuple(found)


def _numbers(array: np.ndarray) -> list[Any]:
    """Return an array as lists, None for NaN."""
    found = array.astype(object)
    found[np.isnan(array)] = None
    return found.tolist()
