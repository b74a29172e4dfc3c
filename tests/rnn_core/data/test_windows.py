"""Series, scales and windows: what is read and asked, what is left out, and that nothing looks ahead."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnn_core import gradcheck
from rnn_core.data import TimeSeries, Windows, WindowSpec, fourier
from rnn_core.data.forecasting import SeriesScaling
from tests import forecasting_checks as checks
from tests.forecasting_checks import STRATEGIES, model_of, some_series

SCALINGS = ("window", "standard", "mean-abs")


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_window_is_there(stride):
    checks.every_window_is_there(stride)


@pytest.mark.parametrize("scaling", [*SCALINGS, "none"])
def test_scaling_sees_the_training_part_alone(scaling):
    checks.scaling_sees_the_training_part_alone(scaling)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scales_by_hand(scaling):
    checks.scales_by_hand(scaling)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_covariates(strategy):
    checks.known_covariates_are_those_asked_about(strategy)
    checks.past_covariates_end_with_the_context(strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_of_the_validation_part_only_targets_in_it_count(strategy):
    (one,) = some_series(40, gaps=False, covariates=False)
    spec = WindowSpec.fit(one.until(-10), context=8, horizon=4, strategy=strategy)
    windows = Windows(one, spec, last=10, shuffle=False, batch_size=100)
    assert windows.origins.tolist() == list(range(30, 37))
    batch = windows.batch(0, 0)
    first = 8 if strategy == "multioutput" else 1
    for origin, weights in zip(windows.origins, batch.weights, strict=True):
        steps = origin - 8 + first + np.arange(len(weights))
        np.testing.assert_array_equal(weights, steps >= 30)


def test_windows_in_which_nothing_was_seen_are_left_out_and_counted():
    values = np.arange(20.0)
    values[5:9] = np.nan
    windows = Windows(TimeSeries(values), WindowSpec(4, 2, scaling={"kind": "none"}), shuffle=False)
    # the context of origin 9 has no value, nor have the horizons of origins 5, 6 and 7
    assert sorted(set(range(4, 19)) - set(windows.origins.tolist())) == [5, 6, 7, 9]
    assert windows.left_out == 4


def test_the_identity_is_one_hot_and_zero_for_a_stranger():
    series = some_series(20, 20, gaps=False, covariates=False)
    spec = WindowSpec.fit(series, context=4, horizon=2, identity=True)
    stranger = TimeSeries(series[0].values, name="stranger")
    windows = Windows([series[1], stranger, series[0]], spec, shuffle=False, batch_size=1)
    for row, expected in ((0, [0, 1]), (1, [0, 0]), (2, [1, 0])):
        index = int(np.flatnonzero(windows.rows == row)[0])
        assert windows.batch(0, index).inputs[0, :, 2:].tolist() == [expected] * 4


@pytest.mark.parametrize("kind", SCALINGS)
@pytest.mark.parametrize("value, scale", [(0.1, 0.1), (-7.0, 7.0), (0.0, 1.0)])
def test_a_constant_series_is_scaled_by_its_size(kind, value, scale):
    series = TimeSeries(np.full(30, value))
    spec = WindowSpec.fit(series, context=8, horizon=4, scaling=kind)
    found = Windows(series, spec, dtype=np.float64).encoding.take(np.array([0]), np.array([8]), ahead=True)
    assert found.scale[0] == pytest.approx(scale, rel=1e-12)
    assert np.isfinite(found.x).all()
    np.testing.assert_allclose(found.location + found.scale * found.targets, value, rtol=1e-12, atol=1e-15)


def test_numbers_near_the_largest_are_scaled_without_overflow():
    pair = SeriesScaling.fit(TimeSeries([1e300, -1e300, 3e300], name="a"), "standard").of("", "a")
    assert np.isfinite(pair).all()
    assert pair[1] == pytest.approx(np.std([1.0, -1.0, 3.0]) * 1e300, rel=1e-12)


@pytest.mark.parametrize("scaling", [*SCALINGS, "none"])
def test_a_window_survives_json(scaling):
    spec = WindowSpec.fit(some_series(), context=8, horizon=4, scaling=scaling, identity=True)
    again = WindowSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again.to_dict() == spec.to_dict()
    assert again.scaling == spec.scaling


def test_batches_depend_on_their_place_alone():
    series = some_series()
    spec = WindowSpec.fit(series, context=8, horizon=4)
    one, two = Windows(series, spec, seed=3), Windows(series, spec, seed=3)
    two.batch(0, 0)
    for here, there in zip(one.batch(2, 1), two.batch(2, 1), strict=True):
        np.testing.assert_array_equal(here, there)
    assert not np.array_equal(one.batch(0, 0).inputs, one.batch(1, 0).inputs)
    assert not np.array_equal(one.batch(0, 0).inputs, Windows(series, spec, seed=4).batch(0, 0).inputs)


def test_inputs_are_not_changed():
    series = some_series()
    kept = [one.values.copy() for one in series]
    spec = WindowSpec.fit(series, context=8, horizon=4, scaling="standard")
    windows = Windows(series, spec)
    for index in range(len(windows)):
        windows.batch(0, index)
    for one, values in zip(series, kept, strict=True):
        np.testing.assert_array_equal(one.values, values)


def test_fourier_is_periodic_and_goes_on():
    found = fourier(30, 7, 3)
    np.testing.assert_array_equal(found[:23], found[7:])
    np.testing.assert_array_equal(fourier(10, 7, 3, begin=20), found[20:])
    assert found.shape == (30, 6)


def test_a_series_is_cut_and_known_beyond_its_end():
    one = TimeSeries(np.arange(5.0), known=np.arange(8.0), past=np.arange(5.0), times="abcde", name="x")
    cut = one.until(-2)
    assert (len(cut), len(cut.known), cut.times, len(cut.past)) == (3, 8, ("a", "b", "c"), 3)
    assert one.with_known(fourier(9, 4)).known.shape == (8, 3)
    assert repr(TimeSeries([1.0, np.nan], name="y")) == "TimeSeries('y': 2 steps, 1 missing)"


def spec(**options):
    return WindowSpec(**{"context": 4, "horizon": 2, "scaling": {"kind": "none"}, **options})


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: TimeSeries([[1.0]]), ValueError, r"TimeSeries: values must have shape \(T,\)"),
        (lambda: TimeSeries([]), ValueError, r"T ≥ 1, got \(0,\)"),
        (lambda: TimeSeries([1.0, np.inf], name="x"), ValueError,
         r"values of 'x' must be finite, or NaN where one is missing, got inf at index \(1,\)"),
        (lambda: TimeSeries([1.0, 2.0], known=[1.0, np.nan]), ValueError, "known of 'series' must be finite, got nan"),
        (lambda: TimeSeries([1.0, 2.0], past=[1.0]), ValueError, "past must have 2 steps, as values, got 1"),
        (lambda: TimeSeries([1.0, 2.0], known=[1.0]), ValueError, "known must have 2 steps or more"),
        (lambda: TimeSeries([1.0, 2.0], times=["a"]), ValueError, "times must have 2 stamps"),
        (lambda: TimeSeries(["a"]), TypeError, "array of numbers"),
        (lambda: TimeSeries([1.0], name=3), TypeError, "name must be a string, got 3"),
        (lambda: TimeSeries([1.0, 2.0]).until(0), ValueError, "stop must leave a step of the 2, got 0"),
        (lambda: WindowSpec.fit([], context=4, horizon=2), ValueError, "series must be at least one, got none"),
        (lambda: WindowSpec.fit([[1.0]], context=4, horizon=2), TypeError, "series must be TimeSeries, got list"),
        (lambda: WindowSpec.fit([TimeSeries([1.0])] * 2, context=4, horizon=2), ValueError, "two called 'series'"),
        (lambda: WindowSpec.fit([TimeSeries([1.0]), TimeSeries([1.0], past=[2.0], name="b")], context=4, horizon=2),
         ValueError, "the same covariates, got 1 past ones of 'b' and 0 of 'series'"),
        (lambda: WindowSpec.fit(TimeSeries([np.nan], name="x"), context=4, horizon=2), ValueError,
         "'x' must have a value that is not missing, got none"),
        (lambda: spec(context=0), ValueError, "WindowSpec: context must be at least 1, got 0"),
        (lambda: spec(horizon=2.0), TypeError, "horizon must be an int, got 2.0"),
        (lambda: spec(strategy="both"), ValueError, "strategy must be one of 'multioutput', 'recursive', got 'both'"),
        (lambda: spec(past=1), ValueError, "scaling must have 1 past and 0 known covariates, got 0 and 0"),
        (lambda: spec(scaling={"kind": "log"}), ValueError, "kind must be one of 'window'"),
        (lambda: Windows(TimeSeries(np.arange(5.0), name="x"), spec()), ValueError,
         r"at least context \+ horizon = 4 \+ 2 = 6 steps, got 5 of 'x'"),
        (lambda: Windows(TimeSeries(np.arange(9.0)), spec(), last=1), ValueError, "last must be at least the horizon"),
        (lambda: Windows(TimeSeries([1.0] + [np.nan] * 8), spec()), ValueError, "a window in whose context"),
        (lambda: Windows(TimeSeries(np.arange(9.0)), {}), TypeError, "spec must be a WindowSpec, got {}"),
        (lambda: Windows(TimeSeries(np.arange(9.0), past=np.arange(9.0)), spec()), ValueError,
         "series must have 0 past covariates, as the window has, got 1"),
        (lambda: fourier(5, 1), ValueError, "order must be at most half a season, got 1 of 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_weights_are_those_of_the_series():
    """A weight of 2 is a series twice, one of 0 none: in the loss, and in every gradient."""
    series = some_series(30, 26, 28, covariates=False)
    model = model_of(series, strategy="multioutput")
    again = TimeSeries(series[0].values, name="again")
    weighed = Windows(series, model.window, shuffle=False, batch_size=500, weights=[2, 0, 1], dtype=np.float64)
    copied = Windows(
        [series[0], again, series[2]], model.window, shuffle=False, batch_size=500, dtype=np.float64
    ).batch(0, 0)
    one, other = (model.loss_and_gradients(batch) for batch in (weighed.batch(0, 0), copied))
    assert one.loss == pytest.approx(other.loss, rel=1e-12)
    assert one.count == other.count
    for name, gradient in other.gradients.items():
        np.testing.assert_allclose(one.gradients[name], gradient, rtol=1e-9, atol=1e-12)
    assert gradcheck(model, weighed.batch(0, 0)).passed


@pytest.mark.parametrize(
    ("weights", "words"),
    [([1.0], r"weights must have shape \(2,\)"), ([1, -1], "at least 0, got -1.0 of series 1"), ([np.nan, 1], "nan")],
)
def test_weights_that_are_refused(weights, words):
    series = some_series(30, 26, covariates=False)
    with pytest.raises(ValueError, match=words):
        Windows(series, model_of(series).window, weights=weights)
