"""A cell that keeps, on the walk back, what its weights' gradients are made of: norms come of it, and no gradient.

::

    g_x = Σ_t δ_t [x_t; 1]ᵀ,  g_h = Σ_t δ^h_t [h_{t−1}; 1]ᵀ   (J6)    weights with their biases; LSTM, RNN: δ^h = δ
    δ^h_t = (δ_r, δ_z, δ_n ⊙ r_t)                              (J10)   GRU, whose reset gate acts after the product

δ_t = ∂L/∂a_t is no value of a cell's contract. But a cell whose input is its own pre-activation, a_t = I·(W_x x_t), has
it as ∂L/∂x: so any backend's kernels give it, and none has to be changed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import CELLS, Cell, Parameters, State

from ..equations import ragged
from ..equations.activations import sigmoid
from . import norms

KNOWN = ("rnn_tanh", "rnn_relu", "rnn_sigmoid", "lstm", "gru")
"""Cells of which it is known how their weights' gradients come of δ."""


class RecordedTape(NamedTuple):
    """What the walk back needs."""

    own: Parameters  # W_x is the identity
    tape: Any  # the cell's own
    x: np.ndarray  # (T, B, I), zero past a row's length
    a: np.ndarray  # (T, B, G·H), W_x x_t
    h: np.ndarray  # (T, B, H), the state before each step


class Recording:
    """A cell, on the backend of another; `squares` has each example's squared norms, summed over all walks back.

    Parameters
    ----------
    name : str
        One of `KNOWN`.
    cell : Cell
        The same on some backend of the host, in its arrays' own precision.
    backend : str
        That backend's name.
    B : int
        Examples of the batch.
    """

    def __init__(self, name: str, cell: Cell, backend: str, B: int) -> None:
        self.name, self.cell, self.backend, self.squares = name, cell, backend, np.zeros(B)

    def forward(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State, RecordedTape]:
        """See `Cell.forward`."""
        x, W = ragged.zero_past(lengths, x), params.weight_ih
        T, B, I = x.shape
        a = norms.product(x.reshape(-1, I), W.T, self.backend).reshape(T, B, -1)
        own = params._replace(weight_ih=np.eye(len(W), dtype=x.dtype))
        y, state, tape = self.cell.forward(own, a, state0, lengths)
        h = np.concatenate([np.asarray(state0[0])[None], y[:-1]])
        return y, state, RecordedTape(own, tape, x, a, h)

    def backward(
        self,
        params: Parameters,
        tape: RecordedTape,
        dy: np.ndarray | None,
        dstate_T: tuple[np.ndarray | None, ...],
        needs: frozenset[str],
    ) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
        """See `Cell.backward`; the parameters' gradients stay None, and their squares are added to each example's."""
        wanted = (needs - set(Parameters._fields)) | {"x"}
        delta: Any
        delta, dstate0, _ = self.cell.backward(tape.own, tape.tape, dy, dstate_T, wanted)
        self._add(params, tape, delta, needs)
        dx = None
        if "x" in needs:
            rows = delta.reshape(-1, delta.shape[-1])
            dx = norms.product(rows, params.weight_ih, self.backend).reshape(tape.x.shape)
        return dx, dstate0, Parameters(None, None, None, None)

    def _add(self, params: Parameters, tape: RecordedTape, delta: np.ndarray, needs: frozenset[str]) -> None:
        """Add ‖g_b‖², of all that is needed, from δ (T, B, G·H)."""
        one = np.broadcast_to(np.ones(1, delta.dtype), (*delta.shape[:2], 1))
        of_input = [part for name, part in (("weight_ih", tape.x), ("bias_ih", one)) if name in needs]
        of_state = [part for name, part in (("weight_hh", tape.h), ("bias_hh", one)) if name in needs]
        if self.name == "gru":
            if of_input:
                self.squares += norms.of_products(delta, of_input, self.backend)
            if of_state:
                delta = of_the_state(params, delta, tape.a, tape.h, self.backend)
                self.squares += norms.of_products(delta, of_state, self.backend)
        elif of_input or of_state:  # one δ for both: one pair of products
            self.squares += norms.of_products(delta, [*of_input, *of_state], self.backend)


def of_the_state(params: Parameters, delta: np.ndarray, a: np.ndarray, h: np.ndarray, backend: str) -> np.ndarray:
    """Return a GRU's δ^h (T, B, 3·H) from δ, W_x x_t and h_{t−1}."""
    T, B, H = h.shape
    block = CELLS["gru"].blocks(H)
    a_r = a[..., block.r] + norms.product(h.reshape(-1, H), params.weight_hh[block.r].T, backend).reshape(T, B, H)
    for bias in (params.bias_ih, params.bias_hh):
        a_r = a_r if bias is None else a_r + bias[block.r]
    delta = delta.copy()
    delta[..., block.n] *= sigmoid(a_r)  # (J10)
    return delta
