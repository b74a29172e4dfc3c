"""What the kernels know of a cell, and the end of a tile: from complete sums to gates, states and gradients.

A cell's own file gives its equations on vectors. Here they are put into a loop over the rows and the vectors of a
tile, between the loads and the stores. The sums come from a scratch that the micro-kernel has just written, at most
2 KiB, so they are in the nearest cache; nothing of the gates touches memory but what a tape keeps.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from kernels.contract import CellSpec

from .bfloat16 import store_operand
from .integers import call
from .simd import EXACT, INT, Code, Lanes, Vector


@dataclass(frozen=True, eq=False)
class KernelCell:
    """A cell, as tiles see it."""

    name: str
    spec: CellSpec
    slots: Callable[..., Any]  # the NamedTuple of a tile's sums for one hidden unit
    from_x: tuple[str, ...]  # the slots that W_x x_t adds to: neighbours, as panels have them
    from_h: tuple[str, ...]  # the slots that W_h h_{t−1} adds to: neighbours too
    kept: tuple[str, ...]  # what a tape keeps of a step, besides the states
    step: Callable[[Any, Any], tuple[Any, Any]]
    step_backward: Callable[[Any, Any, Any, Any], tuple[Any, Any]]

    @property
    def slot_names(self) -> tuple[str, ...]:
        """The names of the slots, in order."""
        return self.slots._fields  # type: ignore[attr-defined]

    @property
    def first_from_x(self) -> int:
        """The first slot that W_x x_t adds to."""
        return self.slot_names.index(self.from_x[0])

    @property
    def first_from_h(self) -> int:
        """The first slot that W_h h_{t−1} adds to."""
        return self.slot_names.index(self.from_h[0])

    def gates(self, slots: tuple[str, ...]) -> tuple[int, ...]:
        """Return, for some slots, which gate's rows of a weight belong to each: a GRU's m takes those of n."""
        names = list(self.spec.gates._fields)  # type: ignore[attr-defined]
        return tuple(names.index("n" if slot == "m" else slot) for slot in slots)


_named: Any = namedtuple


def _rows_and_vectors(
    code: Code, rows: ir.Value, vectors: ir.Value, body: Callable[[ir.Value, ir.Value], None]
) -> None:
    """Emit `body(row, vector)` inside two loops."""
    with code.loop(rows) as row, code.loop(vectors) as vector:
        body(row.index, vector.index)


class _Address:
    """Arithmetic on addresses while code is emitted."""

    def __init__(self, code: Code):
        self.builder = code.builder

    def __call__(self, base: ir.Value, *offsets: tuple[ir.Value, ir.Value | int]) -> ir.Value:
        """Return base + Σ index·bytes."""
        for index, size in offsets:
            size = ir.Constant(INT, size) if isinstance(size, int) else size
            base = self.builder.add(base, self.builder.mul(index, size))
        return base


def _edge(code: Code, valid: ir.Value, vector: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Return whether a vector lies wholly within the `valid` numbers from the panel's first, and its mask."""
    builder = code.builder
    left = builder.sub(valid, builder.mul(vector, ir.Constant(INT, code.lanes.count)))
    return builder.icmp_signed(">=", left, ir.Constant(INT, code.lanes.count)), code.first_lanes(left)


FORWARD_ARGUMENTS = (
    # addresses are those of the tile's first row and the panel's first unit
    "sums",  # [rows][slots][vectors]
    "sums_row",  # bytes from row to row
    "rows",
    "vectors",
    "prev_h",  # [rows][vectors]
    "next_h",
    "h_row",
    "next_read",  # next_h as the next product reads it, where that is not as it is
    "read_row",
    "prev_c",  # [vectors][rows]
    "next_c",
    "c_vector",  # bytes from vector to vector
    "kept",  # [vectors][rows][kept]; unused without a tape
    "kept_vector",
    "y",  # the caller's [B][H], so the last vector may be partial
    "y_row",
    "order",  # int64: which row of y each row is
    "valid",  # units from the panel's first to the last there is
)


