"""Models as graphs: what comes in, the core, pooling, and what the head says; as `models/trunk.py` has it."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ...layers.pooling import Pooling
from ...models.fronts.plain import Tokens
from ...models.single_head import SingleHead
from .building import Graph
from .layers import Lengths, write_embedding, write_lengths, write_linear, write_recurrent, write_states


def write_model(graph: Graph, model: SingleHead, lengths: bool, states: bool) -> None:
    """Add a model of one head, from tokens (B, T) or features (B, T, I) to its logits; dropout is off.

    A model that carries a state has it among its inputs and outputs.
    """
    x, found = _write_front(graph, model, lengths)
    x = graph.add("Transpose", x, perm=[1, 0, 2])
    initial = write_states(graph, model.rnn, x) if states and model.carries else []
    y, finals, top = write_recurrent(graph, "rnn.", model.rnn, x, found.numbers if found else "", initial)
    branch, axes = model._branch, ["batch", "time"]
    if branch.pooling is None:
        p = graph.add("Transpose", y, perm=[1, 0, 2])
    else:
        p, axes = _write_pooling(graph, branch.pooling, y, top, found), ["batch"]
    z = write_linear(graph, "head.", branch.head, p, "embedding.weight" if model.tied else "")
    if model._flat:
        graph.output("logits", graph.add("Squeeze", z, graph.integers(-1)), axes)
    else:
        graph.output("logits", z, [*axes, branch.head.out_features])
    if model.carries:
        rows = model.rnn.num_layers * model.rnn.directions
        for name, size, final in zip(model.rnn.spec.states, model.rnn._sizes, finals, strict=True):
            graph.output(name, final, [rows, "batch", size])


def _write_front(graph: Graph, model: SingleHead, lengths: bool) -> tuple[str, Lengths | None]:
    """Add the input, and return features (B, T, I) and lengths; past a row's length anything may stand."""
    if not isinstance(model.front, Tokens):
        x = graph.input("x", ["batch", "time", model.front.out_features])
        found = write_lengths(graph, x, 1, masked=True) if lengths else None
        return (graph.add("Where", _rows_first(graph, found, 2), x, _zero(graph)) if found else x), found
    tokens = graph.input("tokens", ["batch", "time"], np.int64)
    found = write_lengths(graph, tokens, 1, masked=True) if lengths else None
    zero = graph.weight("integer 0", np.array(0, np.int64))
    valid = graph.add("Where", _rows_first(graph, found, 1), tokens, zero) if found else tokens
    return write_embedding(graph, "embedding.", model.front.embedding, valid), found


def _rows_first(graph: Graph, lengths: Lengths, axes: int) -> str:
    """Return the mask of valid steps, (B, T), or (B, T, 1)."""
    mask = graph.add("Transpose", lengths.mask, perm=[1, 0])
    return graph.add("Unsqueeze", mask, graph.integers(2)) if axes == 2 else mask


def _write_pooling(graph: Graph, pooling: Pooling, y: str, top: str, lengths: Lengths | None) -> str:
    """Add what makes one vector (B, F) of y (T, B, F), (T1)–(T3); `top` is the final h, (directions, B, H)."""
    if pooling.kind == "last":
        return graph.add("Reshape", graph.add("Transpose", top, perm=[1, 0, 2]), graph.integers(0, -1))
    if pooling.kind == "mean":
        if lengths is None:
            return graph.add("ReduceMean", y, axes=[0], keepdims=0)
        steps = graph.add("Unsqueeze", lengths.numbers, graph.integers(1))
        steps = graph.add("Cast", steps, to=TensorProto.FLOAT if graph.dtype == np.float32 else TensorProto.DOUBLE)
        return graph.add("Div", graph.add("ReduceSum", y, graph.integers(0), keepdims=0), steps)  # y is 0 past a length
    if lengths is not None:
        lowest = graph.weight("lowest", np.array(-np.inf, graph.dtype))
        y = graph.add("Where", graph.add("Unsqueeze", lengths.mask, graph.integers(2)), y, lowest)
    return graph.add("ReduceMax", y, axes=[0], keepdims=0)


def _zero(graph: Graph) -> str:
    return graph.weight("zero", np.array(0, graph.dtype))
