"""Operators over numbers that are known and over sizes: what weights and shapes go through before a layer reads them.

Bits are moved and never computed with, but for integers of shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import helper

from .values import Atom, CantRead, Count, Known, Sizes, Zeros, axis_of

MOST = 1 << 26
"""Numbers that an array made while a file is read may have: operators can ask for any."""

Attributes = Mapping[str, Any]


def integers(value: Any, what: str) -> list[int]:
    """Return known integers, of any shape, as a list."""
    if not isinstance(value, Known) or value.array.dtype.kind not in "iu":
        raise CantRead(f"{what} must be integers that the file holds")
    return [int(one) for one in value.array.reshape(-1)]


def entries(value: Any, what: str) -> tuple[int | Atom | None, ...]:
    """Return a shape, of numbers that are known and of sizes."""
    return value.entries if isinstance(value, Sizes) else tuple(integers(value, what))


def _shape(entries: Sequence[int | Atom | None], scalar: bool = False) -> Known | Sizes:
    """Return sizes, as known numbers where all are."""
    if all(isinstance(one, int) for one in entries):
        return Known(np.array(entries[0] if scalar else entries, np.int64))
    return Sizes(tuple(entries), scalar)


def _axes(given: Sequence[Any], attributes: Attributes, rank: int) -> list[int] | None:
    """Return the axes of Squeeze and the like, an attribute once and an input since opset 13."""
    axes = attributes.get("axes")
    if axes is None and len(given) > 1 and given[1] is not None:
        axes = integers(given[1], "axes")
    return None if axes is None else [axis_of(int(one), rank) for one in axes]


def _identity(given: Sequence[Any], attributes: Attributes) -> Any:
    return given[0]


def _cast(given: Sequence[Any], attributes: Attributes) -> Any:
    if not isinstance(given[0], Known):
        return given[0]
    dtype = helper.tensor_dtype_to_np_dtype(attributes["to"])
    array = given[0].array
    if array.dtype.kind == "f" and array.dtype != dtype:
        raise CantRead(f"to must keep the floats that they are, {array.dtype}, got {dtype}: bits would be lost")
    return Known(array.astype(dtype))


def _transpose(given: Sequence[Any], attributes: Attributes) -> Known:
    return Known(_array(given[0]).transpose(attributes.get("perm")))


def _reshape(given: Sequence[Any], attributes: Attributes) -> Any:
    if isinstance(given[0], Zeros):
        return given[0]
    shape = entries(given[1], "shape")
    if isinstance(given[0], Sizes):
        return Sizes(given[0].entries, scalar=not shape)
    array = _array(given[0])
    if any(not isinstance(one, int) for one in shape):
        raise CantRead("shape of weights must be numbers that the file holds")
    kept: list[Any] = [array.shape[k] if one == 0 and k < array.ndim else one for k, one in enumerate(shape)]
    return Known(array.reshape(kept))


def _squeeze(given: Sequence[Any], attributes: Attributes) -> Any:
    value = given[0]
    if isinstance(value, Sizes):
        return Sizes(value.entries, scalar=True)
    if not isinstance(value, Known):
        return value
    axes = _axes(given, attributes, value.array.ndim)
    return Known(value.array.squeeze() if axes is None else value.array.squeeze(tuple(axes)))


def _unsqueeze(given: Sequence[Any], attributes: Attributes) -> Any:
    value = given[0]
    if isinstance(value, Sizes):
        return Sizes(value.entries)
    if not isinstance(value, Known):
        return value
    axes = attributes.get("axes") or integers(given[1], "axes")
    return Known(np.expand_dims(value.array, tuple(int(one) for one in axes)))


def _concat(given: Sequence[Any], attributes: Attributes) -> Any:
    if all(isinstance(one, Zeros) for one in given):
        return given[0]
    if all(isinstance(one, Known) for one in given):
        _bounded([sum(one.array.size for one in given)])
        return Known(np.concatenate([one.array for one in given], attributes["axis"]))
    return _shape([entry for one in given for entry in entries(one, "each of the parts")])


def _gather(given: Sequence[Any], attributes: Attributes) -> Any:
    value, axis = given[0], attributes.get("axis", 0)
    if isinstance(value, Sizes):
        places = integers(given[1], "indices")
        return _shape([value.entries[one] for one in places], scalar=given[1].array.ndim == 0)
    if isinstance(value, Zeros):
        return value
    array, index = _array(value), _array(given[1])
    _bounded([array.size // max(1, array.shape[axis]) * index.size])
    return Known(np.take(array, index, axis))


def _slice(given: Sequence[Any], attributes: Attributes) -> Any:
    value = given[0]
    if isinstance(value, Zeros):
        return value
    rank = 1 if isinstance(value, Sizes) else _array(value).ndim
    cuts = [slice(None)] * rank
    for axis, start, end, step in slices(given, attributes, rank):
        cuts[axis] = slice(start, end, step)
    if isinstance(value, Sizes):
        return _shape(value.entries[cuts[0]])
    return Known(_array(value)[tuple(cuts)])


def slices(given: Sequence[Any], attributes: Attributes, rank: int) -> list[tuple[int, int, int | None, int]]:
    """Return axis, start, end and step of each cut of a Slice: attributes once, and inputs since opset 10."""
    if "starts" in attributes:
        found = [list(attributes["starts"]), list(attributes["ends"]), attributes.get("axes"), None]
    else:
        names = ("starts", "ends", "axes", "steps")
        found = [None if v is None else integers(v, name) for v, name in zip(_padded(given[1:], 4), names, strict=True)]
    starts, ends, axes, steps = found
    if starts is None or ends is None:
        raise CantRead("starts and ends must be there")
    axes, steps = list(range(len(starts))) if axes is None else axes, [1] * len(starts) if steps is None else steps
    return [
        (axis_of(int(axis), rank), int(start), None if step < 0 and end < -(1 << 30) else int(end), int(step))
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]


def _padded(values: Sequence[Any], count: int) -> list[Any]:
    return [*values, *[None] * (count - len(values))]


def _constant_of_shape(given: Sequence[Any], attributes: Attributes) -> Any:
    value = attributes.get("value", np.zeros(1, np.float32)).reshape(-1)
    if value.dtype.kind == "f" and not value.any():
        return Zeros()
    shape = entries(given[0], "shape")
    if any(not isinstance(one, int) for one in shape):
        raise CantRead("a constant other than 0 must have a shape that the file holds")
    return Known(np.full(_bounded(shape), value[0]))


def _expand(given: Sequence[Any], attributes: Attributes) -> Any:
    value = given[0]
    if isinstance(value, Zeros):
        return value
    if isinstance(value, Known) and value.array.dtype.kind == "f" and not value.array.any():
        return Zeros()
    if isinstance(value, Sizes):
        return Sizes(value.entries[:1])  # as many as there are rows, all alike
    shape = entries(given[1], "shape")
    if any(not isinstance(one, int) for one in shape):
        raise CantRead("what is repeated must be zeros: our layers learn no state to begin with")
    return Known(np.broadcast_to(_array(value), np.broadcast_shapes(_array(value).shape, _bounded(shape))))


def _tile(given: Sequence[Any], attributes: Attributes) -> Any:
    value = given[0]
    if isinstance(value, Known) and (value.array.dtype.kind != "f" or value.array.any()):
        raise CantRead("what is repeated must be zeros, or a size")
    return Sizes(value.entries[:1]) if isinstance(value, Sizes) else Zeros()


def _bounded(shape: Sequence[Any]) -> tuple[int, ...]:
    """Return a shape, if an array of it is not too large."""
    if any(one < 0 for one in shape) or prod(shape) > MOST:
        raise CantRead(f"shape must have at most {MOST:,} numbers, got {list(shape)}")
    return tuple(shape)


def _split(given: Sequence[Any], attributes: Attributes) -> list[Any]:
    sizes, axis = attributes.get("split"), attributes.get("axis", 0)
    if len(given) > 1 and given[1] is not None:
        sizes = integers(given[1], "split")
    if isinstance(given[0], Zeros):
        return [given[0]] * attributes["outputs"]
    array = _array(given[0])
    cuts = attributes["outputs"] if sizes is None else np.cumsum(sizes)[:-1]
    return [Known(part) for part in np.split(array, cuts, axis_of(axis, array.ndim))]


def _range(given: Sequence[Any], attributes: Attributes) -> Any:
    start, end, step = given
    if isinstance(end, Sizes) and isinstance(end.entries[0], Atom) and integers(start, "start") == [0]:
        return Count(end.entries[0])
    numbers = [integers(one, "each of the limits")[0] for one in given]
    if len(range(*numbers)) > MOST:
        raise CantRead(f"a range must have at most {MOST:,} numbers")
    return Known(np.arange(*numbers))


def _less(given: Sequence[Any], attributes: Attributes) -> Any:
    count, sizes = given
    if isinstance(count, Count) and isinstance(sizes, Sizes) and {*sizes.entries} == {count.of}:
        return Count(count.of, below=True)
    raise CantRead("what is compared must be the steps with their number")


def _elementwise(function: Callable[[Any, Any], Any]) -> Callable[[Sequence[Any], Attributes], Any]:
    """Return an operator of integers; what depends on a size isn't known, but that no size is below 0."""

    def operator(given: Sequence[Any], attributes: Attributes) -> Any:
        first, second = given
        if isinstance(first, Known) and isinstance(second, Known):
            if first.array.dtype.kind == "f":
                raise CantRead("what is computed while the file is read must be integers")
            _bounded(np.broadcast_shapes(first.array.shape, second.array.shape))
            return Known(np.asarray(function(first.array, second.array)))
        left, right = (entries(one, "what is computed with sizes") for one in given)
        count = max(len(left), len(right))
        pairs = zip(*(one * count if len(one) == 1 else one for one in (left, right)), strict=True)
        done = [_of_sizes(function, a, b) for a, b in pairs]
        if function is np.equal and None not in done:
            return Known(np.array(done))
        return Sizes(tuple(done), all(isinstance(one, Sizes) and one.scalar for one in given))

    return operator


