"""Files that are no weights, or lie about what they hold: one line that names the file, and no memory taken."""

from __future__ import annotations

import json
import struct
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save as foreign_bytes

from rnn_core import LSTM, Embedding, Linear, SequenceClassifier, load, save
from rnn_core.weights import read_arrays, read_metadata

READERS = [load, read_arrays, read_metadata]


class Mine(Linear):
    """A user's layer."""


class Greedy(Linear):
    """A user's layer that takes memory of its own."""

    def __init__(self, in_features: int, out_features: int, copies: int = 1) -> None:
        super().__init__(in_features, out_features)
        self.config = {"in_features": in_features, "out_features": out_features, "copies": copies}
        self.copies = np.zeros(copies)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def refused(path, read=load, kind=ValueError):
    """Return the message of a file that is refused, which is one line and names the file."""
    with pytest.raises(kind) as caught:
        read(path)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(("load: ", f"{read.__name__}: "))
    assert str(path) in message
    assert len(message.replace(str(path), "")) < 350
    return message


@pytest.mark.parametrize("read", READERS)
def test_a_missing_file(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"^{read.__name__}: '.*nothing' can't be read: No such file"):
        read(tmp_path / "nothing")
    with pytest.raises(OSError, match=rf"^{read.__name__}: .* can't be read: "):
        read(tmp_path)
    with pytest.raises(ValueError, match=rf"^{read.__name__}: 'a\\x00b' can't be read: embedded null byte"):
        read("a\0b")
    with pytest.raises(TypeError, match=f"^{read.__name__}: path must be a path, got 3$"):
        read(3)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("kept", [0, 5, 8, 9, 100, -1])
def test_a_file_cut_short(read, kept, path):
    save(LSTM(3, 4, seed=1), path)
    path.write_bytes(path.read_bytes()[:kept])
    assert "path must be a whole safetensors file, got " in (message := refused(path, read))
    assert "which is cut short or damaged (" in message


TORCH = b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99)
KINDS = {
    TORCH: "a file of torch.save (.pt, .pth); in torch: safetensors.torch.save_file(torch.load(path, ",
    b"PK\x03\x04"
    + bytes(26)
    + b"metadata.json"
    + bytes(1 << 20)
    + b"model.weights.h5"
    + bytes(50): "a model of Keras (.k",
    b"PK\x03\x04" + bytes(26) + b"w.npy" + bytes(99): "an archive of NumPy's (.npz); rnn_core.save(",
    b"PK\x03\x04" + bytes(99): "a zip archive; unpack it",
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    + bytes(99): "an old file of torch.save (.pt, .pth); in torch",
    b"\x80\x04\x95" + bytes(99): "a pickle, as torch.save and joblib write; in torch: ",
    b"\x89HDF\r\n\x1a\n" + bytes(99): "an HDF5 file (.h5), as Keras writes; rnn_core.formats.load_keras",
    b"\x93NUMPY" + bytes(99): "an array of NumPy's (.npy); rnn_core.save({name: np.load(path)}",
    b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + bytes(99): "an ONNX file; rnn_core.formats.load_onnx(path)",
    b"\n\n<!DOCTYPE html><html><body>404</body></html>": "a web page; download the file itself",
    b"version https://git-lfs.github.com/spec/v1\noid": "a pointer of Git LFS; `git lfs pull`",
    b"\x1f\x8b\x08" + bytes(99): "packed with gzip; unpack it",
    b"GGUF" + bytes(99): "a GGUF file; ",
    b"\x1c\0\0\0TFL3" + bytes(99): "a TensorFlow Lite file; ",
    b"some text, and some more of it\n": "no safetensors file (",
    bytes(99): "no safetensors file (",
}


@pytest.mark.parametrize("content, said", KINDS.items(), ids=[said.partition(";")[0] for said in KINDS.values()])
@pytest.mark.parametrize("read", READERS)
def test_a_file_of_another_kind_is_called_by_its_name(read, content, said, path):
    path.write_bytes(content)
    assert f"which is {said}" in refused(path, read)


