"""statsmodels' exponential smoothing, as a method that `backtest` knows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from rnn_core.data import TimeSeries
from rnn_core.models import Forecast

LEVELS = (0.025, 0.975)


def smoothing(horizon: int, season: int) -> Callable[[list[TimeSeries]], Callable[[list[TimeSeries]], Forecast]]:
    """Return exponential smoothing with a damped trend and, where there is one, a season; errors are added (ETS).

    It is fitted on each series alone, anew at every origin. It knows no missing values, so straight lines stand there.
    """

    def method(_: Sequence[TimeSeries]) -> Callable[[list[TimeSeries]], Forecast]:
        def forecast(cut: list[TimeSeries]) -> Forecast:
            said = [_ahead(one.values, horizon, season) for one in cut]
            quantiles = np.array([bounds for _, bounds in said])
            return Forecast(tuple(one.name for one in cut), np.array([mean for mean, _ in said]), LEVELS, quantiles)

        return forecast

    return method


def _ahead(values: np.ndarray, horizon: int, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a mean (h,), and the bounds (h, 2) of its 95 % interval."""
    from pandas import Series
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    steps, seen = np.arange(len(values)), np.flatnonzero(~np.isnan(values))
    values = np.interp(steps, seen, values[seen])
    seasonal = {"seasonal": "add", "seasonal_periods": season} if season > 1 else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence, which is judged by what comes out
        fitted = ETSModel(Series(values), error="add", trend="add", damped_trend=True, **seasonal).fit(disp=False)
        said = fitted.get_prediction(start=len(values), end=len(values) + horizon - 1)
        bounds = np.asarray(said.pred_int(alpha=0.05))
    return np.asarray(said.predicted_mean), bounds
