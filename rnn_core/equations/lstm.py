"""Long short-term memory with a forget gate, in the form that torch and cuDNN use.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h        (L1)   four blocks: a_i, a_f, a_g, a_o
    i_t = σ(a_i)            input gate             (L2)
    f_t = σ(a_f)            forget gate            (L3)
    g_t = tanh(a_g)         candidate              (L4)
    o_t = σ(a_o)            output gate            (L5)
    c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t                (L6)
    h_t = o_t ⊙ tanh(c_t)                          (L7)
    y_t = h_t                                      (L8)
    z_t = c_t               if it is asked for     (L9)

Primes mark the backward of the same equation; dX is ∂L/∂X.

References
----------
.. [1] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735-1780.
.. [2] F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget: continual prediction with LSTM",
   Neural Computation 12 (2000) 2451-2471: the forget gate, (L3) and the first term of (L6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.contract import LSTM, LSTMGates, Parameters, State

from . import ragged
from .activations import dsigmoid, dtanh, sigmoid, tanh
from .affine import affine, affine_backward_b, affine_backward_W, affine_backward_x
from .rounding import Rounding, exact


class LSTMTape(NamedTuple):
    """What the backward needs."""

    x: np.ndarray  # (T, B, I)
    h: np.ndarray  # (T+1, B, H), h[0] is the initial state
    c: np.ndarray  # (T+1, B, H), c[0] is the initial state
    gates: np.ndarray  # (T, B, 4·H), after their nonlinearities
    lengths: np.ndarray | None  # (B,)


def step(
    params: Parameters, a_x: np.ndarray, h_prev: np.ndarray, c_prev: np.ndarray, q: Rounding = exact
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One time step, from a_x = W_x x_t + b_x (B, 4·H), h_{t−1} and c_{t−1} to h_t, c_t and the gates."""
    _, W_h, _, b_h = params
    block = LSTM.blocks(h_prev.shape[-1])
    a = a_x + affine(h_prev, W_h, b_h, q)  # (L1)
    i = sigmoid(a[:, block.i])  # (L2)
    f = sigmoid(a[:, block.f])  # (L3)
    g = tanh(a[:, block.g])  # (L4)
    o = sigmoid(a[:, block.o])  # (L5)
    c = f * c_prev + i * g  # (L6)
    h = o * tanh(c)  # (L7)
    return h, c, np.concatenate(LSTMGates(i=i, f=f, g=g, o=o), axis=-1)