def test_what_numpy_and_torch_write_is_known(path):
    np.savez(path.with_suffix(".npz"), w=np.ones(3))
    assert "an archive of NumPy's (.npz)" in refused(path.with_suffix(".npz"))
    torch = pytest.importorskip("torch")
    for new, said in ((True, "a file of torch.save"), (False, "an old file of torch.save")):
        torch.save({"w": torch.ones(3)}, path, _use_new_zipfile_serialization=new)
        assert f"which is {said}" in refused(path)


def test_the_way_in_from_torch(path):
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    theirs, old = torch.nn.LSTM(3, 4), path.with_suffix(".pt")
    torch.save(theirs.state_dict(), old)
    save_file(torch.load(old, weights_only=True), path)
    layer = LSTM(3, 4)
    layer.load_state_dict(read_arrays(path))
    np.testing.assert_array_equal(layer.parameters["weight_hh_l0"], theirs.weight_hh_l0.detach().numpy())


def test_a_file_of_another_program(path):
    path.write_bytes(foreign_bytes({"w": np.ones(3)}, metadata={"format": "pt", "checksum": "that program's own"}))
    assert "comes from another program; read_arrays returns its arrays" in refused(path)
    assert read_arrays(path)["w"].sum() == 3


def test_plain_arrays_are_no_model(path):
    save({"w": np.ones(3)}, path)
    assert refused(path).startswith("load: path must hold a layer or model, got ")


