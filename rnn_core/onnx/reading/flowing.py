"""Operators over what flows: axes are moved, layers are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto

from ...formats.steps import Affine, Function, Pooled
from .folding import entries, integers
from .taking import as_layers_read, concat, gather, slice_, split
from .values import Atom, Axis, CantRead, Count, Flow, Known, Sizes, States, axis_of, entry_of, regrouped, size_of

Attributes = Mapping[str, Any]


def _features_last(flow: Flow) -> Flow:
    """Return a flow as a layer reads it, if its last axis is its features."""
    flow = as_layers_read(flow)
    if not flow.features and flow.axes and not flow.steps:
        raise CantRead("what a layer reads must be floats, got tokens")
    if not flow.axes or flow.axes[-1] != flow.features:
        raise CantRead("the last axis of what a layer reads must be its features")
    return flow


def _linear(flow: Flow, weight: np.ndarray, bias: np.ndarray | None = None) -> Flow:
    """Return a flow after an affine map; weight is (O, I)."""
    flow = _features_last(flow)
    size = size_of(flow.features)
    if weight.ndim != 2 or weight.dtype.kind != "f" or (size is not None and size != weight.shape[1]):
        raise CantRead(f"the matrix must be floats that read {size} numbers, got shape {weight.shape}")
    out: Axis = (Atom(weight.shape[0]),)
    return flow.after(Affine(weight, bias), (*flow.axes[:-1], out), features=out, directions=None)


def matmul(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return x·Wᵀ."""
    flow, weight = given
    if not isinstance(flow, Flow) or not isinstance(weight, Known):
        raise CantRead("the second factor must be a matrix that the file holds")
    return _linear(flow, weight.array.T)


