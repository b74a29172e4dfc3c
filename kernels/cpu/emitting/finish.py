"""The end of a tile: from complete sums to gates, states and gradients.

A cell's own file gives its equations on vectors. Here they are put into a loop over the rows and the vectors of a
tile, between the loads and the stores. The sums come from a scratch that the micro-kernel has just written, at most
some KiB, so they are in the nearest cache; nothing of the gates touches memory but what a tape keeps.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any

from llvmlite import ir

from .bfloat16 import store_operand
from .cell import KernelCell
from .integers import call
from .simd import EXACT, INT, Code, Lanes, Vector

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


def of_some(cell: KernelCell, *, upstream: bool | None = None) -> tuple[str, ...]:
    """Return the arguments that only some cells have; `upstream` is None forwards."""
    backward = upstream is not None
    found = {
        "c_state": len(cell.states) > 2,  # bytes from c to the state behind it
        "carry_state": backward and len(cell.states) > 2,
        "streams": bool(cell.streams),  # int64: the address of each stream's first number
        "streams_at": bool(cell.streams),  # bytes from there to the step's first row, and the panel's first unit
        "streams_row": bool(cell.streams),
        "numbers": cell.numbers > 0,  # [vectors and constants][vectors]
        "number_row": cell.numbers > 0,
        "dp": backward and bool(cell.vectors),  # [the cell's vectors][vectors][rows]
        "dp_vector": backward and bool(cell.vectors),
        "dp_slot": backward and bool(cell.vectors),
        "upstream": bool(upstream),  # int64 [states but h][address, bytes from row to row, from step to step]
        "upstream_at": bool(upstream),  # bytes from there to the panel's first unit
        "t": bool(upstream),
    }
    return tuple(name for name, there in found.items() if there)


_named: Any = namedtuple


def _rows_and_vectors(
    code: Code, rows: ir.Value, vectors: ir.Value, body: Callable[[ir.Value, ir.Value], None]
) -> None:
    """Emit `body(row, vector)` inside two loops."""
    with code.loop(rows) as row, code.loop(vectors) as vector:
        body(row.index, vector.index)


class Units:
    """A vector of units in a row of a tile: where what belongs to it lies, while code is emitted."""

    def __init__(self, code: Code, at: dict[str, ir.Value], row: ir.Value, vector: ir.Value):
        self.code, self.builder, self.at, self.row, self.vector = code, code.builder, at, row, vector
        self.width = code.lanes.width
        order = code.pointer(self.place(at["order"], (row, 8)))
        self.number = self.builder.load(order, typ=INT, align=8)
        count = ir.Constant(INT, code.lanes.count)
        left = self.builder.sub(at["valid"], self.builder.mul(vector, count))
        self.whole, self.mask = self.builder.icmp_signed(">=", left, count), code.first_lanes(left)

    def place(self, base: ir.Value, *offsets: tuple[ir.Value | int, ir.Value | int]) -> ir.Value:
        """Return base + Σ index·bytes."""
        for index, size in offsets:
            index, size = (ir.Constant(INT, n) if isinstance(n, int) else n for n in (index, size))
            base = self.builder.add(base, self.builder.mul(index, size))
        return base

    def state(self, when: str, k: int) -> ir.Value:
        """Return where state k is, before the step ("prev") or after it ("next")."""
        at, width = self.at, self.width
        if k == 0:
            return self.place(at[f"{when}_h"], (self.row, at["h_row"]), (self.vector, width))
        further = [(k - 1, at["c_state"])] if k > 1 else []
        return self.place(at[f"{when}_c"], (self.row, width), (self.vector, at["c_vector"]), *further)

    def carry(self, k: int) -> ir.Value:
        """Return where what state k's gradient gets directly is."""
        further = [(k - 1, self.at["carry_state"])] if k > 1 else []
        base = self.at["carry_h" if k == 0 else "carry_c"]
        return self.place(base, (self.row, self.at["carry_row"]), (self.vector, self.width), *further)

    def kept(self, count: int) -> ir.Value:
        """Return where a tape keeps `count` numbers of each unit."""
        return self.place(self.at["kept"], (self.row, count * self.width), (self.vector, self.at["kept_vector"]))

    def caller(self, base: ir.Value, row: ir.Value) -> ir.Value:
        """Return where these units are in a caller's [B][H]."""
        return self.place(base, (self.number, row), (self.vector, self.width))

    def load_caller(self, address: ir.Value) -> Vector:
        """Return what is there: the last vector may be partial, and then ends in zeros."""
        code, builder = self.code, self.builder
        with builder.if_else(self.whole) as (full, partial):
            with full:
                all_of_it, full_block = code.load(address), builder.block
            with partial:
                part_of_it, partial_block = code.load_first(self.mask, address), builder.block
        loaded = builder.phi(code.lanes.type)
        loaded.add_incoming(all_of_it.value, full_block)
        loaded.add_incoming(part_of_it.value, partial_block)
        return Vector(code, loaded)

    def store_caller(self, vector: Vector, address: ir.Value) -> None:
        """Put a vector there, as far as there are units."""
        with self.builder.if_else(self.whole) as (full, partial):
            with full:
                self.code.store(vector, address)
            with partial:
                self.code.store_first(self.mask, vector, address)

    def word(self, table: str, k: int) -> ir.Value:
        """Return an integer of a table."""
        return self.builder.load(self.code.pointer(self.at[table], 8 * k), typ=INT, align=8)

    def more(self, cell: KernelCell) -> Iterable[Vector]:
        """Give what a step has besides sums and states: streams, then vectors and constants."""
        yield from map(self.stream, range(len(cell.streams)))
        yield from map(self.own_number, range(cell.numbers))

    def stream(self, k: int) -> Vector:
        """Return a stream's numbers."""
        base = self.builder.add(self.word("streams", k), self.at["streams_at"])
        return self.load_caller(self.caller(base, self.at["streams_row"]))

    def own_number(self, k: int) -> Vector:
        """Return a vector's numbers, or a constant's."""
        return self.code.load(self.number_at(k))

    def number_at(self, k: int) -> ir.Value:
        """Return where these are."""
        return self.place(self.at["numbers"], (self.vector, self.width), (k, self.at["number_row"]))

    def upstream(self, k: int) -> Vector:
        """Return the caller's gradient of state k, which is not h, at this step."""
        base, row, step = (self.word("upstream", 3 * (k - 1) + n) for n in range(3))
        base = self.place(self.builder.add(base, self.at["upstream_at"]), (self.at["t"], step))
        return self.load_caller(self.caller(base, row))

    def guard(self, vector: Vector) -> Vector:
        """Return a vector with 0 where there is no unit."""
        return Vector(self.code, self.builder.select(self.mask, vector.value, self.code.splat(0).value))


