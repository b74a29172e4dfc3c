"""Checksums: no flipped bit passes, the message says where it is, and files without them are read as before."""

from __future__ import annotations

import json
import struct
from hashlib import blake2b

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rnn_core import LSTM, load, save
from rnn_core.weights import read_arrays, read_metadata
from rnn_core.weights.checksums import checksum

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "count": np.array(7),
    "empty": np.zeros((2, 0)),
    "flags": np.array([True, False]),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.safetensors"
    save(ARRAYS, path, metadata={"note": "é"})
    return path


def flipped(data: bytes, bit: int) -> bytes:
    """Return some bytes with one bit turned round."""
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def damaged(read, path):
    """Return the message of a file that is refused, which is one line and names the file."""
    with pytest.raises((ValueError, TypeError)) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_a_checksum_is_over_dtype_shape_and_bytes():
    array = ARRAYS["w"]
    assert checksum(array) == blake2b(b"<f4 (2, 3) " + array.tobytes(), digest_size=16).hexdigest()
    assert checksum(np.asfortranarray(array)) == checksum(array.astype(">f4")) == checksum(array)
    others = [array.reshape(3, 2), array.view(np.int32), -array, array.astype(np.float64), ARRAYS["empty"]]
    assert len({checksum(other) for other in [array, *others]}) == 6


def test_the_header_has_one_for_each_array_and_one_for_its_strings(path):
    strings = read_metadata(path)
    assert json.loads(strings["rnn_core.checksums"]) == {name: checksum(array) for name, array in ARRAYS.items()}
    rest = {key: value for key, value in strings.items() if key != "rnn_core.checksum"}
    assert (
        strings["rnn_core.checksum"] == blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=16).hexdigest()
    )


def test_every_bit_of_the_data_is_guarded_and_its_array_named(path):
    whole = path.read_bytes()
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8:start])
    for name in ARRAYS:
        first, last = header[name]["data_offsets"]
        for bit in range(8 * (start + first), 8 * (start + last)):
            path.write_bytes(flipped(whole, bit))
            assert f"is damaged: the array '{name}' is not what was written" in damaged(read_arrays, path)
    assert len(whole) - start == sum(array.nbytes for array in ARRAYS.values())


def test_every_bit_of_the_header_is_guarded(path):
    whole = path.read_bytes()
    end = 8 * (8 + struct.unpack("<Q", whole[:8])[0])
    for bit in range(0, end, 7):  # each of a byte's eight in turn
        path.write_bytes(flipped(whole, bit))
        damaged(read_arrays, path)


def test_a_network_with_a_flipped_bit_is_not_loaded(path):
    save(LSTM(3, 4, seed=0), path)
    whole = path.read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 500):
        path.write_bytes(flipped(whole, int(bit)))
        assert damaged(load, path).startswith("load: ")
    path.write_bytes(whole)
    assert load(path).parameters["bias_hh_l0"].any()


def rewritten(path, arrays=None, **strings):
    """Write the file again, with other arrays and other strings in its header; None leaves one out."""
    found = {**read_metadata(path), **strings}
    save_file(
        {**load_file(path), **(arrays or {})},
        path,
        metadata={key: value for key, value in found.items() if value is not None},
    )


SUMS = {"rnn_core.checksum": None, "rnn_core.checksums": None}


def test_a_file_without_checksums_is_read_as_before(path):
    rewritten(path, {"w": np.zeros(1)}, **SUMS)
    assert read_arrays(path)["w"] == 0
    assert set(read_metadata(path)) == {"format", "format_version", "note"}


def summed(path, sums):
    """Write the file again with other checksums of arrays, and the right one of its strings."""
    strings = {**read_metadata(path), "rnn_core.checksums": sums}
    del strings["rnn_core.checksum"]
    whole = blake2b(json.dumps(dict(sorted(strings.items()))).encode(), digest_size=16).hexdigest()
    rewritten(path, **strings, **{"rnn_core.checksum": whole})


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda path: rewritten(path, {"w": np.ones(3)}), "the array 'w' is not what was written"),
        (lambda path: rewritten(path, {"v": np.ones(3)}), "its header names an array 'v', which was not written"),
        (lambda path: summed(path, '{"v": "0"}'), "its header names an array "),
        (lambda path: rewritten(path, note="e"), "a string of its header is not what was written"),
        (lambda path: rewritten(path, more="e"), "a string of its header is not what was written"),
        (lambda path: rewritten(path, note=None), "a string of its header is not what was written"),
        (
            lambda path: rewritten(path, **{"rnn_core.checksum": None}),
            "has a 'rnn_core.checksums' and no 'rnn_core.chec",
        ),
        (
            lambda path: rewritten(path, **{"rnn_core.checksums": None}),
            "has a 'rnn_core.checksum' and no 'rnn_core.chec",
        ),
        (lambda path: summed(path, "[" * 10**5), "rnn_core.checksums must be JSON of a sensible depth, got '[[["),
        (
            lambda path: summed(path, '{"w": 3}'),
            "rnn_core.checksums must be an object, each entry a string, got",
        ),
        (lambda path: summed(path, '{"w": "0", "w": "1"}'), "the key 'w' comes twice"),
    ],
)
def test_what_is_damaged_is_said(change, said, path):
    change(path)
    assert said in damaged(read_arrays, path)


def test_an_array_that_is_no_longer_there(path):
    strings = read_metadata(path)
    save_file({name: array for name, array in load_file(path).items() if name != "w"}, path, metadata=strings)
    assert "its header lacks the array 'w', which was written" in damaged(read_arrays, path)
