"""onnxruntime beside torch, for inference, where `onnx` and `onnxruntime` are installed; nothing needs them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from ...cases import Case
from ...sides import Side, layer_of
from ..setting import Setting

OWN = "com.microsoft"
"""The domain of the nodes that are onnxruntime's own."""

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
    call = _run(packages, case, threads, *_layer(packages[0], case))
    return Side(call, lambda: {"y": call()})


def inference(setting: Setting, case: Case, precision: str) -> Callable[[], np.ndarray]:
    """Return onnxruntime's inference in float32, or with an LSTM's weights in int8."""
    packages, reason = find()
    if packages is None:
        raise ImportError(reason)
    if precision == "bfloat16" or (precision == "int8" and case.cell != "LSTM"):
        raise NotImplementedError(f"it has no {case.cell} in {precision} on the CPU")
    make = _layer if precision == "float32" else _quantized_lstm
    return _run(packages, case, setting.threads, *make(packages[0], case))


def _reordered(case: Case) -> dict[str, np.ndarray]:
    """Return the weights with their gates in ONNX's order, under its names."""
    state, H = layer_of(case, "numpy").state_dict(), case.H

    def blocks(name: str) -> np.ndarray:
        return state[name].reshape(case.G, H, -1)[list(ORDER[case.cell])].reshape(1, case.G * H, -1)

    biases = np.concatenate([blocks("bias_ih_l0"), blocks("bias_hh_l0")], axis=1)[..., 0]
    return {"W": blocks("weight_ih_l0"), "R": blocks("weight_hh_l0"), "B": biases}


def _layer(onnx: Any, case: Case) -> tuple[Any, dict[str, np.ndarray]]:
    """Return a layer's node and its weights."""
    weights = _reordered(case)
    options = {"linear_before_reset": 1} if case.cell == "GRU" else {}  # as torch: the reset gate after the product
    return onnx.helper.make_node(case.cell, ["X", *weights], ["Y"], hidden_size=case.H, **options), weights


def _quantized_lstm(onnx: Any, case: Case) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the node that onnxruntime's own tool makes of an LSTM: int8 weights, one scale a column, x on the fly."""
    weights = _reordered(case)
    for name in ("W", "R"):
        turned = weights[name].transpose(0, 2, 1)  # (1, I, 4H)
        scale = (abs(turned).max(axis=1) / 127).astype(np.float32)
        weights[name] = np.round(turned / scale[:, None]).astype(np.int8)
        weights |= {f"{name}_scale": scale, f"{name}_zero": np.zeros(scale.shape, np.int8)}
    inputs = ["X", "W", "R", "B", "", "", "", "", "W_scale", "W_zero", "R_scale", "R_zero"]
    return onnx.helper.make_node("DynamicQuantizeLSTM", inputs, ["Y"], domain=OWN, hidden_size=case.H), weights


def _run(
    packages: Any, case: Case, threads: int, node: Any, weights: dict[str, np.ndarray]
) -> Callable[[], np.ndarray]:
    """Return what runs a model of one node."""
    onnx, onnxruntime = packages
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("X", kind, [case.T, case.B, case.I])],
        [helper.make_tensor_value_info("Y", kind, [case.T, 1, case.B, case.H])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    versions = [helper.make_opsetid("", 14), helper.make_opsetid(OWN, 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    feed = {"X": case.input()}
    return lambda: session.run(None, feed)[0][:, 0]
