"""Checks of forecasting: each states what must hold, and fails by an AssertionError if it does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_core import Forecaster, gradcheck
from rnn_core.data import TimeSeries, Windows, WindowSpec, fourier
from rnn_core.scores import backtest, mase, pinball, seasonal_naive
from rnn_core.training import GaussianLikelihood, QuantileLoss

LOSSES = ("gaussian", "squared", "quantiles")
STRATEGIES = ("multioutput", "recursive")
AR = (1.2, -0.72)
"""Roots of λ² = 1.2 λ − 0.72 are complex, of modulus 0.85: a wave that fades."""


def some_series(*lengths: int, gaps: bool = True, covariates: bool = True, ahead: int = 12) -> list[TimeSeries]:
    """Return series with a trend, a season, noise and, if asked for, gaps and covariates."""
    found = []
    for k, T in enumerate(lengths or (60, 47)):
        rng = np.random.default_rng(k)
        t = np.arange(T)
        y = 1 + k + 0.01 * t + np.sin(2 * np.pi * t / 6) + 0.1 * rng.standard_normal(T)
        past = np.where(t % 7 == 0, np.nan, rng.standard_normal(T))
        if gaps:
            y[10 + k], y[T - 2] = np.nan, np.nan
        more = {"past": past, "known": fourier(T + ahead, 6)} if covariates else {}
        found.append(TimeSeries(y, name=f"s{k}", **more))
    return found


def model_of(series: Any, **options: Any) -> Forecaster:
    """Return a small float64 model; options of the window and of the model stand side by side."""
    window: dict[str, Any] = {"context": 8, "horizon": 4}
    for name in ("context", "horizon", "strategy", "scaling", "identity"):
        if name in options:
            window[name] = options.pop(name)
    made = {"hidden_size": 4, "cell": "gru", "dtype": np.float64, "seed": 1, **options}
    return Forecaster(WindowSpec.fit(series, **window), **made)


def gradients(strategy: str, loss: str, cell: str = "gru", **options: Any) -> None:
    """The gradient of a batch of windows, with gaps and covariates, is that of the complex step."""
    series = some_series()
    model = model_of(series, strategy=strategy, loss=loss, cell=cell, identity=True, **options)
    batch = Windows(series, model.window, batch_size=5, shuffle=False, dtype=np.float64).batch(0, 0)
    assert 0 < batch.weights.sum() < batch.weights.size
    report = gradcheck(model, batch)
    assert report.passed, report
    assert {row.name for row in report.rows} == set(model.parameters)


def loss_gradients(loss: str) -> None:
    """The loss's gradient is that of the complex step, and its value is the one by hand."""
    rng = np.random.default_rng(0)
    target = GaussianLikelihood(0.01) if loss == "gaussian" else QuantileLoss((0.1, 0.5, 0.95))
    z, t, w = rng.standard_normal((4, 3, target.outputs)), rng.standard_normal((4, 3)), rng.random((4, 3))
    w[0, 0] = 0
    report = gradcheck(target, z, targets=t, weights=w)
    assert report.passed, report
    if isinstance(target, GaussianLikelihood):
        sigma = 0.01 + np.log1p(np.exp(z[..., 1]))
        losses = -np.log(np.exp(-(((t - z[..., 0]) / sigma) ** 2) / 2) / (sigma * np.sqrt(2 * np.pi)))
    else:
        losses = np.mean(
            [np.where(t > z[..., k], q * (t - z[..., k]), (1 - q) * (z[..., k] - t))
             for k, q in enumerate(target.quantiles)], axis=0,
        )  # fmt: skip
    value = float(target.forward(z, t, w)[0])
    assert np.isclose(value, (w * losses).sum() / w.sum(), rtol=1e-12), (value, losses)


def ar2_network(horizon: int, a: float, b: float) -> Forecaster:
    """Return a ReLU network that is y_{t+1} = a y_t + b y_{t−1}: two units hold u_t, two the step before."""
    spec = WindowSpec(2, horizon, "recursive", scaling={"kind": "none"})
    model = Forecaster(spec, 4, loss="squared", cell="rnn", nonlinearity="relu", dtype=np.float64, seed=0)
    for array in model.parameters.values():
        array[...] = 0
    model.parameters["rnn.weight_ih_l0"][:2, 0] = 1, -1
    model.parameters["rnn.weight_hh_l0"][[2, 3], [0, 1]] = 1
    model.parameters["head.weight"][0] = a, -a, b, -b
    return model