def _of_sizes(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        found = function(a, b)
        return bool(found) if function is np.equal else int(found)
    if function is np.equal and (a == -1 or b == -1):
        return False
    if function is np.multiply and 1 in (a, b):
        return b if a == 1 else a
    return None


def _where(given: Sequence[Any], attributes: Attributes) -> Any:
    condition, yes, no = given
    if not isinstance(condition, Known):
        raise CantRead("the condition must be known, or the mask of the valid steps")
    if isinstance(yes, Known) and isinstance(no, Known):
        _bounded(np.broadcast_shapes(condition.array.shape, yes.array.shape, no.array.shape))
        return Known(np.where(condition.array, yes.array, no.array))
    if condition.array.size == 1:
        return yes if condition.array.reshape(()) else no
    left, right = (entries(one, "what is chosen") for one in (yes, no))
    flags = condition.array.reshape(-1)
    columns = [one * len(flags) if len(one) == 1 else one for one in (left, right)]
    return _shape([a if flag else b for flag, a, b in zip(flags, *columns, strict=True)])


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, Known):
        raise CantRead("what it reads must be numbers that the file holds")
    return value.array


OPERATORS: dict[str, Callable[[Sequence[Any], Attributes], Any]] = {
    "Identity": _identity,
    "Cast": _cast,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Less": _less,
    "Equal": _elementwise(np.equal),
    "Mul": _elementwise(np.multiply),
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Where": _where,
}
"""Each from what comes in, None for what is left out, and attributes, with the number of outputs among them."""
