"""A call of a loop: from the contract's arrays to addresses, and from what a loop has written to arrays again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import DefinedParameters, Parameters, State

from .emitting.cell import KernelCell
from .emitting.simd import EXACT, Lanes
from .levels import backward as levels_backward
from .levels import forward as levels_forward
from .levels.matrices import matrices_of, panels_of, suited, wanted_of
from .levels.schedule import LevelledCell
from .loops.backward import make_backward
from .loops.forward import make_forward
from .loops.job import PLACE
from .plan import Split
from .running import threads
from .running.compiled import compiled
from .running.memory import Block, array, constant, take
from .running.packing import prepared
from .running.rounding import round_rows
from .running.rows import Rows
from .shapes import Shape, backward_shape, forward_shape, spread

DTYPES = {np.dtype(name): name for name in ("float32", "float64")}


class Tape(NamedTuple):
    """What the backward needs: x, and memory in the kernels' own layout."""

    x: np.ndarray | None  # (N, I), the valid rows; it may be the caller's. None where the memory has it, rounded
    rows: Rows
    batch: tuple[int, int]  # T, B of the caller's arrays
    memory: Block  # h (B + N, Hp), c [vectors][B + N], what the cell keeps [vectors][N][kept]; see loops.Job
    shape: Shape
    streams: tuple[np.ndarray, ...]


class Table:
    """Arrays of the caller's whose addresses a loop finds in a table."""

    def __init__(self, arrays: Sequence[np.ndarray], words: Any):
        self.arrays, self._words = tuple(arrays), np.array(words, np.int64)
        self.address = self._words.ctypes.data

    @classmethod
    def of_streams(cls, streams: Sequence[np.ndarray]) -> Table:
        """Return streams, each (T, B, H)."""
        arrays = [np.ascontiguousarray(stream) for stream in streams]
        return cls(arrays, [array.ctypes.data for array in arrays])

    @classmethod
    def of_upstream(
        cls, upstream: Sequence[np.ndarray | None], shape: tuple[int, ...], dtype: np.dtype, zeros: int
    ) -> Table:
        """Return gradients of every state at every step, each (T, B, H), or None for zeros."""
        arrays = [None if one is None else np.ascontiguousarray(one) for one in upstream]
        step, row = shape[1] * shape[2] * dtype.itemsize, shape[2] * dtype.itemsize
        words = [(zeros, 0, 0) if array is None else (array.ctypes.data, row, step) for array in arrays]
        return cls([array for array in arrays if array is not None], words)


def run_forward(
    cell: KernelCell, params: Parameters | DefinedParameters, x: np.ndarray, state0: State, rows: Rows, count: int, *,
    keep: bool, precision: str = "float32", streams: Sequence[np.ndarray] = (),
) -> tuple[np.ndarray, State, Tape | None]:  # fmt: skip
    """Run the forward loop on at most `count` threads; with `keep`, return a tape."""
    cell = suited(cell, params)
    (T, B, I), (L, S), H, P = x.shape, rows.sizes, hidden_size(cell, params), size_of_h(cell, params)
    shape = forward_shape(cell, DTYPES[x.dtype], L, S, rows.count, I, H, count, keep, precision, P)
    plan, lanes, work, tape = shape.plan, shape.lanes, shape.work, shape.tape
    panels_x, panels_h, bias = weights_forward(cell, params, shape)
    x = rows.packed(x)
    y = array((T, B, P), x.dtype)
    if rows.gaps:
        y[:] = 0  # (V2)

    memory = take(work.size)
    kept_memory, kept_parts = (take(tape.size), tape) if keep else (memory, work)
    exact, x_at = lanes.operands == EXACT, x.ctypes.data
    if exact and "x" in work:
        memory.view(work["x"], x.shape, x.dtype, (spread(I * lanes.size), lanes.size))[:] = x
        x_at = memory.address + work["x"]
    blocks = S + rows.count if keep else 2 * S
    states = state_views(cell, kept_memory, kept_parts, blocks, shape.Hp, lanes, shape.Pp)
    for state, initial in zip(states, state0, strict=True):
        set_state(state[:S], rows.sorted(initial))
    table = Table.of_streams(streams)
    set_numbers(cell, memory, work["numbers"], shape, params)
    at, h_read = memory.address, kept_memory.address + kept_parts.get("h_read", kept_parts["h"])
    if not exact:
        x_at = kept_memory.address + kept_parts["x"]
        round_rows(x, x_at, int(shape.job[PLACE["x_row"]]), lanes, plan.groups * plan.members)
        h0 = states[0][:S].reshape(S, shape.Pp)
        round_rows(h0, h_read, int(shape.job[PLACE["read_row"]]), lanes, 1)
    addresses = {
        "offsets": rows.offsets_at, "order": rows.order_at,
        "meeting": at + work["meeting"], "scratch": at + work["scratch"], "bias": bias.address,
        "x": x_at, "w_x": panels_x.address, "w_h": panels_h.address, "y": y.ctypes.data,
        "y_step": y.strides[0], "streams_step": B * H * lanes.size,  # a cut batch has more rows than sequences
        "h": kept_memory.address + kept_parts["h"], "h_read": h_read,
        "c": kept_memory.address + kept_parts["c"],
        "kept": kept_memory.address + tape["kept"] if keep else 0,
        "numbers": at + work["numbers"], "streams": table.address,
    }  # fmt: skip
    across = panels_of(cell, params, shape.plan, lanes, forward=True)
    addresses |= across.addresses(at, work)
    _call(compiled(loops_of(cell)[0], cell, lanes, keep), shape.job, addresses, plan)
    finals = tuple(last_states(state, rows, L, P if k == 0 else H, keep) for k, state in enumerate(states))
    return y, finals, Tape(x if exact else None, rows, (T, B), kept_memory, shape, table.arrays) if keep else None


