"""`RNNForecaster`: what comes next in a series?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..data import TimeSeries, Windows, WindowSpec
from ..foreign import shown
from ..layers.checks import positive_int
from ..models import Forecaster, Model
from ..models.forecasting import Forecast
from ..schema import check_value
from ..training.history import EpochRecord
from .estimator import Data, RNNEstimator
from .reading.answers import read_weights
from .reading.series import Read, read_series, series_of, stored_series, tail


class RNNForecaster(RNNEstimator):
    """A forecaster of one or many series: RNN, LSTM or GRU over windows of them.

    X, in all methods, is one series or several, NaN where a value is missing:

    - an array (T,), a pandas Series or a `TimeSeries`, which may have covariates: one series;
    - a list of these, of any lengths;
    - an array or data frame (cases, time), or (cases, time, features): a series in each case. Of several features the
      first is forecast, and the others are read beside it. A data frame with a column for each series is transposed.

    Parameters
    ----------
    horizon : int
        Steps that are forecast, h.
    context : int
        Steps that are read before a forecast.
    strategy : {"multioutput", "recursive"}
        All steps at once; or the next one, which is then read as if it had been seen, as far as one likes.
    scaling : {"window", "standard", "mean-abs", "none"}
        In which units the network reads: of each window's context, or of each series, which `TimeSeries` with names
        are needed for.
    loss : {"gaussian", "squared", "quantiles"}
        What is said of each step: a normal distribution, a mean, or `quantiles`.
    quantiles : sequence of float, optional
    stride : int
        Steps from one window to the next, in training.
    cell, hidden_size, num_layers, dropout, nonlinearity, cell_options, layout
        As in `RNNClassifier`.
    optimizer, learning_rate, clip_norm, batch_size, max_iter, shuffle, tol, n_iter_no_change
        As in `RNNClassifier`; a case is a window.
    early_stopping, validation_fraction
        Hold out this share of the shortest series, the last steps of each and at least `horizon` of them, and keep the
        epoch that was the best there.
    warm_start, dtype, backend, transfer_from, plan, callbacks, random_state, verbose
        As in `RNNClassifier`. A head is carried over from a forecaster of as many outputs.

    Attributes
    ----------
    model_ : Forecaster
    series_ : tuple of TimeSeries
        The ends of the series that were learned from, which `predict` goes on from without X.
    n_features_in_ : int
        Columns of a two-dimensional X, otherwise the features of a step.
    feature_names_in_, n_iter_, loss_curve_, loss_, best_loss_, transferred_
        As in `RNNClassifier`.
    validation_scores_, best_validation_score_
        Minus the loss of what is held out, in each epoch with `early_stopping`, else None.

    Examples
    --------
    >>> series = np.sin(np.arange(60) / 3)
    >>> model = RNNForecaster(horizon=4, context=12, hidden_size=8, max_iter=30, tol=0.01, random_state=0)
    >>> model.fit(series).predict(horizon=3).shape
    (3,)
    """

    _kind = Forecaster
    _model_takes = ("cell", "hidden_size", "num_layers", "dropout", "nonlinearity", "cell_options", "backend")
    _single: bool

    def __init__(
        self,
        *,
        horizon: int = 1,
        context: int = 24,
        strategy: str = "multioutput",
        scaling: str = "window",
        loss: str = "gaussian",
        quantiles: Sequence[float] | None = None,
        stride: int = 1,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        layout: str = "channels_last",
        optimizer: Any = "adam",
        learning_rate: float = 0.001,
        clip_norm: float | None = None,
        batch_size: int = 32,
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        dtype: Any = "float32",
        backend: str | None = None,
        transfer_from: Any = None,
        plan: Any = None,
        callbacks: Sequence[Any] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self._take(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from every window of one or many series.

        Parameters
        ----------
        X : series, or list or array of them
            See the class.
        y : ignored
        sample_weight : array, shape (N,), optional
            How much each series counts, at least 0.

        Raises
        ------
        ValueError
            A series is shorter than context and horizon together, or something else is not as required.
        TypeError
            Something is of another kind.
        """
        return self._learn("RNNForecaster.fit", X, sample_weight, once=False)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go once through the windows of some series, and keep what was learned before; parameters are `fit`'s."""
        return self._learn("RNNForecaster.partial_fit", X, sample_weight, once=True)

    def predict(self, X: Any = None, horizon: int | None = None) -> np.ndarray:
        """Forecast what comes behind the end of each series.

        Parameters
        ----------
        X : series, or list or array of them, optional
            At least `context` steps of each; what was learned from, without it.
        horizon : int, optional
            Steps; the estimator's by default, and at most those with ``strategy="multioutput"``.

        Returns
        -------
        values : ndarray, float64 of shape (N, h), or (h,) for one series
            NaN for a series of whose last `context` steps none was seen.
        """
        found, single = self._forecast("RNNForecaster.predict", X, horizon)
        return found.mean[0] if single else found.mean

    def predict_interval(
        self, X: Any = None, horizon: int | None = None, coverage: float = 0.8
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds between which each value is to lie with a probability: two arrays as `predict`'s.

        Raises ValueError where ``loss`` tells none: with "squared", or for other quantiles than those learned.
        """
        where = "RNNForecaster.predict_interval"
        levels = (round((1 - coverage) / 2, 12), round((1 + coverage) / 2, 12))
        found, single = self._forecast(where, X, horizon, quantiles=levels)
        low, high = found.quantiles[..., 0], found.quantiles[..., 1]
        return (low[0], high[0]) if single else (low, high)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return how much better forecasts are than the last value that was seen, said again: 1 is perfect, 0 as good.

        Parameters
        ----------
        X : series, or list or array of them
        y : array, shape (N, h) or (h,), optional
            What came behind X. Without it the last `horizon` steps of each series are what came, and are not read.
        sample_weight : array, shape (N,), optional

        Returns
        -------
        float
            1 − Σ abs(forecast − value) / Σ abs(last − value), over all that was seen. Where the last value is right
            everywhere, 1 if the forecast is, too, else 0.
        """
        where = "RNNForecaster.score"
        check_is_fitted(self)
        read = self._checked(where, X, reset=False)
        series = read.series
        if y is None:
            h = self.model_.window.horizon
            truth = np.array([one.values[-h:] for one in series if len(one) > h])
            if len(truth) < len(series):
                raise ValueError(f"{where}: X must have more than the {h} steps of the horizon in each series, or y")
            series = tuple(one.until(-h) for one in series)
        else:
            truth = np.asarray(y, np.float64).reshape(len(series), -1)
        forecast = self._ahead(where, series, truth.shape[1]).mean
        there = ~np.isnan(forecast[:, 0])
        last = np.array([one.values[~np.isnan(one.values)][-1] for one in np.array(series, object)[there]])[:, None]
        weights = read_weights(where, sample_weight, len(series))
        w = np.ones(len(series)) if weights is None else weights
        truth, w = truth[there], w[there]
        error, naive = (w @ np.nansum(abs(said - truth), axis=1) for said in (forecast[there], last))
        return float(1 - error / naive) if naive else float(error == 0)

    def _learn(self, where: str, X: Any, sample_weight: Any, *, once: bool) -> Self:
        self._check(where, once)
        fresh = self._begins(once)
        read = self._checked(where, X, reset=fresh)
        weights = read_weights(where, sample_weight, len(read.series))
        series = read.series
        if weights is not None:  # a weight of 0 is as good as a series that is left out
            series = tuple(one for one, weight in zip(series, weights, strict=True) if weight)
            weights = weights[weights > 0]
        last = self._held_out(where, series) if self.early_stopping else 0
        train = tuple(one.until(-last) for one in series) if last else series
        if fresh:
            self._start_drawing()
            try:
                spec = WindowSpec.fit(
                    train, context=self.context, horizon=self.horizon, strategy=self.strategy, scaling=self.scaling
                )
            except (ValueError, TypeError) as error:
                raise type(error)(f"{where}: {error}") from None
            self._begin(where, spec, loss=self.loss, quantiles=self.quantiles)
        self._run(where, self._data(where, series, train, weights, last), once)
        self.series_ = tuple(tail(one, self.model_.window.context) for one in series)
        self._single = read.single
        return self

    def _data(
        self, where: str, series: tuple[TimeSeries, ...], train: tuple[TimeSeries, ...], weights: Any, last: int
    ) -> Data:
        """Return windows to learn from and, with early stopping, those at the ends of the series."""
        given: dict[str, Any] = {"stride": self.stride, "weights": weights, "dtype": self._dtype}
        given |= {"batch_size": self.batch_size}
        spec = self.model_.window
        try:
            windows = Windows(train, spec, shuffle=bool(self.shuffle), seed=self._draw(), **given)
            held = Windows(series, spec, last=last, shuffle=False, **given) if last else None
        except (ValueError, TypeError) as error:
            raise type(error)(f"{where}: {error}") from None
        return Data(windows, held, _minus_the_loss if last else None)

    def _held_out(self, where: str, series: tuple[TimeSeries, ...]) -> int:
        """Return how many steps of each series are held out."""
        shortest = min(map(len, series))
        last = max(int(positive_int(where, "horizon", self.horizon)), round(self.validation_fraction * shortest))
        least = positive_int(where, "context", self.context) + self.horizon + last
        if shortest < least:
            raise ValueError(
                f"{where}: X must have at least {least} steps in each series with early_stopping=True, for context, "
                f"horizon and the {last} that are held out, got {shortest}"
            )
        return last

    def _checked(self, where: str, X: Any, *, reset: bool) -> Read:
        """Return series, if there are steps enough in the columns of an array, and scales for them."""
        read = read_series(self, where, X, reset=reset)
        least = self.context + self.horizon if reset else self.model_.window.context
        if read.columns and len(read.series[0]) < least:
            raise ValueError(
                f"{where}: X must have at least {least} steps in each row{', context + horizon' if reset else ''}, got "
                f"n_features = {len(read.series[0])}; a column for each series is transposed"
            )
        if not read.named and self.scaling in ("standard", "mean-abs"):
            raise ValueError(
                f"{where}: scaling must be 'window' or 'none' for series without names, got {shown(self.scaling)}; "
                "TimeSeries(values, name=…) gives one"
            )
        return read

    def _forecast(
        self, where: str, X: Any, horizon: int | None, quantiles: tuple[float, ...] | None = None
    ) -> tuple[Forecast, bool]:
        check_is_fitted(self)
        if X is None and not self.series_:
            raise ValueError(f"{where}: X must be given, as the file holds no series to go on from, got None")
        read = Read(self.series_, self._single) if X is None else self._checked(where, X, reset=False)
        return self._ahead(where, read.series, horizon, quantiles), read.single

    def _ahead(
        self, where: str, series: tuple[TimeSeries, ...], horizon: int | None, quantiles: Any = None
    ) -> Forecast:
        """Return forecasts, NaN for a series of whose context nothing was seen; an error where that is all of them."""
        seen = np.array([not np.isnan(one.values[-self.model_.window.context :]).all() for one in series])
        some = tuple(one for one, there in zip(series, seen, strict=True) if there) or series
        try:
            found: Forecast = self.model_.forecast(some, horizon, quantiles=quantiles)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{where}: {error}") from None
        if len(some) == len(series):
            return found
        names = tuple(one.name for one in series)
        return found._replace(names=names, mean=_spread(found.mean, seen), quantiles=_spread(found.quantiles, seen))

    def _describe(self, model: Model) -> None:
        """Nothing stands beside it: its window has the scaling."""

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "series": stored_series(self.series_), "single": self._single}

    def _recall(self, facts: Mapping[str, Any], model: Model) -> None:
        super()._recall(facts, model)
        self.series_, self._single = series_of(facts["series"]), facts["single"]
        check_value("single", bool, facts["single"])
        window = self.model_.window
        for one in self.series_:
            if (one.past.shape[1], one.known.shape[1]) != (window.past, window.known) or len(one) > window.context:
                raise ValueError(f"its series must be ends as its window reads them, got {one!r}")


def _minus_the_loss(record: EpochRecord) -> float:
    return -float(record.validation_loss or 0.0)


def _spread(found: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return what was found for some series, and NaN for the others."""
    whole = np.full((len(seen), *found.shape[1:]), np.nan)
    whole[seen] = found
    return whole
