"""Scores of forecasts, the forecast of the season before that each stands beside, and the backtest over origins.

::

    ŷ_{t+k} = y_{t+k−m⌈k/m⌉}                                seasonal naive: the same season, last time   (FS1)
    s = mean over t > m of |y_t − y_{t−m}|                  what it is wrong by in the history           (FS2)
    MASE = mean_k |y_k − ŷ_k| / s                                                                        (FS3)
    sMAPE = 200 · mean_k |y_k − ŷ_k| / (|y_k| + |ŷ_k|)      in per cent; 0 / 0 is 0                      (FS4)
    pinball = mean of max(p (y − q), (p − 1) (y − q))       of quantiles q at levels p                   (FS5)
    coverage = share of k with low_k ≤ y_k ≤ high_k                                                      (FS6)
    RMSE = √(mean_k (y_k − ŷ_k)²),  MAE = mean_k |y_k − ŷ_k|                                             (FS7)

Means are over what was seen: a value that is missing, NaN, counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.forecasting import TimeSeries, checked_series
from ..foreign import shown
from ..layers.checks import flag, positive_int


def seasonal_naive(history: Any, horizon: int, season: int = 1) -> np.ndarray:
    """Return the forecast (h,) that says what was seen a season before: (FS1).

    Where that is missing, it is what was seen the season before that, and so on; without any, the last value at all.

    Parameters
    ----------
    history : array, shape (T,)
        NaN where a value is missing.
    horizon : int
    season : int
        m; 1 repeats the last value.

    Raises
    ------
    ValueError
        Nothing was seen, or a number is below 1.
    """
    where = "seasonal_naive"
    h, m = positive_int(where, "horizon", horizon), positive_int(where, "season", season)
    y = _values(where, "history", history)
    seen = np.flatnonzero(~np.isnan(y))
    if not len(seen):
        raise ValueError(f"{where}: history must have a value, got none in {len(y)} steps")
    found = np.empty(h)
    for k in range(h):
        places = np.arange(len(y) + k % m - m, -1, -m)  # (FS1)
        there = places[~np.isnan(y[places])]
        found[k] = y[there[0]] if len(there) else y[seen[-1]]
    return found


def seasonal_error(history: Any, season: int = 1) -> float:
    """Return what seasonal naive was wrong by in a history, on average: the scale of MASE, (FS2).

    NaN where no two values a season apart were seen; 0 where each season repeats the one before.
    """
    y = _values("seasonal_error", "history", history)
    m = positive_int("seasonal_error", "season", season)
    errors = abs(y[m:] - y[:-m])  # (FS2)
    return float(np.nanmean(errors)) if np.isfinite(errors).any() else float("nan")


def mase(truth: Any, forecast: Any, history: Any, season: int = 1) -> float:
    """Return the mean absolute scaled error: (FS3). Below 1 is better than seasonal naive was in the history.

    Parameters
    ----------
    truth, forecast : array, shape (h,)
        NaN in the truth counts for nothing.
    history : array, shape (T,)
        What came before, whose errors a season apart are the scale.
    season : int
        m.

    Raises
    ------
    ValueError
        Shapes differ, nothing was seen, or the scale is 0 or unknown.

    References
    ----------
    R. J. Hyndman, A. B. Koehler, "Another look at measures of forecast accuracy", International Journal of Forecasting
    22 (2006) 679-688, equation (4); with seasons as there in section 3.
    """
    scale = seasonal_error(history, season)
    if not scale > 0:
        raise ValueError(
            f"mase: history must have values {season} steps apart that differ, got a mean difference of {scale}; "
            "take another season, or mae"
        )
    return mae(truth, forecast) / scale  # (FS3)


def smape(truth: Any, forecast: Any) -> float:
    """Return the symmetric mean absolute percentage error, 0 to 200: (FS4). Of values around 0 it says little.

    References
    ----------
    S. Makridakis, E. Spiliotis, V. Assimakopoulos, "The M4 Competition", International Journal of Forecasting 36
    (2020) 54-74.
    """
    y, f = _seen("smape", truth, forecast)
    both = abs(y) + abs(f)
    return float(200 * np.mean(abs(y - f) / np.where(both > 0, both, 1.0)))  # (FS4)


def pinball(truth: Any, quantiles: Any, levels: Sequence[float]) -> float:
    """Return the mean pinball loss of quantiles (..., Q) at levels (Q,): (FS5)."""
    p = np.asarray(levels, np.float64)
    y, q = np.asarray(truth, np.float64), np.asarray(quantiles, np.float64)
    if q.shape != (*y.shape, len(p)):
        raise ValueError(f"pinball: quantiles must have shape {(*y.shape, len(p))}, got {q.shape}")
    seen = ~np.isnan(y)
    _some("pinball", seen)
    short = y[seen][:, None] - q[seen]
    return float(np.mean(np.where(short >= 0, p * short, (p - 1) * short)))  # (FS5)


def coverage(truth: Any, low: Any, high: Any) -> float:
    """Return the share of values that lie within their bounds: (FS6). An interval of 80 % should hold 0.8 of them."""
    y, low = _seen("coverage", truth, low, "low")
    _, high = _seen("coverage", truth, high, "high")
    return float(np.mean((low <= y) & (y <= high)))  # (FS6)


def rmse(truth: Any, forecast: Any) -> float:
    """Return the root of the mean squared error: (FS7)."""
    y, f = _seen("rmse", truth, forecast)
    return float(np.sqrt(np.mean((y - f) ** 2)))  # (FS7)


def mae(truth: Any, forecast: Any) -> float:
    """Return the mean absolute error: (FS7)."""
    y, f = _seen("mae", truth, forecast)
    return float(np.mean(abs(y - f)))  # (FS7)


class Backtest(NamedTuple):
    """What forecasts from several origins were worth, beside seasonal naive.

    Attributes
    ----------
    truth, forecast, naive : ndarray, shape (O, N, h)
        By origin, series and step; NaN where a value is missing, or where there was nothing to begin from.
    scale : ndarray, shape (O, N)
        Of MASE, from the history before each origin; NaN where there is none.
    levels : tuple of float
    quantiles : ndarray, shape (O, N, h, Q)
    """

    truth: np.ndarray
    forecast: np.ndarray
    naive: np.ndarray
    scale: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray

    @property
    def left_out(self) -> int:
        """Forecasts, of an origin and a series, that had no value to begin from."""
        return int(np.isnan(self.naive[..., 0]).sum())

    def only(self, series: int) -> Backtest:
        """Return what was found of one series, by its number."""
        k = slice(series, series + 1)
        return Backtest(
            self.truth[:, k], self.forecast[:, k], self.naive[:, k], self.scale[:, k], self.levels, self.quantiles[:, k]
        )

    def scores(self, step: int | None = None) -> dict[str, dict[str, float]]:
        """Return scores by name, "forecast" and "seasonal naive" of each, over all steps or of one, from 1 on.

        MASE, sMAPE and MAE are means over all that was seen; series without a scale have no part in MASE. Where there
        are quantiles there are "pinball" and, of the outermost two, "coverage" of an interval of "nominal" width.
        NaN where nothing was seen.
        """
        h = self.truth.shape[-1]
        if step is not None and not 1 <= positive_int("Backtest.scores", "step", step) <= h:
            raise ValueError(f"Backtest.scores: step must be in 1…{h}, got {step}")
        part = slice(None) if step is None else slice(step - 1, step)
        y, scale = self.truth[..., part], self.scale[..., None]
        seen = not np.isnan(y).all()
        found: dict[str, dict[str, float]] = {"MASE": {}, "sMAPE": {}, "RMSE": {}, "MAE": {}}
        for name, said in (("forecast", self.forecast), ("seasonal naive", self.naive)):
            f = said[..., part]
            scaled = abs(y - f) / scale
            found["MASE"][name] = float(np.nanmean(scaled)) if np.isfinite(scaled).any() else float("nan")
            for score, function in (("sMAPE", smape), ("RMSE", rmse), ("MAE", mae)):
                found[score][name] = function(y, f) if seen else float("nan")
        if self.levels:
            q = self.quantiles[..., part, :]
            found["pinball"] = {"forecast": pinball(y, q, self.levels) if seen else float("nan")}
            if len(self.levels) > 1:
                held = coverage(y, q[..., 0], q[..., -1]) if seen else float("nan")
                found["coverage"] = {"forecast": held}
                found["nominal"] = {"forecast": self.levels[-1] - self.levels[0]}
        return found


Forecasting = Callable[[list[TimeSeries]], Any]
"""From series, cut at an origin, to a `Forecast` of them, or to an array (N, h)."""


def backtest(
    series: Any,
    method: Callable[[list[TimeSeries]], Forecasting],
    *,
    horizon: int,
    origins: int = 1,
    step: int = 1,
    season: int = 1,
    refit: bool = False,
    context: int | None = None,
) -> Backtest:
    """Forecast from one origin after another, each time from what was known then.

    Parameters
    ----------
    series : TimeSeries, or sequence of them
        N series.
    method : callable
        Fits on series, cut at an origin, and returns what forecasts others: ``lambda train: fitted(train).forecast``.
    horizon : int
        h.
    origins : int
        O. The last of them is h steps before each series' end.
    step : int
        Steps between two of them.
    season : int
        m, of seasonal naive and of MASE.
    refit : bool
        Fit anew at each origin; else once, at the first, on what is before all that is forecast.
    context : int, optional
        Steps before an origin that must have a value, or the series is left out there; by default all of them.

    Returns
    -------
    Backtest

    Raises
    ------
    ValueError
        A series is too short, or a forecast has another shape.
    """
    where, found = "backtest", list(checked_series("backtest", series))
    h, m = positive_int(where, "horizon", horizon), positive_int(where, "season", season)
    origins, step, refit = (
        positive_int(where, "origins", origins), positive_int(where, "step", step), flag(where, "refit", refit)
    )  # fmt: skip
    if context is not None:
        context = positive_int(where, "context", context)
    ends = [h + step * k for k in range(origins - 1, -1, -1)]
    for one in found:
        if len(one) <= ends[0]:
            raise ValueError(
                f"{where}: series must have steps before the first origin, {ends[0]} from the end, got {len(one)} of "
                f"{shown(one.name, 40)}; take fewer origins or a shorter horizon"
            )
    rows: list[tuple[Any, ...]] = []
    levels: tuple[float, ...] = ()
    forecasting: Forecasting | None = None
    for end in ends:
        cut = [one.until(-end) for one in found]
        if forecasting is None or refit:
            forecasting = method(cut)
        there = [k for k, one in enumerate(cut) if not np.isnan(one.values[-(context or len(one)) :]).all()]
        truth, mean, naive = np.full((3, len(cut), h), np.nan)
        scale = np.array([seasonal_error(one.values, m) for one in cut])
        quantiles = None
        if there:
            said, levels, some = _said(where, forecasting([cut[k] for k in there]), len(there), h)
            quantiles = np.full((len(cut), *some.shape[1:]), np.nan)
            mean[there], quantiles[there] = said, some
            truth[there] = [found[k].values[len(found[k]) - end :][:h] for k in there]
            naive[there] = [seasonal_naive(cut[k].values, h, m) for k in there]
        rows.append((truth, mean, naive, scale, quantiles))
    blank = np.full((len(found), h, len(levels)), np.nan)
    told = np.array([blank if row[-1] is None else row[-1] for row in rows])
    truth, means, naive, scale = (np.array(column) for column in list(zip(*rows, strict=True))[:-1])
    return Backtest(truth, means, naive, np.where(scale > 0, scale, np.nan), levels, told)


def _said(where: str, said: Any, N: int, h: int) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    """Return a forecast's mean (N, h), its levels and quantiles."""
    mean = np.asarray(getattr(said, "mean", said) if not isinstance(said, np.ndarray) else said, np.float64)
    if mean.shape != (N, h):
        raise ValueError(f"{where}: a forecast must have shape {(N, h)}, series and steps, got {mean.shape}")
    return mean, getattr(said, "levels", ()), getattr(said, "quantiles", np.empty((N, h, 0)))


def _values(where: str, name: str, values: Any) -> np.ndarray:
    y = np.asarray(values, np.float64)
    if y.ndim != 1 or not len(y):
        raise ValueError(f"{where}: {name} must have shape (T,) with T ≥ 1, got {y.shape}")
    return y


def _seen(where: str, truth: Any, other: Any, name: str = "forecast") -> tuple[np.ndarray, np.ndarray]:
    """Return both, flat, where the truth was seen."""
    y, f = np.asarray(truth, np.float64), np.asarray(other, np.float64)
    if y.shape != f.shape:
        raise ValueError(f"{where}: {name} must have shape {y.shape}, as truth, got {f.shape}")
    seen = ~np.isnan(y)
    _some(where, seen)
    return y[seen], f[seen]


def _some(where: str, seen: np.ndarray) -> None:
    if not seen.any():
        raise ValueError(f"{where}: truth must have a value that was seen, got none of {seen.size}")
