"""Weights on disk: the same bits come back, and bad files are told apart. How files are written: test_atomic.py."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as foreign_bytes

from rnn_core import GRU, LSTM, RNN, Embedding, LanguageModel, Linear, SequenceClassifier, load, save
from rnn_core.weights import read_arrays, read_metadata

TARGETS = {
    "RNN": RNN(3, 4, nonlinearity="relu", dropout=0.25, num_layers=2, seed=1),
    "LSTM": LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, seed=1),
    "GRU": GRU(3, 4, bias=False, dtype=np.float64, seed=1),
    "Linear": Linear(3, 4, bias=False, seed=1),
    "Embedding": Embedding(5, 4, padding_idx=2, sparse=True, seed=1),
    "LanguageModel": LanguageModel(7, 4, num_layers=2, cell="gru", dropout=0.5, seed=1),
    "tied LanguageModel": LanguageModel(7, 4, tied=True, seed=1),
    "features": SequenceClassifier(3, 4, input_size=2, cell="rnn", nonlinearity="sigmoid", pooling="max", seed=1),
    "tokens": SequenceClassifier(1, 4, vocab_size=7, padding_idx=0, bidirectional=True, dtype=np.float64, seed=1),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def names(folder: Path) -> list[str]:
    """Return what is in a folder, hidden files too."""
    return sorted(os.listdir(folder))


# ── There and back ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_is_loaded_is_what_was_saved(target, path):
    save(target, path)
    found = load(path)
    assert type(found) is type(target)
    assert found.config == {**target.config, "seed": None}
    assert list(found.parameters) == list(target.parameters)
    for name, parameter in target.parameters.items():
        assert found.parameters[name].dtype == parameter.dtype
        assert found.parameters[name].tobytes() == parameter.tobytes()
    assert names(path.parent) == [path.name]


def test_a_loaded_model_predicts_the_same_bits(path):
    rng = np.random.default_rng(0)
    tokens, x = rng.integers(0, 7, (3, 5)), rng.standard_normal((3, 5, 2)).astype(np.float32)
    for target, inputs in ((TARGETS["LanguageModel"], tokens), (TARGETS["tokens"], tokens), (TARGETS["features"], x)):
        save(target, path)
        ours, theirs = (model(inputs, lengths=[5, 2, 1]) for model in (target, load(path)))
        ours, theirs = (z[0] if isinstance(z, tuple) else z for z in (ours, theirs))
        assert ours.tobytes() == theirs.tobytes()


def test_a_loaded_tied_model_is_tied(path):
    save(TARGETS["tied LanguageModel"], path)
    model = load(path)
    assert model.head.parameters["weight"] is model.embedding.parameters["weight"]


def test_another_dtype_and_backend(path):
    target = TARGETS["LanguageModel"]
    save(target, path)
    wide = load(path, dtype=np.float64, backend="numpy")
    assert wide.dtype == np.float64
    assert wide.config["backend"] == "numpy"
    np.testing.assert_array_equal(wide.parameters["head.weight"], target.parameters["head.weight"])
    save(wide, path)
    assert load(path).dtype == np.float64
    narrow = load(path, dtype="float32")
    assert narrow.parameters["head.weight"].tobytes() == target.parameters["head.weight"].tobytes()
    with pytest.raises(ValueError, match="backend must be one of"):
        load(path, backend="gpu")
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        load(path, dtype=np.int8)


def test_the_header_says_what_the_file_holds(path):
    save(TARGETS["Linear"], path, metadata={"note": "naïve ✓", "vocabulary": json.dumps(["a", "b"])})
    header = read_metadata(path)
    assert header.pop("note") == "naïve ✓"
    assert json.loads(header.pop("vocabulary")) == ["a", "b"]
    assert json.loads(header.pop("config")) == {"in_features": 3, "out_features": 4, "bias": False, "dtype": "float32"}
    assert header == {"format": "rnn_core", "format_version": "1", "class": "Linear"}
    assert load(path).config["out_features"] == 4


def test_plain_arrays(path):
    arrays = {
        "step": np.array(7),
        "empty": np.zeros((2, 0), np.float32),
        "nan": np.array([np.nan, np.inf]),
        "flags": np.array([True, False]),
        "half": np.ones(3, np.float16),
        **{kind: np.arange(5, dtype=kind) for kind in ("uint8", "int64", "float32")},
    }
    save(arrays, path, metadata={"epoch": "3"})
    found = read_arrays(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    assert read_metadata(path)["epoch"] == "3"


def test_arrays_that_do_not_lie_straight_in_memory(path):
    x = np.arange(24.0).reshape(4, 6)
    arrays = {
        "turned": x.T,
        "backwards": x[::-1, ::-1],
        "every other": x[::2, 1::3],
        "repeated": np.broadcast_to(x[0], (3, 6)),
        "other byte order": x.astype(">f8"),
    }
    save(arrays, path)
    for name, found in read_arrays(path).items():
        np.testing.assert_array_equal(found, arrays[name])


def test_parameters_that_do_not_lie_straight_in_memory(path):
    layer = Linear(3, 4, seed=0)
    expected = layer.parameters["weight"].copy()
    layer.parameters["weight"] = np.asfortranarray(layer.parameters["weight"])
    save(layer, path)
    np.testing.assert_array_equal(load(path).parameters["weight"], expected)


def test_equal_weights_make_equal_files(path):
    contents = set()
    for _ in range(8):  # the library underneath shuffles the entries of the header
        save(TARGETS["tokens"], path, metadata={"a": "1", "b": "2"})
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_arrays_of_another_program_can_be_read(path):
    path.write_bytes(foreign_bytes(Linear(2, 3, seed=0).state_dict()))
    assert read_metadata(path) == {}
    layer = Linear(2, 3, seed=1)
    layer.load_state_dict(read_arrays(path))
    np.testing.assert_array_equal(layer.parameters["weight"], Linear(2, 3, seed=0).parameters["weight"])


class Own(Linear):
    """A user's layer."""


