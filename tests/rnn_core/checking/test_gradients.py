"""Gradients and values of the code as it is: every check of `checks.py`, and `gradcheck` as a user meets it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import LSTM, RNN, Dropout, Embedding, Linear, SequenceClassifier, gradcheck
from rnn_core.checking import Problem
from rnn_core.checking.report import compare, relative_error, scale_of
from rnn_core.checking.suite import CELLS, OPTIONS
from rnn_core.training import SquaredError
from tests import checks


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_standard_gradients(cell: str, option: str) -> None:
    checks.standard_gradients(cell, option)


@pytest.mark.parametrize("cell", checks.LAYERS)
@pytest.mark.parametrize(
    "check",
    [
        checks.values_by_hand,
        checks.a_second_call_changes_nothing,
        checks.rows_alone_equal_rows_together,
        checks.dropout_masks_hold,
    ],
    ids=lambda check: check.__name__,
)
def test_cell(check, cell: str) -> None:
    check(cell)


@pytest.mark.parametrize(
    "check",
    [
        *(partial(checks.classifier_gradients, pooling) for pooling in ("last", "mean", "max")),
        *(partial(checks.classifier_pools_valid_steps, pooling) for pooling in ("last", "mean", "max")),
        *(partial(checks.language_model_gradients, tied) for tied in (False, True)),
        *(partial(checks.loss_gradients, loss) for loss in ("softmax", "binary", "squared")),
        checks.padding_row_has_no_gradient,
        checks.loss_values,
        checks.optimizers_by_hand,
        checks.clipping_keeps_the_direction,
        checks.frozen_parameters_get_no_gradient,
    ],
    ids=lambda check: f"{check.func.__name__}-{check.args[0]}" if isinstance(check, partial) else check.__name__,
)
def test_model(check) -> None:
    check()


@settings(max_examples=25)
@given(
    cell=st.sampled_from(list(CELLS)),
    T=st.integers(1, 50),
    B=st.integers(1, 3),
    I=st.integers(1, 3),
    H=st.integers(2, 4),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    ragged=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_complex_step_on_any_layer(cell, T, B, I, H, num_layers, bidirectional, bias, ragged, seed) -> None:
    T = min(T, 50 // num_layers // (1 + bidirectional) // B + 1)
    layer_type, arguments = CELLS[cell]
    layer = layer_type(
        I, H, num_layers, bias, bidirectional=bidirectional, dtype=np.float64, seed=seed, **arguments
    )
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, T + 1, B) if ragged else None
    x = rng.uniform(-1, 1, (T, B, I))  # beyond |a| = 4.6 a unit is so saturated that 1 − h² loses more than 1e-12
    report = gradcheck(layer, x, lengths=lengths, seed=seed)
    assert all(row.passed for row in report.rows), f"\n{report}"  # a single step, or a dead unit, proves little


def test_vanished_gradients_are_still_checked() -> None:
    """At T = 50 the first steps' gradients are far below 1e-5, a usual absolute tolerance; errors there must show."""
    layer = LSTM(2, 3, dtype=np.float64, seed=0)
    x = checks.normal(50, 1, 2)
    honest = gradcheck(layer, x)
    assert honest.passed
    y, _, tape = layer.forward(x)
    dx, _, _ = layer.backward(tape, None, (np.ones((1, 1, 3)), None))
    assert abs(dx[0]).max() < 1e-8

    class Slightly(LSTM):
        def backward(self, tape, dy, dstate=None, needs=None, dstates=None, ready=None):
            dx, dstate0, grads = super().backward(tape, dy, dstate, needs)
            dx[0] *= 1 + 1e-6
            return dx, dstate0, grads

    wrong = Slightly(2, 3, dtype=np.float64, seed=0)
    report = gradcheck(wrong, x)
    assert not report
    assert {row.name for row in report.rows if not row.passed} == {"x"}
    assert all(row.place[0] == 0 for row in report.rows if not row.passed)


def test_central_differences_agree_with_the_complex_step() -> None:
    layer, x = LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(6, 2, 2)
    report = gradcheck(layer, x, method="central")
    assert report.passed
    assert report.worst.error < 1e-6
    assert report.size == gradcheck(layer, x).size


def test_central_differences_say_what_they_cannot_tell() -> None:
    layer, x = LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(50, 1, 2)
    report = gradcheck(layer, x, method="central")
    assert report.passed
    assert sum(row.unresolved for row in report.rows) > 10
    assert "too small to tell" in str(report)


class Loud(LSTM):
    """Its dx of the first ten steps is wrong by a factor."""

    factor = 1e6

    def backward(self, tape, dy, dstate=None, needs=None, dstates=None, ready=None):
        dx, dstate0, grads = super().backward(tape, dy, dstate, needs)
        dx[:10] *= self.factor
        return dx, dstate0, grads


