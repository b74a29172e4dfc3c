"""Experiments on forecasts: quick runs, the series as they are, and smoothing as a method of the backtest."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("statsmodels")
pytest.importorskip("scipy")

from benchmarks.experiments.series import carried, forecasts
from benchmarks.experiments.series.bundled import groups
from benchmarks.experiments.series.smoothing import smoothing
from rnn_core.data import TimeSeries
from rnn_core.scores import backtest


def test_forecasts_in_a_quick_run():
    outcome = forecasts.run(True, 1, lambda _: None)
    rows = outcome.results["scores"]
    assert [row["method"] for row in rows[:3]] == ["Forecaster", "exponential smoothing", "seasonal naive"]
    assert len(rows) == 3 * 5
    assert outcome.markdown.count("\n") == 1 + len(rows)
    json.dumps(outcome.as_dict(), allow_nan=False)


def test_a_core_carried_over_in_a_quick_run():
    outcome = carried.run(True, 1, lambda _: None)
    assert {row["arm"] for row in outcome.results["scores"]} == {"carried over", "scrambled core", "from scratch"}
    assert [len(row["MASE"]) for row in outcome.results["scores"]] == [2, 2, 2]
    json.dumps(outcome.as_dict(), allow_nan=False)


def test_the_series_are_those_of_the_package():
    months, quarters, years, weeks = groups()
    assert [len(one) for one in months.series] == [526, 732, 257]
    assert [len(one) for one in quarters.series] == [203] * 6
    assert [len(one) for one in years.series] == [309, 100]
    assert int(np.isnan(weeks.series[0].values).sum()) == 59  # nothing was put in their place
    for group in groups():
        tested = group.horizon + group.step * (group.origins - 1)
        for one in group.series:
            held_out = forecasts.Settings().held_out * group.horizon
            assert len(one) - tested - held_out >= group.context + group.horizon


def test_smoothing_of_a_season_without_noise_is_the_season():
    wave = TimeSeries(10 + np.sin(np.pi * np.arange(60) / 2))
    found = backtest(wave, smoothing(4, 4), horizon=4, season=4).scores()
    assert found["MAE"]["forecast"] < 0.05
    assert found["coverage"]["forecast"] >= 0