def gemm(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return x·Wᵀ + b."""
    flow, weight, bias = (*given, None)[:3]
    if not isinstance(flow, Flow) or not isinstance(weight, Known) or not isinstance(bias, Known | None):
        raise CantRead("A must be what flows, and B and C numbers that the file holds")
    factors = {key: attributes.get(key, default) for key, default in (("alpha", 1.0), ("beta", 1.0), ("transA", 0))}
    if factors["transA"] or factors["alpha"] != 1 or (bias is not None and factors["beta"] != 1):
        raise CantRead(f"alpha and beta must be 1 and transA 0, got {factors}")
    W = weight.array if attributes.get("transB", 0) else weight.array.T
    return _linear(flow, W, None if bias is None else _row(bias.array, len(W)))


def add(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return a map's result with its bias."""
    flow, bias = given if isinstance(given[0], Flow) else (given[1], given[0])
    last = flow.steps[-1] if isinstance(flow, Flow) and flow.steps else None
    if not isinstance(bias, Known) or not isinstance(last, Affine) or last.bias is not None:
        raise CantRead("a sum must be that of a matrix product and its bias")
    if flow.axes[-1] != flow.features:
        raise CantRead("the last axis of what a bias is added to must be its features")
    step = Affine(last.weight, _row(bias.array, len(last.weight)))
    return replace(flow, steps=(*flow.steps[:-1], step))


def _row(array: np.ndarray, size: int) -> np.ndarray:
    """Return a bias as a vector."""
    if array.size != size or array.shape[-1:] != (size,):
        raise CantRead(f"the bias must have {size} numbers, got shape {array.shape}")
    return array.reshape(size)


def transpose(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return the same with its axes in another order."""
    flow = given[0]
    order = attributes.get("perm") or range(len(flow.axes))[::-1]
    if sorted(order) != list(range(len(flow.axes))):
        raise CantRead(f"perm must name {len(flow.axes)} axes, got {list(order)}")
    return replace(flow, axes=tuple(flow.axes[k] for k in order))


def reshape(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return the same with neighbours joined, or taken apart again."""
    flow, shape = given
    return _joined(flow, regrouped(flow.axes, entries(shape, "shape")))


def flatten(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return the same with all axes in two."""
    flow = given[0]
    k = axis_of(attributes.get("axis", 1), len(flow.axes) + 1)
    groups = (flow.axes[:k], flow.axes[k:])
    return _joined(flow, tuple(tuple(atom for axis in group for atom in axis) for group in groups))


def _joined(flow: Flow, axes: tuple[Axis, ...]) -> Flow:
    """Return a flow with other axes; both directions side by side are features, as ours are."""
    if flow.directions is not None and (both := (flow.directions, *flow.features)) in axes:
        return replace(flow, axes=axes, features=both, directions=None)
    return replace(flow, axes=axes)


def squeeze(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return the same without axes of size 1."""
    flow = given[0]
    axes = attributes.get("axes") or (integers(given[1], "axes") if len(given) > 1 and given[1] is not None else None)
    rank = len(flow.axes)
    gone = [k for k in range(rank) if size_of(flow.axes[k]) == 1] if axes is None else [axis_of(k, rank) for k in axes]
    for k in gone:
        if size_of(flow.axes[k]) != 1 or any(atom in (flow.time, flow.batch) for atom in flow.axes[k]):
            raise CantRead(f"axis {k} must be of size 1, and neither batch nor time")
    return replace(flow, axes=tuple(axis for k, axis in enumerate(flow.axes) if k not in gone))


def unsqueeze(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return the same with axes of size 1."""
    flow = given[0]
    axes = attributes.get("axes") or integers(given[1], "axes")
    found = list(flow.axes)
    for k in sorted(axis_of(int(one), len(flow.axes) + len(axes)) for one in axes):
        found.insert(k, ())
    return replace(flow, axes=tuple(found))


def pooled(kind: str) -> Callable[[Sequence[Any], Attributes], Flow]:
    """Return an operator that pools over time."""

    def operator(given: Sequence[Any], attributes: Attributes) -> Flow:
        flow = _features_last(given[0])
        axes = attributes.get("axes") or (
            integers(given[1], "axes") if len(given) > 1 and given[1] is not None else ()
        )
        where = [axis_of(int(one), len(flow.axes)) for one in axes]
        if len(where) != 1 or flow.time is None or flow.axes[where[0]] != (flow.time,):
            raise CantRead("what is pooled over must be the axis of time, behind a recurrent layer")
        kept = [()] if attributes.get("keepdims", 1) else []
        return flow.after(Pooled(kind), (*flow.axes[: where[0]], *kept, *flow.axes[where[0] + 1 :]))

    return operator


def div(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return a mean, of a sum over time and the number of steps."""
    flow, sizes = given
    last = flow.steps[-1] if isinstance(flow, Flow) and flow.steps else None
    steps = sizes.entries if isinstance(sizes, Sizes) else sizes.array.reshape(-1) if isinstance(sizes, Known) else ()
    if isinstance(last, Pooled) and last.kind == "sum" and {*steps} in ({flow.time}, {flow.time and flow.time.size}):
        return replace(flow, steps=(*flow.steps[:-1], Pooled("mean")))
    raise CantRead("what is divided must be a sum over time, by the number of steps")


def where(given: Sequence[Any], attributes: Attributes) -> Flow:
    """Return what flows, where a mask leaves all steps as they are."""
    condition, flow, _ = given
    if isinstance(condition, Count) and condition.below and isinstance(flow, Flow):
        return flow
    raise CantRead("the condition must be the mask of the valid steps")


def function(name: str) -> Callable[[Sequence[Any], Attributes], Flow]:
    """Return an operator that is a function of the last axis."""

    def operator(given: Sequence[Any], attributes: Attributes) -> Flow:
        flow = as_layers_read(given[0])
        if "softmax" in name:
            flow = _features_last(flow)
            default = -1 if attributes["opset"] >= 13 else 1
            if axis_of(attributes.get("axis", default), len(flow.axes)) != len(flow.axes) - 1:
                raise CantRead("axis must be the last")
        return flow.after(Function(name), flow.axes)

    return operator


def cast(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return the same: tokens, lengths and states as they are wanted, and floats that stay floats."""
    flow, floats = given[0], (TensorProto.FLOAT, TensorProto.DOUBLE)
    if (isinstance(flow, States) or flow.steps) and attributes["to"] not in floats:
        raise CantRead("to must be float32 or float64")
    return flow


def dropout(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return what comes in, as nothing is dropped outside of training."""
    if len(given) > 2 and isinstance(given[2], Known) and given[2].array.any():
        raise CantRead("training_mode must be false")
    return given[0]


def same(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return what comes in."""
    return given[0]


def expand(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return an input that is a state as it is."""
    flow = given[0]
    if isinstance(flow, Flow) and not flow.steps:
        return replace(flow, whole=False)
    raise CantRead("what is repeated must be a state to begin with")


def shape(given: Sequence[Any], attributes: Attributes) -> Any:
    """Return the sizes of axes."""
    value = given[0]
    if isinstance(value, Known):
        return Known(np.array(value.array.shape, np.int64))
    if not isinstance(value, Flow):
        raise CantRead("what has its shape asked for must flow, or be numbers that the file holds")
    found = tuple(entry_of(axis) for axis in value.axes)[attributes.get("start", 0) : attributes.get("end")]
    return Known(np.array(found, np.int64)) if all(isinstance(one, int) for one in found) else Sizes(found)


OPERATORS: dict[str, Callable[[Sequence[Any], Attributes], Any]] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Add": add,
    "Transpose": transpose,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Gather": gather,
    "Slice": slice_,
    "Split": split,
    "Concat": concat,
    "ReduceMean": pooled("mean"),
    "ReduceMax": pooled("max"),
    "ReduceSum": pooled("sum"),
    "Div": div,
    "Where": where,
    "Expand": expand,
    "Shape": shape,
    "Cast": cast,
    "Identity": same,
    "Dropout": dropout,
    **{op: function(op.lower()) for op in ("Relu", "Tanh", "Sigmoid", "Softmax")},
    "LogSoftmax": function("log_softmax"),
}
"""Each from what comes in, None for what is left out, and attributes, with the number of outputs and the opset."""