def hidden_size(cell: KernelCell, params: Parameters | DefinedParameters) -> int:
    """Return H."""
    return params.weight_ih.shape[0] // len(cell.from_x)


def size_of_h(cell: KernelCell, params: Parameters | DefinedParameters) -> int:
    """Return P, how many numbers h has: H, unless a matrix makes it."""
    if isinstance(cell, LevelledCell) and cell.projection is not None:
        return matrices_of(cell, params)[cell.projection].shape[0]
    return hidden_size(cell, params)


def loops_of(cell: KernelCell) -> tuple[Any, Any]:
    """Return what makes a cell's two loops."""
    if isinstance(cell, LevelledCell):
        return levels_forward.make_forward, levels_backward.make_backward
    return make_forward, make_backward


def weights_forward(cell: KernelCell, params: Parameters | DefinedParameters, shape: Shape) -> tuple[Block, ...]:
    """Return panels of W_x and W_h, and the biases; without a W_h its panels are anything."""
    given, count = 2 if cell.from_h else 1, shape.plan.groups * shape.plan.members
    weights: tuple[Any, ...] = params[:2][:given]
    biases: tuple[Any, ...] = params[2:4][:given]
    if any(b is None for b in biases):
        bias = constant(0, shape.lanes.dtype, len(cell.slot_names) * shape.Hp)
        panels = (*prepared(weights, shape.how[:-1], count), bias)
    else:
        panels = prepared(weights + biases, shape.how, count)
    return panels[0], panels[given - 1], panels[-1]


def set_numbers(
    cell: KernelCell, memory: Block, at: int, shape: Shape, params: Parameters | DefinedParameters
) -> None:
    """Put a cell's vectors and constants where a loop reads them, filled up to whole vectors with zeros."""
    if cell.numbers:
        extra: Any = params[-1]
        H, numbers = hidden_size(cell, params), memory.view(at, (cell.numbers, shape.Hp), shape.lanes.dtype)
        numbers[:, H:] = 0
        for row, number in zip(numbers, extra[: cell.numbers], strict=True):
            row[:H] = number


