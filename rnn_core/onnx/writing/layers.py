"""Layers as nodes: a recurrent stack, an embedding, an affine map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto

from ...layers.embedding import Embedding
from ...layers.home import to_host
from ...layers.linear import Linear
from ...layers.stack import Recurrent
from ..order import FORMS, packed
from .building import Graph

ALL_STEPS = -1
"""The length of a row that has all its steps: what stands for lengths that are not given."""


class Lengths(NamedTuple):
    """Of the rows, as values of the graph: numbers (B,) of int64, and the mask (T, B) of the valid steps."""

    numbers: str
    mask: str  # "" where nobody asked for it


def write_lengths(graph: Graph, sequence: str, time: int, *, masked: bool) -> Lengths:
    """Add the input ``lengths``, which may be left out, of a sequence in which axis `time` is T, and the other B."""
    given = graph.input("lengths", ["batch or 1"], np.int64, np.array([ALL_STEPS]))
    sizes = graph.add("Shape", sequence)
    T, B = (graph.add("Gather", sizes, graph.integers(axis)) for axis in (time, 1 - time))
    whole = graph.add("Equal", given, graph.integers(ALL_STEPS))
    numbers = graph.add("Expand", graph.add("Where", whole, T, given), B)
    if not masked:
        return Lengths(numbers, "")
    zero, one = (graph.weight(f"integer {n}", np.array(n, np.int64)) for n in (0, 1))
    steps = graph.add("Range", zero, graph.add("Squeeze", T, graph.integers(0)), one)
    mask = graph.add("Less", graph.add("Unsqueeze", steps, graph.integers(1)), numbers)
    return Lengths(numbers, mask)


def write_states(graph: Graph, layer: Recurrent, sequence: str) -> list[str]:
    """Add an input for each initial state, which may be left out; `sequence` is (T, B, ·)."""
    batch = graph.add("Gather", graph.add("Shape", sequence), graph.integers(1))
    shape = graph.add("Concat", graph.integers(1), batch, graph.integers(1), axis=0)
    states = []
    for name, size in zip(layer.spec.states, layer._sizes, strict=True):
        zeros = np.zeros((layer.num_layers * layer.directions, 1, size), graph.dtype)
        given = graph.input(f"{name}0", [len(zeros), "batch or 1", size], default=zeros)
        states.append(graph.add("Expand", given, shape))
    return states


def write_recurrent(
    graph: Graph, part: str, layer: Recurrent, x: str, lengths: str, states: Sequence[str]
) -> tuple[str, list[str], str]:
    """Add a stack.

    Parameters
    ----------
    graph : Graph
    part : str
        What its weights' names begin with.
    layer : Recurrent
        One that has a form in ONNX.
    x : str
        Its input, (T, B, I).
    lengths : str
        Numbers (B,) of int64; "" for none.
    states : list of str
        Initial ones, (layers·directions, B, H); empty for zeros.

    Returns
    -------
    y : str
        (T, B, directions·H).
    finals : list of str
        Final states, (layers·directions, B, H).
    top : str
        The final h of the uppermost layer, (directions, B, H).
    """
    steps = graph.add("Cast", lengths, to=TensorProto.INT32) if lengths else ""
    L, D = layer.num_layers, layer.directions
    split = [graph.add_several("Split", [s, graph.integers(*[D] * L)], L, axis=0) if L > 1 else [s] for s in states]
    finals: list[list[str]] = []
    y, top = x, ""
    for k in range(L):
        initial = [one[k] for one in split] or [""] * len(layer.spec.states)
        y, *last = _write_node(graph, f"{part}l{k}", layer, k, y, steps, initial)
        finals.append(last)
        top = last[0]
        if D == 1:
            y = graph.add("Squeeze", y, graph.integers(1))
        else:
            y = graph.add("Reshape", graph.add("Transpose", y, perm=[0, 2, 1, 3]), graph.integers(0, 0, -1))
    joined = [graph.add("Concat", *each, axis=0) if L > 1 else each[0] for each in zip(*finals, strict=True)]
    return y, joined, top


def _write_node(
    graph: Graph, name: str, layer: Recurrent, k: int, x: str, lengths: str, initial: list[str]
) -> list[str]:
    """Add one layer of a stack, and return its outputs: Y (T, directions, B, H), and each final state."""
    form = FORMS[type(layer).__name__]
    given = packed(layer, form, k)
    W, R, B, P = (
        "" if array is None else graph.weight(f"{name}.{key}", array) for key, array in given._asdict().items()
    )
    attributes: dict[str, Any] = {"hidden_size": layer.hidden_size, **form.attributes}
    if layer.directions == 2:
        attributes["direction"] = "bidirectional"
    if form.op == "RNN":
        attributes["activations"] = [layer.config["nonlinearity"].capitalize()] * layer.directions
    inputs = [x, W, R, B, lengths, *initial, *([P] if form.op == "LSTM" else [])]
    return graph.add_several(form.op, inputs, 1 + len(initial), **attributes)


def write_embedding(graph: Graph, part: str, layer: Embedding, tokens: str) -> str:
    """Add an embedding, and return the vectors of tokens."""
    return graph.add("Gather", graph.weight(f"{part}weight", host(layer, "weight")), tokens)


def write_linear(graph: Graph, part: str, layer: Linear, x: str, weight: str = "") -> str:
    """Add an affine map of the last axis; `weight` names the matrix where it is another layer's."""
    weight = weight or graph.weight(f"{part}weight", host(layer, "weight"))
    y = graph.add("MatMul", x, graph.add("Transpose", weight, perm=[1, 0]))
    return graph.add("Add", y, graph.weight(f"{part}bias", host(layer, "bias"))) if "bias" in layer.parameters else y


def host(layer: Embedding | Linear, name: str) -> np.ndarray:
    """Return a parameter as an array on the host."""
    return np.asarray(to_host(layer.parameters[name]))
