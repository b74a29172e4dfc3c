"""Convolutions, pools, `ReLU` and `Flatten`: values, gradients, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from rnn_core import gradcheck
from rnn_core.layers import AvgPool, Conv1d, Conv2d, Flatten, GlobalAvgPool, MaxPool, ReLU
from tests import convolution_checks as checks
from tests.convolution_checks import LAYERS


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    checks.gradients(name)


@pytest.mark.parametrize("name", LAYERS)
def test_every_number_by_hand(name):
    checks.by_hand(name)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(0, 2**31),
)
def test_gradients_of_any_geometry(kernel, stride, padding, dilation, seed):
    rng = np.random.default_rng(seed)
    layer = Conv2d(2, 2, kernel, stride, padding, dilation, dtype=np.float64, seed=seed, backend="numpy")
    x = rng.standard_normal((2, 2, *rng.integers(5, 8, 2)))
    y, tape = layer.forward(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = layer.backward(tape, dy)
    # A layer that is linear in x and in W gives its own adjoint away: ⟨dy, y⟩ = ⟨dx, x⟩ + ⟨db, b⟩ = ⟨dW, W⟩ + ⟨db, b⟩.
    bias = grads["bias"] @ layer.parameters["bias"]
    total = (dy * y).sum()
    np.testing.assert_allclose((dx * x).sum() + bias, total, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(
        (grads["weight"] * layer.parameters["weight"]).sum() + bias, total, rtol=1e-11, atol=1e-11
    )


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from([Conv1d, MaxPool, AvgPool]), kernel=st.integers(1, 3), stride=st.integers(1, 3),
    padding=st.integers(0, 1), dilation=st.integers(1, 2), size=st.integers(6, 9), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_the_complex_step_for_any_geometry(kind, kernel, stride, padding, dilation, size, seed):
    options = {"kernel_size": kernel, "stride": stride, "padding": min(padding, kernel // 2)}
    if kind is not AvgPool:
        options["dilation"] = dilation
    if kind is Conv1d:
        options |= {"in_channels": 2, "out_channels": 2, "dtype": np.float64, "seed": seed, "backend": "numpy"}
    report = gradcheck(kind(**options), np.random.default_rng(seed).standard_normal((2, 2, size)))
    assert report.passed, str(report)


@given(
    kernel=st.integers(1, 4), stride=st.integers(1, 3), dilation=st.integers(1, 3), size=st.integers(10, 14),
    seed=st.integers(0, 2**31),
)  # fmt: skip
def test_scipy_agrees_along_one_axis(kernel, stride, dilation, size, seed):
    """Summed over channels, with the places between a dilated kernel's as zeros, and every so-manieth window."""
    layer = Conv1d(2, 3, kernel, stride, dilation=dilation, dtype=np.float64, seed=seed)
    x, W = np.random.default_rng(seed).standard_normal((1, 2, size)), layer.parameters["weight"]
    spread = np.zeros((3, 2, dilation * (kernel - 1) + 1))
    spread[:, :, ::dilation] = W
    expected = [sum(signal.correlate(x[0, c], spread[o, c], "valid") for c in range(2)) for o in range(3)]
    expected = np.array(expected)[:, ::stride] + layer.parameters["bias"][:, None]
    np.testing.assert_allclose(layer(x)[0], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_scipy_agrees_over_two_axes(padding):
    rng = np.random.default_rng(0)
    layer = Conv2d(1, 1, 3, padding=padding, bias=False, dtype=np.float64, seed=0)
    x = rng.standard_normal((1, 1, 8, 7))
    expected = signal.correlate2d(x[0, 0], layer.parameters["weight"][0, 0], mode=padding)
    np.testing.assert_allclose(layer(x)[0, 0], expected, rtol=1e-13, atol=1e-14)


def test_the_parts_of_a_large_batch_change_nothing():
    checks.parts_of_a_batch_add_up()


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("conv")])
def test_what_is_not_needed_is_not_computed(name):
    layer, x = checks.layer(name), checks.drawn(name)
    y, tape = layer.forward(x)
    dx, grads = layer.backward(tape, y)
    everything = {"x": dx, **grads}
    for wanted in layer.gradient_names:
        dx, grads = layer.backward(tape, y, needs={wanted})
        found = {name: array for name, array in {"x": dx, **grads}.items() if array is not None}
        assert list(found) == [wanted]
        np.testing.assert_array_equal(found[wanted], everything[wanted])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept_and_inputs_untouched(dtype):
    x = np.random.default_rng(0).standard_normal((2, 2, 6, 6)).astype(dtype)
    before = x.copy()
    for layer in (
        Conv2d(2, 3, 3, dtype=dtype),
        MaxPool(2),
        AvgPool(2, count_include_pad=False),
        GlobalAvgPool(),
        ReLU(),
        Flatten(),
    ):
        y, tape = layer.forward(x)
        dx = layer.backward(tape, np.ones_like(y))
        dx, grads = dx if isinstance(dx, tuple) else (dx, {})
        assert y.dtype == dx.dtype == dtype
        assert dx.shape == x.shape
        assert all(gradient.dtype == dtype for gradient in grads.values())
    np.testing.assert_array_equal(x, before)


