"""From the contract's arrays to a loop's addresses and back: `infer`, `forward` and `backward` of every cell."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Parameters, State

from . import gru, lstm, rnn
from .emitting.cell import KernelCell
from .emitting.simd import Lanes, host_width
from .loops import PLACE, Job, make_backward, make_forward
from .plan import Split, make_plan
from .running import threads
from .running.compiled import compiled
from .running.memory import ALIGNMENT, Block, aligned, array, constant, take
from .running.packing import BiasPanels, Panels, prepared
from .running.rows import Rows, running

PAGE = 4096
"""Bytes after which a core's nearest cache begins again with its first line."""

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}

CELLS: dict[str, KernelCell] = {**rnn.CELLS, "lstm": lstm.CELL, "gru": gru.CELL}


class Tape(NamedTuple):
    """What the backward needs: x, and memory in the kernels' own layout."""

    x: np.ndarray  # (N, I), the valid rows; it may be the caller's
    rows: Rows
    T: int
    memory: Block  # h (B + N, Hp), c [vectors][B + N], what the cell keeps [vectors][N][kept]; see loops.Job


def spread(row: int) -> int:
    """Return the bytes from row to row: a little more than a row where rows would fall on the same lines of a cache.

    The rows of a tile are read side by side. Whole pages apart, all of them would want the same few places in the
    nearest cache, and drive one another out.
    """
    return row if row % PAGE else row + ALIGNMENT


class Parts(dict[str, int]):
    """Where parts of one piece of memory lie, by name: sizes go in, offsets come out."""

    def __init__(self, **sizes: int):
        super().__init__()
        self.size = 0
        for name, size in sizes.items():
            self[name] = self.size
            self.size += aligned(size)


class Shape(NamedTuple):
    """All that follows from the sizes of a call."""

    plan: Split
    lanes: Lanes
    Hp: int  # H, filled up to whole vectors
    work: Parts  # of the memory that a call needs
    tape: Parts  # of the memory that a tape keeps
    job: np.ndarray  # a `Job` with all sizes; addresses are still to come
    how: tuple[Any, ...]  # weights and biases are packed


class Recurrence(NamedTuple):
    """A cell of the contract. It knows its name and nothing else, so it can be copied and pickled."""

    name: str

    def infer(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State]:
        """All time steps; nothing is kept for a backward."""
        y, state_T, _ = self._run(params, x, state0, lengths, keep=False)
        return y, state_T

    def forward(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State, Tape]:
        """All time steps, with a tape of every state and gate."""
        return self._run(params, x, state0, lengths, keep=True)

    def backward(
        self,
        params: Parameters,
        tape: Tape,
        dy: np.ndarray | None,
        dstate_T: tuple[np.ndarray | None, ...],
        needs: frozenset[str],
    ) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
        """Backpropagation through time: the steps in reverse, then one product a weight."""
        if params.bias_ih is None:
            needs = needs - {"bias_ih", "bias_hh"}
        if not needs:
            return None, (None,) * len(dstate_T), Parameters(None, None, None, None)
        with threads.share(2 * self._work(params, tape.rows)) as count:
            return _backward(self.name, params, tape, dy, dstate_T, needs, count)

    def _run(
        self, params: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None, *, keep: bool
    ) -> tuple[np.ndarray, State, Any]:
        if not x.dtype == params.weight_ih.dtype == params.weight_hh.dtype or x.dtype not in DTYPES:
            found = ", ".join(str(array.dtype) for array in (x, *params[:2]))
            raise TypeError(f"cpu.{self.name}: x and weights must all be float32 or all float64, got {found}")
        rows = running(x.shape[0], x.shape[1], lengths)
        with threads.share(self._work(params, rows)) as count:
            return _forward(self.name, params, x, state0, rows, count, keep=keep)

    @staticmethod
    def _work(params: Parameters, rows: Rows) -> float:
        """Return the floating-point operations of the products of all steps, forwards."""
        return 2.0 * rows.count * (params.weight_ih.size + params.weight_hh.size)


