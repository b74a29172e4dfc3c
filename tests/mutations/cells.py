"""Bugs in the equations of the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests import checks

from .mutation import Mutation

EQUATIONS = "rnn_core.equations"


def _cell_bugs() -> Iterator[Mutation]:
    """Bugs in the equations."""
    gradients, by_hand, rows = checks.standard_gradients, checks.values_by_hand, checks.rows_alone_equal_rows_together

    def bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1):
        return Mutation(name, f"{EQUATIONS}.{target}", old, new, check, arguments, times)

    for cell, file in (("RNN tanh", "rnn"), ("GRU", "gru")):
        yield bug(
            f"{file}: the gradient of h_T is dropped",
            f"{file}:backward",
            "(dh_T,) = dstate_T",
            "dh_T = None",
            gradients,
            cell,
            "ragged",
        )
    yield bug(
        "rnn: BPTT is cut after one step",
        "rnn:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, 0 * dh_prev, dh)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "rnn: BPTT is cut after 40 steps",
        "rnn:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, dh_prev if t > 10 else 0 * dh_prev, dh)",
        gradients,
        "RNN sigmoid",
        "long",
    )
    yield bug(
        "lstm: BPTT is cut after 40 steps",
        "lstm:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, dh_prev if t > 10 else 0 * dh_prev, dh)",
        gradients,
        "LSTM",
        "long",
    )
    yield bug(
        "lstm: BPTT through c is cut",
        "lstm:backward",
        "hold(lengths, t, dc_prev, dc)",
        "hold(lengths, t, 0 * dc_prev, dc)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "gru: BPTT is cut after 40 steps",
        "gru:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, dh_prev if t > 10 else 0 * dh_prev, dh)",
        gradients,
        "GRU",
        "long",
    )
    yield bug(
        "rnn: time is off by one in dW_h",
        "rnn:backward",
        "affine_backward_W(da, h[:-1], q)",
        "affine_backward_W(da, h[1:], q)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "lstm: time is off by one in dW_h",
        "lstm:backward",
        "affine_backward_W(da, h[:-1], q)",
        "affine_backward_W(da, h[1:], q)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: time is off by one in c",
        "lstm:backward",
        "gates[t], c[t], c[t + 1]",
        "gates[t], c[t + 1], c[t + 1]",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "gru: time is off by one in h",
        "gru:backward",
        "m[t], h[t], dh",
        "m[t], h[t + 1], dh",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "rnn: the gradient of h_0 is zero",
        "rnn:backward",
        "np.array(dh)",
        "np.zeros_like(dh)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "lstm: the gradient of c_0 is zero",
        "lstm:backward",
        "np.array(dc)",
        "np.zeros_like(dc)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the gradients of h_T and c_T are swapped",
        "lstm:backward",
        "for d in dstate_T)",
        "for d in dstate_T[::-1])",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: c_T's gradient replaces what comes through h",
        "lstm:step_backward",
        "dc = dc + dh * o * dtanh(tanh_c)",
        "dc = dh * o * dtanh(tanh_c)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: tanh(c) is not derived",
        "lstm:step_backward",
        "dh * o * dtanh(tanh_c)",
        "dh * o",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the output gate's gradient takes c for tanh(c)",
        "lstm:step_backward",
        "do = dh * tanh_c",
        "do = dh * c",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the forget gate's derivative is missing",
        "lstm:step_backward",
        "df * dsigmoid(f)",
        "df",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the candidate is derived as a sigmoid",
        "lstm:step_backward",
        "dg * dtanh(g)",
        "dg * dsigmoid(g)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: forget and input gates are swapped in the backward",
        "lstm:step_backward",
        "LSTMGates(i=da_i, f=da_f",
        "LSTMGates(i=da_f, f=da_i",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: forget and input gates are swapped throughout",
        "lstm:step",
        "c = f * c_prev + i * g",
        "i, f = f, i; c = f * c_prev + i * g",
        by_hand,
        "LSTM",
    )
    yield bug(
        "lstm: the recurrent bias is dropped",
        "lstm:step",
        "affine(h_prev, W_h, b_h, q)",
        "affine(h_prev, W_h, None, q)",
        by_hand,
        "LSTM",
    )
    yield bug(
        "lstm: the input bias is dropped in inference",
        "lstm:infer",
        "x), W_x, b_x, q)",
        "x), W_x, None, q)",
        by_hand,
        "LSTM",
    )
    yield bug(
        "lstm: the bias has no gradient",
        "lstm:backward",
        "bias_hh=affine_backward_b(da, q)",
        "bias_hh=0 * affine_backward_b(da, q)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "rnn: the gradients of all steps are 0.1 % too large",
        "rnn:step_backward",
        "dh * f.df(h)",
        "1.001 * dh * f.df(h)",
        gradients,
        "RNN sigmoid",
        "ragged",
    )
    yield bug(
        "rnn: the derivative is taken of the wrong step",
        "rnn:backward",
        "step_backward(params, f, h[t + 1], dh, q)",
        "step_backward(params, f, h[t], dh, q)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "rnn: W_h is transposed in the backward",
        "rnn:step_backward",
        "affine_backward_x(da, W_h, q)",
        "affine_backward_x(da, W_h.T, q)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "rnn: dy of the last step only",
        "rnn:backward",
        "if dy is not None:",
        "if dy is not None and t == len(x) - 1:",
        gradients,
        "RNN ReLU",
        "ragged",
    )
    yield bug(
        "relu: the derivative is 1 everywhere",
        "rnn:step_backward",
        "f.df(h)",
        "(1 if f is ACTIVATIONS['relu'] else f.df(h))",
        gradients,
        "RNN ReLU",
        "ragged",
    )
    yield bug(
        "gru: b_hn stands outside the reset gate",
        "gru:step",
        "n = tanh(a_x[:, block.n] + r * m)",
        "n = tanh(a_x[:, block.n] + r * (m - b_h[block.n]) + b_h[block.n])",
        by_hand,
        "GRU",
    )
    yield bug(
        "gru: b_hn is missing", "gru:step", "m = a_h[:, block.n]", "m = a_h[:, block.n] - b_h[block.n]", by_hand, "GRU"
    )
    yield bug(
        "gru: the gradient of b_hn lacks the reset gate",
        "gru:step_backward",
        "GRUGates(r=da_r, z=da_z, n=dm)",
        "GRUGates(r=da_r, z=da_z, n=da_n)",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: the update gate's gradient lacks the candidate",
        "gru:step_backward",
        "dz = dh * (h_prev - n)",
        "dz = dh * h_prev",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: the reset gate is applied to dh",
        "gru:step_backward",
        "dr = da_n * m",
        "dr = dn * m",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: the direct way from h_t to h_t−1 is missing",
        "gru:step_backward",
        "dh * z + affine_backward_x(da_h, W_h, q)",
        "affine_backward_x(da_h, W_h, q)",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: z and 1 − z are exchanged",
        "gru:step",
        "h = (1 - z) * n + z * h_prev",
        "h = z * n + (1 - z) * h_prev",
        by_hand,
        "GRU",
    )
    yield bug(
        "ragged: the state runs on past lengths",
        "ragged:hold",
        "running = (t < lengths)",
        "running = (t <= lengths)",
        rows,
        "LSTM",
    )
    yield bug(
        "ragged: gradients leak past lengths",
        "gru:backward",
        "da_h[t] = ragged.hold(lengths, t, da_h_t, 0)",
        "da_h[t] = da_h_t",
        rows,
        "GRU",
    )
    yield bug(
        "ragged: the padding's NaN reaches the weights",
        "rnn:forward",
        "x = ragged.zero_past(lengths, x)",
        "x = x",
        rows,
        "RNN tanh",
    )
    yield bug(
        "ragged: dy past a row's end is used", "lstm:backward", "ragged.zero_past(lengths, dy)", "dy", rows, "LSTM"
    )
    yield bug(
        "ragged: y holds the last state past lengths",
        "rnn:forward",
        "ragged.zero_past(lengths, h[1:]).copy()",
        "h[1:].copy()",
        rows,
        "RNN tanh",
    )
    yield bug(
        "second call: the tape is overwritten",
        "lstm:forward",
        "h = np.empty((T + 1, B, H), a_x.dtype)",
        "h = vars(forward).setdefault('shared', {}).setdefault((T, B, H), np.empty((T + 1, B, H), a_x.dtype))",
        checks.a_second_call_changes_nothing,
        "LSTM",
    )
    yield bug(
        "second call: inference changes the weights",
        "rnn:infer",
        "(h,) = state0",
        "(h,) = state0; params.bias_hh[...] += 1e-9",
        checks.a_second_call_changes_nothing,
        "RNN tanh",
    )


MUTATIONS = (*_cell_bugs(),)
