"""Scores of forecasts by hand, what is missing, and the backtest."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data import TimeSeries
from rnn_core.scores import (
    backtest,
    coverage,
    mae,
    mase,
    pinball,
    rmse,
    seasonal_error,
    seasonal_naive,
    smape,
)
from tests import forecasting_checks as checks

NAN = np.nan


@pytest.mark.parametrize("season", [1, 4])
def test_mase_by_hand(season):
    checks.mase_by_hand(season)


@pytest.mark.parametrize("season", [1, 3, 12])
def test_seasonal_naive_by_hand(season):
    checks.seasonal_naive_by_hand(season)


def test_pinball_by_hand():
    checks.pinball_by_hand()
    truth, quantiles = np.array([1.0, NAN]), np.array([[0.0, 3.0], [9.0, 9.0]])
    assert pinball(truth, quantiles, (0.2, 0.8)) == pytest.approx((0.2 * 1 + 0.2 * 2) / 2)


def test_the_quantile_has_the_smallest_pinball():
    y = np.random.default_rng(0).standard_normal(2001)
    losses = {q: pinball(y, np.full((2001, 1), q), (0.9,)) for q in (np.quantile(y, 0.9), 1.0, 1.6, 0.0)}
    assert min(losses, key=losses.__getitem__) == np.quantile(y, 0.9)


def test_others_by_hand_and_what_is_missing():
    truth, said = np.array([1.0, NAN, -2.0, 0.0]), np.array([2.0, 5.0, -2.0, 0.0])
    assert mae(truth, said) == pytest.approx(1 / 3)
    assert rmse(truth, said) == pytest.approx(np.sqrt(1 / 3))
    assert smape(truth, said) == pytest.approx(200 * (1 / 3) / 3)
    assert coverage(truth, [0.0, 0, -1, 0], [1.0, 9, 0, 0]) == pytest.approx(2 / 3)


def test_seasonal_naive_looks_further_back_where_a_value_is_missing():
    history = np.array([1.0, 2, 3, 4, NAN, 6])
    assert seasonal_naive(history, 4, 3).tolist() == [4, 2, 6, 4]
    assert seasonal_naive(np.array([NAN, 5.0]), 3, 4).tolist() == [5, 5, 5]
    assert seasonal_error(np.array([1.0, NAN, 4.0, 9.0]), 2) == 3.0
    assert np.isnan(seasonal_error(np.array([1.0]), 2))


def wave(T=40, name="a", noise=0.0):
    t = np.arange(T)
    return TimeSeries(np.sin(np.pi * t / 2) + 0.1 * t + noise * np.random.default_rng(1).standard_normal(T), name=name)


@pytest.mark.parametrize("refit", [True, False])
def test_a_backtest_fits_before_the_origin(refit):
    checks.backtest_fits_before_the_origin(refit)


def test_a_backtest_of_seasonal_naive_is_seasonal_naive():
    def method(_):
        return lambda cut: np.stack([seasonal_naive(one.values, 5, 4) for one in cut])

    found = backtest([wave(), wave(33, "b", 0.2)], method, horizon=5, origins=4, step=2, season=4)
    assert found.truth.shape == (4, 2, 5)
    for scores in found.scores().values():
        assert scores["forecast"] == scores["seasonal naive"]
    np.testing.assert_allclose(found.scores(1)["MAE"]["forecast"], np.mean(
        [abs(one.values[len(one) - end] - one.values[len(one) - end - 4])
         for one in (wave(), wave(33, "b", 0.2)) for end in (11, 9, 7, 5)]
    ))  # fmt: skip
    oracle = backtest(wave(), lambda _: lambda cut: wave().values[len(cut[0]):][None, :5], horizon=5, season=4)
    assert oracle.scores()["MASE"]["forecast"] == 0.0
    assert oracle.scores()["MASE"]["seasonal naive"] > 0


def test_a_backtest_scores_quantiles():
    series = wave(noise=0.3)
    model = checks.model_of(series, loss="gaussian", context=8, horizon=4)
    found = backtest(series, lambda _: model.forecast, horizon=4, origins=3, season=4)
    scores = found.scores()
    assert found.quantiles.shape == (3, 1, 4, 5)
    assert scores["nominal"]["forecast"] == pytest.approx(0.95)
    assert 0 <= scores["coverage"]["forecast"] <= 1
    assert scores["pinball"]["forecast"] > 0


def test_a_series_without_a_scale_has_no_part_in_mase():
    flat = TimeSeries(np.ones(20), name="flat")
    found = backtest([flat, wave()], lambda _: lambda cut: np.zeros((2, 3)), horizon=3, season=4)
    alone = backtest(wave(), lambda _: lambda cut: np.zeros((1, 3)), horizon=3, season=4)
    assert found.scores()["MASE"] == alone.scores()["MASE"]
    assert np.isnan(backtest(flat, lambda _: lambda cut: np.zeros((1, 3)), horizon=3).scores()["MASE"]["forecast"])


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: mase([1.0], [1.0], [2.0, 2.0]), ValueError, "mase: history must have values 1 steps apart"),
        (lambda: mae([1.0], [1.0, 2.0]), ValueError, r"mae: forecast must have shape \(1,\), as truth, got \(2,\)"),
        (lambda: mae([NAN], [1.0]), ValueError, "mae: truth must have a value that was seen, got none of 1"),
        (lambda: seasonal_naive([NAN], 2), ValueError, "seasonal_naive: history must have a value, got none in 1"),
        (lambda: pinball([1.0], [[1.0, 2.0]], (0.5,)), ValueError, r"quantiles must have shape \(1, 1\), got \(1, 2\)"),
        (lambda: backtest(wave(6), lambda _: lambda cut: 0, horizon=5, origins=2), ValueError,
         "backtest: series must have steps before the first origin, 6 from the end, got 6 of 'a'"),
        (lambda: backtest(wave(), lambda _: lambda cut: np.zeros(3), horizon=3), ValueError,
         r"a forecast must have shape \(1, 3\), series and steps, got \(3,\)"),
        (lambda: backtest(wave(), lambda _: lambda cut: np.zeros((1, 3)), horizon=3).scores(4), ValueError,
         "step must be in 1…3, got 4"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_backtest_leaves_out_what_has_nothing_to_begin_from():
    late = TimeSeries(np.r_[np.full(30, NAN), np.arange(9.0), NAN], name="late")
    found = backtest([wave(), late], lambda _: lambda cut: np.zeros((len(cut), 2)), horizon=2, origins=10, context=4)
    assert found.left_out == 2
    assert np.isnan(found.truth[:2, 1]).all()
    assert np.isnan(found.only(1)._replace(truth=found.truth[:, 1:] * NAN).scores(1)["MAE"]["forecast"])