@lru_cache(maxsize=512)
def _forward_shape(name: str, dtype: str, T: int, B: int, N: int, I: int, H: int, count: int, keep: bool) -> Shape:
    cell, lanes = CELLS[name], Lanes(dtype, host_width())
    plan = make_plan(cell, lanes, T, B, N, I, H, count)
    Hp, slots = lanes.filled(H), len(cell.slot_names)
    panels_each = ceil(ceil(Hp / lanes.count / plan.panel) / plan.members)
    scratch_rows = max(ceil(B / plan.tiles), plan.chunk * B * panels_each)
    scratch_size = aligned(scratch_rows * slots * plan.panel * lanes.width)
    blocks, h_row, x_row = B + N if keep else 2 * B, spread(Hp * lanes.size), spread(I * lanes.size)
    states = {s: blocks * (h_row if s == "h" else Hp * lanes.size) for s in cell.spec.states}
    work = Parts(
        meeting=(1 + plan.groups) * threads.BETWEEN,
        scratch=scratch_size * plan.groups * plan.members,
        **({"x": N * x_row} if x_row > I * lanes.size else {}),
        **({} if keep else states),
    )
    tape = Parts(**states, kept=N * len(cell.kept) * Hp * lanes.size) if keep else Parts()
    job = Job(
        T=T, B=B, I=I, H=H, Hp=Hp, N=N, groups=plan.groups, members=plan.members, tiles=plan.tiles,
        scratch_size=scratch_size, x_row=x_row, chunk=plan.chunk, panel=plan.panel,
        blocks=blocks, h_row=h_row, y_row=H * lanes.size, y_step=B * H * lanes.size,
    )  # fmt: skip
    slot = cell.slot_names.index
    return Shape(
        plan, lanes, Hp, work, tape, np.array(job, np.int64),
        how=(
            Panels(True, cell.gates(cell.from_x), plan.panel, lanes),
            Panels(True, cell.gates(cell.from_h), plan.panel, lanes),
            BiasPanels(
                slots,
                tuple(zip(map(slot, cell.from_x), cell.gates(cell.from_x), strict=True)),
                tuple(zip(map(slot, cell.from_h), cell.gates(cell.from_h), strict=True)),
                plan.panel,
                lanes,
            ),
        ),
    )  # fmt: skip


def _forward(
    name: str, params: Parameters, x: np.ndarray, state0: State, rows: Rows, count: int, *, keep: bool
) -> tuple[np.ndarray, State, Tape | None]:
    cell = CELLS[name]
    W_x, W_h, b_x, b_h = params
    (T, B, I), H = x.shape, W_h.shape[1]
    shape = _forward_shape(name, DTYPES[x.dtype], T, B, rows.count, I, H, count, keep)
    plan, lanes, Hp, work, tape, job = shape[:6]
    count = plan.groups * plan.members
    if b_x is None or b_h is None:
        panels_x, panels_h = prepared((W_x, W_h), shape.how[:2], count)
        bias = constant(0, lanes.dtype, len(cell.slot_names) * Hp)
    else:
        panels_x, panels_h, bias = prepared((W_x, W_h, b_x, b_h), shape.how, count)
    x = rows.packed(x)
    y = array((T, B, H), x.dtype)
    if rows.ragged:
        y[:] = 0

    memory = take(work.size)
    kept_memory, kept_parts = (take(tape.size), tape) if keep else (memory, work)
    x_at = x.ctypes.data
    if "x" in work:
        memory.view(work["x"], x.shape, x.dtype, (spread(I * lanes.size), lanes.size))[:] = x
        x_at = memory.address + work["x"]
    blocks = B + rows.count if keep else 2 * B
    states = [_state(kept_memory, kept_parts[s], s, blocks, Hp, lanes) for s in cell.spec.states]
    for state, initial in zip(states, state0, strict=True):
        _set(state[:B], rows.sorted(initial))
    at = memory.address
    addresses = {
        "offsets": rows.offsets_at, "order": rows.order_at,
        "meeting": at + work["meeting"], "scratch": at + work["scratch"], "bias": bias.address,
        "x": x_at, "w_x": panels_x.address, "w_h": panels_h.address, "y": y.ctypes.data,
        "h": kept_memory.address + kept_parts["h"],
        "c": kept_memory.address + kept_parts.get("c", kept_parts["h"]),
        "kept": kept_memory.address + tape["kept"] if keep else 0,
    }  # fmt: skip
    _call(compiled(make_forward, cell, lanes, keep), job, addresses, plan)

    if rows.ragged:
        last = (B + rows.offsets[rows.steps - 1] if keep else rows.steps % 2 * B) + np.arange(B)
        finals = tuple(rows.unsorted(_numbers(state[last], H)) for state in states)
    else:
        first_row = rows.count if keep else T % 2 * B
        finals = tuple(_numbers(state[first_row : first_row + B], H).copy() for state in states)
    return y, finals, Tape(x, rows, T, kept_memory) if keep else None