def state_views(
    cell: KernelCell, memory: Block, parts: Mapping[str, int], blocks: int, Hp: int, lanes: Lanes, Pp: int | None = None
) -> list[np.ndarray]:
    """Return every state as an array (blocks, vectors, lanes): of h a row lies together, of c a vector of every row."""
    size, Pp = blocks * Hp * lanes.size, Hp if Pp is None else Pp
    places = [(parts["h"], Pp, (spread(Pp * lanes.size), lanes.width))]
    places += [(parts["c"] + k * size, Hp, (lanes.width, blocks * lanes.width)) for k in range(len(cell.states) - 1)]
    return [
        memory.view(at, (blocks, filled // lanes.count, lanes.count), lanes.dtype, (*along, lanes.size))
        for at, filled, along in places
    ]


def all_states(cell: KernelCell, tape: Tape) -> State:
    """Return every state at every step, (T, B, H) each, with zeros past the end of each sequence."""
    rows, shape, S = tape.rows, tape.shape, len(tape.rows.order)
    # y_t and, of a cell with more than h, z_t: (R3), (L8), (L9), (G6)
    views = state_views(cell, tape.memory, shape.tape, S + rows.count, shape.Hp, shape.lanes, shape.Pp)
    P, H = (int(shape.job[PLACE[size]]) for size in ("P", "H"))
    return tuple(
        np.array(rows.unpacked(numbers_of(view[S:], P if k == 0 else H), *tape.batch), order="C")
        for k, view in enumerate(views)
    )


def set_state(state: np.ndarray, numbers: np.ndarray) -> None:
    """Fill (B, vectors, lanes) from (B, H), and with zeros past H."""
    (B, H), lanes = numbers.shape, state.shape[2]
    whole, left = divmod(H, lanes)
    state[:, :whole] = numbers[:, : whole * lanes].reshape(B, whole, lanes)
    if left:
        state[:, whole, :left] = numbers[:, H - left :]
        state[:, whole, left:] = 0


def last_states(state: np.ndarray, rows: Rows, T: int, H: int, keep: bool) -> np.ndarray:
    """Return a state (B, H) at the last valid step of each sequence."""
    B = len(rows.order)
    if rows.ragged:
        last = (B + rows.offsets[rows.steps - 1] if keep else rows.steps % 2 * B) + np.arange(B)
        return rows.unsorted(numbers_of(state[last], H))
    first_row = rows.count if keep else T % 2 * B
    return numbers_of(state[first_row : first_row + B], H).copy()


def numbers_of(state: np.ndarray, H: int) -> np.ndarray:
    """Return (B, vectors, lanes) as (B, H)."""
    return state.reshape(len(state), -1)[:, :H]


class Gradients(NamedTuple):
    """What a backward loop is to fill; None where it isn't needed."""

    dx: np.ndarray | None  # (N, I)
    dW_x: np.ndarray | None
    dW_h: np.ndarray | None
    held: tuple[Any, ...]  # what their addresses lead to besides: it must live as long as the loop runs
    addresses: dict[str, int]


def run_backward(
    cell: KernelCell,
    params: Parameters | DefinedParameters,
    tape: Tape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    count: int,
    precision: str = "float32",
    dstates: tuple[np.ndarray | None, ...] | None = None,
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], DefinedParameters]:
    """Run the backward loop on at most `count` threads."""
    cell = suited(cell, params)
    rows, (T, B), kept = tape.rows, tape.batch, tape.memory
    I, H, P = params.weight_ih.shape[1], hidden_size(cell, params), size_of_h(cell, params)
    N, (L, S), dtype = rows.count, rows.sizes, params.weight_ih.dtype
    shape = backward_shape(cell, DTYPES[dtype], L, S, N, I, H, count, precision, P)
    work, parts, at_zeros = shape.work, shape.tape, int(shape.job[PLACE["zeros"]])
    memory = take(work.size)
    carries = _carried(cell, memory, shape, rows, dstate_T)
    set_numbers(cell, memory, work["numbers"], shape, params)
    found = _wanted(cell, params, tape, shape, needs)
    at, streams, upstream = memory.address, Table.of_streams(tape.streams), None
    addresses = found.addresses | {
        "dy": at_zeros, "offsets": rows.offsets_at, "order": rows.order_at,
        "meeting": at + work["meeting"], "scratch": at + work["scratch"],
        "h": kept.address + parts["h"], "c": kept.address + parts["c"], "kept": kept.address + parts["kept"],
        "carry_h": at + work["carry_h"], "carry_c": at + work["carry_c"], "numbers": at + work["numbers"],
        "streams": streams.address, "streams_step": B * H * dtype.itemsize,
        "da": at + work["da"], "dp": at + work["dp"],
        "da_pairs": at + work["da_pairs"] if "da_pairs" in work else 0,
        "dh0": at + work["dh0"] if "h0" in needs else 0,
        "db": at + work["db"] if needs & {"bias_ih", "bias_hh"} else 0,
        "dvectors": at + work["dvectors"] if needs & set(cell.vectors) else 0,
    }  # fmt: skip
    if dy is not None:
        dy, row = np.ascontiguousarray(dy), P * dtype.itemsize
        # Not dy's own strides: of an axis of one sequence that may be anything, and a cut batch counts rows beyond it.
        addresses.update(dy=dy.ctypes.data, dy_row=row, dy_step=B * row)
    if dstates is not None and any(one is not None for one in dstates[1:]):
        upstream = Table.of_upstream(dstates[1:], (T, B, H), dtype, at_zeros)
        addresses["upstream"] = upstream.address
    how = () if upstream is None else (True,)
    across, wanted = panels_of(cell, params, shape.plan, shape.lanes, forward=False), wanted_of(cell, params, needs)
    addresses |= across.addresses(at, work) | wanted.addresses
    _call(compiled(loops_of(cell)[1], cell, shape.lanes, *how), shape.job, addresses, shape.plan)

    first = [memory.view(work["dh0"], (S, shape.Hp), dtype), *carries[1:]]
    dstate0 = tuple(
        rows.unsorted(d[:, : P if k == 0 else H]) if f"{s}0" in needs else None
        for k, (s, d) in enumerate(zip(cell.states, first, strict=True))
    )
    dx = None if found.dx is None else rows.unpacked(found.dx, T, B)
    db_x, db_h, vectors = _totals(cell, memory, shape, H, needs)
    return dx, dstate0, DefinedParameters(found.dW_x, found.dW_h, db_x, db_h, (*vectors, *wanted.gradients))


def _carried(
    cell: KernelCell, memory: Block, shape: Shape, rows: Rows, dstate_T: tuple[np.ndarray | None, ...]
) -> list[np.ndarray]:
    """Return what states' gradients get directly, (B, Hp) each: at first from the caller, after the last step."""
    B, Hp, dtype = len(rows.order), shape.Hp, shape.lanes.dtype
    further = memory.view(shape.work["carry_c"], (len(cell.states) - 1, B, Hp), dtype)
    carries = [memory.view(shape.work["carry_h"], (B, Hp), dtype), *further]
    for carry, upstream in zip(carries, dstate_T, strict=True):
        carry[:] = 0
        if upstream is not None:
            carry[:, : upstream.shape[1]] = rows.sorted(upstream)
    return carries


def _wanted(
    cell: KernelCell, params: Parameters | DefinedParameters, tape: Tape, shape: Shape, needs: frozenset[str]
) -> Gradients:
    """Return memory for the gradients that are needed, and their addresses; one that stays 0 has no product done."""
    x, rows, kept, count = tape.x, tape.rows, tape.memory, shape.plan.groups * shape.plan.members
    W_x: Any
    W_h: Any
    W_x, W_h = params[:2]
    N, dtype, lanes, parts = rows.count, W_x.dtype, shape.lanes, shape.tape
    dx = dW_x = dW_h = w_back = w_dx = h_prev = None
    addresses: dict[str, int] = {}
    if cell.from_h:
        (w_back,) = prepared((W_h,), shape.how[:1], count)
        addresses.update(w_back=w_back.address)
    if "x" in needs:
        (w_dx,) = prepared((W_x,), shape.how[-1:], count)
        dx = array((N, W_x.shape[1]), dtype)
        addresses.update(dx=dx.ctypes.data, w_dx=w_dx.address)
    if "weight_ih" in needs:
        dW_x = array(W_x.shape, dtype)
        addresses.update(dw_x=dW_x.ctypes.data, x=kept.address + parts["x"] if x is None else x.ctypes.data)
    if "weight_hh" in needs and cell.from_h:
        dW_h = array(W_h.shape, dtype)
        blocks, size = len(rows.order) + N, lanes.operand_size
        at = parts.get("h_read", parts["h"])
        h_prev = kept.view(at, (blocks, shape.Pp), f"V{size}", (spread(shape.Pp * size), size))
        if rows.ragged:
            h_prev = h_prev[rows.before]
        addresses.update(dw_h=dW_h.ctypes.data, h_prev=h_prev.ctypes.data, h_prev_row=h_prev.strides[0])
    return Gradients(dx, dW_x, dW_h, (w_back, w_dx, h_prev), addresses)


def _totals(
    cell: KernelCell, memory: Block, shape: Shape, H: int, needs: frozenset[str]
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[np.ndarray | None, ...]]:
    """Return the sums of da of W_x's slots, and of W_h's, in the order of the rows; and those of the cell's vectors."""

    def sums(name: str, count: int) -> np.ndarray:
        return memory.view(shape.work[name], (count, shape.Hp), shape.lanes.dtype)[:, :H]

    db, dvectors = sums("db", len(cell.slot_names)), sums("dvectors", len(cell.vectors))

    def in_order(bias: str, slots: tuple[str, ...]) -> np.ndarray | None:
        there = bias in needs and slots
        return np.concatenate([db[cell.slot_names.index(slot)] for slot in slots]) if there else None

    return (
        in_order("bias_ih", cell.from_x),
        in_order("bias_hh", cell.from_h),
        tuple(row.copy() if name in needs else None for name, row in zip(cell.vectors, dvectors, strict=True)),
    )


def _call(function: Any, sizes: np.ndarray, addresses: dict[str, int], plan: Split) -> None:
    """Run a loop on the threads that its job was cut for."""
    job = sizes.copy()
    for name, address in addresses.items():
        job[PLACE[name]] = address
    threads.run(function.address, job.ctypes.data, plan.groups * plan.members, addresses["meeting"], plan.groups)