def test_central_differences_see_a_gradient_that_should_have_vanished() -> None:
    """What is below the resolution is not judged, unless the claim is above it."""
    assert not gradcheck(Loud(2, 3, dtype=np.float64, seed=0), checks.normal(50, 1, 2), method="central")


def test_nothing_judged_is_nothing_passed() -> None:
    layer, x = LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(5, 1, 2)
    report = gradcheck(layer, x, method="central", tolerance=1e-15)
    assert report.size == 0
    assert not report.passed
    assert "not judged" in str(report)


def test_float32_gradients_below_its_range_are_counted_apart() -> None:
    layer = RNN(2, 3, nonlinearity="sigmoid", seed=1)
    report = gradcheck(layer, checks.normal(100, 2, 2).astype(np.float32))
    assert report.passed
    assert 0 < sum(row.unresolved for row in report.rows) < report.size


def test_float32_gradients_are_checked_in_their_own_precision() -> None:
    layer, x = LSTM(2, 3, seed=0), checks.normal(6, 2, 2).astype(np.float32)
    report = gradcheck(layer, x)
    assert report.passed
    assert report.dtype == "float32"
    assert 1e-9 < report.worst.error < 1e-4


def test_simple_layers_and_a_function_of_ones_own() -> None:
    checks.accept(gradcheck(Linear(3, 2, dtype=np.float64, seed=0), checks.normal(4, 3)))
    checks.accept(gradcheck(Embedding(5, 3, dtype=np.float64, seed=0), np.array([[1, 4], [1, 0]])))
    tokens = np.array([[1, 0, 2], [0, 2, 2]])
    checks.accept(gradcheck(Embedding(4, 3, padding_idx=0, dtype=np.float64, seed=0), tokens))
    checks.accept(gradcheck(Embedding(4, 3, sparse=True, dtype=np.float64, seed=0), tokens))
    model = SequenceClassifier(2, 3, vocab_size=4, padding_idx=0, pooling="mean", dtype=np.float64, seed=0)
    checks.accept(gradcheck(model, tokens))  # the padding row is read, and is a constant
    point = checks.normal(4)

    def twin(dtype):
        values = {"v": point.astype(dtype)}
        return values, lambda: {"f": np.sin(values["v"])}

    right = Problem("sine", np.dtype(np.float64), twin, lambda u: {"v": u["f"] * np.cos(point)})
    wrong = Problem("sine", np.dtype(np.float64), twin, lambda u: {"v": -u["f"] * np.cos(point)})
    checks.accept(gradcheck(right))
    assert not gradcheck(wrong)


def test_the_error_is_relative_to_the_element_or_its_row() -> None:
    reference = np.array([[1.0, 0.5, 1e-6], [1e-40, 1e-40, 0.0], [0.0, 0.0, 0.0]])
    claimed = reference + np.array([[0.0, 0.05, 1e-7], [1e-41, 0.0, 0.0], [0.0, 0.0, 1e-300]])
    error = relative_error(claimed, reference, scale_of(reference, abs(reference)))
    np.testing.assert_allclose(error[0], [0, 0.1, 1e-7])
    np.testing.assert_allclose(error[1], [0.1, 0, 0])
    assert error[2, 2] == np.inf


def test_a_nan_or_a_wrong_shape_never_passes() -> None:
    reference = np.ones((2, 3))
    nan = np.where(np.eye(2, 3) > 0, np.nan, 1.0)
    assert not compare("y", "x", nan, reference, reference, 1e-12, 0.0).passed
    assert not compare("y", "x", np.ones(6), reference, reference, 1e-12, 0.0).passed


def test_the_report_is_a_table_and_plain_data() -> None:
    report = gradcheck(LSTM(2, 3, dtype=np.float64, seed=0), checks.normal(4, 2, 2))
    assert "weight_hh_l0" in str(report)
    assert "passed" in str(report)
    assert report.as_dict()["passed"] is True
    assert {row.upstream for row in report.rows} == {"y", "h_T", "c_T"}


def test_what_gradcheck_refuses() -> None:
    with pytest.raises(ValueError, match=r"gradcheck: method must be 'complex-step' or 'central', got 'magic'"):
        gradcheck(LSTM(2, 3), None, method="magic")
    with pytest.raises(TypeError, match=r"gradcheck: target must be .* got int; wrap your own function"):
        gradcheck(3, None)
    with pytest.raises(TypeError, match=r"gradcheck: target must be .* got Dropout"):
        gradcheck(Dropout(0.5), np.ones((2, 2)))
    for tolerance in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=r"gradcheck: tolerance must be above 0 and finite, got"):
            gradcheck(LSTM(2, 3), np.ones((2, 1, 2), np.float32), tolerance=tolerance)
    with pytest.raises(ValueError, match=r"targets must have shape"):
        gradcheck(SquaredError(), np.ones((2, 2)), targets=np.ones(3))
