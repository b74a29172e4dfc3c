"""The vanilla (Elman) recurrent network, with tanh, ReLU or sigmoid.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h        (R1)
    h_t = f(a_t)                                   (R2)
    y_t = h_t                                      (R3)

Primes mark the backward of the same equation; dX is ∂L/∂X.

References
----------
.. [1] J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211.
.. [2] P. J. Werbos, "Backpropagation through time: what it does and how to do it", Proc. IEEE 78 (1990) 1550-1560.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.contract import Parameters, State

from . import ragged
from .activations import ACTIVATIONS, Activation
from .affine import affine, affine_backward_b, affine_backward_W, affine_backward_x
from .rounding import Rounding, exact


class RNNTape(NamedTuple):
    """What the backward needs: (R2′) takes its derivative from h."""

    x: np.ndarray  # (T, B, I)
    h: np.ndarray  # (T+1, B, H), h[0] is the initial state
    lengths: np.ndarray | None  # (B,)


def step(
    params: Parameters, f: Activation, a_x: np.ndarray, h_prev: np.ndarray, q: Rounding = exact
) -> np.ndarray:
    """One time step, from a_x = W_x x_t + b_x (B, H) and h_{t−1} to h_t."""
    _, W_h, _, b_h = params
    a = a_x + affine(h_prev, W_h, b_h, q)  # (R1)
    return f.f(a)  # (R2)


def step_backward(
    params: Parameters, f: Activation, h: np.ndarray, dh: np.ndarray, q: Rounding = exact
) -> tuple[np.ndarray, np.ndarray]:
    """The same step backwards: from dh_t to da_t and dh_{t−1}."""
    W_h = params.weight_hh
    da = dh * f.df(h)  # (R2′)
    dh_prev = affine_backward_x(da, W_h, q)  # (R1′)
    return da, dh_prev


def infer(
    params: Parameters,
    x: np.ndarray,
    state0: State,
    lengths: np.ndarray | None = None,
    *,
    activation: str,
    q: Rounding = exact,
) -> tuple[np.ndarray, State]:
    """All time steps; nothing is kept for a backward."""
    W_x, _, b_x, _ = params
    f = ACTIVATIONS[activation]
    a_x = affine(ragged.zero_past(lengths, x), W_x, b_x, q)  # (R1), the input's half, for all steps at once
    y = np.empty_like(a_x)
    (h,) = state0
    for t in range(len(x)):
        y[t] = h = ragged.hold(lengths, t, step(params, f, a_x[t], h, q), h)  # (R3)
    return ragged.zero_past(lengths, y), (h,)


def forward(
    params: Parameters,
    x: np.ndarray,
    state0: State,
    lengths: np.ndarray | None = None,
    *,
    activation: str,
    q: Rounding = exact,
) -> tuple[np.ndarray, State, RNNTape]:
    """All time steps, with a tape of every state."""
    W_x, _, b_x, _ = params
    f = ACTIVATIONS[activation]
    x = ragged.zero_past(lengths, x)
    a_x = affine(x, W_x, b_x, q)  # (R1), the input's half, for all steps at once
    T, B, H = a_x.shape
    h = np.empty((T + 1, B, H), a_x.dtype)
    (h[0],) = state0
    for t in range(T):
        h[t + 1] = ragged.hold(lengths, t, step(params, f, a_x[t], h[t], q), h[t])
    y = ragged.zero_past(lengths, h[1:]).copy()  # (R3)
    return y, (h[T].copy(),), RNNTape(x, h, lengths)


def states(tape: RNNTape) -> State:
    """Every state at every step."""
    return (ragged.zero_past(tape.lengths, tape.h[1:]).copy(),)  # (R3)


def backward(
    params: Parameters,
    tape: RNNTape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    dstates: tuple[None] | None = None,
    *,
    activation: str,
    q: Rounding = exact,
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
    """Backpropagation through time: the steps in reverse, then one product a weight."""
    W_x, W_h, b_x, b_h = params
    f = ACTIVATIONS[activation]
    x, h, lengths = tape
    dy = None if dy is None else ragged.zero_past(lengths, dy)
    (dh_T,) = dstate_T
    dh = np.zeros_like(h[0]) if dh_T is None else dh_T
    da = np.empty_like(h[1:])
    for t in reversed(range(len(x))):
        if dy is not None:
            dh = dh + dy[t]  # (R3′)
        da_t, dh_prev = step_backward(params, f, h[t + 1], dh, q)
        da[t] = ragged.hold(lengths, t, da_t, 0)
        dh = ragged.hold(lengths, t, dh_prev, dh)

    dx = affine_backward_x(da, W_x, q) if "x" in needs else None  # (R1′)
    dh0 = np.array(dh) if "h0" in needs else None
    gradients = Parameters(
        weight_ih=affine_backward_W(da, x, q) if "weight_ih" in needs else None,  # (R1′)
        weight_hh=affine_backward_W(da, h[:-1], q) if "weight_hh" in needs else None,  # (R1′)
        bias_ih=affine_backward_b(da, q) if b_x is not None and "bias_ih" in needs else None,  # (R1′)
        bias_hh=affine_backward_b(da, q) if b_h is not None and "bias_hh" in needs else None,  # (R1′)
    )
    return dx, (dh0,), gradients