def fed_back_is_the_closed_form(steps: int = 40) -> None:
    """A forecast that is fed back follows A λ₁ᵏ + B λ₂ᵏ, on a noise-free AR(2)."""
    a, b = AR
    y0, y1 = 1.5, -0.4
    roots = np.roots([1, -a, -b])
    A, B = np.linalg.solve([[1, 1], roots], [y0, y1])
    k = np.arange(steps + 2)
    closed = (A * roots[0] ** k + B * roots[1] ** k).real
    found = ar2_network(5, a, b).forecast(TimeSeries(closed[:2]), steps).mean[0]
    assert np.allclose(found, closed[2:], rtol=0, atol=1e-14 * steps), abs(found - closed[2:]).max()


def scaling_sees_the_training_part_alone(scaling: str) -> None:
    """Whatever comes behind the training part, the window that is fitted on it, and its batches, keep every bit."""
    series = some_series(gaps=False)
    others = []
    for one in series:
        values = one.values.copy()
        values[-12:] = 1e6
        others.append(TimeSeries(values, past=one.past, known=one.known, name=one.name))
    found: list[tuple[dict[str, Any], Windows]] = []
    for some in (series, others):
        train = [one.until(-12) for one in some]
        spec = WindowSpec.fit(train, context=8, horizon=4, scaling=scaling)
        found.append((spec.to_dict(), Windows(train, spec, dtype=np.float64)))
    (fitted, ours), (again, theirs) = found
    assert fitted == again
    for index in range(len(ours)):
        for here, there in zip(ours.batch(0, index), theirs.batch(0, index), strict=True):
            assert np.array_equal(here, there)


def backtest_fits_before_the_origin(refit: bool) -> None:
    """What a backtest fits on, its scaling too, ends where what is forecast begins."""
    series = some_series(gaps=False)
    fitted: list[list[int]] = []

    def method(train: list[TimeSeries]) -> Any:
        fitted.append([len(one) for one in train])
        model = model_of(train, scaling="standard", loss="squared")
        means = [np.mean(one.values[: len(one) - 8]) for one in series]
        if len(fitted) == 1:
            found = [model.window.scaling.of("", one.name)[0] for one in series]
            assert np.allclose(found, means, rtol=1e-12), (found, means)
        return model.forecast

    found = backtest(series, method, horizon=4, origins=3, step=2, season=6, refit=refit)
    ends = (8, 6, 4) if refit else (8,)
    assert fitted == [[len(one) - end for one in series] for end in ends]
    for row, end in zip(found.truth, (8, 6, 4), strict=True):
        for said, one in zip(row, series, strict=True):
            assert np.array_equal(said, one.values[len(one) - end :][:4])


def forecasts_keep_their_units(scaling: str, strategy: str) -> None:
    """Of 8 y + 16 all that is forecast is 8 times as much and 16 more, with a network of the same weights."""
    series = some_series(gaps=False)
    others = [TimeSeries(8 * one.values + 16, past=one.past, known=one.known, name=one.name) for one in series]
    one, two = (
        model_of(some, scaling=scaling, strategy=strategy, loss="gaussian").forecast(some, samples=20)
        for some in (series, others)
    )
    assert np.allclose(two.mean, 8 * one.mean + 16, rtol=1e-9), (one.mean, two.mean)
    assert np.allclose(two.quantiles, 8 * one.quantiles + 16, rtol=1e-9)


def scales_by_hand(scaling: str) -> None:
    """Inputs and targets are in the units of the training part or, by window, of the context, and only of that."""
    (one,) = some_series(30, covariates=False)
    train = one.until(-10)
    spec = WindowSpec.fit(train, context=8, horizon=4, scaling=scaling)
    windows = Windows(one, spec, last=10, shuffle=False, batch_size=1, dtype=np.float64)
    for index, origin in enumerate(windows.origins):
        batch = windows.batch(0, index)
        read, asked = one.values[origin - 8 : origin], one.values[origin : origin + 4]
        seen = read if scaling == "window" else train.values
        mu = 0.0 if scaling == "mean-abs" else np.nanmean(seen)
        nu = np.nanmean(abs(seen)) if scaling == "mean-abs" else np.nanstd(seen)
        assert np.allclose(batch.inputs[0, :, 0], np.nan_to_num((read - mu) / nu), rtol=1e-12, atol=1e-13)
        assert np.array_equal(batch.inputs[0, :, 1], ~np.isnan(read))
        assert np.allclose(batch.targets[0], np.nan_to_num((asked - mu) / nu), rtol=1e-12, atol=1e-13)
        assert np.array_equal(batch.weights[0], ~np.isnan(asked))


