"""What a state has left of an earlier one: the Jacobian ∂s_T/∂s_t of a sequence, and its singular values.

::

    ∂s_T/∂s_{t−1} = ∂s_T/∂s_t · ∂s_t/∂s_{t−1}        (J12)   the hand-written backward, a row for each unit of s_T
    ∂s_T/∂s_t = U diag(σ_1, …, σ_S) Vᵀ               (J13)   σ_1 ≥ … ≥ σ_S ≥ 0

s is the whole state, h of every layer and, of an LSTM, c. A row of the Jacobian is what the backward makes of a unit
vector; so S copies of the sequence, each with another unit vector, give all of it at once. A direction v_k of s_t is
σ_k times as long in s_T: gradients explode where σ_1 grows with T − t, and vanish where it shrinks.

References
----------
.. [1] Y. Bengio, P. Simard, P. Frasconi, "Learning long-term dependencies with gradient descent is difficult", IEEE
   Transactions on Neural Networks 5 (1994) 157-166.
.. [2] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013:
   section 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..foreign import shown
from ..layers.checks import as_array
from ..layers.home import move, to_host
from ..layers.layout import describe
from ..layers.stack import Recurrent

ROWS = 256
"""Rows of a Jacobian that are walked back with at a time: what a tape of so many copies takes is bounded."""


class SingularValues(NamedTuple):
    """Singular values along a sequence.

    Attributes
    ----------
    lags : ndarray of int, shape (T,)
        T − t, from 1 to T.
    values : ndarray, shape (T, S)
        Of each ∂s_T/∂s_t, the largest first.
    """

    lags: np.ndarray
    values: np.ndarray


def state_jacobian(
    layer: Recurrent, x: Any, t: int = 0, T: int | None = None, *, state0: Any = None, of: str | None = None
) -> np.ndarray:
    """Return ∂s_T/∂s_t, the derivatives of the state after T steps of a sequence by that after t: (J12).

    Parameters
    ----------
    layer : Recurrent
        RNN, LSTM, GRU or another that reads in one direction; of a model it is ``model.rnn``. Dropout is off.
    x : ndarray, shape (T, I)
        One sequence.
    t, T : int
        0 ≤ t < T ≤ the steps of x; s_0 is the initial state. All steps by default.
    state0 : ndarray or pair of ndarray, optional
        Initial state, (layers, H) each; zeros without it.
    of : str, optional
        Name of one state, "h" or "c": the block of it alone, others held as they are at step t. All by default.

    Returns
    -------
    jacobian : ndarray of float64, shape (S, S)
        Row i has the derivatives of unit i. Units are in the order of states, then layers, then their own: of an LSTM
        all of h, then all of c, S = 2·layers·H.

    Raises
    ------
    ValueError
        The layer reads in both directions, a step is out of range, there is no such state, or x or the state has
        another shape or is not finite.
    TypeError
        The layer is no recurrent one, or a step no int.

    Notes
    -----
    It is computed in float64, also of a float32 layer, on the layer's own backend.
    """
    where = "state_jacobian"
    line = _Line(where, layer, x, state0, of)
    T = _step(where, "T", len(line.x) if T is None else T, 1, len(line.x))
    t = _step(where, "t", t, 0, T - 1)
    if t > 0:
        line.start = line.after(line.x[:t], line.given(line.start))
    return line.back_to(line.units(), line.start, line.x[t:T])


def state_jacobian_singular_values(
    layer: Recurrent, x: Any, *, state0: Any = None, of: str | None = None
) -> SingularValues:
    """Return the singular values of ∂s_T/∂s_t for every step t of a sequence: (J13).

    Parameters
    ----------
    layer, x, state0, of
        As `state_jacobian`; T is the last step.

    Returns
    -------
    SingularValues
        ``values[k - 1]`` are those over a lag of k steps. `rnn_core.showing.jacobians` draws them.

    Raises
    ------
    ValueError, TypeError
        As `state_jacobian`.

    Notes
    -----
    One walk back serves all lags: T steps of S rows each, and a decomposition a lag. The smaller of a lag's values are
    exact to about 1e-16 of its largest, not of themselves.
    """
    line = _Line("state_jacobian_singular_values", layer, x, state0, of)
    before = [line.start]
    for x_t in line.x[:-1]:
        before.append(line.after(x_t[None], line.given(before[-1])))
    jacobian, found = line.units(), []
    for x_t, state in zip(line.x[::-1], before[::-1], strict=True):
        jacobian = line.back_to(jacobian, state, x_t[None], whole=True)  # (J12)
        found.append(np.linalg.svd(line.block(jacobian), compute_uv=False))  # (J13)
    return SingularValues(np.arange(1, len(found) + 1), np.array(found))


class _Line:
    """A sequence, and a layer in float64 that reads it, one step or some."""

    def __init__(self, where: str, layer: Any, x: Any, state0: Any, of: str | None) -> None:
        if not isinstance(layer, Recurrent):
            way_out = "; of a model take model.rnn" if hasattr(layer, "rnn") else ""
            raise TypeError(f"{where}: layer must be a recurrent layer, such as LSTM, got {describe(layer)}{way_out}")
        if layer.directions == 2:
            raise ValueError(
                f"{where}: layer must read in one direction, got a bidirectional {type(layer).__name__}, whose state "
                "at a step depends on later steps, too"
            )
        self.names = layer.spec.states
        if of is not None and of not in self.names:
            raise ValueError(f"{where}: of must be one of {', '.join(map(repr, self.names))}, or None, got {shown(of)}")
        self.where, self.of = where, of
        self.layer = layer.astype(np.float64).undropped()
        self.layer.batch_first, self.layer._small = False, None
        x = as_array(where, "x", to_host(x))
        if x.ndim != 2 or x.shape[1] != layer.input_size or not len(x):
            raise ValueError(
                f"{where}: x must have shape (T, {layer.input_size}), one sequence of T ≥ 1 steps, got {x.shape}"
            )
        self.x = x.astype(np.float64)
        if state0 is not None:
            parts = state0 if isinstance(state0, tuple | list) else (state0,)
            parts = tuple(move(np.asarray(to_host(part), np.float64), layer.namespace) for part in parts)
            state0 = parts if isinstance(state0, tuple | list) else parts[0]
        final = self.after(self.x[:1], state0)  # also checks the state's shape
        self.start = [np.zeros_like(part) for part in final] if state0 is None else self.states_of(state0)
        self.sizes = [part.size for part in final]

    def after(self, x: np.ndarray, state: Any) -> list[np.ndarray]:
        """Return each state behind some steps, (layers, H), on the host."""
        return self.states_of(self.layer(move(x, self.layer.namespace), state)[1])

    def states_of(self, state: Any) -> list[np.ndarray]:
        """Return each state, (layers, H), on the host."""
        return [np.asarray(to_host(part)) for part in (state if isinstance(state, tuple | list) else (state,))]

    def given(self, states: list[np.ndarray]) -> Any:
        """Return states as a layer takes them."""
        parts = tuple(move(part, self.layer.namespace) for part in states)
        return parts[0] if len(parts) == 1 else parts

    def units(self) -> np.ndarray:
        """Return ∂s_T/∂s_T, of which only the rows are kept that are asked for."""
        return self.block(np.eye(sum(self.sizes)), columns=False)

    def block(self, jacobian: np.ndarray, columns: bool = True) -> np.ndarray:
        """Return the part of a Jacobian that belongs to the one state that is asked for."""
        if self.of is None:
            return jacobian
        k, ends = self.names.index(self.of), np.cumsum([0, *self.sizes])
        own = slice(ends[k], ends[k + 1])
        return jacobian[:, own] if columns else jacobian[own]

    def back_to(self, jacobian: np.ndarray, states: list[np.ndarray], x: Any, *, whole: bool = False) -> np.ndarray:
        """Return ∂s_T/∂s_t from ∂s_T/∂s behind the steps x, which begin at the states of step t.

        Of one state its block alone, unless the `whole` is wanted, to go on from.
        """
        needs = {f"{name}0" for name in self.names}
        found = []
        for first in range(0, len(jacobian), ROWS):
            rows = jacobian[first : first + ROWS]
            R, parts, end = len(rows), [], 0
            copies = [np.repeat(part[:, None], R, axis=1) for part in states]
            for part in states:
                upstream = rows[:, end : end + part.size].reshape(R, *part.shape)
                parts.append(np.ascontiguousarray(upstream.swapaxes(0, 1)))
                end += part.size
            read = move(np.repeat(x[:, None], R, axis=1), self.layer.namespace)
            _, _, tape = self.layer.forward(read, self.given(copies))
            with np.errstate(over="ignore", invalid="ignore"):  # which is seen to below
                _, dstate0, _ = self.layer.backward(tape, None, self.given(parts), needs)  # (J12)
            back = [part.swapaxes(0, 1).reshape(R, -1) for part in self.states_of(dstate0)]
            found.append(np.concatenate(back, axis=1))
        new = np.concatenate(found)
        if not np.isfinite(new).all():
            raise ValueError(
                f"{self.where}: ∂s_T/∂s_t must fit into float64, got an infinity: it explodes; take fewer steps of x"
            )
        return new if whole else self.block(new)


def _step(where: str, name: str, value: Any, low: int, high: int) -> int:
    """Return a step's number, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: {name} must be an int, got {shown(value)}")
    if not low <= value <= high:
        raise ValueError(f"{where}: {name} must be from {low} to {high}, got {value}")
    return int(value)
