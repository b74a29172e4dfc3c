"""Identities: what must hold of the equations whatever their numbers are.

Limits in which one cell becomes another or a memory, and what is known of gradients through time.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.contract import Parameters
from rnn_core.equations import cell
from rnn_core.equations.activations import ACTIVATIONS, dsigmoid, dtanh, sigmoid, tanh
from tests.rnn_core.equations.identities import SURE, B, H, I, T, block, close, differentiate, draw, run, with_bias


class TestActivations:
    @given(st.floats(-1e4, 1e4))
    def test_sigmoid_of_minus_a_is_one_minus_sigmoid(self, a):
        assert sigmoid(np.array(-a)) == pytest.approx(1 - sigmoid(np.array(a)), abs=1e-15)

    @given(st.floats(-300, 300))
    def test_tanh_is_a_sigmoid_stretched(self, a):
        assert 2 * sigmoid(np.array(2 * a)) - 1 == pytest.approx(np.tanh(a), abs=1e-15)

    @given(st.floats(-700, -40))
    def test_lower_tail_of_sigmoid_is_the_exponential(self, a):
        """To full relative accuracy: 1/(1 + e^−a) with a large e^−a, or 1 − σ(−a), would lose it."""
        assert sigmoid(np.array(a)) == pytest.approx(np.exp(a), rel=1e-14)

    def test_steepest_slopes_are_those_of_the_vanishing_bound(self):
        a = np.linspace(-5, 5, 1001)
        assert dsigmoid(sigmoid(a)).max() == 0.25
        assert dtanh(tanh(a)).max() == 1


class TestLimits:
    """Gates held open or shut: one cell becomes another, or a memory."""

    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_rnn_without_recurrence_is_feed_forward(self, activation):
        name = f"rnn_{activation}"
        params, x, state = draw(name)
        params = params._replace(weight_hh=np.zeros((H, H)))
        y, _ = run(name, params, x, state)
        close(y, ACTIVATIONS[activation].f(x @ params.weight_ih.T + params.bias_ih + params.bias_hh))
        later = differentiate(name, params, x, state, np.concatenate([np.zeros((T - 1, B, H)), np.ones((1, B, H))]))
        assert not later["x"][:-1].any()
        assert not later["h0"].any()

    def test_linear_recurrence_is_a_matrix_power(self):
        rng = np.random.default_rng(0)
        W, h0 = rng.uniform(0, 1, (H, H)), rng.uniform(0, 1, (B, H))
        params = Parameters(np.zeros((H, I)), W, np.zeros(H), np.zeros(H))
        _, (h_T,) = run("rnn_relu", params, np.zeros((T, B, I)), (h0,))
        power = np.linalg.matrix_power(W, T)
        close(h_T, h0 @ power.T)
        u = rng.standard_normal((B, H))
        close(differentiate("rnn_relu", params, np.zeros((T, B, I)), (h0,), None, (u,))["h0"], u @ power)

    def test_lstm_with_f_one_and_i_zero_keeps_its_cell(self):
        params, x, (h, c) = draw("lstm")
        params = with_bias(with_bias(params, block("lstm").f, SURE), block("lstm").i, -SURE)
        _, (_, c_T) = run("lstm", params, x, (h, c))
        np.testing.assert_array_equal(c_T, c)
        u = np.ones_like(c)
        np.testing.assert_array_equal(differentiate("lstm", params, x, (h, c), None, (None, u))["c0"], u)

    def test_lstm_with_f_zero_and_i_and_o_one_is_tanh_twice(self):
        params, x, state = draw("lstm")
        gate = block("lstm")
        for rows, value in ((gate.f, -SURE), (gate.i, SURE), (gate.o, SURE)):
            params = with_bias(params, rows, value)
        y, (_, c_T) = run("lstm", params, x, state)
        close(y[-1], np.tanh(c_T))
        W_x, W_h, b_x, b_h = (array[gate.g] for array in params)
        close(c_T, np.tanh(x[-1] @ W_x.T + b_x + y[-2] @ W_h.T + b_h))

    @pytest.mark.parametrize("value, kept", [(SURE, True), (-SURE, False)])
    def test_update_gate_of_the_gru(self, value, kept):
        params, x, (h,) = draw("gru")
        y, _ = run("gru", with_bias(params, block("gru").z, value), x, (h,))
        if kept:
            np.testing.assert_array_equal(y, np.broadcast_to(h, y.shape))
        else:
            assert abs(y[0] - h).max() > 0.1

    def test_gru_with_r_one_and_z_zero_is_the_tanh_rnn(self):
        params, x, state = draw("gru")
        gate = block("gru")
        open_gates = with_bias(with_bias(params, gate.r, SURE), gate.z, -SURE)
        candidate = Parameters(*(array[gate.n] for array in params))
        close(run("gru", open_gates, x, state)[0], run("rnn_tanh", candidate, x, state)[0])
        mine = differentiate("gru", open_gates, x, state, np.ones((T, B, H)))
        theirs = differentiate("rnn_tanh", candidate, x, state, np.ones((T, B, H)))
        close(mine["weight_hh"][gate.n], theirs["weight_hh"])
        close(mine["h0"], theirs["h0"])

    def test_gru_with_r_one_does_not_care_where_the_reset_gate_stands(self):
        """Reset-before, version 3 of the paper, computes W_hn (r ⊙ h) + b_hn."""
        params, x, (h,) = draw("gru")
        gate = block("gru")
        W_x, W_h, b_x, b_h = open_gate = with_bias(params, gate.r, SURE)
        y, _ = run("gru", open_gate, x, (h,))
        for t in range(T):
            a_x = x[t] @ W_x.T + b_x
            r, z = (1 / (1 + np.exp(-(a_x[:, k] + h @ W_h[k].T + b_h[k]))) for k in (gate.r, gate.z))
            h = (1 - z) * np.tanh(a_x[:, gate.n] + (r * h) @ W_h[gate.n].T + b_h[gate.n]) + z * h
            close(y[t], h)


class TestThroughTime:
    def test_two_steps_by_hand(self):
        """w_x = 2, w_h = 3, b = 1, h_0 = 1, x = (1, 2), L = y_2: docs/derivations/rnn.md."""
        params = Parameters(np.array([[2.0]]), np.array([[3.0]]), np.array([1.0]), np.array([0.0]))
        x, h0 = np.array([1.0, 2.0]).reshape(2, 1, 1), np.ones((1, 1))
        y, _ = run("rnn_relu", params, x, (h0,))
        assert y.ravel().tolist() == [6, 23]
        gradients = differentiate("rnn_relu", params, x, (h0,), np.array([0.0, 1.0]).reshape(2, 1, 1))
        assert {name: gradient.ravel().tolist() for name, gradient in gradients.items()} == {
            "x": [6, 2], "h0": [9], "weight_ih": [5], "weight_hh": [9], "bias_ih": [4], "bias_hh": [4],
        }  # fmt: skip

    @pytest.mark.parametrize("activation, steepest", [("tanh", 1), ("relu", 1), ("sigmoid", 0.25)])
    def test_vanishing_bound(self, activation, steepest):
        """‖dh_0‖ ≤ (γ‖W_h‖)^T ‖dh_T‖."""
        name = f"rnn_{activation}"
        params, x, state = draw(name)
        u = np.random.default_rng(1).standard_normal((B, H))
        dh0 = differentiate(name, params, x, state, None, (u,))["h0"]
        bound = (steepest * np.linalg.norm(params.weight_hh, 2)) ** T
        assert (np.linalg.norm(dh0, axis=1) <= bound * np.linalg.norm(u, axis=1)).all()

    def test_carousel_multiplies_by_the_forget_gates(self):
        """Without W_h only the straight road is left: dc_0 = Π f_t ⊙ dc_T."""
        params, x, state = draw("lstm")
        params = params._replace(weight_hh=np.zeros((4 * H, H)))
        rows = block("lstm").f
        f = 1 / (1 + np.exp(-(x @ params.weight_ih[rows].T + (params.bias_ih + params.bias_hh)[rows])))
        u = np.random.default_rng(1).standard_normal((B, H))
        close(differentiate("lstm", params, x, state, None, (None, u))["c0"], u * f.prod(axis=0))

    def test_both_roads_through_the_cell_state(self):
        """∂c_2/∂c_1 as docs/derivations/lstm.md writes it, straight and through the output."""
        params, x, (h, c) = draw("lstm")
        x, h, c = x[:2, :1], h[:1], c[:1]
        gate, (_, W_h, _, _) = block("lstm"), params
        _, _, tape = cell("lstm").forward(params, x, (h, c))
        i, f, g, _ = (tape.gates[1, 0, rows] for rows in gate)
        c_1, o_1, f_1 = tape.c[1, 0], tape.gates[0, 0, gate.o], tape.gates[0, 0, gate.f]
        inner = (
            np.diag(c_1 * f * (1 - f)) @ W_h[gate.f]
            + np.diag(g * i * (1 - i)) @ W_h[gate.i]
            + np.diag(i * (1 - g**2)) @ W_h[gate.g]
        )
        expected = np.diag(f) + inner @ np.diag(o_1 * (1 - np.tanh(c_1) ** 2))
        found = [
            differentiate("lstm", params, x, (h, c), None, (None, unit[None]))["c0"][0] / f_1 for unit in np.eye(H)
        ]
        close(np.array(found), expected)