def every_window_is_there(stride: int = 1) -> None:
    """Windows are all that lie within their series, the last of each included, and none across two."""
    series = some_series(20, 15, gaps=False, covariates=False)
    spec = WindowSpec.fit(series, context=5, horizon=3)
    windows = Windows(series, spec, stride=stride, shuffle=False, batch_size=4)
    expected = [
        (k, origin) for k, one in enumerate(series) for origin in range(5, len(one) - 2)
        if (len(one) - 3 - origin) % stride == 0
    ]  # fmt: skip
    assert list(zip(windows.rows.tolist(), windows.origins.tolist(), strict=True)) == expected
    assert sum(len(windows.batch(0, k).inputs) for k in range(len(windows))) == len(expected)


def missing_counts_nothing(strategy: str, loss: str) -> None:
    """The loss and its gradients are those without the steps whose values are missing, whatever stands in targets."""
    series = some_series()
    model = model_of(series, strategy=strategy, loss=loss)
    batch = Windows(series, model.window, batch_size=7, shuffle=False, dtype=np.float64).batch(0, 0)
    step = model.loss_and_gradients(batch)
    assert step.count == batch.weights.sum() < batch.weights.size
    other = batch._replace(targets=np.where(batch.weights > 0, batch.targets, 99.0))
    again = model.loss_and_gradients(other)
    assert step.loss == again.loss
    for name, gradient in step.gradients.items():
        assert np.array_equal(gradient, again.gradients[name])
    outputs = model(batch.inputs)
    seen = batch.weights > 0
    alone = float(model.loss.forward(outputs[seen], batch.targets[seen])[0])
    assert np.isclose(step.loss, alone, rtol=1e-12), (step.loss, alone)


def past_covariates_end_with_the_context(strategy: str) -> None:
    """What is measured behind a window's context is read nowhere: changed, it leaves every input as it was."""
    series = some_series(gaps=False)
    spec = WindowSpec.fit(series, context=8, horizon=4, strategy=strategy, scaling="window")
    windows = Windows(series, spec, shuffle=False, batch_size=1, dtype=np.float64)
    origin = int(windows.origins[0])
    past = series[0].past.copy()
    past[origin:] = 7.0
    changed = [TimeSeries(series[0].values, past=past, known=series[0].known, name="s0"), series[1]]
    again = Windows(changed, spec, shuffle=False, batch_size=1, dtype=np.float64)
    assert np.array_equal(windows.batch(0, 0).inputs, again.batch(0, 0).inputs)


def mase_by_hand(season: int) -> None:
    """MASE is by the mean error of a season before, over the history."""
    rng = np.random.default_rng(2)
    history, truth, forecast = rng.standard_normal(20), rng.standard_normal(3), rng.standard_normal(3)
    scale = np.mean([abs(history[t] - history[t - season]) for t in range(season, 20)])
    assert np.isclose(mase(truth, forecast, history, season), abs(truth - forecast).mean() / scale, rtol=1e-12)


def seasonal_naive_by_hand(season: int) -> None:
    """Seasonal naive says the season before, again and again."""
    history = np.arange(2.0 * season + 1)
    expected = [history[len(history) - season + k % season] for k in range(3 * season)]
    assert np.array_equal(seasonal_naive(history, 3 * season, season), expected)


def pinball_by_hand() -> None:
    """To say too little costs p, to say too much 1 − p, for each unit."""
    assert np.isclose(pinball(np.array([1.0]), np.array([[0.0]]), (0.9,)), 0.9)
    assert np.isclose(pinball(np.array([0.0]), np.array([[1.0]]), (0.9,)), 0.1)


def known_covariates_are_those_asked_about(strategy: str) -> None:
    """At step t the covariates of the steps that are asked about there are read, and of no others."""
    T = 20
    series = TimeSeries(np.sin(np.arange(T)), known=np.arange(T + 4.0), name="s")
    spec = WindowSpec.fit(series, context=5, horizon=4, strategy=strategy, scaling="none")
    windows = Windows(series, spec, shuffle=False, batch_size=1, dtype=np.float64)
    origin, x = int(windows.origins[0]), windows.batch(0, 0).inputs[0]
    steps = origin - 5 + np.arange(len(x))
    ahead = np.arange(1, 5) if strategy == "multioutput" else np.arange(1, 2)
    assert np.array_equal(x[:, 2:], steps[:, None] + ahead)