def make_finish(cell: KernelCell, lanes: Lanes, *, keep: bool) -> Callable[..., None]:
    """Return ``finish(…)`` of `FORWARD_ARGUMENTS`, by name: it takes a tile's step, inside what is `written`.

    With `keep`, what the backward needs goes to the tape.
    """
    states: Any = _named("states", cell.spec.states)
    slot_count, name = len(cell.slot_names), f"finish.{cell.name}.{lanes.suffix}.{keep}"

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(FORWARD_ARGUMENTS, arguments, strict=True))
        address, builder, width = _Address(code), code.builder, lanes.width
        slot = builder.mul(at["vectors"], ir.Constant(INT, width))

        def body(row: ir.Value, vector: ir.Value) -> None:
            place = {
                "h": [(row, at["h_row"]), (vector, width)],
                "c": [(row, width), (vector, at["c_vector"])],
            }
            sums = address(at["sums"], (row, at["sums_row"]), (vector, width))
            a = cell.slots(*(code.load(address(sums, (slot, s))) for s in range(slot_count)))
            prev = states(*(code.load(address(at[f"prev_{s}"], *place[s])) for s in cell.spec.states))
            new, gates = cell.step(a, prev)
            for s, value in zip(cell.spec.states, new, strict=True):
                code.store(value, address(at[f"next_{s}"], *place[s]))
            if lanes.operands != EXACT:
                read = address(at["next_read"], (row, at["read_row"]), (vector, lanes.operand_width))
                store_operand(new[0], read)  # (BF2)
            if keep:
                kept = address(at["kept"], (row, len(cell.kept) * width), (vector, at["kept_vector"]))
                for k, value in enumerate(gates):
                    code.store(value, kept, k * width)
            number = builder.load(code.pointer(address(at["order"], (row, 8))), typ=INT, align=8)
            y = address(at["y"], (number, at["y_row"]), (vector, width))
            whole, mask = _edge(code, at["valid"], vector)
            with builder.if_else(whole) as (full, partial):
                with full:
                    code.store(new[0], y)
                with partial:
                    code.store_first(mask, new[0], y)

        _rows_and_vectors(code, at["rows"], at["vectors"], body)

    def finish(**at: int) -> None:
        call(name, emit, lanes, *(at[argument] for argument in FORWARD_ARGUMENTS))

    return finish


BACKWARD_ARGUMENTS = (
    "sums",  # [rows][vectors]: what dh gets through W_h from the step after
    "sums_row",
    "rows",
    "vectors",
    "dy",  # the caller's [B][H]
    "dy_row",
    "order",
    "prev_h",
    "next_h",
    "h_row",
    "prev_c",
    "next_c",
    "c_vector",
    "carry_h",  # [rows][vectors]: what dh gets directly, from the step after or from the caller
    "carry_c",
    "carry_row",
    "kept",
    "kept_vector",
    "da",  # [slots][vectors][rows]
    "da_vector",
    "da_slot",
    "valid",
)


def make_finish_backward(cell: KernelCell, lanes: Lanes) -> Callable[..., None]:
    """Return the same of `BACKWARD_ARGUMENTS`: it takes a tile's step backwards."""
    states: Any = _named("states", cell.spec.states)
    kept: Any = _named("kept", cell.kept)
    name = f"finish backward.{cell.name}.{lanes.suffix}"

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(BACKWARD_ARGUMENTS, arguments, strict=True))
        address, builder, width = _Address(code), code.builder, lanes.width

        def body(row: ir.Value, vector: ir.Value) -> None:
            place = {
                "h": [(row, at["h_row"]), (vector, width)],
                "c": [(row, width), (vector, at["c_vector"])],
            }
            carry = [(row, at["carry_row"]), (vector, width)]
            number = builder.load(code.pointer(address(at["order"], (row, 8))), typ=INT, align=8)
            dy_at = address(at["dy"], (number, at["dy_row"]), (vector, width))
            whole, mask = _edge(code, at["valid"], vector)
            with builder.if_else(whole) as (full, partial):
                with full:
                    dy_full, full_block = code.load(dy_at), builder.block
                with partial:
                    dy_partial, partial_block = code.load_first(mask, dy_at), builder.block
            dy = builder.phi(lanes.type)
            dy.add_incoming(dy_full.value, full_block)
            dy.add_incoming(dy_partial.value, partial_block)
            sums = code.load(address(at["sums"], (row, at["sums_row"]), (vector, width)))
            dstate = states(*(code.load(address(at[f"carry_{s}"], *carry)) for s in cell.spec.states))
            dstate = dstate._replace(h=dstate.h + sums + Vector(code, dy))
            prev = states(*(code.load(address(at[f"prev_{s}"], *place[s])) for s in cell.spec.states))
            state = states(*(code.load(address(at[f"next_{s}"], *place[s])) for s in cell.spec.states))
            kept_at = address(at["kept"], (row, len(cell.kept) * width), (vector, at["kept_vector"]))
            gates = kept(*(code.load(kept_at, k * width) for k in range(len(cell.kept))))
            carries, da = cell.step_backward(gates, prev, state, dstate)
            for s, value in zip(cell.spec.states, carries, strict=True):
                code.store(code.splat(0) if value is None else value, address(at[f"carry_{s}"], *carry))
            for k, value in enumerate(da):
                slot = (at["da_slot"], ir.Constant(INT, k))
                da_at = address(at["da"], (row, lanes.operand_width), (vector, at["da_vector"]), slot)
                store_operand(value, da_at)  # (BF2′)

        _rows_and_vectors(code, at["rows"], at["vectors"], body)

    def finish_backward(**at: int) -> None:
        call(name, emit, lanes, *(at[argument] for argument in BACKWARD_ARGUMENTS))

    return finish_backward
