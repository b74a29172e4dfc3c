"""The cells of the contract, on the GPU: around the recurrence single products, within it one of three ways."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array, DefinedParameters, Parameters, State
from kernels.definition import Definition
from kernels.given import Outline, Sizes, check_backward, check_forward

from . import gru, lstm, rnn
from .around import by_step, check_arrays, columns, full, memory, product, rows_of, zero_past
from .defined import kernel_cell
from .language.cell import KernelCell
from .language.unrolled import count
from .planning.plan import Choice, choose
from .running import elementwise, launch, persistent, stepwise
from .running.launch import namespace
from .running.tensor import tf32_allowed
from .running.unit import Backward, Forward, Given, Lengths, Wanted

CELLS: dict[str, KernelCell] = {**rnn.CELLS, "lstm": lstm.CELL, "gru": gru.CELL}

Upstream = tuple[Array | None, ...]


class Tape(NamedTuple):
    """What the backward needs; h, c and kept are those of `unit.Forward`."""

    x: Array  # (T, B, I), zero past the rows' lengths; it may be the caller's
    rows: Lengths
    h: Array
    c: Array
    kept: Array
    streams: Array  # as in `unit.Given`; they may be the caller's


class Recurrence(NamedTuple):
    """A cell of the contract, or one that a user has defined; for tests and benchmarks with a way that it must take."""

    name: str
    way: str = ""
    definition: Definition | None = None

    def infer(
        self, params: Any, x: Array, state0: State, lengths: np.ndarray | None = None, streams: tuple[Array, ...] = ()
    ) -> tuple[Array, State]:
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = self._run(params, x, state0, lengths, streams, keep=False)
        return y, state_T

    def forward(
        self, params: Any, x: Array, state0: State, lengths: np.ndarray | None = None, streams: tuple[Array, ...] = ()
    ) -> tuple[Array, State, Tape]:
        """All time steps, with a tape of every state and gate."""
        return self._run(params, x, state0, lengths, streams, keep=True)

    def _run(
        self, params: Any, x: Array, state0: State, lengths: np.ndarray | None, streams: tuple[Array, ...], *,
        keep: bool,
    ) -> tuple[Array, State, Any]:  # fmt: skip
        W_x, W_h, b_x, b_h = params[:4]
        extra = params[4] if self.definition else ()
        check_arrays(f"cuda.{self.name}", x, W_x, W_h, b_x, b_h, *state0, *extra, *streams)
        cell, xp = self._cell(x.dtype), namespace()
        (T, B, I), H, C, dtype = x.shape, len(W_x) // count(cell.from_x), len(state0) - 1, x.dtype
        check_forward(self._outline(cell), Sizes(T, B, B, I, H, dtype), params, state0, streams)
        choice = self.choice("forward", B, H, dtype)
        with memory(f"cuda.{self.name}", T, B, H):
            rows = rows_of(T, B, lengths)
            x = zero_past(x, rows)
            a_x = product(x, W_x.T)  # the input's half of a_t, for all steps at once
            # What no thread writes has to be zero: past a row's end, and past H.
            h = (xp.zeros if rows.ragged or choice.row > H else xp.empty)((T + 1, B, choice.row), dtype)
            h[0, :, :H] = state0[0]
            c = xp.empty((T + 1 if keep else 1, C, B, H), dtype) if C else h
            for k in range(C):
                c[0, k] = state0[k + 1]
            h_T = xp.empty((B, H), dtype)
            c_T = xp.empty((C, B, H), dtype) if C else h_T
            kept = xp.empty((T if keep else 0, B, count(cell.kept), H), dtype)
            b_x, b_h = (
                full(b, (count(kind) * H,), dtype) for b, kind in ((b_x, cell.from_x), (b_h, cell.from_h))
            )
            arrays = Forward(a_x, b_x, b_h, h, c, h_T, c_T, kept)
            given = Given(by_step(streams, h), xp.stack(extra) if extra else h)
            if not choice.product:
                elementwise.run_forward(cell, arrays, given, rows, keep=keep)
            elif choice.tile is None:
                stepwise.run_forward(cell, W_h, arrays, given, rows, keep=keep)
            else:
                persistent.run_forward(cell, choice, xp.ascontiguousarray(W_h), arrays, given, rows, keep=keep)
            y = h[1:, :, :H]  # (R3), (L8), (G6)
            # The tape keeps h, and the caller may write into y.
            y = y.copy() if keep else xp.ascontiguousarray(y)
        return y, (h_T, *c_T) if C else (h_T,), Tape(x, rows, h, c, kept, given.streams) if keep else None

    def states(self, tape: Tape) -> State:
        """Return every state at every step, (T, B, H) each, zero past a row's length."""
        H, C = tape.kept.shape[-1], len(self._cell(tape.x.dtype).spec.states) - 1
        others = (zero_past(tape.c[1:, k], tape.rows).copy() for k in range(C))  # (L9)
        return tape.h[1:, :, :H].copy(), *others

    def backward(
        self, params: Any, tape: Tape, dy: Array | None, dstate_T: Upstream, needs: frozenset[str],
        dstates: Upstream | None = None,
    ) -> tuple[Array | None, Upstream, Any]:  # fmt: skip
        """Backpropagation through time: the steps in reverse, then one product a weight.

        `dstates` are upstream gradients of every state at every step, (T, B, H) each; that of h is dy.
        """
        cell = self._cell(tape.x.dtype)
        states, vectors = cell.spec.states, cell.spec.vectors
        W_x, W_h = params[:2]
        (T, B, I), H = tape.x.shape, tape.kept.shape[-1]
        needs = needs - {name for name, p in zip(Parameters._fields, params, strict=False) if p is None}
        if not needs:
            return None, (None,) * len(states), self._gradients((None,) * 4, (None,) * len(vectors))
        dstates = tuple(dstates or (None,) * len(states))
        check_arrays(f"cuda.{self.name}", tape.x, dy, *dstate_T, *dstates[1:])
        sizes = Sizes(T, B, B, I, H, tape.x.dtype)
        check_backward(self._outline(cell), sizes, params, dy, dstate_T, dstates)
        with memory(f"cuda.{self.name}", T, B, H):
            da_x, da_h, dstate0, dvectors = self._walk_back(cell, params, tape, dy, dstate_T, dstates[1:], needs)
            # (R1′), (L1′); of a GRU (G1′), (G2′) and, from x, (G4′), from h, (G3′)
            h_prev = tape.h[:T].reshape(T * B, -1)
            db_ih = da_x.sum(axis=0) if "bias_ih" in needs else None
            db_hh = None
            if "bias_hh" in needs:
                db_hh = db_ih.copy() if db_ih is not None and da_h is da_x else da_h.sum(axis=0)
            dW_x = product(da_x.T, tape.x.reshape(T * B, -1)) if "weight_ih" in needs else None
            dW_h = columns(product(da_h.T, h_prev), H) if "weight_hh" in needs else None
            return (
                product(da_x, W_x).reshape(tape.x.shape) if "x" in needs else None,
                tuple(d if f"{s}0" in needs else None for s, d in zip(states, dstate0, strict=True)),
                self._gradients(
                    (dW_x, dW_h, db_ih, db_hh),
                    tuple(dvectors[k].sum(axis=0) if v in needs else None for k, v in enumerate(vectors)),
                ),
            )

    def _walk_back(
        self, cell: KernelCell, params: Any, tape: Tape, dy: Array | None, dstate_T: Upstream, dstates: Upstream,
        needs: frozenset[str],
    ) -> tuple[Array, Array, State, Array]:  # fmt: skip
        """Return da_x and da_h, each (T·B, G·H), the gradients of the initial states, and those of vectors, (V, B, H).

        Where the halves of a cell don't differ, they are one array.
        """
        xp, W_h = namespace(), params[1]
        x, rows, h, c, kept, streams = tape
        (T, B), H, C, dtype = x.shape[:2], kept.shape[-1], len(dstate_T) - 1, x.dtype
        X, G, V = count(cell.from_x), count(cell.from_h), cell.vectors
        choice = self.choice("backward", B, H, dtype)
        dh, dh0 = full(dstate_T[0], (B, H), dtype), xp.empty((B, H), dtype)
        dc, dc0 = dh, dh0
        if C:
            dc, dc0 = xp.stack([full(d, (B, H), dtype) for d in dstate_T[1:]]), xp.empty((C, B, H), dtype)
        # What no thread writes has to be zero: past a row's end, and past H.
        da_h = (xp.zeros if rows.ragged or choice.row > H else xp.empty)((T, B, G, choice.row), dtype)
        da_x = (xp.zeros if rows.ragged else xp.empty)((T, B, X, H), dtype) if cell.halves_differ else da_h
        arrays = Backward(h, c, kept, h if dy is None else xp.ascontiguousarray(dy), dh, dc, da_x, da_h, dh0, dc0)
        extra = params[4] if self.definition else ()
        given = Given(streams, xp.stack(extra) if extra else h)
        every, vectors = any(d is not None for d in dstates), not needs.isdisjoint(cell.spec.vectors)
        sums = xp.zeros((V, B, H), dtype) if vectors else h
        wanted = Wanted(sums, by_step([full(d, (T, B, H), dtype) for d in dstates] if every else (), h))
        options = {"with_dy": dy is not None, "vectors": vectors, "every": every}
        if not choice.product:
            elementwise.run_backward(cell, arrays, given, wanted, rows, **options)
        elif choice.tile is None:
            stepwise.run_backward(cell, W_h, arrays, given, wanted, rows, **options, with_dh0="h0" in needs)
        else:
            W_h = xp.ascontiguousarray(W_h)
            persistent.run_backward(cell, choice, W_h, arrays, given, wanted, rows, **options, with_dh0="h0" in needs)
        flat_h = columns(da_h, H).reshape(T * B, G * H)
        flat_x = da_x.reshape(T * B, X * H) if cell.halves_differ else flat_h
        return flat_x, flat_h, (dh0, *dc0) if C else (dh0,), sums

    def _gradients(self, gradients: Upstream, vectors: Upstream) -> Parameters | DefinedParameters:
        dW_x, dW_h, db_x, db_h = gradients
        if self.definition:
            return DefinedParameters(dW_x, dW_h, db_x, db_h, vectors)
        return Parameters(dW_x, dW_h, db_x, db_h)

    def _cell(self, dtype: Any) -> KernelCell:
        return kernel_cell(self.definition, dtype.name) if self.definition else CELLS[self.name]

    def _outline(self, cell: KernelCell) -> Outline:
        d = self.definition
        given = (d.streams, d.vectors + d.constants) if d else ((), ())
        return Outline(f"cuda.{self.name}", count(cell.from_x), count(cell.from_h), cell.spec.states, *given)

    def choice(self, direction: str, B: int, H: int, dtype: Any) -> Choice:
        """Return the way that a call takes, and how its work is cut."""
        cell = self._cell(dtype)
        return choose(
            direction, count(cell.from_h), B, H, dtype.itemsize, launch.current_device(), self.way, tf32_allowed(),
            count(cell.from_x), cell.numbers(direction),
        )  # fmt: skip
