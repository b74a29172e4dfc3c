"""onnxruntime beside torch, for inference, where `onnx` and `onnxruntime` are installed; nothing needs them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ...cases import Case
from ...sides import Side, layer_of

ORDER = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Which of torch's gates stand where in ONNX: i, o, f, c out of i, f, g, o; z, r, h out of r, z, n."""


def find() -> tuple[Any, str]:
    """Return the packages (onnx, onnxruntime), or None and the reason why they can't be used."""
    try:
        return (importlib.import_module("onnx"), importlib.import_module("onnxruntime")), ""
    except ImportError as error:
        return None, f"no onnxruntime in this run: {error}"


def side(packages: Any, case: Case, threads: int) -> Side:
    """Return onnxruntime's side of an inference in float32 without lengths; it has no float64 for these cells."""
    onnx, onnxruntime = packages
    helper, numpy_helper, H = onnx.helper, onnx.numpy_helper, case.H
    state = layer_of(case, "numpy").state_dict()

    def reordered(name: str) -> np.ndarray:
        blocks = state[name].reshape(case.G, H, -1)
        return blocks[list(ORDER[case.cell])].reshape(1, case.G * H, -1)

    biases = np.concatenate([reordered("bias_ih_l0"), reordered("bias_hh_l0")], axis=1)[..., 0]
    weights = {"W": reordered("weight_ih_l0"), "R": reordered("weight_hh_l0"), "B": biases}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(case.dtype))
    options = {"linear_before_reset": 1} if case.cell == "GRU" else {}  # as torch: the reset gate after the product
    graph = helper.make_graph(
        [helper.make_node(case.cell, ["X", *weights], ["Y"], hidden_size=H, **options)],
        "layer",
        [helper.make_tensor_value_info("X", kind, [case.T, case.B, case.I])],
        [helper.make_tensor_value_info("Y", kind, [case.T, 1, case.B, H])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    x = case.input()
    return Side(lambda: session.run(None, {"X": x}), lambda: {"y": session.run(None, {"X": x})[0][:, 0]})
