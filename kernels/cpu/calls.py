"""A call of a loop: from the contract's arrays to addresses, and from what a loop has written to arrays again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Parameters, State

from .emitting.cell import KernelCell
from .emitting.simd import EXACT, Lanes
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
    T: int
    memory: Block  # h (B + N, Hp), c [vectors][B + N], what the cell keeps [vectors][N][kept]; see loops.Job


def run_forward(
    cell: KernelCell, params: Parameters, x: np.ndarray, state0: State, rows: Rows, count: int, *, keep: bool,
    precision: str = "float32",
) -> tuple[np.ndarray, State, Tape | None]:  # fmt: skip
    """Run the forward loop on at most `count` threads; with `keep`, return a tape."""
    (T, B, I), H = x.shape, params.weight_hh.shape[1]
    shape = forward_shape(cell, DTYPES[x.dtype], T, B, rows.count, I, H, count, keep, precision)
    plan, lanes, work, tape = shape.plan, shape.lanes, shape.work, shape.tape
    panels_x, panels_h, bias = weights_forward(cell, params, shape)
    x = rows.packed(x)
    y = array((T, B, H), x.dtype)
    if rows.ragged:
        y[:] = 0  # (V2)

    memory = take(work.size)
    kept_memory, kept_parts = (take(tape.size), tape) if keep else (memory, work)
    exact, x_at = lanes.operands == EXACT, x.ctypes.data
    if exact and "x" in work:
        memory.view(work["x"], x.shape, x.dtype, (spread(I * lanes.size), lanes.size))[:] = x
        x_at = memory.address + work["x"]
    blocks = B + rows.count if keep else 2 * B
    states = [state_view(kept_memory, kept_parts[s], s, blocks, shape.Hp, lanes) for s in cell.spec.states]
    for state, initial in zip(states, state0, strict=True):
        set_state(state[:B], rows.sorted(initial))
    at, h_read = memory.address, kept_memory.address + kept_parts.get("h_read", kept_parts["h"])
    if not exact:
        x_at = kept_memory.address + kept_parts["x"]
        round_rows(x, x_at, int(shape.job[PLACE["x_row"]]), lanes, plan.groups * plan.members)
        h0 = states[0][:B].reshape(B, shape.Hp)
        round_rows(h0, h_read, int(shape.job[PLACE["read_row"]]), lanes, 1)
    addresses = {
        "offsets": rows.offsets_at, "order": rows.order_at,
        "meeting": at + work["meeting"], "scratch": at + work["scratch"], "bias": bias.address,
        "x": x_at, "w_x": panels_x.address, "w_h": panels_h.address, "y": y.ctypes.data,
        "h": kept_memory.address + kept_parts["h"], "h_read": h_read,
        "c": kept_memory.address + kept_parts.get("c", kept_parts["h"]),
        "kept": kept_memory.address + tape["kept"] if keep else 0,
    }  # fmt: skip
    _call(compiled(make_forward, cell, lanes, keep), shape.job, addresses, plan)
    finals = tuple(last_states(state, rows, T, H, keep) for state in states)
    return y, finals, Tape(x if exact else None, rows, T, kept_memory) if keep else None


def weights_forward(cell: KernelCell, params: Parameters, shape: Shape) -> tuple[Block, ...]:
    """Return panels of W_x and W_h, and the biases."""
    W_x, W_h, b_x, b_h = params
    count = shape.plan.groups * shape.plan.members
    if b_x is None or b_h is None:
        bias = constant(0, shape.lanes.dtype, len(cell.slot_names) * shape.Hp)
        return *prepared((W_x, W_h), shape.how[:2], count), bias
    return prepared((W_x, W_h, b_x, b_h), shape.how, count)


def state_view(memory: Block, at: int, name: str, blocks: int, Hp: int, lanes: Lanes) -> np.ndarray:
    """Return a state as an array (blocks, vectors, lanes): of h a row lies together, of c a vector of every row."""
    along = (spread(Hp * lanes.size), lanes.width) if name == "h" else (lanes.width, blocks * lanes.width)
    return memory.view(at, (blocks, Hp // lanes.count, lanes.count), lanes.dtype, (*along, lanes.size))


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
    params: Parameters,
    tape: Tape,
    dy: np.ndarray | None,
    dstate_T: tuple[np.ndarray | None, ...],
    needs: frozenset[str],
    count: int,
    precision: str = "float32",
) -> tuple[np.ndarray | None, tuple[np.ndarray | None, ...], Parameters]:
    """Run the backward loop on at most `count` threads."""
    _, rows, T, kept = tape
    (_, I), (_, H), dtype = params.weight_ih.shape, params.weight_hh.shape, params.weight_hh.dtype
    N, B = rows.count, len(rows.order)
    shape = backward_shape(cell, DTYPES[dtype], T, B, N, I, H, count, precision)
    work, parts, Hp = shape.work, shape.tape, shape.Hp
    (w_back,) = prepared((params.weight_hh,), shape.how[:1], shape.plan.groups * shape.plan.members)

    memory = take(work.size)
    carries = [memory.view(work[f"carry_{s}"], (B, Hp), dtype) for s in cell.spec.states]
    for carry, upstream in zip(carries, dstate_T, strict=True):
        carry[:] = 0
        if upstream is not None:
            carry[:, :H] = rows.sorted(upstream)
    found = _wanted(params, tape, shape, needs)
    at = memory.address
    addresses = found.addresses | {
        "dy": int(shape.job[PLACE["zeros"]]), "offsets": rows.offsets_at, "order": rows.order_at,
        "meeting": at + work["meeting"], "scratch": at + work["scratch"],
        "h": kept.address + parts["h"], "c": kept.address + parts.get("c", parts["h"]),
        "kept": kept.address + parts["kept"], "carry_h": at + work["carry_h"], "carry_c": at + work["carry_c"],
        "da": at + work["da"], "da_pairs": at + work["da_pairs"] if "da_pairs" in work else 0, "w_back": w_back.address,
        "dh0": at + work["dh0"] if "h0" in needs else 0,
        "db": at + work["db"] if needs & {"bias_ih", "bias_hh"} else 0,
    }  # fmt: skip
    if dy is not None:
        dy = dy if dy.flags.c_contiguous else np.ascontiguousarray(dy)
        addresses.update(dy=dy.ctypes.data, dy_row=H * dtype.itemsize, dy_step=B * H * dtype.itemsize)
    _call(compiled(make_backward, cell, shape.lanes), shape.job, addresses, shape.plan)

    first = {"h0": memory.view(work["dh0"], (B, Hp), dtype), "c0": carries[-1]}
    dstate0 = tuple(rows.unsorted(first[f"{s}0"][:, :H]) if f"{s}0" in needs else None for s in cell.spec.states)
    db_x, db_h = _bias_gradients(cell, memory.view(work["db"], (len(cell.slot_names), Hp), dtype)[:, :H], needs)
    dx = None if found.dx is None else rows.unpacked(found.dx, T, B)
    return dx, dstate0, Parameters(found.dW_x, found.dW_h, db_x, db_h)


def _wanted(params: Parameters, tape: Tape, shape: Shape, needs: frozenset[str]) -> Gradients:
    """Return memory for the gradients that are needed, and their addresses; one that stays 0 has no product done."""
    x, rows, _, kept = tape
    W_x, W_h = params.weight_ih, params.weight_hh
    N, dtype, lanes, parts = rows.count, W_h.dtype, shape.lanes, shape.tape
    dx = dW_x = dW_h = w_dx = h_prev = None
    addresses: dict[str, int] = {}
    if "x" in needs:
        (w_dx,) = prepared((W_x,), shape.how[1:], shape.plan.groups * shape.plan.members)
        dx = array((N, W_x.shape[1]), dtype)
        addresses.update(dx=dx.ctypes.data, w_dx=w_dx.address)
    if "weight_ih" in needs:
        dW_x = array(W_x.shape, dtype)
        addresses.update(dw_x=dW_x.ctypes.data, x=kept.address + parts["x"] if x is None else x.ctypes.data)
    if "weight_hh" in needs:
        dW_h = array(W_h.shape, dtype)
        blocks, size = len(rows.order) + N, lanes.operand_size
        at = parts.get("h_read", parts["h"])
        h_prev = kept.view(at, (blocks, shape.Hp), f"V{size}", (spread(shape.Hp * size), size))
        if rows.ragged:
            h_prev = h_prev[rows.before]
        addresses.update(dw_h=dW_h.ctypes.data, h_prev=h_prev.ctypes.data, h_prev_row=h_prev.strides[0])
    return Gradients(dx, dW_x, dW_h, (w_dx, h_prev), addresses)


def _bias_gradients(
    cell: KernelCell, sums: np.ndarray, needs: frozenset[str]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the sums of da, slot by slot, in the order of the gates: of W_x's gates, and of W_h's."""

    def in_order(slots: tuple[str, ...]) -> np.ndarray:
        by_gate = dict(zip(cell.gates(slots), slots, strict=True))
        return np.concatenate([sums[cell.slot_names.index(by_gate[gate])] for gate in range(len(slots))])

    return (
        in_order(cell.from_x) if "bias_ih" in needs else None,
        in_order(cell.from_h) if "bias_hh" in needs else None,
    )


def _call(function: Any, sizes: np.ndarray, addresses: dict[str, int], plan: Split) -> None:
    """Run a loop on the threads that its job was cut for."""
    job = sizes.copy()
    for name, address in addresses.items():
        job[PLACE[name]] = address
    threads.run(function.address, job.ctypes.data, plan.groups * plan.members, addresses["meeting"], plan.groups)
