"""`load_onnx`: from another program's file to layers of ours, node by node, and not one that isn't understood."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...foreign import one_line, shown
from ...formats.chain import Chain
from ...layers.home import namespace_of
from . import flowing, folding
from .cells import BLOCKS, read_cells
from .file import array_of, read_graph
from .stages import Cells, chain_of
from .values import MOST_AXES, Atom, Axis, CantRead, Count, Flow, Known, States


def load_onnx(path: str | os.PathLike[str], *, output: str | None = None, backend: str | None = None) -> Chain:
    """Return the layers of an ONNX file, one after another.

    Read are RNN, LSTM and GRU in every direction, stacked, of any attribute that a cell of ours has; tables of vectors
    (Gather), affine maps (Gemm, or MatMul and Add), pooling over time, ReLU, tanh, sigmoid and softmax; and whatever
    torch's exporters, tf2onnx or scikit-learn's put around them to turn, join or reshape. Weights keep their bits.

    Parameters
    ----------
    path : path
        The file. Weights that it keeps in files of their own must lie in the same folder or below it.
    output : str, optional
        Which of several outputs the chain is to say; then the others are not looked at. Without it the first that is
        no final state.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the layers run; the best one present on the host by default.

    Returns
    -------
    chain : Chain
        It is called as ``chain(x, state0, lengths)``, whatever the file's inputs are, on x laid out as the file has it.
        ``chain.as_model`` makes a model of ours of it.

    Raises
    ------
    ValueError
        It is no whole ONNX file, weights beside it are missing, or a node can't be read: the message has its name, its
        operator, and the attribute or input. Nothing is returned half.
    OSError
        The file is missing or can't be read.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Nothing in a file is executed, and an operator that isn't known is refused before a layer is made.
    A file is read as it computes if nothing is given for those inputs that may be left out.
    """
    where = "load_onnx"
    model = read_graph(where, path)
    name = os.fsdecode(path)
    names = [one.name for one in model.graph.output]
    if output is not None and output not in names:
        raise ValueError(f"{where}: output must be one of {', '.join(map(shown, names))}, got {shown(output)}")
    try:
        reader = _Reader(model, names if output is None else [output])
    except CantRead as error:
        raise ValueError(f"{where}: {name!r} can't be read: {error}") from error
    for node in reader.needed():
        try:
            reader.read(node)
        except Exception as error:  # of a file that was made to do harm, anything
            raise ValueError(f"{where}: {_called(node)} of {name!r} can't be read: {_reason(error)}") from error
    namespace_of(where, backend)
    try:
        return reader.chain(backend)
    except Exception as error:
        raise ValueError(f"{where}: {name!r} can't be read: {_reason(error)}") from error


class _Reader:
    """What stands on each edge of a graph, as far as it was read."""

    def __init__(self, model: onnx.ModelProto, outputs: Sequence[str]) -> None:
        self.graph, self.outputs = model.graph, outputs
        self.opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=1)
        self.values: dict[str, Any] = {"": None}
        self.weights = {one.name: one for one in self.graph.initializer}
        for given in self.graph.input:
            if given.name not in self.weights:
                self.values[given.name] = _incoming(given)

    def needed(self) -> list[onnx.NodeProto]:
        """Return the nodes that an output depends on, in order."""
        wanted = {*self.outputs}
        found = []
        for node in reversed(self.graph.node):
            if wanted.intersection(node.output):
                wanted.update(one for one in node.input if one)
                found.append(node)
        return found[::-1]

    def read(self, node: onnx.NodeProto) -> None:
        """Put on a node's outputs what it makes of its inputs."""
        if node.domain not in ("", "ai.onnx"):
            raise CantRead(f"operators must be ONNX's own, got one of {shown(node.domain)}")
        attributes = {one.name: _attribute(one) for one in node.attribute}
        given = [self._value(name) for name in node.input]
        attributes |= {"outputs": len(node.output), "opset": self.opset}
        if node.op_type == "Constant":
            found: Any = _constant(attributes)
        elif node.op_type in BLOCKS:
            found = read_cells(node.op_type, _called(node), given, attributes)
        else:
            found = _operator(node.op_type, given)(given, attributes)
        outputs = found if isinstance(found, list) else [found]
        for name, value in zip(node.output, outputs, strict=False):
            if name:
                self.values[name] = value

    def _value(self, name: str) -> Any:
        if name not in self.values and name in self.weights:
            self.values[name] = Known(np.asarray(array_of(self.weights[name])))
        return self.values[name]

    def chain(self, backend: str | None) -> Chain:
        """Return the layers, from the outputs that the graph has."""
        outputs = {name: self._value(name) for name in self.outputs}
        for name, value in outputs.items():
            if not isinstance(value, Flow | States):
                raise CantRead(f"the output {shown(name)} must come from the input through layers")
        flows = [one for one in outputs.values() if not _is_state(one)]
        main = _as_answer(flows[0] if flows else next(iter(outputs.values())))
        for name, value in outputs.items():
            if not _is_state(value) and value.steps != main.steps[: len(value.steps)]:
                raise CantRead(f"the output {shown(name)} must be a final state, or lie on the way to the first")
        others = {name for step in main.steps if isinstance(step, Cells) for name in step.others}
        if main.source in others:
            raise CantRead(f"the input {shown(main.source)} must be what layers read, and not a state or lengths too")
        if not main.steps:
            raise CantRead("the file must hold a layer, and has none")
        source = next(one for one in self.graph.input if one.name == main.source)
        return chain_of(main.steps, backend, **_layout(main, self.values[source.name]))


