"""A model of one's own on the trunk, `examples/detector.py`: what the trunk gives it, and what it adds."""

from __future__ import annotations

import numpy as np
import pytest

from examples.detector import APART, Detector, knocks, main
from rnn_core import gradcheck, load, save
from rnn_core.data import Batch, Examples
from rnn_core.training import Adam, SquaredError, fit
from tests.model_cases import CELLS, LENGTHS, B, H, T, V, text

WEIGHTS = np.random.default_rng(4).random((B, T))


def answers(seed=5):
    return np.random.default_rng(seed).integers(0, 2, (B, T))


def detector(**options):
    options = {"dtype": np.float64, "seed": 1, **options}
    return Detector(H, **({} if "vocab_size" in options else {"input_size": 2}), **options)


def inputs(model):
    return text().inputs if model.embedding is not None else np.random.default_rng(0).standard_normal((B, T, 2))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("options", [
    {}, {"vocab_size": V, "padding_idx": 0}, {"num_layers": 2, "dropout": 0.3, "bidirectional": True},
    {"vocab_size": V, "embedding_size": 3, "dropout": 0.3},
])  # fmt: skip
def test_gradients(cell, options):
    model = detector(cell=cell, **options)
    report = gradcheck(model, Batch(inputs(model), answers(), LENGTHS, WEIGHTS))
    assert report.passed, report
    assert {row.name for row in report.rows} == set(model.parameters)


def test_loss_and_accuracy_by_hand():
    model = detector()
    batch = Batch(inputs(model), answers(), LENGTHS, WEIGHTS)
    p = model(batch.inputs, LENGTHS)
    counts = WEIGHTS * (np.arange(T) < LENGTHS[:, None])
    losses = -np.log(np.where(batch.targets == 1, p, 1 - p))
    found = model.evaluate(batch)
    assert found.loss == pytest.approx((counts * losses).sum(), rel=1e-12)
    assert found.count == pytest.approx(counts.sum(), rel=1e-12)
    assert found.correct == pytest.approx((counts * ((p > 0.5) == batch.targets)).sum())
    step = model.loss_and_gradients(batch)
    assert step.loss == pytest.approx(found.loss / found.count, rel=1e-12)
    assert step.state is found.state is None


def test_what_stands_in_the_padding_counts_nothing():
    model = detector()
    batch = Batch(inputs(model), answers(), LENGTHS)
    other = batch._replace(inputs=batch.inputs.copy(), targets=batch.targets.copy())
    for row, n in enumerate(LENGTHS):
        other.inputs[row, n:], other.targets[row, n:] = np.nan, -1
    one, two = model.loss_and_gradients(batch), model.loss_and_gradients(other)
    assert one.loss == two.loss
    for name, gradient in one.gradients.items():
        np.testing.assert_array_equal(gradient, two.gradients[name])


def test_it_is_saved_trained_and_frozen_as_any_model(tmp_path):
    signals, right, n = knocks(40, 8, seed=0)
    model = Detector(4, input_size=1, seed=0)
    model.frozen = frozenset({"rnn.weight_hh_l0"})
    before = model.state_dict()
    fit(model, Examples(signals, right, lengths=n), optimizer=Adam(1e-2), epochs=1, progress=False)
    changed = [name for name, array in model.parameters.items() if (array != before[name]).any()]
    assert changed == [name for name in model.parameters if name != "rnn.weight_hh_l0"]
    save(model, tmp_path / "detector")
    twin = load(tmp_path / "detector")
    assert type(twin) is Detector
    np.testing.assert_array_equal(twin(signals, n), model(signals, n))


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Detector(0, input_size=2), ValueError, "Detector: hidden_size must be at least 1, got 0"),
        (lambda: Detector(4), ValueError, "Detector: one of input_size .* and vocab_size .* must be given"),
        (lambda: detector()(inputs(detector())[0]), ValueError, r"Detector.__call__: x must have shape \(B, T, 2\)"),
        (lambda: detector().evaluate(Batch(inputs(detector()), answers()[:, :2])), ValueError,
         r"Detector.evaluate: targets must have shape \(3, 5\), an answer for each step, got \(3, 2\)"),
        (lambda: detector().evaluate(Batch(inputs(detector()), answers() + 1)), ValueError, r"targets must be in \[0"),
        (lambda: detector().loss_and_gradients(Batch(inputs(detector()), answers()), needs={"x0"}), ValueError,
         "Detector.backward: needs must name some of x, rnn.weight_ih_l0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_the_second_of_two_knocks_has_one_before_it():
    signals, right, _ = knocks(50, 12, seed=3)
    heard = signals[..., 0] > 0.5
    for row, answer in zip(heard, right, strict=True):
        assert answer.tolist() == [bool(row[t] and t >= APART and row[t - APART]) for t in range(12)]
    assert right.any()


def test_the_example_runs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["detector.py", "--epochs", "1", "--hidden-size", "2"])
    main()
    assert capsys.readouterr().out.startswith("right: ")


def test_a_loss_of_numbers_is_not_counted_as_right_or_wrong():
    model = detector()
    model.loss = SquaredError()
    with pytest.raises(TypeError, match="Detector: loss must be of classes.*got SquaredError; override"):
        model.evaluate(Batch(inputs(model), answers()[..., None]))
