"""A user's cell whose units look at one another within a step, on the GPU: the contract around running/staged.py."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array, DefinedParameters, Parameters, State
from kernels.definition import Definition
from kernels.given import Outline, Sizes, check_backward, check_forward

from .around import by_step, check_arrays, full, memory, product, rows_of, zero_past
from .defined import staged_cell
from .language.cell import StagedCell
from .language.unrolled import count
from .planning.plan import Choice, choose_staged
from .recurrence import Tape, Upstream
from .running import phases, staged
from .running.launch import namespace
from .running.unit import Backward, Forward, Given, Wanted


class StagedRecurrence(NamedTuple):
    """A `DefinedCell` with operations across the units of a row, or with a projection."""

    name: str
    definition: Definition
    way: str = ""  # "staged" is the only one that there is

    def infer(
        self, params: DefinedParameters, x: Array, state0: State, lengths: np.ndarray | None = None,
        streams: tuple[Array, ...] = (),
    ) -> tuple[Array, State]:  # fmt: skip
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = self._run(params, x, state0, lengths, streams, keep=False)
        return y, state_T

    def forward(
        self, params: DefinedParameters, x: Array, state0: State, lengths: np.ndarray | None = None,
        streams: tuple[Array, ...] = (),
    ) -> tuple[Array, State, Tape]:  # fmt: skip
        """All time steps, with a tape of every state and all that is kept."""
        return self._run(params, x, state0, lengths, streams, keep=True)

    def _run(
        self, params: DefinedParameters, x: Array, state0: State, lengths: np.ndarray | None,
        streams: tuple[Array, ...], *, keep: bool,
    ) -> tuple[Array, State, Any]:  # fmt: skip
        W_x, W_h, b_x, b_h, extra = params
        check_arrays(self._where, x, W_x, W_h, b_x, b_h, *state0, *extra, *streams)
        cell, xp, dtype = self._cell, namespace(), x.dtype
        (T, B, I), H, C = x.shape, len(W_x) // count(cell.from_x), cell.others
        check_forward(self._outline, Sizes(T, B, B, I, H, dtype), params, state0, streams)
        self.choice("forward", B, H, dtype)  # it refuses a way that there isn't
        P = state0[0].shape[-1]
        with memory(self._where, T, B, H):
            rows = rows_of(T, B, lengths)
            x = zero_past(x, rows)
            a_x = product(x, W_x.T)  # the input's half of a_t, for all steps at once
            h = (xp.zeros if rows.ragged else xp.empty)((T + 1, B, P), dtype)  # nothing is written past a row's end
            h[0] = state0[0]
            c = xp.empty((T + 1 if keep else 2, C, B, H), dtype) if C else h
            for k in range(C):
                c[0, k] = state0[k + 1]
            h_T = xp.empty((B, P), dtype)
            c_T = xp.empty((C, B, H), dtype) if C else h_T
            kept = xp.empty((T if keep else 0, B, count(cell.kept), H), dtype)
            b_x, b_h = (
                full(b, (count(kind) * H,), dtype) for b, kind in ((b_x, cell.from_x), (b_h, cell.from_h))
            )
            given = Given(by_step(streams, h), self._parameters(extra, h))
            arrays = Forward(a_x, b_x, b_h, h, c, h_T, c_T, kept)
            staged.run_forward(cell, W_h, self._matrices(extra), arrays, given, rows, keep=keep)
            if self.definition.projection:
                h[1:] = zero_past(h[1:], rows)
                h_T[...] = h[rows.lengths, xp.arange(B)]
            y = h[1:].copy() if keep else h[1:]  # the tape keeps h, and the caller may write into y
        return y, (h_T, *c_T) if C else (h_T,), Tape(x, rows, h, c, kept, given.streams) if keep else None

    def states(self, tape: Tape) -> State:
        """Return every state at every step, (T, B, P) or (T, B, H), zero past a row's length."""
        others = (zero_past(tape.c[1:, k], tape.rows).copy() for k in range(self._cell.others))
        return tape.h[1:].copy(), *others

    def backward(
        self, params: DefinedParameters, tape: Tape, dy: Array | None, dstate_T: Upstream, needs: frozenset[str],
        dstates: Upstream | None = None,
    ) -> tuple[Array | None, Upstream, DefinedParameters]:  # fmt: skip
        """Backpropagation through time: the steps in reverse, then one product a weight."""
        cell, xp, d = self._cell, namespace(), self.definition
        (T, B, I), H, dtype = tape.x.shape, tape.kept.shape[-1], tape.x.dtype
        needs = needs - {name for name, p in zip(Parameters._fields, params, strict=False) if p is None}
        if not needs:
            return None, (None,) * len(d.states), _gradients((None,) * 4, (None,) * len(d.vectors + d.matrices))
        dstates = tuple(dstates or (None,) * len(d.states))
        check_arrays(self._where, tape.x, dy, *dstate_T, *dstates[1:])
        check_backward(self._outline, Sizes(T, B, B, I, H, dtype), params, dy, dstate_T, dstates)
        with memory(self._where, T, B, H):
            arrays = self._arrays_back(tape, dy, dstate_T)
            vectors = not needs.isdisjoint(d.vectors)
            sums = xp.zeros((len(d.vectors), B, H), dtype) if vectors else tape.h
            every = any(one is not None for one in dstates[1:])
            upstream = [full(one, (T, B, H), dtype) for one in dstates[1:]] if every else ()
            dmatrices = staged.run_backward(
                cell, params.weight_hh, self._matrices(params.extra), arrays,
                Given(tape.streams, self._parameters(params.extra, tape.h)), Wanted(sums, by_step(upstream, tape.h)),
                tape.rows, needs, with_dy=dy is not None, with_dh0="h0" in needs, vectors=vectors, every=every,
            )  # fmt: skip
            da_x, da_h = (da.reshape(T * B, da.shape[2] * H) for da in (arrays.da_x, arrays.da_h))
            dstate0 = (arrays.dh0, *arrays.dc0) if cell.others else (arrays.dh0,)
            dvectors = (sums[k].sum(axis=0) if name in needs else None for k, name in enumerate(d.vectors))
            return (
                product(da_x, params.weight_ih).reshape(tape.x.shape) if "x" in needs else None,
                tuple(one if f"{name}0" in needs else None for name, one in zip(d.states, dstate0, strict=True)),
                _gradients(
                    (
                        product(da_x.T, tape.x.reshape(T * B, -1)) if "weight_ih" in needs else None,
                        product(da_h.T, tape.h[:T].reshape(T * B, -1)) if "weight_hh" in needs else None,
                        da_x.sum(axis=0) if "bias_ih" in needs else None,
                        da_h.sum(axis=0) if "bias_hh" in needs else None,
                    ),
                    (*dvectors, *dmatrices),
                ),
            )

    def _arrays_back(self, tape: Tape, dy: Array | None, dstate_T: Upstream) -> Backward:
        """Return the arrays of a backward: da zero where no thread writes it, past a row's end."""
        cell, xp, x = self._cell, namespace(), tape.x
        (T, B), (P, H), dtype = x.shape[:2], (tape.h.shape[-1], tape.kept.shape[-1]), x.dtype
        begin = xp.zeros if tape.rows.ragged else xp.empty
        dh, dh0 = full(dstate_T[0], (B, P), dtype), xp.empty((B, P), dtype)
        dc, dc0 = dh, dh0
        if cell.others:
            dc = xp.stack([full(d, (B, H), dtype) for d in dstate_T[1:]])
            dc0 = xp.empty(dc.shape, dtype)
        da_h = begin((T, B, count(cell.from_h), H), dtype)
        da_x = begin((T, B, count(cell.from_x), H), dtype) if cell.halves_differ else da_h
        dy = tape.h if dy is None else xp.ascontiguousarray(dy)
        return Backward(tape.h, tape.c, tape.kept, dy, dh, dc, da_x, da_h, dh0, dc0)

    @property
    def _cell(self) -> StagedCell:
        return staged_cell(self.definition)

    @property
    def _where(self) -> str:
        return f"cuda.{self.name}"

    @property
    def _outline(self) -> Outline:
        d = self.definition
        extra = d.vectors + d.constants + d.matrices
        return Outline(
            self._where, len(d.from_x), len(d.from_h), d.states, d.streams, extra, d.matrices, d.projection
        )

    def _parameters(self, extra: tuple[Array | None, ...], none: Array) -> Array:
        """Return vectors and constants as one array; `none` for none."""
        vectors = extra[: self._cell.parameters]
        return namespace().stack(vectors) if vectors else none

    def _matrices(self, extra: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
        return extra[self._cell.parameters :]

    def choice(self, direction: str, B: int, H: int, dtype: Any) -> Choice:
        """Return the way that a call takes, with all that its tape keeps and all that a backward may be asked for."""
        cell, products = self._cell, bool(self.definition.from_h)
        if direction == "forward":
            stages = phases.stages_forward(cell, keep=True)
        else:
            stages = phases.stages_backward(cell, vectors=True, matrices=True)
        projected = direction == "backward" and bool(self.definition.projection)
        return choose_staged(H, stages.launches + projected, stages.products + products, self.way)


def _gradients(weights: Upstream, extra: Upstream) -> DefinedParameters:
    dW_x, dW_h, db_x, db_h = weights
    return DefinedParameters(dW_x, dW_h, db_x, db_h, extra)
