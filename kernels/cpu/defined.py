"""A cell that a user has defined, as tiles see it: its two programs, carried out on vectors."""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from kernels.definition import Definition, Program

from .emitting import pointwise
from .emitting.cell import KernelCell
from .emitting.simd import Code, Vector
from .levels.schedule import LevelledCell, levelled

OPERATIONS: dict[str, Callable[..., Vector]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "sigmoid": pointwise.sigmoid,
    "tanh": pointwise.tanh,
    "relu": pointwise.relu,
    "exp": pointwise.exponential,
    "log": pointwise.log,
    "sqrt": pointwise.sqrt,
    "maximum": pointwise.maximum,
    "minimum": pointwise.minimum,
    "where_less": pointwise.where_less,
}
"""Each of `kernels.definition.OPERATIONS`, on vectors."""

_named: Any = namedtuple


def _run(program: Program, inputs: list[Vector]) -> list[Vector | float]:
    """Carry a program out on vectors; a number that it has from the user's file stands in every lane."""
    code: Code = inputs[0].code

    def lifted(function: Callable[..., Vector]) -> Callable[..., Vector]:
        return lambda *operands: function(*(o if isinstance(o, Vector) else code.splat(o) for o in operands))

    return program.run(inputs, {name: lifted(function) for name, function in OPERATIONS.items()})


def _slots(definition: Definition) -> tuple[str, ...]:
    """Return the sums in a tile's order: those of the input alone, of both, of the state alone."""
    from_x, from_h = set(definition.from_x), set(definition.from_h)
    return tuple(
        slot for part in (from_x - from_h, from_x & from_h, from_h - from_x) for slot in definition.sums if slot in part
    )


_CELLS: dict[str, KernelCell] = {}


def kernel_cell(definition: Definition) -> KernelCell:
    """Return a definition as tiles see it: one that has been defined twice, in the same words, is the same cell."""
    found = _CELLS.get(definition.digest)
    return found or _CELLS.setdefault(definition.digest, _made(definition))


def _made(definition: Definition) -> KernelCell:
    slots, states, kept = _slots(definition), len(definition.states), len(definition.kept)
    in_order = [slots.index(name) for name in definition.sums]
    in_slots = [definition.sums.index(name) for name in slots]
    sums = len(slots)

    def step(a: Any, prev: Any, *more: Vector) -> tuple[Any, Any]:
        found = _run(definition.step, [*(a[k] for k in in_order), *prev, *more])
        return found[:states], found[states:]

    def step_backward(gates: Any, prev: Any, state: Any, dstate: Any, *more: Vector) -> tuple[Any, ...]:
        found = _run(definition.step_backward, [*gates, *prev, *state, *dstate, *more])
        da = found[states : states + sums]
        return found[:states], [da[k] for k in in_slots], *found[states + sums :]

    parts: dict[str, Any] = {
        "name": f"defined {definition.digest}",
        "states": definition.states,
        "slots": _named("Slots", slots),
        "from_x": definition.from_x,
        "from_h": definition.from_h,
        "kept": tuple(f"k{k}" for k in range(kept)),
        "step": step,
        "step_backward": step_backward,
        "streams": definition.streams,
        "vectors": definition.vectors,
        "constants": definition.constants,
        "matrices": definition.matrices,
        "guarded": True,
    }
    if definition.across or definition.matrices:
        parts |= {"order": tuple(in_order), "apply": OPERATIONS}
        apart = parts | {"name": f"{parts['name']} apart"} | levelled(definition, alike=False)
        return LevelledCell(**parts, **levelled(definition), apart=LevelledCell(**apart))
    return KernelCell(**parts)