def raw(path, header, data=b""):
    """Write a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.parametrize(
    "dtype, size, name", [("BF16", 4, "bfloat16"), ("F8_E5M2", 2, "float8"), ("F6_E2M3", 3, "F6_E2M3")]
)
def test_a_dtype_that_numpy_lacks(dtype, size, name, path):
    shape = [4] if dtype.startswith("F6") else [2]
    raw(path, {"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}, bytes(size))
    assert "w in " in (message := refused(path, read_arrays, TypeError))
    assert f"must have a dtype that NumPy has: {'Dtype not understood: ' if shape == [4] else ''}" in message
    assert name in message


def test_a_dtype_that_another_package_has_added(path):
    """What is read must not depend on what else has been imported."""
    pytest.importorskip("ml_dtypes")
    raw(path, {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, bytes(4))
    assert "bfloat16 is another package's; convert it with" in refused(path, read_arrays, TypeError)


@pytest.mark.parametrize("shape", [[1] * 70, [0, 2**63], [0, 2**62, 2**60]])
def test_a_shape_that_numpy_lacks(shape, path):
    raw(
        path,
        {"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * (0 not in shape)]}},
        bytes(4 * (0 not in shape)),
    )
    assert f"w in {str(path)!r} must have a shape that NumPy has, got " in refused(path, read_arrays)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "header, said",
    [
        (b"[" * 100_000, "cut short or damaged|no safetensors file"),
        (b'{"a":' * 100_000, "recursion limit exceeded"),
        (b'{"w":{"dtype":"F32\\nF32' + b"\\n" * 90_000 + b'"}}', "unknown variant"),
        (b'{"__metadata__":{"a":"\\ud83d"}}', "unexpected end of hex escape"),
        (b'{"__metadata__":{"a":"1","a":"2"}}', "the key 'a' comes twice"),
        (b'{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
         "the key 'w' comes twice"),
    ],
    ids=["brackets", "objects", "dtype", "half a character", "a string twice", "an array twice"],
)  # fmt: skip
def test_a_header_that_is_none(read, header, said, path):
    raw(path, header)
    assert any(one in refused(path, read) for one in said.split("|"))


def rewrite(path, target, arrays=None, **header):
    """Write a file of `target` without checksums, and with another header or other arrays; None leaves one out."""
    save(target, path)
    sums = {"rnn_core.checksum": None, "rnn_core.checksums": None}
    changed = {**read_metadata(path), **sums, **header}
    arrays = {**read_arrays(path), **(arrays or {})}
    path.write_bytes(
        foreign_bytes(
            {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None},
            metadata={key: value for key, value in changed.items() if value is not None},
        )
    )


CONFIG = {"in_features": 2, "out_features": 3, "bias": True, "dtype": "float32"}
SIZE = "config and arrays must fit: weight must have shape "


def configured(**changes):
    """Return the change of a header whose config says something else."""
    return {"config": json.dumps({**CONFIG, **changes})}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format_version": "2"}, "format_version must be 1, got 2 in "),
        ({"format_version": "2\n" * 999}, "format_version must be 1, got 2 2 2 2 2 2 2 2 2 2… in "),
        ({"class": "Perceptron"}, "there is no layer or model called 'Perceptron'; import the module"),
        ({"class": "[" * 10**5}, "there is no layer or model called '[[[["),
        ({"class": "LSTM"}, "config must hold what LSTM takes, got 'in_features'"),
        ({"class": "Layer"}, "Layer is a base class"),
        ({"class": "Recurrent"}, "Recurrent is a base class"),
        ({"class": "Model"}, "Model is a base class"),
        ({"config": None}, "whose header lacks the key 'config'"),
        (
            {"class": None, "checkpoint": "1"},
            "is a checkpoint of fit: fit(..., resume=True) goes on from it, and best.",
        ),
        ({"config": "{"}, "config must be JSON, got '{' (Expecting property name"),
        ({"config": "[1]"}, "does not hold what it says it holds: config must be a JSON object, got [1]"),
        ({"config": "[" * 10**5}, "config must be JSON of a sensible depth, got '[[[["),
        ({"config": "[" * 10**5 + "]" * 10**5}, "config must be JSON of a sensible depth, got '[[[["),
        ({"config": '{"bias": true, "bias": false}'}, "(the key 'bias' comes twice)"),
        ({"config": '{"in_features": 1' + "0" * 5000 + "}"}, 'config must be JSON, got \'{"in_features": 1000'),
        ({"config": "{}"}, "config must hold in_features, which Linear takes, got none"),
        (configured(colour=1), "config must hold what Linear takes, got 'colour'"),
        (configured(backend="cuda"), "config must leave out backend, which a file doesn't choose, got 'cuda'"),
        (configured(backend=None), "config must leave out backend, which a file doesn't choose, got None"),
        (configured(seed=3), "config must leave out seed, which a file doesn't choose, got 3"),
        (configured(out_features="3"), "config: out_features must be an int of 64 bits, got '3'"),
        (configured(out_features=True), "config: out_features must be an int of 64 bits, got True"),
        (configured(out_features=3.0), "config: out_features must be an int of 64 bits, got 3.0"),
        (configured(out_features=float("nan")), "config: out_features must be an int of 64 bits, got nan"),
        (configured(out_features=10**400), "config: out_features must be an int of 64 bits, got 1000"),
        (configured(out_features=-(2**64)), "config: out_features must be an int of 64 bits, got -1844"),
        (configured(out_features=-3), "Linear: out_features must be at least 1, got -3"),
        (configured(out_features=2**62), "too large: an array of shape (4611686018427387904, 2)"),
        (configured(out_features=10**15), "too large: an array of shape (1000000000000000, 2), far beyond"),
        (configured(out_features=500_000), SIZE + "(500000, 2), got (3, 2)"),
        (configured(out_features=2), SIZE + "(2, 2), got (3, 2)"),
        (configured(bias=1), "config: bias must be true or false, got 1"),
        (configured(bias="[" * 10**5), "config: bias must be true or false, got '[[[["),
        (configured(dtype="int8"), "dtype must be float32 or float64, got 'int8'"),
        (configured(dtype="float32,"), "dtype must be float32 or float64, got 'float32,'"),
        (configured(dtype="(2,3)f4"), "dtype must be float32 or float64, got '(2,3)f4'"),
        (configured(dtype=[["a", "f4"]]), "dtype must be float32 or float64, got [['a', 'f4']]"),
        (configured(dtype=None), "dtype must be float32 or float64, got None"),
        (configured(dtype="complex128"), "dtype must be float32 or float64, got 'complex128'"),
        (configured(bias=False), "missing: none; unknown: bias"),
        ({"arrays": {"bias": None}}, "missing: bias; unknown: none"),
        (
            {"arrays": {f"extra{k}\n": np.ones(3) for k in range(999)}},
            r"unknown: extra0\n, extra1\n, extra10\n and 996 more",
        ),
        ({"arrays": {"bias": np.ones(3)}}, "bias must be float32 or narrower, got float64"),
        ({"arrays": {"bias": np.array([0, np.nan, 0], np.float32)}}, "bias must be finite, got nan at index (1,)"),
    ],
)
def test_a_file_that_lies_about_itself(changes, message, path):
    rewrite(path, Linear(2, 3, seed=0), **changes)
    assert message in refused(path)


@pytest.mark.parametrize(
    "target, lie, message",
    [
        (LSTM(2, 3), {"hidden_size": 500}, "weight_ih_l0 must have shape (2000, 2), got (12, 2)"),
        (LSTM(2, 3), {"hidden_size": 10**9}, "too large: an array of shape (4000000000, 2), far beyond what there"),
        (LSTM(2, 3), {"num_layers": 10**9}, "too large: more than 80 arrays, far beyond what there is"),
        (LSTM(2, 3), {"num_layers": 2}, "missing: weight_ih_l1, weight_hh_l1, bias_ih_l1 and 1 more; unknown: none"),
        (LSTM(2, 3), {"dropout": float("nan")}, "LSTM: dropout must be at least 0 and below 1, got nan"),
        (LSTM(2, 3), {"dropout": 10**30}, "config: dropout must be a number, got 1000000000000000000000000000000"),
        (Embedding(4, 2), {"embedding_dim": 10**12, "padding_idx": 1}, "too large: an array of shape (4, 1000000000"),
        (SequenceClassifier(2, 3, input_size=2), {"cell": "x\n" * 999}, "cell must be one of 'rnn', 'lstm', 'gru', "),
        (SequenceClassifier(2, 3, input_size=2), {"pooling": []}, "config: pooling must be a string, got []"),
        (SequenceClassifier(2, 3, vocab_size=5), {"vocab_size": 10**12}, "too large: an array of shape (1000000000000"),
        (SequenceClassifier(2, 3, vocab_size=5), {"padding_idx": 9}, "padding_idx must be in 0…4, got 9"),
        (Mine(2, 3), {"out_features": 10**15}, "too large: an array of shape (1000000000000000, 2)"),
    ],
)  # fmt: skip
def test_a_size_that_the_arrays_do_not_have_is_refused_before_anything_is_built(target, lie, message, path):
    config = {key: value for key, value in target.config.items() if key not in ("backend", "seed")}
    rewrite(path, target, config=json.dumps({**config, **lie}))
    tracemalloc.start()
    try:
        assert message in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("copies, said", [(10**15, "Unable to allocate"), (-1, "negative dimensions are not allowed")])
def test_what_a_class_of_the_users_own_refuses(copies, said, path):
    rewrite(path, Greedy(2, 3), config=json.dumps({"in_features": 2, "out_features": 3, "copies": copies}))
    assert f"does not hold what it says it holds: {said}" in refused(path)


def test_sizes_that_only_empty_arrays_have_take_no_memory(path):
    config = json.dumps({"in_features": 60_000, "out_features": 60_000, "bias": False})
    strings = {"format": "rnn_core", "format_version": "1", "class": "Linear", "config": config}
    raw(path, {"__metadata__": strings, "weight": {"dtype": "F32", "shape": [60_000, 0], "data_offsets": [0, 0]}})
    tracemalloc.start()
    try:
        assert "too large: an array of shape (60000, 60000), far beyond what there is" in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_the_dtype_asked_for_can_not_hold(path):
    layer = Linear(2, 3, dtype=np.float64, seed=0)
    layer.parameters["weight"][1, 0] = 1e39
    save(layer, path)
    assert load(path, dtype="float64").parameters["weight"][1, 0] == 1e39
    said = "as float32: weight must be finite, got inf at index (1, 0)"
    assert said in refused(path, lambda path: load(path, dtype="float32"))