def _state(memory: Block, at: int, name: str, blocks: int, Hp: int, lanes: Lanes) -> np.ndarray:
    """Return a state as an array (blocks, vectors, lanes): of h a row lies together, of c a vector of every row."""
    along = (spread(Hp * lanes.size), lanes.width) if name == "h" else (lanes.width, blocks * lanes.width)
    return memory.view(at, (blocks, Hp // lanes.count, lanes.count), lanes.dtype, (*along, lanes.size))


def _set(state: np.ndarray, numbers: np.ndarray) -> None:
    """Fill (B, vectors, lanes) from (B, H), and with zeros past H."""
    (B, H), lanes = numbers.shape, state.shape[2]
    whole, left = divmod(H, lanes)
    state[:, :whole] = numbers[:, : whole * lanes].reshape(B, whole, lanes)
    if left:
        state[:, whole, :left] = numbers[:, H - left :]
        state[:, whole, left:] = 0


def _numbers(state: np.ndarray, H: int) -> np.ndarray:
    """Return (B, vectors, lanes) as (B, H)."""
    return state.reshape(len(state), -1)[:, :H]


@lru_cache(maxsize=512)
def _backward_shape(name: str, dtype: str, T: int, B: int, N: int, I: int, H: int, count: int) -> Shape:
    cell, lanes = CELLS[name], Lanes(dtype, host_width())
    plan = make_plan(cell, lanes, T, B, N, I, H, count)
    slots, size = len(cell.slot_names), lanes.size
    Hp, span = lanes.filled(H), min(N, plan.steps * B)
    scratch_size = aligned(max(ceil(B / plan.tiles) * plan.back_panel, 4 * span) * lanes.width)
    forward = _forward_shape(name, dtype, T, B, N, I, H, count, True)
    work = Parts(
        meeting=(1 + plan.groups) * threads.BETWEEN,
        scratch=scratch_size * plan.groups * plan.members,
        carry_h=B * Hp * size,
        carry_c=B * Hp * size,
        da=2 * slots * Hp * span * size,
        dh0=B * Hp * size,
        db=slots * Hp * size,
    )
    job = Job(
        T=T, B=B, I=I, H=H, Hp=Hp, N=N, groups=plan.groups, members=plan.members, tiles=plan.tiles,
        scratch_size=scratch_size, zeros=constant(0, dtype, max(Hp, 4 * lanes.count)).address,
        ones=constant(1, dtype, 1).address, x_row=I * size, blocks=B + N, h_row=spread(Hp * size), steps=plan.steps,
        span=span, back_panel=plan.back_panel, dx_row=I * size, dx_panel=plan.dx_panel,
    )  # fmt: skip
    return Shape(
        plan, lanes, Hp, work, forward.tape, np.array(job, np.int64),
        how=(
            Panels(False, cell.gates(cell.from_h), plan.back_panel, lanes),
            Panels(False, cell.gates(cell.from_x), plan.dx_panel, lanes),
        ),
    )  # fmt: skip


def _backward(
    name: str,
    params: Parameters,
    tape: Tape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    count: int,
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
    cell = CELLS[name]
    W_x, W_h, b_x, b_h = params
    x, rows, T, kept = tape
    B, I, H, dtype = len(rows.order), x.shape[1], W_h.shape[1], x.dtype
    shape = _backward_shape(name, DTYPES[x.dtype], T, B, rows.count, I, H, count)
    plan, lanes, Hp, work, parts, job = shape[:6]
    count, size, N = plan.groups * plan.members, lanes.size, rows.count
    (w_back,) = prepared((W_h,), shape.how[:1], count)

    memory = take(work.size)
    carries = [memory.view(work[f"carry_{s}"], (B, Hp), dtype) for s in cell.spec.states]
    for carry, upstream in zip(carries, dstate_T, strict=True):
        carry[:] = 0
        if upstream is not None:
            carry[:, :H] = rows.sorted(upstream)
    at = memory.address
    wanted: dict[str, int] = {}
    if dy is not None:
        dy = dy if dy.flags.c_contiguous else np.ascontiguousarray(dy)
        wanted.update(dy=dy.ctypes.data, dy_row=H * size, dy_step=B * H * size)
    dx = dW_x = dW_h = w_dx = h_prev = None
    if "x" in needs:
        (w_dx,) = prepared((W_x,), shape.how[1:], count)
        dx = array((N, I), dtype)
        wanted.update(dx=dx.ctypes.data, w_dx=w_dx.address)
    if "weight_ih" in needs:
        dW_x = array(W_x.shape, dtype)
        wanted.update(dw_x=dW_x.ctypes.data, x=x.ctypes.data)
    if "weight_hh" in needs:
        dW_h = array(W_h.shape, dtype)
        h_prev = kept.view(parts["h"], (B + N, Hp), dtype, (spread(Hp * size), size))
        if rows.ragged:
            h_prev = h_prev[rows.before]
        wanted.update(dw_h=dW_h.ctypes.data, h_prev=h_prev.ctypes.data, h_prev_row=h_prev.strides[0])
    addresses = {
        "dy": int(job[PLACE["zeros"]]), "offsets": rows.offsets_at, "order": rows.order_at,
        "meeting": at + work["meeting"], "scratch": at + work["scratch"],
        "h": kept.address + parts["h"], "c": kept.address + parts.get("c", parts["h"]),
        "kept": kept.address + parts["kept"], "carry_h": at + work["carry_h"], "carry_c": at + work["carry_c"],
        "da": at + work["da"], "w_back": w_back.address,
        "dh0": at + work["dh0"] if "h0" in needs else 0,
        "db": at + work["db"] if needs & {"bias_ih", "bias_hh"} else 0,
    }  # fmt: skip
    _call(compiled(make_backward, cell, lanes), job, addresses | wanted, plan)

    first = {"h0": memory.view(work["dh0"], (B, Hp), dtype), "c0": carries[-1]}
    dstate0 = tuple(rows.unsorted(first[f"{s}0"][:, :H]) if f"{s}0" in needs else None for s in cell.spec.states)
    db = memory.view(work["db"], (len(cell.slot_names), Hp), dtype)

    def bias(slots: tuple[str, ...]) -> np.ndarray:
        """Put the sums of da in the order of the gates."""
        by_gate = dict(zip(cell.gates(slots), slots, strict=True))
        return np.concatenate([db[cell.slot_names.index(by_gate[g]), :H] for g in range(len(slots))])

    return (
        None if dx is None else rows.unpacked(dx, T, B),
        dstate0,
        Parameters(
            weight_ih=dW_x,
            weight_hh=dW_h,
            bias_ih=bias(cell.from_x) if "bias_ih" in needs else None,
            bias_hh=bias(cell.from_h) if "bias_hh" in needs else None,
        ),
    )


def _call(function: Any, sizes: np.ndarray, addresses: dict[str, int], plan: Split) -> None:
    """Run a loop on the threads that its job was cut for."""
    job = sizes.copy()
    for name, address in addresses.items():
        job[PLACE[name]] = address
    threads.run(function.address, job.ctypes.data, plan.groups * plan.members, addresses["meeting"], plan.groups)