def step_backward(
    params: Parameters,
    gates: np.ndarray,
    c_prev: np.ndarray,
    c: np.ndarray,
    dh: np.ndarray,
    dc: np.ndarray,
    q: Rounding = exact,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same step backwards: from dh_t and dc_t to da_t, dh_{t−1} and dc_{t−1}."""
    W_h = params.weight_hh
    block = LSTM.blocks(c.shape[-1])
    i, f, g, o = gates[:, block.i], gates[:, block.f], gates[:, block.g], gates[:, block.o]
    tanh_c = tanh(c)
    do = dh * tanh_c  # (L7′)
    dc = dc + dh * o * dtanh(tanh_c)  # (L7′)
    di = dc * g  # (L6′)
    df = dc * c_prev  # (L6′)
    dg = dc * i  # (L6′)
    dc_prev = dc * f  # (L6′)
    da_i = di * dsigmoid(i)  # (L2′)
    da_f = df * dsigmoid(f)  # (L3′)
    da_g = dg * dtanh(g)  # (L4′)
    da_o = do * dsigmoid(o)  # (L5′)
    da = np.concatenate(LSTMGates(i=da_i, f=da_f, g=da_g, o=da_o), axis=-1)
    dh_prev = affine_backward_x(da, W_h, q)  # (L1′)
    return da, dh_prev, dc_prev


def infer(
    params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None, *, q: Rounding = exact
) -> tuple[np.ndarray, State]:
    """All time steps; nothing is kept for a backward."""
    W_x, _, b_x, _ = params
    a_x = affine(ragged.zero_past(lengths, x), W_x, b_x, q)  # (L1), the input's half, for all steps at once
    h, c = state0
    y = np.empty((len(x), *h.shape), a_x.dtype)
    for t in range(len(x)):
        h_t, c_t, _ = step(params, a_x[t], h, c, q)
        y[t] = h = ragged.hold(lengths, t, h_t, h)  # (L8)
        c = ragged.hold(lengths, t, c_t, c)
    return ragged.zero_past(lengths, y), (h, c)


def forward(
    params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None, *, q: Rounding = exact
) -> tuple[np.ndarray, State, LSTMTape]:
    """All time steps, with a tape of every state and gate."""
    W_x, W_h, b_x, _ = params
    x = ragged.zero_past(lengths, x)
    a_x = affine(x, W_x, b_x, q)  # (L1), the input's half, for all steps at once
    T, B, H = *x.shape[:2], W_h.shape[1]
    h = np.empty((T + 1, B, H), a_x.dtype)
    c = np.empty_like(h)
    gates = np.empty_like(a_x)
    h[0], c[0] = state0
    for t in range(T):
        h_t, c_t, gates[t] = step(params, a_x[t], h[t], c[t], q)
        h[t + 1] = ragged.hold(lengths, t, h_t, h[t])
        c[t + 1] = ragged.hold(lengths, t, c_t, c[t])
    y = ragged.zero_past(lengths, h[1:]).copy()  # (L8)
    return y, (h[T].copy(), c[T].copy()), LSTMTape(x, h, c, gates, lengths)


def states(tape: LSTMTape) -> State:
    """Every state at every step."""
    _, h, c, _, lengths = tape
    y = ragged.zero_past(lengths, h[1:]).copy()  # (L8)
    z = ragged.zero_past(lengths, c[1:]).copy()  # (L9)
    return y, z


def backward(
    params: Parameters,
    tape: LSTMTape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    dstates: tuple[np.ndarray | None, ...] | None = None,
    *,
    q: Rounding = exact,
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
    """Backpropagation through time: the steps in reverse, then one product a weight."""
    W_x, _, b_x, b_h = params
    x, h, c, gates, lengths = tape
    dy = None if dy is None else ragged.zero_past(lengths, dy)
    dz = None if dstates is None or dstates[1] is None else ragged.zero_past(lengths, dstates[1])
    dh, dc = (np.zeros_like(h[0]) if d is None else d for d in dstate_T)
    da = np.empty_like(gates)
    for t in reversed(range(len(x))):
        if dy is not None:
            dh = dh + dy[t]  # (L8′)
        if dz is not None:
            dc = dc + dz[t]  # (L9′)
        da_t, dh_prev, dc_prev = step_backward(params, gates[t], c[t], c[t + 1], dh, dc, q)
        da[t] = ragged.hold(lengths, t, da_t, 0)
        dh = ragged.hold(lengths, t, dh_prev, dh)
        dc = ragged.hold(lengths, t, dc_prev, dc)

    dx = affine_backward_x(da, W_x, q) if "x" in needs else None  # (L1′)
    dh0 = np.array(dh) if "h0" in needs else None
    dc0 = np.array(dc) if "c0" in needs else None
    gradients = Parameters(
        weight_ih=affine_backward_W(da, x, q) if "weight_ih" in needs else None,  # (L1′)
        weight_hh=affine_backward_W(da, h[:-1], q) if "weight_hh" in needs else None,  # (L1′)
        bias_ih=affine_backward_b(da, q) if b_x is not None and "bias_ih" in needs else None,  # (L1′)
        bias_hh=affine_backward_b(da, q) if b_h is not None and "bias_hh" in needs else None,  # (L1′)
    )
    return dx, (dh0, dc0), gradients