def test_a_class_of_the_users_own(path):
    save(Own(2, 3, seed=0), path)
    assert type(load(path)) is Own


# ── Bad files ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("read", [load, read_arrays, read_metadata])
def test_a_missing_file(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"^{read.__name__}: '.*nothing' can't be read: No such file"):
        read(tmp_path / "nothing")
    with pytest.raises(OSError, match=rf"^{read.__name__}: .* can't be read: "):
        read(tmp_path)


@pytest.mark.parametrize("read", [load, read_arrays, read_metadata])
@pytest.mark.parametrize("kept", [0, 5, 8, 9, 100, -1])
def test_a_file_cut_short(read, kept, path):
    save(TARGETS["LSTM"], path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=rf"^{read.__name__}: path must be a whole .* which is cut short or damaged"):
        read(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + bytes(99), b"\x80\x04\x95" + bytes(99), b"some text, and some more of it\n", bytes(99)]
)
def test_a_file_of_another_kind(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^load: path must be a whole safetensors .* which is no safetensors file"):
        load(path)


def test_a_file_of_another_program(path):
    path.write_bytes(foreign_bytes({"w": np.ones(3)}, metadata={"format": "pt"}))
    with pytest.raises(ValueError, match=r"^load: .* comes from another program; read_arrays returns its arrays"):
        load(path)


def test_plain_arrays_are_no_model(path):
    save({"w": np.ones(3)}, path)
    with pytest.raises(ValueError, match="^load: path must hold a layer or model, got .* use read_arrays$"):
        load(path)


def test_a_dtype_that_numpy_lacks(path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(TypeError, match=r"^read_arrays: w in .* must have a dtype that NumPy has: .*bfloat16"):
        read_arrays(path)


def rewrite(path, target, arrays=None, **header):
    """Write a file of `target` with another header or other arrays, None for what is to be left out."""
    save(target, path)
    changed = {**read_metadata(path), **header}
    arrays = {**read_arrays(path), **(arrays or {})}
    path.write_bytes(
        foreign_bytes(
            {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None},
            metadata={key: value for key, value in changed.items() if value is not None},
        )
    )


CONFIG = {"in_features": 2, "out_features": 3, "bias": True, "dtype": "float32"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format_version": "2"}, "format_version must be 1, got 2 in .* newer rnn_core"),
        ({"class": "Perceptron"}, "there is no layer or model called 'Perceptron'; import the module"),
        ({"class": "LSTM"}, "unexpected keyword argument"),
        ({"class": "Layer"}, "Layer is a base class"),
        ({"class": "Recurrent"}, "Recurrent is a base class"),
        ({"class": "Model"}, "Model is a base class"),
        ({"config": None}, "how its Linear is built, .* whose header lacks the key 'config'"),
        ({"class": None, "checkpoint": "1"}, r"is a checkpoint of fit: fit\(..., resume=True\) .* best.safetensors"),
        ({"config": json.dumps({**CONFIG, "out_features": 10**15})}, "got out_features = 10+, which is no array's"),
        ({"config": "{"}, "Expecting property name"),
        ({"config": "[1]"}, "does not hold what it says it holds: config must be a JSON object, got list"),
        ({"config": json.dumps({**CONFIG, "out_features": 2})}, r"weight must have shape \(2, 2\), got \(3, 2\)"),
        ({"config": json.dumps({**CONFIG, "out_features": "3"})}, "out_features must be an int, got str"),
        ({"config": json.dumps({**CONFIG, "dtype": "int8"})}, "dtype must be float32 or float64, got 'int8'"),
        ({"config": json.dumps({**CONFIG, "bias": False})}, "unknown: bias"),
        ({"arrays": {"bias": None}}, "missing: bias"),
        ({"arrays": {"extra": np.ones(3)}}, "unknown: extra"),
        ({"arrays": {"bias": np.ones(3)}}, "bias must be float32 or narrower, got float64"),
        ({"arrays": {"bias": np.array([0, np.nan, 0], np.float32)}}, r"bias must be finite, got nan at index \(1,\)"),
    ],
)
def test_a_file_that_lies_about_itself(changes, message, path):
    rewrite(path, Linear(2, 3, seed=0), **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("lie", [{"hidden_size": 10**9}, {"num_layers": 10**9}])
def test_a_size_that_no_array_has_is_refused_before_anything_is_built(lie, path):
    target = LSTM(2, 3)
    config = json.dumps({**target.config, "backend": None, **lie})
    rewrite(path, target, config=config)
    with pytest.raises(ValueError, match="config and arrays must fit, got .* 1000000000"):
        load(path)


def test_sizes_that_no_memory_holds_are_refused_for_a_class_of_the_users_own_too(path):
    rewrite(path, Own(2, 3), config=json.dumps({**CONFIG, "out_features": 10**15}))
    with pytest.raises(ValueError, match="does not hold what it says it holds: Unable to allocate"):
        load(path)


# ── Bad arguments ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "target, metadata, error, message",
    [
        ("weights", None, TypeError, "target must be a layer, a model or a mapping of arrays, got str"),
        ({"w": np.ones(2) * 1j}, None, TypeError, "w must have one of the dtypes float16, .*, got complex128"),
        ({"w": np.array(["a"])}, None, TypeError, "w must be an array of numbers"),
        ({"w": [[1], [2, 3]]}, None, ValueError, "w must be an array or lists of equal length"),
        ({"w": None}, None, TypeError, "w must be an array of numbers, got None"),
        ({3: np.ones(2)}, None, TypeError, "target must map str to arrays, got the name 3"),
        ({"__metadata__": np.ones(2)}, None, ValueError, "target must not use the name '__metadata__'"),
        ({"w": np.ones(2)}, {"epoch": 3}, TypeError, "metadata must map str to str, got 'epoch': 3; json.dumps"),
        ({"w": np.ones(2)}, {"class": "LSTM"}, ValueError, "metadata must not use the key 'class'; format, "),
        (Linear(2, 3, dtype=np.complex128), None, TypeError, "weight must have one of the dtypes"),
    ],
)
def test_what_can_not_be_saved(target, metadata, error, message, path):
    with pytest.raises(error, match=f"^save: {message}"):
        save(target, path, metadata=metadata)
    assert names(path.parent) == []


def test_a_second_class_of_one_name_is_refused(path):
    twin = type("LSTM", (Linear,), {})
    with pytest.raises(TypeError, match="^save: there are two classes called LSTM, .*; rename yours$"):
        save(twin(2, 3), path)
    save(TARGETS["LSTM"], path)
    assert type(load(path)) is LSTM


def test_the_old_file_stands_where_the_new_one_is_refused(path):
    layer = Linear(2, 3, seed=0)
    save(layer, path)
    before = path.read_bytes()
    layer.parameters["weight"][1, 0] = np.nan
    with pytest.raises(ValueError, match=r"save: weight must be finite, got nan at index \(1, 0\)"):
        save(layer, path)
    assert path.read_bytes() == before
    assert names(path.parent) == [path.name]
