"""`Graph`: an ONNX graph that is being written, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET, IR_VERSION = 17, 8
"""Of ONNX 1.12, from 2022: all operators that are written here are there, and runtimes of years read it."""

MOST_BYTES = 2**31 - 2**20
"""Of all weights: a protocol buffer holds less than 2 GiB."""


class Graph:
    """Nodes in the order in which they compute, weights by name, inputs and outputs.

    Parameters
    ----------
    dtype : dtype
        Of its floats: float32 or float64.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.weights: dict[str, np.ndarray] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._made = 0

    def input(self, name: str, axes: Sequence[int | str], dtype: Any = None, default: np.ndarray | None = None) -> str:
        """Add an input, whose axes have a size or a name; with a default it may be left out of a call."""
        self._inputs.append(_described(name, axes, self.dtype if dtype is None else dtype))
        if default is not None:
            self.weights[name] = default
        return name

    def output(self, name: str, value: str, axes: Sequence[int | str]) -> None:
        """Have a value be an output, under this name."""
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [name if one == value else one for one in names]
        self._outputs.append(_described(name, axes, self.dtype))

    def weight(self, name: str, array: np.ndarray) -> str:
        """Add a weight; a second one of the same name is the first."""
        self.weights.setdefault(name, array)
        return name

    def integers(self, *numbers: int) -> str:
        """Return the name of a vector of integers."""
        return self.weight(f"integers {' '.join(map(str, numbers))}", np.array(numbers, np.int64))

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, "" for an input that it goes without, and return the name of its output."""
        return self.add_several(op, inputs, 1, **attributes)[0]

    def add_several(self, op: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Add a node of several outputs, and return their names."""
        self._made += 1
        names = [f"{op}_{self._made}" + (f"_{n}" if outputs > 1 else "") for n in range(outputs)]
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        self._nodes.append(helper.make_node(op, given, names, f"{op}_{self._made}", **attributes))
        return names

    def model(self, name: str, version: str, said: Mapping[str, str]) -> onnx.ModelProto:
        """Return the whole."""
        weights = [numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in self.weights.items()]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="rnn_core",
            producer_version=version,
        )  # fmt: skip
        helper.set_model_props(model, dict(said))
        return model


def _described(name: str, axes: Sequence[int | str], dtype: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(axes))