def as_vector(code: Code, value: Vector | float | None) -> Vector:
    """Return what a cell's function has returned as a vector: it may be a number, or nothing."""
    return value if isinstance(value, Vector) else code.splat(0 if value is None else value)


def make_finish(cell: KernelCell, lanes: Lanes, *, keep: bool) -> Callable[..., None]:
    """Return ``finish(…)`` of a tile's arguments, by name: it takes its step, inside what is `written`.

    With `keep`, what the backward needs goes to the tape.
    """
    states: Any = _named("states", cell.states)
    slot_count, name = len(cell.slot_names), f"finish.{cell.name}.{lanes.suffix}.{keep}"
    names = FORWARD_ARGUMENTS + of_some(cell)

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(names, arguments, strict=True))
        slot = code.builder.mul(at["vectors"], ir.Constant(INT, lanes.width))

        def body(row: ir.Value, vector: ir.Value) -> None:
            units = Units(code, at, row, vector)
            sums = units.place(at["sums"], (row, at["sums_row"]), (vector, lanes.width))
            a = cell.slots(*(code.load(units.place(sums, (s, slot))) for s in range(slot_count)))
            prev = states(*(code.load(units.state("prev", k)) for k in range(len(cell.states))))
            new, kept = cell.step(a, prev, *units.more(cell))
            new = [as_vector(code, value) for value in new]
            if cell.guarded:
                new[0] = units.guard(new[0])  # a product reads it, and would multiply it by 0
            for k, value in enumerate(new):
                code.store(value, units.state("next", k))
            if lanes.operands != EXACT:
                read = units.place(at["next_read"], (row, at["read_row"]), (vector, lanes.operand_width))
                store_operand(new[0], read)  # (BF2)
            if keep:
                for k, value in enumerate(kept):
                    code.store(as_vector(code, value), units.kept(len(cell.kept)), k * lanes.width)
            units.store_caller(new[0], units.caller(at["y"], at["y_row"]))  # y_t = h_t: (R3), (L8), (G6)

        _rows_and_vectors(code, at["rows"], at["vectors"], body)

    def finish(**at: int) -> None:
        call(name, emit, lanes, *(at[argument] for argument in names))

    return finish


def make_finish_backward(cell: KernelCell, lanes: Lanes, *, upstream: bool = False) -> Callable[..., None]:
    """Return the same backwards; with `upstream`, every state but h has gradients of the caller's at every step."""
    states: Any = _named("states", cell.states)
    kept: Any = _named("kept", cell.kept)
    name = f"finish backward.{cell.name}.{lanes.suffix}.{upstream}"
    names, every = BACKWARD_ARGUMENTS + of_some(cell, upstream=upstream), range(len(cell.states))

    def emit(code: Code, *arguments: ir.Value) -> None:
        at = dict(zip(names, arguments, strict=True))

        def body(row: ir.Value, vector: ir.Value) -> None:
            units = Units(code, at, row, vector)
            dy = units.load_caller(units.caller(at["dy"], at["dy_row"]))
            sums = code.load(units.place(at["sums"], (row, at["sums_row"]), (vector, lanes.width)))
            dstate = [code.load(units.carry(k)) for k in every]
            dstate[0] = dstate[0] + sums + dy  # (R3′), (L8′), (G6′)
            if upstream:
                dstate[1:] = [value + units.upstream(k) for k, value in enumerate(dstate[1:], start=1)]  # (L9′)
            prev, state = (states(*(code.load(units.state(when, k)) for k in every)) for when in ("prev", "next"))
            kept_at = units.kept(len(cell.kept))
            gates = kept(*(code.load(kept_at, k * lanes.width) for k in range(len(cell.kept))))
            carries, da, *dp = cell.step_backward(gates, prev, state, states(*dstate), *units.more(cell))
            for k, value in enumerate(carries):
                code.store(as_vector(code, value), units.carry(k))
            for k, value in enumerate(da):
                value = units.guard(as_vector(code, value)) if cell.guarded else value
                place = (row, lanes.operand_width), (vector, at["da_vector"]), (k, at["da_slot"])
                store_operand(value, units.place(at["da"], *place))  # (BF2′)
            for k, value in enumerate(dp):
                place = (row, lanes.width), (vector, at["dp_vector"]), (k, at["dp_slot"])
                code.store(as_vector(code, value), units.place(at["dp"], *place))

        _rows_and_vectors(code, at["rows"], at["vectors"], body)

    def finish_backward(**at: int) -> None:
        call(name, emit, lanes, *(at[argument] for argument in names))

    return finish_backward
