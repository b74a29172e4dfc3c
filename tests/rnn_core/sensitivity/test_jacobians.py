"""The Jacobian of a later state by an earlier one, and its singular values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, LanguageModel, jvp, state_jacobian, state_jacobian_singular_values
from rnn_core.sensitivity import jacobians
from tests.sensitivity_checks import CELLS, LAYERS, H, I, jacobian_by_differences, normal


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_against_differences(cell, num_layers):
    jacobian_by_differences(cell, num_layers)


@given(
    cell=st.sampled_from(CELLS), layers=st.integers(1, 2), hidden=st.integers(1, 4), steps=st.integers(1, 6),
    t=st.integers(0, 5), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_forwards_it_is_the_same(cell, layers, hidden, steps, t, seed):
    """Each column is a Jacobian-vector product; and Jacobians of two stretches multiply."""
    layer = LAYERS[cell](I, hidden, layers, dtype=np.float64, backend="numpy", seed=seed)
    x, names, t = normal(steps, I, seed=seed), layer.spec.states, min(t, steps - 1)
    found = state_jacobian(layer, x)
    rng = np.random.default_rng(seed)
    d = [rng.standard_normal((layers, hidden)) for _ in names]
    zeros = tuple(np.zeros_like(part) for part in d)
    given_ = (tuple(d), zeros) if len(names) > 1 else (d[0], zeros[0])
    _, dstate = jvp(layer, x, dstate0=given_[0], state0=given_[1])
    flat = np.concatenate([part.ravel() for part in (dstate if len(names) > 1 else (dstate,))])
    np.testing.assert_allclose(found @ np.concatenate([part.ravel() for part in d]), flat, rtol=1e-9, atol=1e-13)
    if t:
        np.testing.assert_allclose(state_jacobian(layer, x, t) @ state_jacobian(layer, x, 0, t), found, atol=1e-13)


def test_of_a_linear_network_it_is_a_power():
    """With f'(a) = 1, that is ReLU of what is above zero, ∂h_T/∂h_t is W_h to the power of T − t."""
    layer = RNN(1, 4, nonlinearity="relu", dtype=np.float64, seed=0)
    W = abs(normal(4, 4)) / 4
    layer.parameters["weight_hh_l0"] = W
    layer.parameters["bias_ih_l0"] = np.ones(4)
    layer.parameters["weight_ih_l0"] = np.zeros((4, 1))
    layer.parameters["bias_hh_l0"] = np.zeros(4)
    x = np.zeros((9, 1))
    np.testing.assert_allclose(state_jacobian(layer, x, 2, 7), np.linalg.matrix_power(W, 5), rtol=1e-13)
    along = state_jacobian_singular_values(layer, x)
    for lag, values in zip(along.lags, along.values, strict=True):
        exact = np.linalg.svd(np.linalg.matrix_power(W, lag), compute_uv=False)
        np.testing.assert_allclose(values, exact, rtol=0, atol=1e-13 * exact[0])
    np.testing.assert_array_equal(along.lags, np.arange(1, 10))


def test_an_open_forget_gate_keeps_the_cell():
    """∂c_T/∂c_t tends to 1 where the forget gate is open and the rest is shut: what an LSTM is for."""
    layer = LSTM(1, 3, dtype=np.float64, seed=0)
    block = layer.spec.blocks(3)
    bias = np.zeros(12)
    bias[block.f], bias[block.i] = 40, -40
    layer.parameters["bias_ih_l0"] = bias
    values = state_jacobian_singular_values(layer, normal(50, 1), of="c").values
    np.testing.assert_allclose(values, 1, atol=1e-12)


def test_one_state_is_a_block_of_all():
    layer, x = LSTM(I, H, 2, backend="numpy", dtype=np.float64, seed=0), normal(5, I)
    whole = state_jacobian(layer, x, 1)
    assert whole.shape == (12, 12)
    np.testing.assert_allclose(state_jacobian(layer, x, 1, of="h"), whole[:6, :6], rtol=0, atol=1e-15)
    np.testing.assert_allclose(state_jacobian(layer, x, 1, of="c"), whole[6:, 6:], rtol=0, atol=1e-15)
    values = state_jacobian_singular_values(layer, x, of="c").values
    np.testing.assert_allclose(values[3], np.linalg.svd(whole[6:, 6:], compute_uv=False), atol=1e-15)


def test_rows_may_be_walked_back_with_in_parts(monkeypatch):
    layer, x = GRU(I, H, 2, backend="numpy", dtype=np.float64, seed=0), normal(5, I)
    whole, values = state_jacobian(layer, x), state_jacobian_singular_values(layer, x).values
    monkeypatch.setattr(jacobians, "ROWS", 4)
    np.testing.assert_allclose(state_jacobian(layer, x), whole, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(state_jacobian_singular_values(layer, x).values, values, rtol=0, atol=1e-15)


def test_of_a_float32_layer_it_is_computed_in_float64_and_dropout_is_off():
    layer, x = LSTM(I, H, 2, batch_first=True, dropout=0.5, seed=0), normal(5, I).astype(np.float32)
    twin = LSTM(I, H, 2, dtype=np.float64, seed=0)
    twin.load_state_dict(layer.state_dict())
    found = state_jacobian(layer, x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, state_jacobian(twin, x.astype(float)), rtol=1e-12)
    assert layer.dropout == 0.5
    assert layer.batch_first


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("call", [state_jacobian, state_jacobian_singular_values])
def test_what_explodes_beyond_all_numbers_is_said(call, backend):
    layer = RNN(1, 2, nonlinearity="relu", dtype=np.float64, backend=backend, seed=0)
    for array in layer.parameters.values():
        array[...] = 0
    layer.parameters["weight_hh_l0"] = np.full((2, 2), 1e10)  # the state is 1e112 in the end, the Jacobian 1e412
    with pytest.raises(ValueError, match=f"{call.__name__}: ∂s_T/∂s_t must fit into float64, got an infinity"):
        call(layer, np.zeros((40, 1)), state0=np.full((1, 2), 1e-300))


X = normal(5, I)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda m: state_jacobian(LanguageModel(3, 2), X), TypeError, "must be a recurrent layer, .*; of a model"),
        (
            lambda m: state_jacobian(LSTM(I, H, bidirectional=True), X),
            ValueError,
            "state_jacobian: layer must read in one direction, got a bidirectional LSTM",
        ),
        (lambda m: state_jacobian(m, X[None]), ValueError, r"must have shape \(T, 2\), one .*got \(1, 5, 2\)"),
        (lambda m: state_jacobian(m, X, 5), ValueError, "state_jacobian: t must be from 0 to 4, got 5"),
        (lambda m: state_jacobian(m, X, 0, 6), ValueError, "state_jacobian: T must be from 1 to 5, got 6"),
        (lambda m: state_jacobian(m, X, 0.5), TypeError, "state_jacobian: t must be an int, got 0.5"),
        (lambda m: state_jacobian(m, X, of="z"), ValueError, "state_jacobian: of must be one of 'h', or None, got 'z'"),
        (lambda m: state_jacobian_singular_values(m, X * np.nan), ValueError, "x must be finite"),
        (lambda m: state_jacobian(m, X, state0=np.ones((1, 2))), ValueError, r"state0 must have shape \(1, 3\)"),
    ],
)  # fmt: skip
def test_errors(call, error, says):
    with pytest.raises(error, match=says):
        call(GRU(I, H))
