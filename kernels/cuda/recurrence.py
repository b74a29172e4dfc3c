"""The cells of the contract, on the GPU: around the recurrence single products, within it one of two ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array, Parameters, State

from . import gru, lstm, rnn
from .language.cell import KernelCell
from .planning.plan import Choice, choose
from .running import launch, persistent, stepwise
from .running.launch import namespace
from .running.tensor import tf32_allowed
from .running.unit import Backward, Forward, Lengths

CELLS: dict[str, KernelCell] = {**rnn.CELLS, "lstm": lstm.CELL, "gru": gru.CELL}

DTYPES = ("float32", "float64")


class Tape(NamedTuple):
    """What the backward needs; h, c and kept are those of `unit.Forward`."""

    x: Array  # (T, B, I), zero past the rows' lengths; it may be the caller's
    rows: Lengths
    h: Array
    c: Array
    kept: Array


class Recurrence(NamedTuple):
    """A cell of the contract. It knows its name, and for tests and benchmarks a way that it must take."""

    name: str
    way: str = ""

    def infer(
        self, params: Parameters, x: Array, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[Array, State]:
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = self._run(params, x, state0, lengths, keep=False)
        return y, state_T

    def forward(
        self, params: Parameters, x: Array, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[Array, State, Tape]:
        """All time steps, with a tape of every state and gate."""
        return self._run(params, x, state0, lengths, keep=True)

    def _run(
        self, params: Parameters, x: Array, state0: State, lengths: np.ndarray | None, *, keep: bool
    ) -> tuple[Array, State, Any]:
        cell, xp = CELLS[self.name], namespace()
        W_x, W_h, b_x, b_h = params
        self._check(x, W_x, W_h, *state0)
        (T, B, _), H, G, dtype = x.shape, W_h.shape[1], cell.spec.gate_count, x.dtype
        choice = self.choice("forward", B, H, dtype)
        with _memory(f"cuda.{self.name}", T, B, H):
            rows = _rows(T, B, lengths)
            x = _zero_past(x, rows)
            a_x = _product(x, W_x.T)  # the input's half of a_t, for all steps at once
            if b_x is None or b_h is None:
                b_x = b_h = xp.zeros(G * H, dtype)
            # What no thread writes has to be zero: past a row's end, and past H.
            h = (xp.zeros if rows.ragged or choice.row > H else xp.empty)((T + 1, B, choice.row), dtype)
            h[0, :, :H] = state0[0]
            c = h
            if cell.has_c:
                c = xp.empty((T + 1 if keep else 1, B, H), dtype)
                c[0] = state0[1]
            final = tuple(xp.empty((B, H), dtype) for _ in state0)
            kept = xp.empty((T if keep else 0, B, cell.kept_count, H), dtype)
            biases = xp.ascontiguousarray(b_x), xp.ascontiguousarray(b_h)
            arrays = Forward(a_x, *biases, h, c, final[0], final[-1], kept)
            if choice.tile is not None:
                persistent.run_forward(cell, choice, xp.ascontiguousarray(W_h), arrays, rows, keep=keep)
            else:
                stepwise.run_forward(cell, W_h, arrays, rows, keep=keep)
            y = h[1:, :, :H]
            # The tape keeps h, and the caller may write into y.
            y = y.copy() if keep else xp.ascontiguousarray(y)
        return y, final, Tape(x, rows, h, c, kept) if keep else None

    def backward(
        self,
        params: Parameters,
        tape: Tape,
        dy: Array | None,
        dstate_T: tuple[Array | None, ...],
        needs: frozenset[str],
    ) -> tuple[Array | None, tuple[Array | None, ...], Parameters]:
        """Backpropagation through time: the steps in reverse, then one product a weight."""
        cell = CELLS[self.name]
        W_x, W_h, b_x, _ = params
        x, rows, h, _, _ = tape
        (T, B, _), H = x.shape, W_h.shape[1]
        if b_x is None:
            needs = needs - {"bias_ih", "bias_hh"}
        if not needs:
            return None, (None,) * len(dstate_T), Parameters(None, None, None, None)
        self._check(x, *(d for d in (dy, *dstate_T) if d is not None))
        with _memory(f"cuda.{self.name}", T, B, H):
            da_x, da_h, dstate0 = self._walk_back(cell, W_h, tape, dy, dstate_T, with_dh0="h0" in needs)
            h_prev = h[:T].reshape(T * B, -1)
            db_ih = da_x.sum(axis=0) if "bias_ih" in needs else None
            db_hh = None
            if "bias_hh" in needs:
                db_hh = db_ih.copy() if db_ih is not None and da_h is da_x else da_h.sum(axis=0)
            return (
                _product(da_x, W_x).reshape(x.shape) if "x" in needs else None,
                tuple(d if f"{s}0" in needs else None for s, d in zip(cell.spec.states, dstate0, strict=True)),
                Parameters(
                    weight_ih=_product(da_x.T, x.reshape(T * B, -1)) if "weight_ih" in needs else None,
                    weight_hh=_columns(_product(da_h.T, h_prev), H) if "weight_hh" in needs else None,
                    bias_ih=db_ih,
                    bias_hh=db_hh,
                ),
            )

    def _walk_back(
        self, cell: KernelCell, W_h: Array, tape: Tape, dy: Array | None, dstate_T: tuple[Array | None, ...],
        *, with_dh0: bool,
    ) -> tuple[Array, Array, State]:  # fmt: skip
        """Return da_x and da_h, each (T·B, G·H), and the gradients of the initial states.

        Where the halves of a cell don't differ, they are one array.
        """
        xp = namespace()
        x, rows, h, c, kept = tape
        (T, B), H, G, dtype = x.shape[:2], W_h.shape[1], cell.spec.gate_count, x.dtype
        choice = self.choice("backward", B, H, dtype)
        dstate = [xp.zeros((B, H), dtype) if d is None else xp.ascontiguousarray(d) for d in dstate_T]
        dstate0 = [xp.empty((B, H), dtype) for _ in dstate]
        # What no thread writes has to be zero: past a row's end, and past H.
        da_h = (xp.zeros if rows.ragged or choice.row > H else xp.empty)((T, B, G, choice.row), dtype)
        da_x = (xp.zeros if rows.ragged else xp.empty)((T, B, G, H), dtype) if cell.halves_differ else da_h
        arrays = Backward(
            h, c, kept, h if dy is None else xp.ascontiguousarray(dy), dstate[0], dstate[-1], da_x, da_h,
            dstate0[0], dstate0[-1],
        )  # fmt: skip
        wanted = {"with_dy": dy is not None, "with_dh0": with_dh0}
        if choice.tile is not None:
            persistent.run_backward(cell, choice, xp.ascontiguousarray(W_h), arrays, rows, **wanted)
        else:
            stepwise.run_backward(cell, W_h, arrays, rows, **wanted)
        flat_h = _columns(da_h, H).reshape(T * B, G * H)
        return da_x.reshape(T * B, G * H) if cell.halves_differ else flat_h, flat_h, tuple(dstate0)

    def choice(self, direction: str, B: int, H: int, dtype: Any) -> Choice:
        """Return the way that a call takes, and how its work is cut."""
        return choose(
            direction, CELLS[self.name].spec.gate_count, B, H, dtype.itemsize, launch.current_device(), self.way,
            tf32_allowed(),
        )  # fmt: skip

    def _check(self, *arrays: Array) -> None:
        """Raise where arrays are not of one dtype, of the right kind, and on the current device."""
        xp, where = namespace(), f"cuda.{self.name}"
        for array in arrays:
            if not isinstance(array, xp.ndarray):
                raise TypeError(
                    f"{where}: arrays must be on the GPU, got {type(array).__module__}.{type(array).__name__}; move "
                    "them once with cupy.asarray"
                )
        if len({array.dtype for array in arrays}) > 1 or arrays[0].dtype.name not in DTYPES:
            found = ", ".join(str(array.dtype) for array in arrays)
            raise TypeError(f"{where}: x, weights and states must all be float32 or all float64, got {found}")
        if not launch.SIMULATED:
            current = xp.cuda.runtime.getDevice()
            if elsewhere := {int(array.device.id) for array in arrays} - {current}:
                raise ValueError(
                    f"{where}: arrays must be on device {current}, the current one, got some on "
                    f"{', '.join(map(str, sorted(elsewhere)))}; use `with cupy.cuda.Device(n):` and keep all on one"
                )


def describe(name: str, T: int, B: int, H: int, dtype: Any = "float32") -> str:
    """Say which ways a cell takes on the current device, forwards and backwards."""
    ways = (Recurrence(name).choice(direction, B, H, np.dtype(dtype)) for direction in ("forward", "backward"))
    return "; ".join(map(str, ways))


@contextmanager
def _memory(where: str, T: int, B: int, H: int) -> Iterator[None]:
    """Turn the array library's word on missing memory into one that says what to do; nothing has been returned."""
    try:
        yield
    except MemoryError as error:
        raise MemoryError(
            f"{where}: the device must have room for T = {T} steps of {B} sequences with hidden_size {H}, got none "
            f"left ({error}); take fewer sequences or steps at a time, or free what is not in use with "
            "cupy.get_default_memory_pool().free_all_blocks()"
        ) from error


