"""Our layers and models beside ONNX Runtime: layers of every option drawn at random, and one way to run a file."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN
from rnn_core.variants import CoupledLSTM, PeepholeLSTM, ResetBeforeGRU

CELLS = {
    "tanh": (RNN, {}),
    "relu": (RNN, {"nonlinearity": "relu"}),
    "sigmoid": (RNN, {"nonlinearity": "sigmoid"}),
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "peepholes": (PeepholeLSTM, {}),
    "coupled": (CoupledLSTM, {}),
    "reset before": (ResetBeforeGRU, {}),
}
"""Every cell that ONNX has an operator for."""

TOLERANCE = 1e-5


def session(runtime, path):
    """Return what runs a file, on one thread."""
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 3
    return runtime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def run(runtime, path, feed):
    """Return a file's outputs by name."""
    model = session(runtime, path)
    return dict(zip([output.name for output in model.get_outputs()], model.run(None, feed), strict=True))


def numbers(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def fill(layer, seed=0, size=0.5):
    """Draw every parameter anew, so that none is 0, as peepholes begin."""
    rng = np.random.default_rng(seed)
    for array in layer.parameters.values():
        array[...] = size * rng.standard_normal(array.shape)
    return layer


@st.composite
def layers(draw, cells=tuple(CELLS), **fixed):
    """A recurrent layer of any option."""
    kind, options = CELLS[draw(st.sampled_from(cells))]
    options = options | {
        "num_layers": draw(st.integers(1, 3)), "bias": draw(st.booleans()), "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()), "backend": "numpy", **fixed,
    }  # fmt: skip
    return fill(kind(draw(st.integers(1, 4)), draw(st.integers(1, 5)), **options), draw(st.integers(0, 99)))


@st.composite
def calls(draw, layer, lengths=True, states=True):
    """The arguments of a layer's call, and the same as a file takes them."""
    T, B = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = numbers(rng, *((B, T) if layer.batch_first else (T, B)), layer.input_size)
    feed, steps, state = {"x": x}, None, None
    if lengths and draw(st.booleans()):
        feed["lengths"] = steps = np.array(draw(st.lists(st.integers(1, T), min_size=B, max_size=B)))
        by_row = x if layer.batch_first else x.swapaxes(0, 1)
        by_row[np.arange(T) >= steps[:, None]] = np.nan
    if states and draw(st.booleans()):
        given = [numbers(rng, layer.num_layers * layer.directions, B, layer.hidden_size) for _ in layer.spec.states]
        feed |= dict(zip(("h0", "c0"), given, strict=False))
        state = tuple(given) if len(given) > 1 else given[0]
    return (x, state, steps), feed


def flat(y, state):
    """Return what a layer's call gave, in the order of a file's outputs."""
    return [y, *(state if isinstance(state, tuple) else (state,))]


def written(onnx, path, nodes, inputs, outputs, weights, opset=17):
    """Write a file by hand: nodes as (op, inputs, outputs, attributes), inputs and outputs as name: (shape, dtype)."""
    helper = onnx.helper

    def described(names):
        return [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, (shape, dtype) in names.items()
        ]

    graph = helper.make_graph(
        [helper.make_node(op, given, made, f"{op.lower()}_{k}", **options)
         for k, (op, given, made, options) in enumerate(nodes)],
        "by hand", described(inputs), described(outputs),
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path
