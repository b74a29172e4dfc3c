"""Files as other programs write them, by hand; what is no layer of ours is refused by node, what is no file by name."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from rnn_core import LSTM, Linear, SequenceClassifier
from rnn_core.formats import export_onnx, load_onnx

from .beside import TOLERANCE, numbers, run, written

F, I64 = np.float32, np.int64
I, H, O, V = 3, 4, 2, 6


def weights(op, directions=1, seed=0, inputs=I):
    """W, R and B of an operator."""
    rng = np.random.default_rng(seed)
    G = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    shapes = {"W": (directions, G * H, inputs), "R": (directions, G * H, H), "B": (directions, 2 * G * H)}
    return {name: 0.5 * numbers(rng, *shape) for name, shape in shapes.items()}


def compare(path, x, expected=None):
    """Hold a chain against ONNX Runtime."""
    chain = load_onnx(path, backend="numpy")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    found = session.run(None, {given.name: x})[0]
    y = chain(x)[0]
    assert y.shape == found.shape
    np.testing.assert_allclose(y, found, rtol=0, atol=TOLERANCE)
    return chain


# ── As tf2onnx writes Keras ──────────────────────────────────────────────────────────────────────────────────────────


def keras(tmp_path, op, middle, shape, more=None, *, embedding=False, opset=15, **attributes):
    """Write what tf2onnx makes of an Embedding or nothing, a recurrent layer, and what follows."""
    nodes: list = []
    given = {"input": (["N", None, I], F)}
    values = weights(op) | (more or {})
    first = "input"
    if embedding:
        given = {"input": (["N", None], F)}  # Keras takes tokens as floats
        values |= {"table": numbers(np.random.default_rng(9), V, I)}
        nodes += [("Cast", ["input"], ["ids"], {"to": 6}), ("Gather", ["table", "ids"], ["vectors"], {"axis": 0})]
        first = "vectors"
    nodes += [
        ("Transpose", [first], ["x"], {"perm": [1, 0, 2]}),
        ("Shape", ["x"], ["sizes"], {}),
        ("Slice", ["sizes", "one", "two", "zero"], ["batch"], {}),
        ("Concat", ["one", "batch", "units"], ["state_shape"], {"axis": 0}),
        ("Expand", ["nothing", "state_shape"], ["state"], {}),
        (op, ["x", "W", "R", "B", "", "state", *(["state"] if op == "LSTM" else [])], ["Y", "Y_h"],
         {"hidden_size": H, "direction": "forward"} | attributes),
        *middle,
    ]  # fmt: skip
    values |= {"one": np.array([1]), "two": np.array([2]), "zero": np.array([0]), "units": np.array([H]),
               "nothing": np.zeros((1, 1, 1), F)}  # fmt: skip
    return written(onnx, tmp_path / "keras.onnx", nodes, given, {"output": (shape, F)}, values, opset)


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_a_layer_of_keras_that_returns_sequences(tmp_path, op):
    middle = [("Squeeze", ["Y", "one"], ["y"], {}), ("Transpose", ["y"], ["output"], {"perm": [1, 0, 2]})]
    options = {"linear_before_reset": 1} if op == "GRU" else {}
    x = numbers(np.random.default_rng(1), 2, 5, I)
    chain = compare(keras(tmp_path, op, middle, ["N", None, H], **options), x)
    assert chain.batch_first


def test_reset_after_false_is_the_other_gru(tmp_path):
    values = weights("GRU")
    values["B"][:, 3 * H :] = 0  # Keras has one bias then
    middle: list = [("Squeeze", ["Y_h", "zero"], ["output"], {})]
    chain = compare(keras(tmp_path, "GRU", middle, ["N", H], values), numbers(np.random.default_rng(1), 2, 5, I))
    assert type(chain.layers["rnn"]).__name__ == "ResetBeforeGRU"
    z, r, n = np.split(values["B"][0, : 3 * H], 3)
    np.testing.assert_array_equal(chain.parameters["rnn.bias_ih_l0"], np.concatenate([r, z, n]))


def test_two_biases_of_the_other_gru_are_added(tmp_path):
    middle: list = [("Squeeze", ["Y_h", "zero"], ["output"], {})]
    compare(keras(tmp_path, "GRU", middle, ["N", H]), numbers(np.random.default_rng(1), 2, 5, I))


def test_embedding_last_state_dense_softmax(tmp_path):
    rng = np.random.default_rng(2)
    middle = [
        ("Squeeze", ["Y_h", "zero"], ["h"], {}),
        ("MatMul", ["h", "kernel"], ["product"], {}),
        ("Add", ["product", "bias"], ["logits"], {}),
        ("Softmax", ["logits"], ["output"], {"axis": 1}),
    ]
    more = {"kernel": numbers(rng, H, O), "bias": numbers(rng, O)}
    path = keras(tmp_path, "LSTM", middle, ["N", O], more, embedding=True)
    chain = load_onnx(path, backend="numpy")
    tokens = rng.integers(0, V, (2, 5))
    expected = run(runtime, path, {"input": tokens.astype(F)})["output"]
    np.testing.assert_allclose(chain(tokens)[0], expected, rtol=0, atol=TOLERANCE)
    model = chain.as_model(SequenceClassifier)
    np.testing.assert_allclose(model.predict_proba(tokens), expected, rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(model.parameters["head.weight"], more["kernel"].T)


def test_time_distributed_dense_is_reshaped_there_and_back(tmp_path):
    rng = np.random.default_rng(2)
    middle = [
        ("Squeeze", ["Y", "one"], ["y"], {}),
        ("Transpose", ["y"], ["rows"], {"perm": [1, 0, 2]}),
        ("Shape", ["rows"], ["rows_shape"], {}),
        ("Slice", ["rows_shape", "zero", "two", "zero"], ["leading"], {}),
        ("Concat", ["leading", "outputs"], ["back"], {"axis": 0}),
        ("Reshape", ["rows", "flat"], ["all"], {}),
        ("MatMul", ["all", "kernel"], ["product"], {}),
        ("Reshape", ["product", "back"], ["restored"], {}),
        ("Add", ["restored", "bias"], ["output"], {}),
    ]
    more = {"kernel": numbers(rng, H, O), "bias": numbers(rng, O), "flat": np.array([-1, H]), "outputs": np.array([O])}
    compare(keras(tmp_path, "LSTM", middle, ["N", None, O], more), numbers(rng, 2, 5, I))


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("form", ["one node", "two nodes"])
def test_bidirectional(tmp_path, form, sequences):
    rng, values = np.random.default_rng(2), weights("LSTM", 2)
    one, axis = ("Y", 1) if sequences else ("Y_h", 0)
    values |= {"at": np.array([axis]), **{f"{n}": np.array([n]) for n in range(3)}}
    if form == "one node":
        nodes = [
            ("LSTM", ["x", "W", "R", "B"], ["Y", "Y_h"], {"hidden_size": H, "direction": "bidirectional"}),
            *[("Slice", [one, str(k), str(k + 1), "at"], [f"cut{k}"], {}) for k in (0, 1)],
        ]
    else:
        nodes = []
        for k, direction in enumerate(("forward", "reverse")):
            values |= {f"{name}{k}": values[name][k : k + 1] for name in "WRB"}
            made = ["Y", "Y_h"][: 1 if sequences else 2]
            made = [f"cut{k}"] if sequences else ["", f"cut{k}"]
            nodes.append(("LSTM", ["x", f"W{k}", f"R{k}", f"B{k}"], made, {"hidden_size": H, "direction": direction}))
    nodes = [("Transpose", ["input"], ["x"], {"perm": [1, 0, 2]}), *nodes]
    nodes += [("Squeeze", [f"cut{k}", "at"], [f"part{k}"], {}) for k in (0, 1)]
    if sequences:
        nodes += [("Transpose", [f"part{k}"], [f"row{k}"], {"perm": [1, 0, 2]}) for k in (0, 1)]
    source = "row" if sequences else "part"
    nodes.append(("Concat", [f"{source}0", f"{source}1"], ["output"], {"axis": 2 if sequences else 1}))
    shape = ["N", None, 2 * H] if sequences else ["N", 2 * H]
    path = written(onnx, tmp_path / "both.onnx", nodes, {"input": (["N", None, I], F)}, {"output": (shape, F)}, values)
    chain = compare(path, numbers(rng, 2, 5, I))
    assert chain.layers["rnn"].directions == 2


def test_a_global_average_over_time(tmp_path):
    middle = [
        ("Squeeze", ["Y", "one"], ["y"], {}),
        ("Transpose", ["y"], ["rows"], {"perm": [1, 0, 2]}),
        ("ReduceMean", ["rows"], ["output"], {"axes": [1], "keepdims": 0}),
    ]
    compare(keras(tmp_path, "LSTM", middle, ["N", H]), numbers(np.random.default_rng(2), 2, 5, I))


# ── As scikit-learn's converters write a perceptron ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_affine_maps_with_functions_between(tmp_path, op):
    rng = np.random.default_rng(3)
    values = {"W0": numbers(rng, I, 5), "b0": numbers(rng, 1, 5), "W1": numbers(rng, 5, O), "b1": numbers(rng, 1, O)}
    if op == "MatMul":
        nodes = [("Cast", ["X"], ["x"], {"to": 1}), ("MatMul", ["x", "W0"], ["m0"], {}),
                 ("Add", ["m0", "b0"], ["a0"], {}), ("Relu", ["a0"], ["h0"], {}), ("MatMul", ["h0", "W1"], ["m1"], {}),
                 ("Add", ["b1", "m1"], ["a1"], {})]  # fmt: skip
    else:
        values |= {"b0": values["b0"][0], "W1": np.ascontiguousarray(values["W1"].T)}
        nodes = [("Gemm", ["X", "W0", "b0"], ["a0"], {}), ("Relu", ["a0"], ["h0"], {}),
                 ("Gemm", ["h0", "W1", "b1"], ["a1"], {"transB": 1})]  # fmt: skip
    nodes.append(("Softmax", ["a1"], ["probabilities"], {"axis": -1}))
    nodes.append(("ArgMax", ["probabilities"], ["label"], {"axis": 1}))
    path = written(onnx, tmp_path / "p.onnx", nodes, {"X": ([None, I], F)},
                   {"label": ([None, 1], I64), "probabilities": ([None, O], F)}, values)  # fmt: skip
    with pytest.raises(ValueError, match=r"node 'argmax_.' \(ArgMax\)"):
        load_onnx(path)
    chain = load_onnx(path, output="probabilities")
    x = numbers(rng, 4, I)
    np.testing.assert_allclose(chain(x)[0], run(runtime, path, {"X": x})["probabilities"], rtol=0, atol=TOLERANCE)
    with pytest.raises(ValueError, match="output must be one of 'label', 'probabilities', got 'both'"):
        load_onnx(path, output="both")


# ── What is no layer of ours ─────────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    "clip": ("LSTM", {"clip": 3.0}, "clip must be left out.*got 3.0"),
    "hard sigmoid": ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}, "activations must be Sigmoid, Tanh, T"),
    "a scaled tanh": ("RNN", {"activations": ["Tanh"], "activation_alpha": [0.5]}, "activation_alpha must be left out"),
    "a function we lack": ("RNN", {"activations": ["Elu"]}, "activations must be Tanh, Relu or Sigmoid.*got Elu"),
    "backwards alone": ("GRU", {"direction": "reverse"}, "'gru_0'.*a forward layer beside it"),
    "sizes that differ": ("LSTM", {"hidden_size": H + 1}, r"W must have shape \(1, 20, 3\).*got \(1, 16, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_an_attribute_that_no_cell_of_ours_has_is_named(tmp_path, what):
    op, options, message = REFUSED[what]
    path = written(onnx, tmp_path / "file.onnx", [(op, ["x", "W", "R", "B"], ["y"], {"hidden_size": H} | options)],
                   {"x": (["T", "B", I], F)}, {"y": (["T", 1, "B", H], F)}, weights(op))  # fmt: skip
    with pytest.raises(ValueError, match=message) as caught:
        load_onnx(path)
    assert str(caught.value).startswith("load_onnx: ")
    assert "\n" not in str(caught.value)


def one_node(tmp_path, op, values, **options):
    return written(onnx, tmp_path / "file.onnx", [(op, ["x", *values], ["y"], options)], {"x": (["T", "B", I], F)},
                   {"y": (["P", "Q"], F)}, values)  # fmt: skip


def test_weights_of_another_shape_or_dtype_are_named(tmp_path):
    values = weights("LSTM") | {"R": np.zeros((1, 4 * H, H + 1), F)}
    with pytest.raises(ValueError, match=r"node 'lstm_0' \(LSTM\).*R must have shape \(1, 16, 4\)"):
        load_onnx(one_node(tmp_path, "LSTM", values, hidden_size=H))
    values = {name: array.astype(np.float16) for name, array in weights("LSTM").items()}
    with pytest.raises(ValueError, match=r"W must be float32 or float64.*got float16"):
        load_onnx(one_node(tmp_path, "LSTM", values, hidden_size=H))
    values = weights("LSTM")
    values["W"][0, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"must be finite, got nan"):
        load_onnx(one_node(tmp_path, "LSTM", values, hidden_size=H))


def test_an_operator_that_is_not_ours_is_named(tmp_path):
    path = one_node(tmp_path, "Conv", {"kernel": np.zeros((2, I, 1), F)})
    with pytest.raises(ValueError, match=r"node 'conv_0' \(Conv\) of .* can't be read: the operator must be one"):
        load_onnx(path)


def test_a_graph_within_a_graph_is_refused(tmp_path):
    make = onnx.helper
    inner = make.make_graph([make.make_node("Identity", ["x"], ["z"])], "inner", [],
                            [make.make_tensor_value_info("z", 1, None)])  # fmt: skip
    nodes = [("If", ["yes"], ["y"], {"then_branch": inner, "else_branch": inner})]
    path = written(onnx, tmp_path / "file.onnx", nodes, {"x": ([2], F)}, {"y": ([2], F)}, {"yes": np.array(True)})
    with pytest.raises(ValueError, match=r"\(If\).*(then|else)_branch must not be a graph"):
        load_onnx(path)


def test_a_state_that_was_learned_is_refused(tmp_path):
    values = weights("GRU") | {"h0": np.ones((1, 2, H), F)}
    path = written(onnx, tmp_path / "file.onnx", [("GRU", ["x", "W", "R", "B", "", "h0"], ["y"], {"hidden_size": H})],
                   {"x": (["T", 2, I], F)}, {"y": (["P", "Q"], F)}, values)  # fmt: skip
    with pytest.raises(ValueError, match="initial states must be zeros or an input, got numbers"):
        load_onnx(path)


def test_arrays_beyond_memory_are_not_made(tmp_path):
    nodes = [("ConstantOfShape", ["sizes"], ["large"], {"value": onnx.numpy_helper.from_array(np.ones(1, F))}),
             ("MatMul", ["x", "large"], ["y"], {})]  # fmt: skip
    path = written(onnx, tmp_path / "file.onnx", nodes, {"x": ([2, I], F)}, {"y": (["P", "Q"], F)},
                   {"sizes": np.array([1 << 30, 1 << 30])})  # fmt: skip
    with pytest.raises(ValueError, match=r"\(ConstantOfShape\).*must have at most 67,108,864 numbers"):
        load_onnx(path)


# ── What is no whole file ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def file(tmp_path):
    export_onnx(LSTM(2, 3, backend="numpy", seed=0), tmp_path / "file.onnx")
    return tmp_path / "file.onnx"


def test_a_file_cut_short_anywhere_is_refused_or_whole(file):
    data = file.read_bytes()
    for end in range(0, len(data), 7):
        file.write_bytes(data[:end])
        with pytest.raises(ValueError, match="load_onnx: ") as caught:
            load_onnx(file, backend="numpy")
        assert "\n" not in str(caught.value)


def test_damaged_bytes_give_layers_or_one_line(file):
    data, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        file.write_bytes(bytes(damaged))
        try:
            load_onnx(file, backend="numpy")
        except ValueError as error:
            assert str(error).startswith("load_onnx: ")
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "which is empty"),
        (b"PK\x03\x04 data.pkl", r"which is a file of torch.save \(.pt, .pth\)"),
        (b"\x80\x04\x95 pickled", "which is a pickle"),
        (b"\x89HDF\r\n\x1a\n", r"which is an HDF5 file"),
        (b"some words", "which is cut short, damaged, or something else"),
    ],
)
def test_other_files_are_called_by_what_they_are(tmp_path, data, message):
    (tmp_path / "file.onnx").write_bytes(data)
    with pytest.raises(ValueError, match=f"path must be a whole ONNX file, got .*file.onnx', {message}"):
        load_onnx(tmp_path / "file.onnx")


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError, match="load_onnx: .*can't be read: No such file"):
        load_onnx(tmp_path / "none.onnx")
    with pytest.raises(TypeError, match="path must be a path"):
        load_onnx(3.5)


def beside(tmp_path):
    """A file with its weights in another."""
    export_onnx(Linear(40, 30, seed=0), tmp_path / "file.onnx")
    model = onnx.load(tmp_path / "file.onnx")
    onnx.save(model, str(tmp_path / "file.onnx"), save_as_external_data=True, location="file.bin", size_threshold=100)
    return tmp_path / "file.onnx", tmp_path / "file.bin"


def test_weights_beside_the_file_are_read_and_missed(tmp_path):
    path, data = beside(tmp_path)
    found = load_onnx(path).parameters["linear.weight"]
    np.testing.assert_array_equal(found, Linear(40, 30, seed=0).parameters["weight"])
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(ValueError, match="the weight '.*' of .* must lie in a file beside it.*cut short"):
        load_onnx(path)
    data.unlink()
    with pytest.raises(ValueError, match="'file.bin', which is not there; bring both files into one folder"):
        load_onnx(path)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "link", "", "a\0b"])
def test_weights_elsewhere_are_not_read(tmp_path, place):
    (tmp_path / "room").mkdir()
    path, data = beside(tmp_path / "room")
    os.replace(data, tmp_path / "secret")
    os.symlink(tmp_path / "secret", tmp_path / "room" / "link")
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for one in tensor.external_data:
            one.value = place if one.key == "location" else one.value
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="must lie in a file beside it, got the place"):
        load_onnx(path)


def test_reading_runs_nothing_and_wants_no_runtime(file):
    code = "import sys; from rnn_core.formats import *; load_onnx(sys.argv[1]); print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
