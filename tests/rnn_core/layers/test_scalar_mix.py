"""`ScalarMix`: values by hand, gradients, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.layers import ScalarMix
from tests import contextual_checks as checks
from tests.checks import normal


@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradients(layer_norm):
    checks.mix_gradients(layer_norm)
    checks.mixed_in_a_model(layer_norm)


def test_gradients_in_a_tagger():
    checks.mixed_in_a_tagger()


def test_padding_reaches_nothing():
    checks.padding_reaches_no_mix()


def test_values_by_hand():
    x, layer = normal(2, 3, 5), checks.mix(False)
    w = np.exp([0.3, -1.1, 0.4])
    s = w / w.sum()
    np.testing.assert_allclose(layer.weights, s, rtol=1e-14)
    np.testing.assert_allclose(layer(x), 0.7 * (s[0] * x[:, 0] + s[1] * x[:, 1] + s[2] * x[:, 2]), rtol=1e-13)
    n = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(checks.mix(True)(x), layer(n), rtol=1e-12)


def test_it_begins_as_the_mean_of_the_layers():
    x = normal(4, 3, 2)
    np.testing.assert_allclose(ScalarMix(3, dtype=np.float64)(x), x.mean(axis=1), rtol=1e-14)


def test_weights_of_any_size_overflow_nothing_and_a_constant_changes_nothing():
    x, layer = normal(2, 3, 5), checks.mix(False)
    before = layer(x)
    layer.parameters["weight"][...] += 1e4
    np.testing.assert_allclose(layer(x), before, rtol=1e-11)
    layer.parameters["weight"][...] = [0, 800, -800]
    np.testing.assert_array_equal(layer.weights, [0, 1, 0])


@pytest.mark.parametrize("layer_norm", [False, True])
def test_float32_stays_float32(layer_norm):
    layer, x = ScalarMix(3, layer_norm), normal(2, 3, 5).astype(np.float32)
    y, tape = layer.forward(x)
    dx, grads = layer.backward(tape, y)
    assert {y.dtype, dx.dtype, *(gradient.dtype for gradient in grads.values())} == {np.dtype(np.float32)}


def test_needs_and_a_second_call():
    layer, x = checks.mix(True), normal(2, 3, 5)
    given = x.copy()
    y, tape = layer.forward(x)
    dx, grads = layer.backward(tape, y)
    assert layer.backward(tape, y, set()) == (None, {})
    np.testing.assert_array_equal(layer.backward(tape, y, {"gamma"})[1]["gamma"], grads["gamma"])
    np.testing.assert_array_equal(layer.backward(tape, y, {"x"})[0], dx)
    np.testing.assert_array_equal(x, given)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: ScalarMix(0), ValueError, "ScalarMix: num_layers must be at least 1, got 0"),
        (lambda: ScalarMix(2, 1), TypeError, "ScalarMix: layer_norm must be True or False, got 1"),
        (lambda: checks.mix(False)(normal(2, 4, 5)), ValueError, r"must have shape \(\.\.\., 3, I\), got \(2, 4, 5\)"),
        (lambda: checks.mix(False)(normal(2, 3, 5).astype(np.float32)), TypeError, "x must be float64.*got float32"),
        (lambda: checks.mix(False)(np.full((3, 1), np.nan)), ValueError, "x must be finite"),
        (lambda: checks.mix(False).backward(checks.mix(False).forward(normal(3, 2))[1], np.ones(3)), ValueError,
         r"ScalarMix.backward: dy must have shape \(2,\), as y, got \(3,\)"),
        (lambda: checks.mix(False).backward(checks.mix(False).forward(normal(3, 2))[1], np.ones(2), {"w"}), ValueError,
         "needs must name some of x, weight, gamma; got w"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
