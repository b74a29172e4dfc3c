"""Weights on disk: the same bits come back, and what can't be saved is said. How files are written: test_atomic.py."""

from __future__ import annotations

import json
import os
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
    assert set(json.loads(header.pop("rnn_core.checksums"))) == {"weight"}
    assert len(header.pop("rnn_core.checksum")) == 32
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
    layer._share("weight", np.asfortranarray(expected))
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


class Primed(LSTM):
    """A user's layer that writes into its parameters while it is made, and annotates as many do."""

    def __init__(self, input_size: int, hidden_size: int, bonus: float = None, **options: bool) -> None:  # noqa: RUF013
        super().__init__(input_size, hidden_size, **options)
        self.config["bonus"] = bonus
        self.parameters["bias_ih_l0"][hidden_size : 2 * hidden_size] += bonus or 1


def test_a_class_of_the_users_own(path):
    save(Own(2, 3, seed=0), path)
    assert type(load(path)) is Own
    for bonus in (None, 2.5):
        target = Primed(2, 3, bonus, num_layers=2, seed=0)
        save(target, path)
        found = load(path)
        assert type(found) is Primed
        assert found.config == {**target.config, "seed": None}
        for name, parameter in target.parameters.items():
            assert found.parameters[name].tobytes() == parameter.tobytes()


def test_nothing_is_drawn_for_what_is_written_over(path):
    save(TARGETS["tokens"], path)
    draws = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "default_rng", lambda seed=None: draws)
        before = draws.bit_generator.state
        load(path, dtype="float32")
        assert draws.bit_generator.state == before
    assert TARGETS["tokens"].astype("float32").parameters["head.bias"].any()


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
        (
            {"w": np.ones(2)},
            {"rnn_core.checksum": "0"},
            ValueError,
            "metadata must not use the key 'rnn_core.checksum'",
        ),
        (
            {"w": np.ones(2)},
            {"rnn_core.checksums": "0"},
            ValueError,
            "metadata must not use the key 'rnn_core.checksums'",
        ),
        ({"w": np.ones(2)}, {"note": "a \ud83d"}, ValueError, r"metadata\['note'\] must be text, got half a character"),
        ({"w": np.ones(2)}, {"\ud83d": "a"}, ValueError, "a key of metadata must be text, got half a character"),
        ({"\ud83d": np.ones(2)}, None, ValueError, "a name in target must be text, got half a character"),
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


class Peculiar(Linear):
    """A layer whose config is none."""

    def __init__(self) -> None:
        super().__init__(2, 3)
        self.config["sizes"] = {1, 2}


def test_a_config_that_json_can_not_hold(path):
    with pytest.raises(TypeError, match=r"^save: the config of Peculiar must be what JSON can hold, got .*set"):
        save(Peculiar(), path)
    assert names(path.parent) == []


def test_the_old_file_stands_where_the_new_one_is_refused(path):
    layer = Linear(2, 3, seed=0)
    save(layer, path)
    before = path.read_bytes()
    layer.parameters["weight"][1, 0] = np.nan
    with pytest.raises(ValueError, match=r"save: weight must be finite, got nan at index \(1, 0\)"):
        save(layer, path)
    assert path.read_bytes() == before
    assert names(path.parent) == [path.name]
