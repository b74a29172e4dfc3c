"""What comes next, as an estimator says it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV

from rnn_core import Forecaster
from rnn_core.data import TimeSeries, Windows, WindowSpec
from rnn_core.sklearn import RNNForecaster
from rnn_core.training import Adam, fit

QUICK = {
    "cell": "rnn", "hidden_size": 6, "backend": "numpy", "learning_rate": 0.02, "max_iter": 6, "context": 8,
    "horizon": 3, "random_state": 0,
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
WAVE = np.sin(np.arange(70) / 3)
ROWS = np.stack([WAVE[k : k + 40] for k in range(6)])


def test_forecasts_are_those_of_the_model_it_holds():
    model = RNNForecaster(**QUICK).fit(WAVE)
    assert model.predict().shape == (3,)
    np.testing.assert_array_equal(model.predict(), model.model_.forecast(TimeSeries(WAVE)).mean[0])
    np.testing.assert_array_equal(model.predict(WAVE), model.predict())
    np.testing.assert_allclose(model.predict([WAVE, WAVE[:50]])[0], model.predict(), rtol=1e-5)
    np.testing.assert_array_equal(model.predict(horizon=2), model.predict()[:2])
    assert len(model.series_[0]) == 8  # the end is all that is kept


def test_it_trains_as_fit_does():
    """Bit by bit, with the seeds that it draws."""
    model = RNNForecaster(**QUICK, shuffle=False).fit(WAVE)
    series = TimeSeries(WAVE, name="series 0")
    seed = np.random.RandomState(0).randint(2**31 - 1)
    net = Forecaster(WindowSpec.fit(series, context=8, horizon=3), 6, cell="rnn", backend="numpy", seed=int(seed))
    fit(net, Windows(series, net.window, shuffle=False), optimizer=Adam(0.02), epochs=6, progress=False)
    np.testing.assert_array_equal(net.forecast(series).mean[0], model.predict())


def test_rows_features_and_layouts():
    model = RNNForecaster(**QUICK).fit(ROWS)
    assert (model.n_features_in_, model.predict(ROWS).shape) == (40, (6, 3))
    both = np.stack([ROWS, ROWS**2], axis=2)
    wide = RNNForecaster(**QUICK).fit(both)
    assert (wide.n_features_in_, wide.model_.window.past) == (2, 1)
    turned = RNNForecaster(**QUICK, layout="channels_first").fit(both.swapaxes(1, 2))
    np.testing.assert_array_equal(turned.predict(), wide.predict())
    with pytest.raises(ValueError, match="X has 1 features, but RNNForecaster is expecting 2"):
        wide.predict(list(ROWS))


def test_a_series_of_pandas_is_one_series_by_its_name():
    frames = pytest.importorskip("pandas")
    model = RNNForecaster(**QUICK, scaling="standard").fit(frames.Series(WAVE, name="wave"))
    assert model.series_[0].name == "wave"
    assert model.predict(frames.Series(WAVE[:50], name="wave")).shape == (3,)
    with pytest.raises(ValueError, match="scaling must be 'window' or 'none' for series without names"):
        RNNForecaster(**QUICK, scaling="standard").fit(WAVE)


def test_what_is_known_in_advance_reaches_over_the_horizon():
    known = (np.arange(73) % 7 == 0).astype(float)
    series = TimeSeries(WAVE, known=known, name="wave")
    model = RNNForecaster(**QUICK).fit(series)
    np.testing.assert_array_equal(model.predict(), model.predict(series))
    other = TimeSeries(WAVE, known=np.where(np.arange(73) >= 70, 1.0, known), name="wave")
    assert (model.predict(other) != model.predict()).any()


def test_intervals_and_steps_beyond_the_horizon():
    model = RNNForecaster(**QUICK, strategy="recursive").fit(WAVE)
    low, high = model.predict_interval(horizon=9, coverage=0.9)
    assert (low < high).all()
    assert model.predict(horizon=9).shape == (9,)
    with pytest.raises(ValueError, match="RNNForecaster.predict_interval: .*residuals"):
        RNNForecaster(**QUICK, loss="squared").fit(WAVE).predict_interval()
    with pytest.raises(ValueError, match="RNNForecaster.predict: .*horizon must be at most the 3 steps"):
        RNNForecaster(**QUICK).fit(WAVE).predict(horizon=4)


def test_a_score_is_how_much_better_it_is_than_the_last_value():
    model = RNNForecaster(**{**QUICK, "max_iter": 80}).fit(WAVE)
    truth = np.sin(np.arange(70, 73) / 3)
    said = model.predict(WAVE)
    by_hand = 1 - abs(said - truth).sum() / abs(WAVE[-1] - truth).sum()
    assert model.score(WAVE, truth) == pytest.approx(by_hand)
    assert model.score(np.concatenate([WAVE, truth])) == pytest.approx(by_hand)
    assert by_hand > 0.2
    weights = [1.0, 0.0]
    pair = [np.concatenate([WAVE, truth]), np.concatenate([WAVE, [9.0, 9.0, 9.0]])]
    assert model.score(pair, sample_weight=weights) == pytest.approx(by_hand)
    assert model.score(np.zeros(30) + 5) in (0.0, 1.0)


def test_missing_values():
    rows = ROWS.copy()
    rows[0, 5:9] = np.nan
    rows[1, -8:] = np.nan
    model = RNNForecaster(**QUICK).fit(rows)
    said = model.predict(rows)
    assert np.isnan(said[1]).all()
    assert np.isfinite(np.delete(said, 1, axis=0)).all()
    assert np.isfinite(model.score(list(rows[:, :-9])))
    with pytest.raises(ValueError, match="must have a value in its last 8 steps"):
        model.predict(rows[1:2])
    with pytest.raises(ValueError, match="infinit"):
        RNNForecaster(**QUICK).fit(np.where(np.isnan(rows), np.inf, rows))


def test_a_weight_is_so_many_copies_and_0_leaves_out():
    options = {**QUICK, "shuffle": False, "dtype": "float64", "batch_size": 1000}
    weighed = RNNForecaster(**options).fit(ROWS[:3], sample_weight=[2, 0, 1])
    copied = RNNForecaster(**options).fit(ROWS[[0, 0, 2]])
    np.testing.assert_allclose(weighed.predict(ROWS), copied.predict(ROWS), rtol=1e-7)


def test_early_stopping_holds_out_the_ends():
    model = RNNForecaster(**{**QUICK, "max_iter": 30}, early_stopping=True, validation_fraction=0.2).fit(ROWS)
    assert len(model.validation_scores_) == model.n_iter_
    net = model.model_
    held = Windows([TimeSeries(row, name=str(k)) for k, row in enumerate(ROWS)], net.window, last=8, shuffle=False)
    results = [net.evaluate(held.batch(0, k)) for k in range(len(held))]
    loss = sum(one.loss for one in results) / sum(one.count for one in results)
    assert -loss == pytest.approx(model.best_validation_score_, rel=1e-5)
    with pytest.raises(ValueError, match="at least 14 steps in each series with early_stopping"):
        RNNForecaster(**QUICK, early_stopping=True).fit(ROWS[:, :13])


def test_a_search_and_refusals():
    search = GridSearchCV(RNNForecaster(**QUICK), {"context": [4, 8]}, cv=2, error_score="raise").fit(ROWS)
    assert search.best_params_["context"] in (4, 8)
    with pytest.raises(ValueError, match=r"at least 11 steps in each row, context \+ horizon, got n_features = 9"):
        RNNForecaster(**QUICK).fit(ROWS[:, :9])
    with pytest.raises(ValueError, match="RNNForecaster.fit: .*strategy must be one of"):
        RNNForecaster(**QUICK, strategy="guess").fit(ROWS)
    with pytest.raises(ValueError, match=r"shape \(T,\) or \(T, I\) of numbers.*in series 1"):
        RNNForecaster(**QUICK).fit([WAVE, np.zeros((2, 2, 2))])
    with pytest.raises(ValueError, match="at least one series"):
        RNNForecaster(**QUICK).fit([])
    model = RNNForecaster(**QUICK).partial_fit(ROWS).partial_fit(ROWS)
    assert (model.n_iter_, len(model.loss_curve_)) == (2, 2)
