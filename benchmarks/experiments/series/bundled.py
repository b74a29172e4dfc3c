"""The series that statsmodels brings, by how often they were seen."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_core.data import TimeSeries, fourier


@dataclass(frozen=True)
class Group:
    """Series of one frequency, which one network learns together.

    Attributes
    ----------
    name : str
    series : tuple of TimeSeries
    season : int
        Of the naive forecast, and of exponential smoothing; 1 where there is none.
    context, horizon : int
    origins, step : int
        Forecasts are made from so many places, so many steps apart.
    stride : int
        Steps between two windows that are learned from.
    """

    name: str
    series: tuple[TimeSeries, ...]
    season: int
    context: int
    horizon: int
    origins: int
    step: int
    stride: int = 1


HARMONICS = 4
"""Waves a season."""

MACRO = ("realgdp", "realcons", "realinv", "unemp", "tbilrate", "infl")


def groups(quick: bool = False) -> list[Group]:
    """Return the groups; for a quick run the ends of two of them."""
    carbon = _table("co2")["co2"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about what its next version will do
        monthly = carbon.resample("MS").mean()
    ocean = _table("elnino").set_index("YEAR").to_numpy().ravel()
    turnover = _table("elec_equip").iloc[:, 0]
    macro, spots, river = _table("macrodata"), _table("sunspots")["SUNACTIVITY"], _table("nile")["volume"]
    march = 2  # in which the first begins, as the others do in January
    months = (_seasonal("CO₂, Mauna Loa", monthly, 12, march), _seasonal("sea surface, El Niño", ocean, 12),
              _seasonal("turnover of electric equipment", turnover, 12))  # fmt: skip
    found = [
        Group("months", months, 12, 36, 12, 9, 3),
        Group("quarters", tuple(_series(name, macro[name]) for name in MACRO), 1, 16, 8, 6, 2),
        Group("years", (_series("sunspots", spots), _series("Nile", river)), 1, 33, 6, 6, 2),
        Group("weeks", (_seasonal("CO₂, Mauna Loa, weekly", carbon, 52),), 52, 104, 26, 4, 13, stride=8),
    ]
    if not quick:
        return found
    short = [(found[0], 84), (found[2], 60)]
    return [
        Group(g.name, tuple(end_of(one, steps) for one in g.series), g.season, g.season + 4, 4, 2, 2)
        for g, steps in short
    ]


def _table(name: str) -> Any:
    """Return a data set of statsmodels."""
    from importlib import import_module

    return import_module(f"statsmodels.datasets.{name}").load_pandas().data


def _series(name: str, values: Any) -> TimeSeries:
    return TimeSeries(np.asarray(values, np.float64), name=name)


def _seasonal(name: str, values: Any, season: int, begin: int = 0) -> TimeSeries:
    """Return a series that knows where in its season each step is."""
    series = _series(name, values)
    return series.with_known(fourier(len(series) + season, season, HARMONICS, begin=begin))


def end_of(series: TimeSeries, steps: int) -> TimeSeries:
    """Return the last steps of a series, and what is known beyond."""
    return TimeSeries(series.values[-steps:], known=series.known[len(series) - steps :], name=series.name)
