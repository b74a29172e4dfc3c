"""The cells as the five source documents write them, in their symbols, against the equations: docs/equations.md."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.contract import CELLS, Parameters
from rnn_core.layers import Linear
from rnn_core.training import SoftmaxCrossEntropy, SquaredError
from tests.rnn_core.equations.identities import B, H, T, block, close, differentiate, draw, run


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_000_tanh_and_relu_cells_with_one_bias():
    for name, f in (("rnn_tanh", np.tanh), ("rnn_relu", lambda a: np.maximum(a, 0))):
        (W_hx, W_hh, b_x, b_h), x, (h,) = draw(name)
        y, _ = run(name, Parameters(W_hx, W_hh, b_x, b_h), x, (h,))
        for t in range(T):
            h = f(h @ W_hh.T + x[t] @ W_hx.T + (b_x + b_h))
            close(y[t], h)


def test_000_and_003_softmax_head():
    params, x, state = draw("rnn_tanh")
    head = Linear(H, 6, dtype=np.float64, seed=1)
    targets = np.random.default_rng(2).integers(0, 6, (T, B))
    h, _ = run("rnn_tanh", params, x, state)
    W_yh, b_y = head.parameters.values()
    p = softmax(np.einsum("kj,tbj->tbk", W_yh, h) + b_y)
    loss, tape = SoftmaxCrossEntropy().forward(head(h), targets)
    nll = -np.log(np.take_along_axis(p, targets[..., None], axis=-1))
    close(loss * T * B, nll.sum())
    close(SoftmaxCrossEntropy().backward(tape), (p - np.eye(6)[targets]) / (T * B))


def test_001_lstm_reads_the_state_and_not_the_input_gate():
    (W_x, W_h, b_x, b_h), x, (h, c) = draw("lstm")
    y, _ = run("lstm", Parameters(W_x, W_h, b_x, b_h), x, (h, c))
    gate = block("lstm")
    W_xi, W_xf, W_xg, W_xo = (W_x[rows] for rows in gate)
    W_hi, W_hf, W_hg, W_ho = (W_h[rows] for rows in gate)
    b_i, b_f, b_g, b_o = ((b_x + b_h)[rows] for rows in gate)
    for t in range(T):
        i = 1 / (1 + np.exp(-(h @ W_hi.T + x[t] @ W_xi.T + b_i)))
        f = 1 / (1 + np.exp(-(h @ W_hf.T + x[t] @ W_xf.T + b_f)))
        o = 1 / (1 + np.exp(-(h @ W_ho.T + x[t] @ W_xo.T + b_o)))
        g = np.tanh(h @ W_hg.T + x[t] @ W_xg.T + b_g)
        c = f * c + i * g
        h = o * np.tanh(c)
        close(y[t], h)


def test_002_concatenated_lstm_is_the_split_one():
    (W_x, W_h, b_x, b_h), x, (h, C) = draw("lstm")
    y, (_, C_T) = run("lstm", Parameters(W_x, W_h, b_x, b_h), x, (h, C))
    gate, b = block("lstm"), b_x + b_h
    W_i, W_f, W_C, W_o = (np.hstack([W_h[rows], W_x[rows]]) for rows in gate)
    b_i, b_f, b_C, b_o = (b[rows] for rows in gate)
    for t in range(T):
        hx = np.hstack([h, x[t]])
        f_t = 1 / (1 + np.exp(-(hx @ W_f.T + b_f)))
        i_t = 1 / (1 + np.exp(-(hx @ W_i.T + b_i)))
        C_tilde = np.tanh(hx @ W_C.T + b_C)
        C = f_t * C + i_t * C_tilde
        o_t = 1 / (1 + np.exp(-(hx @ W_o.T + b_o)))
        h = o_t * np.tanh(C)
        close(y[t], h)
    close(C_T, C)


def test_004_sigmoid_cell_with_linear_output():
    (W_xh, W_hh, b_x, b_h), x, (h,) = draw("rnn_sigmoid")
    states, _ = run("rnn_sigmoid", Parameters(W_xh, W_hh, b_x, b_h), x, (h,))
    head = Linear(H, 2, dtype=np.float64, seed=1)
    W_hy, b_y = head.parameters.values()
    outputs, targets = [], np.random.default_rng(2).standard_normal((T, B, 2))
    for t in range(T):
        h = 1 / (1 + np.exp(-(h @ W_hh.T + x[t] @ W_xh.T + (b_x + b_h))))
        outputs.append(h @ W_hy.T + b_y)
    close(head(states), np.array(outputs))
    loss, tape = SquaredError().forward(head(states), targets)
    close(loss, np.mean((np.array(outputs) - targets) ** 2))
    close(SquaredError().backward(tape), 2 * (np.array(outputs) - targets) / (T * B * 2))


@pytest.mark.parametrize("name", [name for name in CELLS if name != "gru"])
def test_one_bias_equals_two(name):
    params, x, state = draw(name)
    b = params.bias_ih + params.bias_hh
    one = params._replace(bias_ih=b, bias_hh=np.zeros_like(b))
    close(run(name, one, x, state)[0], run(name, params, x, state)[0])
    gradients = differentiate(name, params, x, state, np.ones((T, B, H)))
    close(gradients["bias_ih"], gradients["bias_hh"])


def test_candidate_of_the_gru_needs_both_biases():
    params, x, state = draw("gru")
    rows, b = block("gru").n, params.bias_ih + params.bias_hh
    merged = params._replace(bias_ih=b, bias_hh=np.where(np.arange(3 * H) >= rows.start, 0, params.bias_hh))
    merged.bias_ih[: rows.start] = params.bias_ih[: rows.start]
    assert abs(run("gru", merged, x, state)[0] - run("gru", params, x, state)[0]).max() > 0.01


def test_update_gate_turned_round():
    """Chung et al. exchange z and 1 − z: the same network, with the rows of z negated."""
    params, x, (h,) = draw("gru")
    gate = block("gru")
    sign = np.ones(3 * H)
    sign[gate.z] = -1
    W_x, W_h, b_x, b_h = params
    y, _ = run("gru", Parameters(sign[:, None] * W_x, sign[:, None] * W_h, sign * b_x, sign * b_h), x, (h,))
    for t in range(T):
        a_x, a_h = x[t] @ W_x.T + b_x, h @ W_h.T + b_h
        r, z = (1 / (1 + np.exp(-(a_x[:, rows] + a_h[:, rows]))) for rows in (gate.r, gate.z))
        h = (1 - z) * h + z * np.tanh(a_x[:, gate.n] + r * a_h[:, gate.n])
        close(y[t], h)
