"""The gated recurrent unit, in the form that torch and cuDNN use: the reset gate acts *after* the product.

::

    r_t = σ(W_xr x_t + b_xr + W_hr h_{t−1} + b_hr)        reset gate      (G1)
    z_t = σ(W_xz x_t + b_xz + W_hz h_{t−1} + b_hz)        update gate     (G2)
    m_t = W_hn h_{t−1} + b_hn                                             (G3)
    n_t = tanh(W_xn x_t + b_xn + r_t ⊙ m_t)               candidate       (G4)
    h_t = (1 − z_t) ⊙ n_t + z_t ⊙ h_{t−1}                                 (G5)
    y_t = h_t                                                             (G6)

This is version 1 of the paper, arXiv:1406.1078v1 [1]_, with biases. Version 3 moved the reset gate inside the
product, W_hn (r_t ⊙ h_{t−1}). Because r_t scales b_hn here and does not scale b_xn, the two biases of the candidate
are not interchangeable: that is why both exist.

Primes mark the backward of the same equation; dX is ∂L/∂X.

References
----------
.. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
   translation", arXiv:1406.1078v1 (2014).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.contract import GRU, GRUGates, Parameters, State

from . import ragged
from .activations import dsigmoid, dtanh, sigmoid, tanh
from .affine import affine, affine_backward_b, affine_backward_W, affine_backward_x
from .rounding import Rounding, exact


class GRUTape(NamedTuple):
    """What the backward needs."""

    x: np.ndarray  # (T, B, I)
    h: np.ndarray  # (T+1, B, H), h[0] is the initial state
    gates: np.ndarray  # (T, B, 3·H), after their nonlinearities
    m: np.ndarray  # (T, B, H), W_hn h_{t−1} + b_hn
    lengths: np.ndarray | None  # (B,)


def step(
    params: Parameters, a_x: np.ndarray, h_prev: np.ndarray, q: Rounding = exact
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One time step, from a_x = W_x x_t + b_x (B, 3·H) and h_{t−1} to h_t, the gates and m_t."""
    _, W_h, _, b_h = params
    block = GRU.blocks(h_prev.shape[-1])
    a_h = affine(h_prev, W_h, b_h, q)  # the state's half of (G1), (G2), (G3)
    r = sigmoid(a_x[:, block.r] + a_h[:, block.r])  # (G1)
    z = sigmoid(a_x[:, block.z] + a_h[:, block.z])  # (G2)
    m = a_h[:, block.n]  # (G3)
    n = tanh(a_x[:, block.n] + r * m)  # (G4)
    h = (1 - z) * n + z * h_prev  # (G5)
    return h, np.concatenate(GRUGates(r=r, z=z, n=n), axis=-1), m


def step_backward(
    params: Parameters, gates: np.ndarray, m: np.ndarray, h_prev: np.ndarray, dh: np.ndarray, q: Rounding = exact
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same step backwards: from dh_t to da_x (of the input's half), da_h (of the state's half) and dh_{t−1}."""
    W_h = params.weight_hh
    block = GRU.blocks(h_prev.shape[-1])
    r, z, n = gates[:, block.r], gates[:, block.z], gates[:, block.n]
    dn = dh * (1 - z)  # (G5′)
    dz = dh * (h_prev - n)  # (G5′)
    da_n = dn * dtanh(n)  # (G4′)
    dr = da_n * m  # (G4′)
    dm = da_n * r  # (G4′)
    da_z = dz * dsigmoid(z)  # (G2′)
    da_r = dr * dsigmoid(r)  # (G1′)
    da_x = np.concatenate(GRUGates(r=da_r, z=da_z, n=da_n), axis=-1)
    da_h = np.concatenate(GRUGates(r=da_r, z=da_z, n=dm), axis=-1)
    dh_prev = dh * z + affine_backward_x(da_h, W_h, q)  # (G5′) and (G1′), (G2′), (G3′)
    return da_x, da_h, dh_prev


def infer(
    params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None, *, q: Rounding = exact
) -> tuple[np.ndarray, State]:
    """All time steps; nothing is kept for a backward."""
    W_x, _, b_x, _ = params
    a_x = affine(ragged.zero_past(lengths, x), W_x, b_x, q)  # the input's half of (G1), (G2), (G4), all steps at once
    (h,) = state0
    y = np.empty((len(x), *h.shape), a_x.dtype)
    for t in range(len(x)):
        h_t, _, _ = step(params, a_x[t], h, q)
        y[t] = h = ragged.hold(lengths, t, h_t, h)  # (G6)
    return ragged.zero_past(lengths, y), (h,)


def forward(
    params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None, *, q: Rounding = exact
) -> tuple[np.ndarray, State, GRUTape]:
    """All time steps, with a tape of every state and gate."""
    W_x, W_h, b_x, _ = params
    x = ragged.zero_past(lengths, x)
    a_x = affine(x, W_x, b_x, q)  # the input's half of (G1), (G2), (G4), for all steps at once
    T, B, H = *x.shape[:2], W_h.shape[1]
    h = np.empty((T + 1, B, H), a_x.dtype)
    m = np.empty_like(h[1:])
    gates = np.empty_like(a_x)
    (h[0],) = state0
    for t in range(T):
        h_t, gates[t], m[t] = step(params, a_x[t], h[t], q)
        h[t + 1] = ragged.hold(lengths, t, h_t, h[t])
    y = ragged.zero_past(lengths, h[1:]).copy()  # (G6)
    return y, (h[T].copy(),), GRUTape(x, h, gates, m, lengths)


def states(tape: GRUTape) -> State:
    """Every state at every step."""
    return (ragged.zero_past(tape.lengths, tape.h[1:]).copy(),)  # (G6)


def backward(
    params: Parameters,
    tape: GRUTape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    dstates: tuple[None] | None = None,
    *,
    q: Rounding = exact,
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
    """Backpropagation through time: the steps in reverse, then one product a weight."""
    W_x, _, b_x, b_h = params
    x, h, gates, m, lengths = tape
    dy = None if dy is None else ragged.zero_past(lengths, dy)
    (dh_T,) = dstate_T
    dh = np.zeros_like(h[0]) if dh_T is None else dh_T
    da_x, da_h = np.empty_like(gates), np.empty_like(gates)
    for t in reversed(range(len(x))):
        if dy is not None:
            dh = dh + dy[t]  # (G6′)
        da_x_t, da_h_t, dh_prev = step_backward(params, gates[t], m[t], h[t], dh, q)
        da_x[t] = ragged.hold(lengths, t, da_x_t, 0)
        da_h[t] = ragged.hold(lengths, t, da_h_t, 0)
        dh = ragged.hold(lengths, t, dh_prev, dh)

    dx = affine_backward_x(da_x, W_x, q) if "x" in needs else None  # (G1′), (G2′), (G4′)
    dh0 = np.array(dh) if "h0" in needs else None
    gradients = Parameters(
        weight_ih=affine_backward_W(da_x, x, q) if "weight_ih" in needs else None,  # (G1′), (G2′), (G4′)
        weight_hh=affine_backward_W(da_h, h[:-1], q) if "weight_hh" in needs else None,  # (G1′), (G2′), (G3′)
        bias_ih=affine_backward_b(da_x, q) if b_x is not None and "bias_ih" in needs else None,  # (G1′), (G2′), (G4′)
        bias_hh=affine_backward_b(da_h, q) if b_h is not None and "bias_hh" in needs else None,  # (G1′), (G2′), (G3′)
    )
    return dx, (dh0,), gradients
