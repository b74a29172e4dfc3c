"""Operators that take parts of what flows and join them: one direction and both, the last step, final states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...formats.passing import LAST_STEP
from ...formats.steps import Looked, Pooled
from ..order import Packed
from .folding import integers, slices
from .stages import Cells
from .values import Atom, Axis, CantRead, Flow, Known, States, axis_of, size_of

Attributes = Mapping[str, Any]


def as_layers_read(flow: Flow) -> Flow:
    """Return a flow as a layer reads it: of a final state h, the vector of both directions."""
    if not flow.whole:
        raise CantRead("what a layer reads must be the whole of what comes in, got a part of it")
    if flow.directions is not None:
        raise CantRead("two directions must be joined along their features before a layer reads them")
    if flow.at == "c":
        raise CantRead("what a layer reads must be h, got c, the other final state")
    return flow if flow.at == "steps" else flow.after(Pooled("last"), flow.axes, at="steps")


def _cut(flow: Flow, axis: int, place: int, *, keep: bool) -> Any:
    """Return one place of an axis: one direction, the last step, or a part of an input that is a state."""
    here = flow.axes[axis]
    rest = [*flow.axes[:axis], *([()] if keep else []), *flow.axes[axis + 1 :]]
    if not flow.steps:
        return replace(flow, axes=tuple(rest), whole=False)
    if here == () and place in (0, -1):
        return replace(flow, axes=tuple(rest))
    if flow.directions is not None and here == (flow.directions,) and place in (-2, -1, 0, 1):
        return replace(flow, axes=tuple(rest), part=place % 2)
    if flow.time is not None and here == (flow.time,) and place in (-1, (flow.time.size or 0) - 1):
        both = flow.features != (flow.features[-1],) or flow.directions is not None
        step = Pooled(LAST_STEP if both else "last")
        return flow.after(step, tuple(rest))
    raise CantRead(f"what is taken must be one direction or the last step, got place {place} of axis {axis}")


def gather(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return the vectors of tokens, one direction of two, or the last step."""
    value, index = given
    axis = attributes.get("axis", 0)
    if isinstance(value, Known) and isinstance(index, Flow):
        weight = value.array
        if axis or weight.ndim != 2 or weight.dtype.kind != "f" or index.steps or not index.whole:
            raise CantRead("a table of vectors must be a matrix of floats that is read along axis 0, by what comes in")
        out: Axis = (Atom(weight.shape[1]),)
        return index.after(Looked(weight), (*index.axes, out), features=out)
    places = integers(index, "indices")
    if isinstance(value, States):
        return _of_states(value, places, index.array.ndim)
    if len(places) != 1:
        raise CantRead(f"one place must be taken, got {len(places)}")
    return _cut(value, axis_of(axis, len(value.axes)), places[0], keep=index.array.ndim == 1)


def _of_states(states: States, places: Sequence[int], rank: int) -> Flow:
    """Return one final state of several layers, in one direction."""
    each = [(flow, k) for flow in states.each for k in range(2 if flow.directions is not None else 1)]
    if len(places) != 1 or not -len(each) <= places[0] < len(each):
        raise CantRead(f"one of {len(each)} final states must be taken, got {list(places)}")
    flow, part = each[places[0]]
    found = _cut(flow, 0, part, keep=rank == 1)
    if not isinstance(found, Flow):
        raise CantRead("a final state must be a layer's")
    return found


def slice_(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return one direction of two, the last step, or all."""
    flow = given[0]
    if isinstance(flow, States):
        (axis, start, end, step), *others = slices(given, attributes, 3)
        if axis or step != 1 or others or end is None or (end < 1 << 30 and end - start != 1):
            raise CantRead("one of the final states must be taken")
        return _of_states(flow, [start], 1)
    for axis, start, end, step in slices(given, attributes, len(flow.axes)):
        if step == 1 and start == 0 and end is not None and end >= (size_of(flow.axes[axis]) or 1 << 30):
            continue
        last = start == -1 and (end is None or end >= 1 << 30)
        if (not flow.steps and step == 1) or (step == 1 and (last or (end is not None and end - start == 1))):
            flow = _cut(flow, axis, start, keep=True)
        else:
            raise CantRead(f"what is taken must be one direction or the last step, got {start}:{end}:{step} of {axis}")
    return flow


def split(given: Sequence[Any], attributes: Attributes) -> list[Any]:
    """Return both directions, one by one, or the parts of an input that are states."""
    flow, count = given[0], attributes["outputs"]
    axis = axis_of(attributes.get("axis", 0), len(flow.axes))
    if flow.steps and (count != 2 or flow.axes[axis] != (flow.directions,)):
        raise CantRead("what is split must be the two directions")
    return [_cut(flow, axis, k, keep=True) for k in range(count)]


def concat(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return both directions side by side, or the final states of several layers."""
    first = given[0]
    if len(given) == 1:
        return first
    if all(isinstance(one, Flow | States) for one in given):
        rank = len(first.axes) if isinstance(first, Flow) else 3
        axis = axis_of(attributes["axis"], rank)
        if axis == 0 and all(isinstance(one, States) or (one.at != "steps" and one.part is None) for one in given):
            return States(tuple(f for one in given for f in (one.each if isinstance(one, States) else (one,))))
        if len(given) == 2 and isinstance(first, Flow) and isinstance(given[1], Flow):
            return _side_by_side(first, given[1], axis)
    raise CantRead("what is joined must be the two directions of one layer, or final states")


def _side_by_side(first: Flow, second: Flow, axis: int) -> Flow:
    """Return two directions as one flow: parts of a bidirectional layer, or two layers over the same."""
    if (first.part, second.part) == (0, 1) and first.steps == second.steps and first.directions is not None:
        both = (first.directions, *first.features)
        if first.axes[axis] == first.features and first.axes == second.axes:
            axes = (*first.axes[:axis], both, *first.axes[axis + 1 :])
            return replace(first, axes=axes, features=both, directions=None, part=None)
        if first.axes[axis] == () and first.axes == second.axes:
            axes = (*first.axes[:axis], (first.directions,), *first.axes[axis + 1 :])
            return replace(first, axes=axes, part=None)
    a, b = (one.steps[-1] if one.steps else None for one in (first, second))
    if not (isinstance(a, Cells) and isinstance(b, Cells) and a.like(b) and not a.reverse and b.reverse):
        raise CantRead("what is joined must be a layer's forward direction and, behind it, its backward direction")
    if first.steps[:-1] != second.steps[:-1] or first.at != second.at or a.packed.W.shape != b.packed.W.shape:
        raise CantRead("two directions that are joined must read the same")
    if first.axes[axis] != first.features or second.axes[axis] != second.features:
        raise CantRead("two directions must be joined along their features")
    others = [one.axes[:axis] + one.axes[axis + 1 :] for one in (first, second)]
    if others[0] != others[1]:
        raise CantRead("two directions that are joined must have the same axes")
    packed = Packed(*(
        None if one is None or two is None else np.concatenate([one, two])
        for one, two in zip(a.packed, b.packed, strict=True)
    ))  # type: ignore[arg-type]  # fmt: skip
    pair = Cells(a.node, a.kind, packed, a.nonlinearity, others=a.others | b.others)
    both = (Atom(2), *first.features)
    axes = (*first.axes[:axis], both, *first.axes[axis + 1 :])
    return replace(first, steps=(*first.steps[:-1], pair), axes=axes, features=both)
