"""`export_onnx` of layers: ONNX Runtime computes what they do, in every option, and what can't be said is refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")
runtime = pytest.importorskip("onnxruntime")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, Dropout, Embedding, Linear, quantize
from rnn_core.cell import define, tanh
from rnn_core.formats import export_onnx
from rnn_core.variants import MinGRU
from tests.tolerance import tolerance

from .beside import CELLS, TOLERANCE, calls, fill, flat, layers, numbers, run, session


def exported(tmp_path, target, **options):
    export_onnx(target, tmp_path / "file.onnx", **options)
    return tmp_path / "file.onnx"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.parametrize("cell", CELLS)
def test_every_option_is_computed_alike(cell, tmp_path, data):
    layer = data.draw(layers((cell,)))
    inputs = {"lengths": data.draw(st.booleans()), "states": data.draw(st.booleans())}
    arguments, feed = data.draw(calls(layer, **inputs))
    found = run(runtime, exported(tmp_path, layer, **inputs), feed)
    assert list(found) == ["y", *layer.spec.states]
    for actual, expected in zip(found.values(), flat(*layer(*arguments)), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE)


def test_batch_and_time_have_any_size(tmp_path):
    layer = LSTM(3, 4, bidirectional=True, backend="numpy", seed=0)
    model = session(runtime, exported(tmp_path, layer))
    for T, B in ((1, 1), (7, 2), (3, 5)):
        x = numbers(np.random.default_rng(0), T, B, 3)
        np.testing.assert_allclose(model.run(["y"], {"x": x})[0], layer(x)[0], rtol=0, atol=TOLERANCE)


def test_one_length_and_one_state_are_those_of_all_rows(tmp_path):
    layer, rng = GRU(3, 4, backend="numpy", seed=0), np.random.default_rng(0)
    x, h0 = numbers(rng, 5, 3, 3), numbers(rng, 1, 1, 4)
    found = run(runtime, exported(tmp_path, layer), {"x": x, "lengths": np.array([2]), "h0": h0})
    y, h = layer(x, np.repeat(h0, 3, axis=1), np.array([2, 2, 2]))
    np.testing.assert_allclose(found["y"], y, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found["h"], h, rtol=0, atol=TOLERANCE)


def test_a_length_beyond_the_steps_is_an_error_there_too(tmp_path):
    path = exported(tmp_path, LSTM(3, 4, backend="numpy", seed=0))
    with pytest.raises(Exception, match="sequence_lens"):
        run(runtime, path, {"x": np.zeros((2, 1, 3), np.float32), "lengths": np.array([3])})


@pytest.mark.parametrize("bias", [True, False])
def test_linear(tmp_path, bias):
    layer = Linear(3, 4, bias, seed=0)
    x = numbers(np.random.default_rng(0), 2, 5, 3)
    found = run(runtime, exported(tmp_path, layer), {"x": x})
    np.testing.assert_allclose(found["y"], layer(x), rtol=0, atol=TOLERANCE)


def test_embedding(tmp_path):
    layer = Embedding(7, 3, padding_idx=0, seed=0)
    tokens = np.array([[0, 6, 2], [3, 3, 1]])
    np.testing.assert_array_equal(run(runtime, exported(tmp_path, layer), {"tokens": tokens})["y"], layer(tokens))


def test_float64_stays_float64(tmp_path):
    """ONNX Runtime has no LSTM in float64; ONNX's own evaluator has, without lengths."""
    layer = fill(LSTM(3, 4, dtype=np.float64, backend="numpy"))
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    path = exported(tmp_path, layer, lengths=False, states=False)
    y = reference.ReferenceEvaluator(str(path)).run(["y"], {"x": x})[0]
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, layer(x)[0], rtol=0, atol=tolerance(np.float64, 5))


def test_weights_have_names_and_bits(tmp_path):
    layer = fill(GRU(2, 3, backend="numpy"))
    model = onnx.load(exported(tmp_path, layer))
    kept = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    r, z, n = np.split(layer.parameters["weight_hh_l0"], 3)
    np.testing.assert_array_equal(kept["l0.R"][0], np.concatenate([z, r, n]))
    assert next((one.key, one.value) for one in model.metadata_props) == ("rnn_core.class", "GRU")


def test_lengths_and_states_are_left_out_where_they_are_not_wanted(tmp_path):
    layer = LSTM(3, 4, backend="numpy")
    names = [one.name for one in session(runtime, exported(tmp_path, layer, lengths=False, states=False)).get_inputs()]
    assert names == ["x"]


def test_dropout_and_masks_of_training_are_left_out(tmp_path):
    layer = GRU(3, 4, 2, dropout=0.5, recurrent_dropout=0.3, candidate_dropout=0.2, weight_drop=0.3, backend="numpy")
    x = numbers(np.random.default_rng(0), 5, 2, 3)
    found = run(runtime, exported(tmp_path, layer), {"x": x})
    np.testing.assert_allclose(found["y"], layer(x)[0], rtol=0, atol=TOLERANCE)


class Gates(NamedTuple):
    n: Any


class States(NamedTuple):
    h: Any


def step(a, prev):
    n = tanh(a.n)
    return States(n), Gates(n)


def step_backward(kept, prev, state, dstate):
    return States(h=0), Gates(dstate.h * (1 - kept.n * kept.n))


def refused():
    """What can't be written, the error, and a part of its message."""
    own = define("OnnxLacksIt", step, step_backward, gates=Gates, states=States, kept=Gates)
    return {
        "a cell of ours": (MinGRU(2, 3), TypeError, "got MinGRU"),
        "a user's cell": (own(2, 3), TypeError, "got OnnxLacksIt"),
        "zoneout": (LSTM(2, 3, zoneout=0.1), ValueError, "no zoneout"),
        "int8": (quantize(LSTM(2, 3)), TypeError, "export what quantize was given"),
        "bfloat16": (LSTM(2, 3, precision="bfloat16"), ValueError, r"astype\('float32', precision='float32'\)"),
        "complex": (RNN(2, 3, dtype=np.complex128), TypeError, r"astype\('float64'\)"),
        "dropout": (Dropout(0.5), TypeError, "must be a layer or model"),
        "an array": (np.zeros(3), TypeError, "must be a layer or model"),
    }


@pytest.mark.parametrize(
    "what", ["a cell of ours", "a user's cell", "zoneout", "int8", "bfloat16", "complex", "dropout", "an array"]
)
def test_what_cannot_be_said_is_refused_by_name(tmp_path, what):
    target, error, message = refused()[what]
    with pytest.raises(error, match=message):
        export_onnx(target, tmp_path / "file.onnx")
    assert not list(tmp_path.iterdir())


def test_a_weight_that_is_not_finite_is_refused(tmp_path):
    layer = LSTM(2, 3, backend="numpy")
    layer.parameters["weight_hh_l0"][1, 2] = np.nan
    with pytest.raises(ValueError, match=r"weight_hh_l0 must be finite, got nan at index \(1, 2\)"):
        export_onnx(layer, tmp_path / "file.onnx")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = exported(tmp_path, Linear(2, 3, seed=0))
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="can't be written: No space left"):
        export_onnx(Linear(2, 3, seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named_before_any_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it first"):
        export_onnx(Linear(2, 3), tmp_path / "none" / "file.onnx")
