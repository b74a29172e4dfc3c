"""The time loops of a cell that a user has defined: its own two functions, called on arrays, step by step.

::

    a_t      = W_x x_t + b_x in the sums of `from_x`        (DC1)
               + W_h h_{t−1} + b_h in those of `from_h`      (DC2)
    s_t, k_t = step(a_t, s_{t−1}, m_t, p)                    (DC3)
    y_t      = h_t, the first of s_t                         (DC4)

s are the states, k what is kept of a step, m the streams, p the vectors, the constants and the matrices. `step` and
`step_backward` are element by element but for what stands in `across`, (DC5) and (DC6); all other sums over units stand
here. With a projection h has P numbers, and everything else H.

Primes mark the backward of the same equation; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import DefinedParameters, State
from kernels.definition import Definition

from . import ragged
from .across import Read, matrix_gradient
from .affine import affine, affine_backward_b, affine_backward_W, affine_backward_x
from .rounding import Rounding, exact

Arrays = tuple[np.ndarray, ...]


class DefinedTape(NamedTuple):
    """What the backward needs."""

    x: np.ndarray  # (T, B, I)
    states: Arrays  # (T+1, B, H) each, the initial ones at index 0; a projected h is (T+1, B, P)
    kept: Arrays  # (T, B, H) each
    streams: Arrays  # (T, B, H) each
    lengths: np.ndarray | None  # (B,)


class DefinedLoops(NamedTuple):
    """The loops of a definition; in a form that can be pickled and copied."""

    definition: Definition
    q: Rounding

    def step(
        self, params: DefinedParameters, a_x: np.ndarray, states: Sequence[np.ndarray], m: Sequence[np.ndarray]
    ) -> tuple[list[Any], list[Any]]:
        """One time step, from a_x = W_x x_t + b_x and s_{t−1} to s_t and what is kept."""
        its = self.definition
        a = dict(zip(its.from_x, _blocks(a_x, len(its.from_x)), strict=True))  # (DC1)
        if params.weight_hh is not None:
            a_h = affine(states[0], params.weight_hh, params.bias_hh, self.q)
            for name, part in zip(its.from_h, _blocks(a_h, len(its.from_h)), strict=True):
                a[name] = a[name] + part if name in a else part  # (DC2)
        step, _ = its.functions
        results = step([*(a[name] for name in its.sums), *states, *m, *self._p(params)])  # (DC3)
        return results[: len(states)], results[len(states) :]

    def step_backward(
        self,
        params: DefinedParameters,
        kept: Sequence[np.ndarray],
        states: Sequence[np.ndarray],
        after: Sequence[np.ndarray],
        dstates: Sequence[np.ndarray],
        m: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray, list[Any], list[Any]]:
        """The same step backwards: from ds_t to da_x (of the input's sums), da_h (of the state's), ds_{t−1}, dp_t."""
        its, count = self.definition, len(states)
        _, step_backward = its.functions
        results = step_backward([*kept, *states, *after, *dstates, *m, *self._p(params)])  # (DC3′)
        dprev, dp = results[:count], results[count + len(its.sums) :]
        da = dict(zip(its.sums, results[count:], strict=False))
        like = np.empty((len(states[0]), len(params.weight_ih) // len(its.from_x)), states[0].dtype)
        da_x, da_h = (_joined([da[name] for name in names], like) for names in (its.from_x, its.from_h))
        if params.weight_hh is not None:
            dprev[0] = dprev[0] + affine_backward_x(da_h, params.weight_hh, self.q)  # (DC2′)
        return da_x, da_h, dprev, dp

    def _p(self, params: DefinedParameters) -> list[Any]:
        """Vectors, constants and matrices; where products round what they read, these say so."""
        if self.q is exact:
            return list(params.extra)
        numbers = len(params.extra) - len(self.definition.matrices)
        return [*params.extra[:numbers], *(Read(W, self.q) for W in params.extra[numbers:] if W is not None)]

    def infer(
        self,
        params: DefinedParameters,
        x: np.ndarray,
        state0: State,
        lengths: np.ndarray | None = None,
        streams: Arrays = (),
    ) -> tuple[np.ndarray, State]:
        """All time steps; nothing is kept for a backward."""
        a_x = affine(ragged.zero_past(lengths, x), params.weight_ih, params.bias_ih, self.q)  # (DC1), all steps at once
        streams = tuple(ragged.zero_past(lengths, m) for m in streams)
        y = np.empty((len(x), *state0[0].shape), a_x.dtype)
        states = list(state0)
        for t in range(len(x)):
            after, _ = self.step(params, a_x[t], states, [m[t] for m in streams])
            states = [
                ragged.hold(lengths, t, _full(new, old), old) for new, old in zip(after, states, strict=True)
            ]
            y[t] = states[0]  # (DC4)
        return ragged.zero_past(lengths, y), tuple(state.copy() for state in states)

    def forward(
        self,
        params: DefinedParameters,
        x: np.ndarray,
        state0: State,
        lengths: np.ndarray | None = None,
        streams: Arrays = (),
    ) -> tuple[np.ndarray, State, DefinedTape]:
        """All time steps, with a tape of every state and all that is kept."""
        x = ragged.zero_past(lengths, x)
        streams = tuple(ragged.zero_past(lengths, m) for m in streams)
        a_x = affine(x, params.weight_ih, params.bias_ih, self.q)  # (DC1), for all steps at once
        T, shape = len(x), (*a_x.shape[:2], a_x.shape[2] // len(self.definition.from_x))
        states = tuple(np.empty((T + 1, *s0.shape), a_x.dtype) for s0 in state0)
        kept = tuple(np.empty(shape, a_x.dtype) for _ in self.definition.kept)
        for s, s0 in zip(states, state0, strict=True):
            s[0] = s0
        for t in range(T):
            after, keep = self.step(params, a_x[t], [s[t] for s in states], [m[t] for m in streams])
            for s, new in zip(states, after, strict=True):
                s[t + 1] = ragged.hold(lengths, t, new, s[t])
            for k, new in zip(kept, keep, strict=True):
                k[t] = new
        y = ragged.zero_past(lengths, states[0][1:]).copy()  # (DC4)
        return y, tuple(s[T].copy() for s in states), DefinedTape(x, states, kept, streams, lengths)

    def states(self, tape: DefinedTape) -> State:
        """Every state at every step, (T, B, H) each."""
        return tuple(ragged.zero_past(tape.lengths, s[1:]).copy() for s in tape.states)

    def backward(
        self,
        params: DefinedParameters,
        tape: DefinedTape,
        dy: np.ndarray | None,
        dstate_T: tuple[np.ndarray | None, ...],
        needs: frozenset[str],
        dstates: tuple[np.ndarray | None, ...] | None = None,
    ) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], DefinedParameters]:
        """Backpropagation through time: the steps in reverse, then one product a weight."""
        its, (x, states, kept, streams, lengths) = self.definition, tape
        T, B, H = *x.shape[:2], len(params.weight_ih) // len(its.from_x)
        upstream = [None if d is None else ragged.zero_past(lengths, d) for d in (dy, *(dstates or ())[1:])]
        upstream += [None] * (len(states) - len(upstream))
        ds = [np.zeros_like(s[0]) if d is None else d for s, d in zip(states, dstate_T, strict=True)]
        da_x, da_h = (np.empty((T, B, len(names) * H), states[0].dtype) for names in (its.from_x, its.from_h))
        dp = [np.empty((T, B, size), states[0].dtype) for size in self._widths(states[0].shape[-1], H)]
        for t in reversed(range(T)):
            ds = [d if u is None else d + u[t] for d, u in zip(ds, upstream, strict=True)]  # (DC4′)
            before, after, m = [s[t] for s in states], [s[t + 1] for s in states], [m[t] for m in streams]
            da_x_t, da_h_t, dprev, dp_t = self.step_backward(params, [k[t] for k in kept], before, after, ds, m)
            da_x[t] = ragged.hold(lengths, t, da_x_t, 0)
            da_h[t] = ragged.hold(lengths, t, da_h_t, 0)
            for d, new in zip(dp, dp_t, strict=True):
                d[t] = ragged.hold(lengths, t, new, 0)
            ds = [ragged.hold(lengths, t, _full(new, old), old) for new, old in zip(dprev, ds, strict=True)]

        dx = affine_backward_x(da_x, params.weight_ih, self.q) if "x" in needs else None  # (DC1′)
        dstate0 = tuple(np.array(d) if f"{name}0" in needs else None for name, d in zip(its.states, ds, strict=True))
        return dx, dstate0, self._gradients(params, tape, needs, da_x, da_h, dp)

    def _widths(self, P: int, H: int) -> list[int]:
        """How many numbers of a row each of dp has: a vector's, and of a matrix both factors."""
        pairs = [(P if name == self.definition.projection else H, H) for name in self.definition.matrices]
        return [H for _ in self.definition.vectors] + [size for pair in pairs for size in pair]

    def _gradients(
        self,
        params: DefinedParameters,
        tape: DefinedTape,
        needs: frozenset[str],
        da_x: np.ndarray,
        da_h: np.ndarray,
        dp: list[np.ndarray],
    ) -> DefinedParameters:
        """The parameters' gradients: sums over time and batch."""
        h, q, its, from_h = tape.states[0], self.q, self.definition, params.weight_hh is not None
        b_x, b_h = (b is not None for b in (params.bias_ih, params.bias_hh))
        vectors = [
            d.sum(axis=(0, 1)) if name in needs else None  # (DC3′)
            for name, d in zip(its.vectors, dp, strict=False)
        ]
        pairs = iter(dp[len(vectors) :])
        matrices = [
            matrix_gradient(d, v, q) if name in needs else None  # (DC6′)
            for name, d, v in zip(its.matrices, pairs, pairs, strict=True)
        ]
        return DefinedParameters(
            weight_ih=affine_backward_W(da_x, tape.x, q) if "weight_ih" in needs else None,  # (DC1′)
            weight_hh=affine_backward_W(da_h, h[:-1], q) if from_h and "weight_hh" in needs else None,  # (DC2′)
            bias_ih=affine_backward_b(da_x, q) if b_x and "bias_ih" in needs else None,  # (DC1′)
            bias_hh=affine_backward_b(da_h, q) if b_h and from_h and "bias_hh" in needs else None,  # (DC2′)
            extra=(*vectors, *matrices),
        )


def _blocks(a: np.ndarray, count: int) -> list[np.ndarray]:
    """Return the sums of each gate, (B, H), side by side in a."""
    H = a.shape[-1] // count
    return [a[:, k * H : (k + 1) * H] for k in range(count)]


def _joined(parts: Sequence[Any], like: np.ndarray) -> np.ndarray:
    """Return the gates' gradients side by side; of no gates there is nothing."""
    return np.concatenate([_full(part, like) for part in parts], axis=-1) if parts else like[:, :0]


def _full(value: Any, like: np.ndarray) -> np.ndarray:
    """Return an array, made of a plain number if need be: a function may return 0, or a vector as it is."""
    if isinstance(value, np.ndarray) and value.shape == like.shape and value.dtype == like.dtype:
        return value
    return np.array(np.broadcast_to(value, like.shape), like.dtype)