def _operator(op: str, given: Sequence[Any]) -> Any:
    """Return what reads an operator, by what comes in."""
    if any(isinstance(one, Flow | States) for one in given):
        several = isinstance(given[0], States)
        if several and op not in ("Gather", "Slice", "Concat", "Cast", "Identity"):
            raise CantRead("what reads the final states of several layers must take one of them")
        if op in flowing.OPERATORS:
            return flowing.OPERATORS[op]
    elif op == "Shape":
        return flowing.shape
    elif isinstance(given[0] if given else None, Count) and op in ("Transpose", "Unsqueeze", "Squeeze", "Cast"):
        return flowing.same
    elif op in folding.OPERATORS:
        return folding.OPERATORS[op]
    raise CantRead("the operator must be one that layers of ours are written in; docs/onnx.md lists them")


def _incoming(given: onnx.ValueInfoProto) -> Flow:
    """Return what an input is: each axis itself."""
    kind = given.type.tensor_type
    if len(kind.shape.dim) > MOST_AXES:
        raise CantRead(f"the input {shown(given.name)} must have at most {MOST_AXES} axes, got {len(kind.shape.dim)}")
    sizes = [one.dim_value if one.HasField("dim_value") else None for one in kind.shape.dim]
    axes: tuple[Axis, ...] = tuple((Atom(size),) for size in sizes)
    floats = kind.elem_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return Flow(given.name, (), axes, axes[-1] if floats and axes else ())


def _attribute(given: onnx.AttributeProto) -> Any:
    """Return an attribute's value; those that hold graphs are for operators that we haven't."""
    if given.type == onnx.AttributeProto.TENSOR:
        return np.asarray(array_of(given.t))
    if given.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
        raise CantRead(f"{given.name} must not be a graph of its own")
    value = helper.get_attribute_value(given)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if given.type == onnx.AttributeProto.STRINGS:
        return [one.decode("utf-8", "replace") for one in value]
    return list(value) if given.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS) else value


def _constant(attributes: Mapping[str, Any]) -> Known:
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        if name in attributes:
            dtype = np.int64 if "int" in name else np.float32
            return Known(attributes[name] if name == "value" else np.array(attributes[name], dtype))
    raise CantRead("a constant must be numbers")


def _as_answer(value: Any) -> Flow:
    """Return an output as the last thing that a chain says: of a final state, h of both directions as (B, ·)."""
    if not _is_state(value):
        return flowing.as_layers_read(value)
    state = value.each[-1] if isinstance(value, States) else value
    if state.directions is not None:
        state = replace(state, features=(state.directions, *state.features), directions=None)
    answer = flowing.as_layers_read(state)
    batch: Any = answer.batch  # it is there behind a recurrent layer
    return replace(answer, axes=((batch,), answer.features))


def _is_state(value: Any) -> bool:
    """Return whether a flow is a final state as a node or a stack gives it."""
    return isinstance(value, States) or (value.at != "steps" and (value.at == "c" or len(value.axes) == 3))


def _layout(main: Flow, source: Flow) -> dict[str, Any]:
    """Return how a chain lays out what comes in and what goes out."""
    order = [axis[0] for axis in source.axes]
    batch_first = main.time is None or order[0] is main.batch
    if main.time is not None and {*order[:2]} != {main.time, main.batch}:
        raise CantRead("what comes in must begin with the axes of batch and time")
    axes = [axis for axis in main.axes if axis]
    flat = axes[-1:] != [main.features] and _one_number(main.features)
    if not flat:
        axes = axes[:-1] if axes and axes[-1] == main.features else [(Atom(),)] * 3
    if any(len(axis) != 1 for axis in axes) or len(axes) > 2:
        raise CantRead("what goes out must have axes of batch, time and features, each by itself, features last")
    if main.time is None and [axis[0] for axis in axes] != order[: len(axes)]:
        raise CantRead("what goes out must have its axes in the order of what comes in")
    turned = len(axes) == 2 and main.time is not None and (axes[0][0] is main.time) == batch_first
    return {"batch_first": batch_first, "turned": turned, "flat": flat}


def _one_number(axis: Axis) -> bool:
    """Return whether an axis has one number."""
    return bool(axis) and all(atom.size == 1 for atom in axis)


def _called(node: onnx.NodeProto) -> str:
    """Return what errors call a node: its name, or that of its first output, and its operator."""
    return f"node {shown(node.name or (node.output[0] if node.output else ''))} ({one_line(node.op_type)})"


def _reason(error: BaseException) -> str:
    text = str(error) if not isinstance(error, KeyError) else f"nothing stands before it that gives {error}"
    return one_line(text, 240)