def _rows(T: int, B: int, lengths: np.ndarray | None) -> Lengths:
    if lengths is None or (lengths == T).all():
        return _full_rows(T, B, launch.current_stream())
    xp = namespace()
    order = np.argsort(-lengths, kind="stable").astype(np.int32)
    return Lengths(xp.asarray(lengths.astype(np.int32)), xp.asarray(order), True)


@lru_cache(maxsize=64)
def _full_rows(T: int, B: int, stream: tuple[int, int]) -> Lengths:
    """Return the rows of a batch that is full; nobody writes into them, so they are made once for a stream."""
    xp = namespace()
    return Lengths(xp.full(B, T, np.int32), xp.arange(B, dtype=np.int32), False)


def _zero_past(x: Array, rows: Lengths) -> Array:
    """Return x with zeros past the rows' lengths: what stands there may be no number."""
    if not rows.ragged:
        return x
    xp = namespace()
    return xp.where((xp.arange(len(x))[:, None] < rows.lengths)[:, :, None], x, x.dtype.type(0))


def _product(a: Array, b: Array) -> Array:
    """Return a·b over all leading axes of a, as one product."""
    return namespace().matmul(a.reshape(-1, a.shape[-1]), b)


def _columns(array: Array, H: int) -> Array:
    """Return the first H of each row, as an array of their own where there are more."""
    return array if array.shape[-1] == H else array[..., :H].copy()
