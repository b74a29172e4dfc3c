"""`Forecaster`: gradients in each mode, forecasts against closed forms, intervals, saving, and what is refused."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from rnn_core import Forecaster, gradcheck, load, save
from rnn_core.data import Batch, TimeSeries, Windows, WindowSpec, fourier
from rnn_core.training import SGD, Adam, fit
from tests import forecasting_checks as checks
from tests.forecasting_checks import LOSSES, STRATEGIES, model_of, some_series


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cell, options", [("gru", {}), ("lstm", {"num_layers": 2, "dropout": 0.3}), ("rnn", {})])
def test_gradients(strategy, loss, cell, options):
    checks.gradients(strategy, loss, cell, **options)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_the_outputs_and_of_x(strategy, loss):
    model = model_of(some_series(), strategy=strategy, loss=loss)
    x = np.random.default_rng(0).standard_normal((3, 6, model.window.features))
    report = gradcheck(model, x, lengths=[6, 2, 4])
    assert report.passed, report
    assert {row.name for row in report.rows} == {"x", *model.parameters}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("loss", LOSSES)
def test_missing_values_count_nothing(strategy, loss):
    checks.missing_counts_nothing(strategy, loss)


def test_a_forecast_fed_back_is_the_closed_form_of_an_ar2():
    checks.fed_back_is_the_closed_form()


def test_of_several_series_each_is_fed_back_its_own():
    model = checks.ar2_network(5, *checks.AR)
    starts = [[1.5, -0.4], [-2.0, 0.3]]
    together = model.forecast([TimeSeries(y, name=str(k)) for k, y in enumerate(starts)], 7).mean
    for row, y in zip(together, starts, strict=True):
        for _ in range(7):
            y = [*y, checks.AR[0] * y[-1] + checks.AR[1] * y[-2]]
        np.testing.assert_allclose(row, y[2:], rtol=1e-13)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("scaling", ["window", "standard"])
def test_forecasts_are_in_the_units_of_the_series(scaling, strategy):
    checks.forecasts_keep_their_units(scaling, strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scaling", ["window", "standard", "mean-abs", "none"])
def test_a_model_saved_is_the_model_loaded(tmp_path, strategy, loss, scaling):
    series = some_series()
    model = model_of(series, strategy=strategy, loss=loss, scaling=scaling, identity=True, dtype=np.float32)
    save(model, tmp_path / "model.safetensors")
    twin = load(tmp_path / "model.safetensors")
    assert twin.window.scaling == model.window.scaling
    assert twin.window.to_dict() == model.window.to_dict()
    ours, theirs = (one.forecast(series, samples=10) for one in (model, twin))
    np.testing.assert_array_equal(ours.mean, theirs.mean)
    np.testing.assert_array_equal(ours.quantiles, theirs.quantiles)
    assert ours.levels == theirs.levels


def test_float32_stays_float32():
    series = some_series()
    model = model_of(series, dtype=np.float32)
    windows = Windows(series, model.window)
    assert windows.batch(0, 0).inputs.dtype == np.float32
    step = model.loss_and_gradients(windows.batch(0, 0))
    assert {gradient.dtype for gradient in step.gradients.values()} == {np.dtype(np.float32)}


def test_quantiles_of_a_normal_distribution():
    series = some_series()
    model = model_of(series, loss="gaussian")
    levels = (0.05, 0.5, 0.95)
    found = model.forecast(series, quantiles=levels)
    spread = found.quantiles[..., 2] - found.quantiles[..., 1]
    np.testing.assert_allclose(found.quantiles[..., 1], found.mean, rtol=1e-12)
    np.testing.assert_allclose(found.quantiles[..., 1] - found.quantiles[..., 0], spread, rtol=1e-9)
    low, high = found.interval(0.9)
    np.testing.assert_array_equal(low, found.quantiles[..., 0])
    np.testing.assert_array_equal(high, found.quantiles[..., 2])


def test_paths_of_a_random_walk_spread_as_the_root_of_the_steps():
    """A network whose mean is the last value and whose scale is 1: after k steps the variance is k."""
    spec = WindowSpec(2, 4, "recursive", scaling={"kind": "none"})
    model = Forecaster(spec, 2, loss="gaussian", cell="rnn", nonlinearity="relu", dtype=np.float64, seed=0)
    for array in model.parameters.values():
        array[...] = 0
    model.parameters["rnn.weight_ih_l0"][:, 0] = 1, -1
    model.parameters["head.weight"][0] = 1, -1
    model.parameters["head.bias"][1] = np.log(np.expm1(1 - model.loss.floor))
    found = model.forecast(TimeSeries([0.3, 1.0]), 9, quantiles=(0.1, 0.5, 0.9), samples=20_000)
    expected = NormalDist().inv_cdf(0.9) * np.sqrt(np.arange(1, 10))
    np.testing.assert_allclose(found.mean, 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.quantiles[0, :, 2] - 1, expected, rtol=0.05)
    np.testing.assert_allclose(1 - found.quantiles[0, :, 0], expected, rtol=0.05)


def test_paths_between_quantiles_have_these_quantiles():
    """A network that says 0.1, 0.5 and 0.9 for all steps, whatever it reads."""
    spec = WindowSpec(2, 3, "recursive", scaling={"kind": "none"})
    model = Forecaster(spec, 2, loss="quantiles", quantiles=(0.1, 0.5, 0.9), dtype=np.float64, seed=0)
    model.parameters["head.weight"][...] = 0
    model.parameters["head.bias"][...] = 1.0, -1.0, 3.0  # which cross, and are put in order
    found = model.forecast(TimeSeries([0.0, 0.0]), quantiles=(0.25, 0.5, 0.75), samples=20_000)
    np.testing.assert_array_equal(found.mean, 1.0)
    np.testing.assert_allclose(found.quantiles[0, :, 1], 1.0, atol=0.05)
    np.testing.assert_allclose(found.quantiles[0, :, 0], -1 + 2 * 0.15 / 0.4, atol=0.08)
    np.testing.assert_allclose(found.quantiles[0, :, 2], 1 + 2 * 0.25 / 0.4, atol=0.08)


def test_residuals_are_what_is_left_of_the_truth_and_make_intervals():
    series = some_series(gaps=False)
    model = model_of([one.until(-12) for one in series], loss="squared")
    windows = Windows(series, model.window, last=12, dtype=np.float64)
    residuals = model.residuals(windows)
    k = 3
    one, origin = series[windows.rows[k]], windows.origins[k]
    context = one.values[origin - 8 : origin]
    said = model.forecast(one.until(origin)).mean[0]
    np.testing.assert_allclose(residuals[k], (one.values[origin : origin + 4] - said) / context.std(), rtol=1e-9)
    found = model.forecast(series, residuals=residuals, quantiles=(0.25, 0.75))
    scale = np.array([one.values[-8:].std() for one in series])[:, None]
    for place, level in enumerate((0.25, 0.75)):
        expected = found.mean + scale * np.quantile(residuals, level, axis=0)
        np.testing.assert_allclose(found.quantiles[..., place], expected, rtol=1e-9)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_was_never_seen_is_not_read(strategy):
    """A forecast depends on the context alone, and on what is known in advance."""
    series = some_series(gaps=False)
    model = model_of(series, strategy=strategy, scaling="window")
    here = model.forecast(series, samples=10)
    others = []
    for one in series:
        values, past = one.values.copy(), one.past.copy()
        values[:-8], past[:-8] = np.nan, np.nan
        others.append(TimeSeries(values, past=past, known=one.known, name=one.name))
    there = model.forecast(others, samples=10)
    np.testing.assert_array_equal(here.mean, there.mean)
    np.testing.assert_array_equal(here.quantiles, there.quantiles)


def test_it_learns_a_season_and_resumes_to_the_same_bits(tmp_path):
    t = np.arange(132)
    rng = np.random.default_rng(0)
    whole = TimeSeries(5 + np.sin(2 * np.pi * t / 12) + 0.05 * rng.standard_normal(132))
    train = whole.until(-24)

    def run(folder, epochs, resume=False):
        model = Forecaster(WindowSpec.fit(train, context=24, horizon=6), 12, loss="squared", cell="gru", seed=0)
        fit(model, Windows(train, model.window), optimizer=Adam(1e-2), epochs=epochs, progress=False,
            validation=Windows(whole, model.window, last=24), checkpoint=folder, resume=resume)  # fmt: skip
        return model

    one = run(tmp_path / "one", 12)
    run(tmp_path / "two", 5)
    two = run(tmp_path / "two", 12, resume=True)
    for name, array in one.parameters.items():
        np.testing.assert_array_equal(array, two.parameters[name])
    said = one.forecast(whole.until(-6)).mean[0]
    assert abs(said - whole.values[-6:]).mean() < 0.3 * abs(whole.values[-6:] - 5).mean()


def test_evaluate_sums_the_loss_and_calls_nothing_right():
    series = some_series()
    model = model_of(series)
    batch = Windows(series, model.window, dtype=np.float64).batch(0, 0)
    step, found = model.loss_and_gradients(batch), model.evaluate(batch)
    assert found.loss == pytest.approx(step.loss * step.count, rel=1e-12)
    assert (found.count, found.correct, found.state) == (step.count, None, None)


def test_a_core_is_carried_over():
    from transfer import copy_parameters

    series = some_series()
    source = model_of(series, strategy="recursive", loss="squared")
    target = model_of(series, strategy="recursive", loss="gaussian", seed=5)
    copy_parameters(source, target, exclude=("head.*",))
    np.testing.assert_array_equal(source.parameters["rnn.weight_hh_l0"], target.parameters["rnn.weight_hh_l0"])


def test_what_is_frozen_stays():
    series = some_series()
    model = model_of(series, dtype=np.float32)
    model.frozen = frozenset(name for name in model.parameters if name.startswith("rnn."))
    before = model.state_dict()
    fit(model, Windows(series, model.window), optimizer=SGD(0.1), epochs=1, progress=False)
    changed = [name for name, array in model.parameters.items() if (array != before[name]).any()]
    assert changed == ["head.weight", "head.bias"]


SERIES = TimeSeries(np.sin(np.arange(30.0)), name="a")
KNOWN = TimeSeries(np.sin(np.arange(30.0)), known=fourier(32, 6), name="a")


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Forecaster(3, 4), TypeError, "Forecaster: window must be a WindowSpec, got 3"),
        (lambda: model_of(SERIES, loss="huber"), ValueError, "Forecaster: loss must be one of 'squared', 'gauss"),
        (lambda: model_of(SERIES, quantiles=(0.5,)), ValueError, "quantiles must be left out with loss='gaussian'"),
        (lambda: model_of(SERIES, loss="quantiles", quantiles=(0.9, 0.1)), ValueError, "must be at least one, and"),
        (lambda: model_of(SERIES).forecast(SERIES, 5), ValueError,
         "Forecaster.forecast: horizon must be at most the 4 steps that are said at once, got 5"),
        (lambda: model_of(SERIES).forecast(SERIES.until(7)), ValueError,
         "series must have at least context = 8 steps, got 7 of 'a'"),
        (lambda: model_of(KNOWN).forecast(KNOWN), ValueError,
         "known covariates must reach 4 steps beyond the values, got 2 of 'a'"),
        (lambda: model_of(KNOWN).forecast(SERIES), ValueError, "series must have 2 known covariates, .* got 0"),
        (lambda: model_of(SERIES, scaling="standard").forecast(TimeSeries(SERIES.values, name="b")), ValueError,
         "'b' must be a series whose scale is known"),
        (lambda: model_of(SERIES).forecast(TimeSeries([1.0] * 20 + [np.nan] * 8, name="b")), ValueError,
         "'b' must have a value in its last 8 steps, got none"),
        (lambda: model_of(SERIES, loss="squared").forecast(SERIES, quantiles=(0.1, 0.9)), ValueError,
         "quantiles of a model with loss='squared' must come from residuals"),
        (lambda: model_of(SERIES, loss="quantiles").forecast(SERIES, quantiles=(0.2,)), ValueError,
         "quantiles must be some of 0.1, 0.5, 0.9, for which the model was trained, got 0.2"),
        (lambda: model_of(SERIES).forecast(SERIES, residuals=np.zeros((3, 2))), ValueError, "residuals must have"),
        (lambda: model_of(SERIES).forecast(SERIES).interval(0.7), ValueError, "coverage must be that between two"),
        (lambda: model_of(SERIES).evaluate(Batch(np.zeros((2, 8, 2)), np.zeros((2, 3)))), ValueError,
         r"targets must have shape \(2, 4\), a value for each step that is asked for, got \(2, 3\)"),
        (lambda: model_of(SERIES).residuals(SERIES), TypeError, "windows must be Windows, got TimeSeries"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_file_that_lies_about_its_window_is_refused(tmp_path):
    model = model_of(SERIES)
    for key, value, says in (
        ("scaling", {"kind": "standard", "series": {"a": [0.0, -1.0]}}, "the second above 0"),
        ("context", "8", "an int of 64 bits"),
        ("strategy", "oracle", "strategy must be one of"),
        ("horizon", 5, "must fit"),
    ):
        model.config["window"] = {**model.window.to_dict(), key: value}
        save(model, tmp_path / "bad.safetensors")
        with pytest.raises(ValueError, match=rf"load: .*{says}"):
            load(tmp_path / "bad.safetensors")
