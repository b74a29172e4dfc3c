"""`SequenceRegressor`: gradients, the loss by hand, and what is neither right nor wrong."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import SequenceRegressor, gradcheck, load, save
from rnn_core.data import Batch, Examples
from rnn_core.training import Adam, fit
from tests.model_cases import CELLS, LENGTHS, B, H, T, V, text

WEIGHTS = np.random.default_rng(4).random(B)


def regressor(outputs: int = 1, **options) -> SequenceRegressor:
    options = {"dtype": np.float64, "seed": 1, **options}
    return SequenceRegressor(outputs, H, **({} if "vocab_size" in options else {"input_size": 2}), **options)


def batch(model, weights=None) -> Batch:
    rng = np.random.default_rng(0)
    x = text().inputs if model.embedding is not None else rng.standard_normal((B, T, 2))
    shape = (B,) if model.num_outputs == 1 else (B, model.num_outputs)
    return Batch(x, rng.standard_normal(shape), LENGTHS, weights)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("outputs", "options"),
    [
        (1, {}), (3, {}), (1, {"vocab_size": V, "padding_idx": 0, "pooling": "mean", "dropout": 0.3}),
        (2, {"bidirectional": True, "pooling": "max"}),
    ],
)  # fmt: skip
def test_gradients(cell, outputs, options) -> None:
    model = regressor(outputs, cell=cell, **options)
    report = gradcheck(model, batch(model, WEIGHTS))
    assert report.passed, report
    assert {row.name for row in report.rows} == set(model.parameters)
    report = gradcheck(model, batch(model).inputs)  # without a batch: what forward says, and backward makes of it
    assert report.passed, report


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_loss_by_hand(outputs, weights) -> None:
    model = regressor(outputs)
    some = batch(model, weights)
    squares = ((model.predict(some.inputs, LENGTHS) - some.targets) ** 2).reshape(B, -1)
    w = np.ones(B) if weights is None else weights
    mean = (w[:, None] * squares).sum() / (w.sum() * outputs)
    assert model.loss_and_gradients(some).loss == pytest.approx(mean, rel=1e-12)
    found = model.evaluate(some)
    assert found.loss / found.count == pytest.approx(mean, rel=1e-12)
    assert found.correct is None


def test_a_single_number_has_no_axis() -> None:
    assert regressor()(batch(regressor()).inputs, LENGTHS).shape == (B,)
    assert regressor(2)(batch(regressor(2)).inputs, LENGTHS).shape == (B, 2)


def test_it_learns_a_sum_and_is_saved(tmp_path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 5, 1)).astype(np.float32)
    t = x.sum(axis=(1, 2)) / 2
    model = SequenceRegressor(1, 12, input_size=1, seed=0)
    data = Examples(x[:160], t[:160]), Examples(x[160:], t[160:])
    history = fit(model, data[0], validation=data[1], optimizer=Adam(3e-2), epochs=15, progress=False)
    assert history.best.validation_loss < 0.05 * t.var()
    assert history.best.validation_accuracy is None
    save(model, tmp_path / "m")
    np.testing.assert_array_equal(load(tmp_path / "m").predict(x), model.predict(x))


def test_errors_say_what_a_target_must_be() -> None:
    model = regressor()
    some = batch(model)
    with pytest.raises(ValueError, match=rf"targets must have shape \({B},\), a number for each row, got \({B}, 1\)"):
        model.evaluate(some._replace(targets=some.targets[:, None]))
    with pytest.raises(ValueError, match="SequenceRegressor: num_outputs must be at least 1, got 0"):
        regressor(0)
    data = Examples(some.inputs, some.targets, lengths=LENGTHS)
    with pytest.raises(ValueError, match="monitor='validation_accuracy' must go with targets that are right or wrong"):
        fit(model, data, validation=data, optimizer=Adam(), epochs=1, monitor="validation_accuracy", progress=False)