def test_ties_go_to_the_first():
    checks.ties_go_to_the_first()


def test_relu_and_means_over_all_places():
    checks.relu_gradients()
    x = np.random.default_rng(2).standard_normal((2, 3, 4, 5))
    report = gradcheck(GlobalAvgPool(), x)
    assert report.passed, str(report)
    np.testing.assert_allclose(GlobalAvgPool()(x), x.mean((2, 3)), rtol=1e-14)
    y, tape = Flatten().forward(x)
    np.testing.assert_array_equal(Flatten().backward(tape, y), x)


X = np.zeros((2, 3, 5, 5), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: Conv2d(3, 0, 3), ValueError, "Conv2d: out_channels must be at least 1, got 0"),
        (lambda: Conv2d(3, 2, (3, 3, 3)), ValueError, r"Conv2d: kernel_size must be a number, or 2 of them"),
        (lambda: Conv1d(3, 2, 3, stride=2, padding="same"), ValueError, "Conv1d: stride must be 1 with padding='same'"),
        (lambda: Conv1d(3, 2, 3, padding="full"), ValueError, "Conv1d: padding must be 'same', 'causal', 'valid' or"),
        (lambda: Conv1d(3, 2, 3, padding=-1), ValueError, "Conv1d: padding must be at least 0, got -1"),
        (lambda: Conv1d(3, 2, 2.5), TypeError, "Conv1d: kernel_size must be an int, got float 2.5"),
        (lambda: Conv2d(2, 2, 3)(X), ValueError, r"Conv2d.__call__: x must have shape \(B, 2, H, W\), got"),
        (lambda: Conv2d(3, 2, 3)(X[:, 0]), ValueError, "give a single channel its axis"),
        (lambda: Conv2d(3, 2, 7)(X), ValueError, r"x must be at least \(7, 7\) behind its channels, for one window"),
        (lambda: Conv2d(3, 2, 3)(X.astype(np.float64)), TypeError, "x must be float32, got float64"),
        (lambda: Conv2d(3, 2, 3)(X + np.nan), ValueError, "Conv2d.__call__: x must be finite"),
        (lambda: MaxPool(2, padding=2), ValueError, "MaxPool: padding must be at most half of kernel_size"),
        (lambda: MaxPool(9)(X), ValueError, "MaxPool.__call__: x must be at least"),
        (lambda: AvgPool((2, 2, 2)), ValueError, "AvgPool: kernel_size must be a number or two"),
        (lambda: GlobalAvgPool()(X[0, 0]), ValueError, r"x must have shape \(B, C, …\)"),
    ],
)  # fmt: skip
def test_errors_say_what_to_change(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_backward_checks_its_gradient():
    for layer in (Conv2d(3, 2, 3), MaxPool(2), AvgPool(2), GlobalAvgPool(), ReLU(), Flatten()):
        _, tape = layer.forward(X)
        with pytest.raises(ValueError, match=f"{type(layer).__name__}.backward: dy must have shape"):
            layer.backward(tape, np.zeros((1, 1), np.float32))
