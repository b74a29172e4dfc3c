"""Keras's ``imdb.npz``: read as NumPy would, and nothing in it is ever called, whatever it asks for."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from rnn_core.data.files import read_texts

ROWS = [[1, 14, 22, 65_535, 65_536], [1, 5], [], [0, 255, 256], [7], list(range(1500)), [2**31, 2**40]]


def objects(rows) -> np.ndarray:
    found = np.empty(len(rows), object)
    found[:] = rows
    return found


def npy(data: bytes, shape: str, descr: str = "|O") -> bytes:
    """An ``.npy`` file of any content."""
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def written(array) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def archive(path, x: bytes, y: bytes, how: int = zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", how) as file:
        file.writestr("x_train.npy", x)
        file.writestr("y_train.npy", y)
    return path


LABELS = written(np.arange(len(ROWS)) % 2)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_every_way_in_which_numpy_has_written_it(tmp_path, protocol, module) -> None:
    """Old releases wrote protocol 2 and 3, the newer ones 4; a package was renamed between them."""
    data = pickle.dumps(objects(ROWS), protocol=protocol)
    ours, size = b"numpy._core.multiarray", bytes([len(module)])
    data = data.replace(bytes([len(ours)]) + ours, size + module) if protocol > 3 else data.replace(ours, module)
    found = read_texts(archive(tmp_path / "a.npz", npy(data, f"({len(ROWS)},)"), LABELS))
    assert [row.tolist() for row in found.texts] == ROWS
    assert {row.dtype for row in found.texts} == {np.dtype(np.int64)}
    assert found.labels.tolist() == [k % 2 for k in range(len(ROWS))]


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_it_reads_what_numpy_reads(tmp_path, write) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, 90_000, size).tolist() for size in rng.integers(1, 3000, 300)]
    rows[7] = rows[3]  # one list, twice
    write(tmp_path / "a.npz", x_train=objects(rows), y_train=rng.integers(0, 2, 300), x_test=objects([]), y_test=[])
    with np.load(tmp_path / "a.npz", allow_pickle=True) as theirs:
        found = read_texts(tmp_path / "a.npz")
        assert all(np.array_equal(ours, row) for ours, row in zip(found.texts, theirs["x_train"], strict=True))
        assert found.labels.tolist() == theirs["y_train"].tolist()


def test_rows_of_one_length_and_labels_of_other_types(tmp_path) -> None:
    x = np.arange(6, dtype=np.int32).reshape(3, 2)
    for y in (np.array([2, 0, 2], np.uint8), np.array([2.0, 0.0, 2.0]), objects([2, 0, 2])):
        found = read_texts(archive(tmp_path / "a.npz", written(x), written(y)))
        assert [row.tolist() for row in found.texts] == x.tolist()
        assert (found.classes, found.labels.tolist()) == (("0", "2"), [1, 0, 1])


class Calls:
    """What is pickled as a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pointers(count: int = 1) -> Calls:
    """An array of objects out of raw bytes: each a pointer of the file's choice."""
    return Calls(np.ndarray, (count,), "O", b"A" * 8 * count)


CRAFTED = {
    "a pointer": pickle.dumps(pointers()),
    "a sub-array of pointers": pickle.dumps(Calls(np.ndarray, (1,), np.dtype(("O", (2,))), b"A" * 16)),
    "a void of pointers": pickle.dumps(Calls(np.ndarray, (1,), np.dtype([("a", "O")]), b"A" * 8)),
    "a scalar": pickle.dumps(Calls(np._core.multiarray.scalar, np.dtype("O"), b"A" * 8)),
    "a list with a pointer in it": pickle.dumps(objects([[1], [pointers()]])),
    "a state of raw bytes": pickle.dumps(objects([[1]])).replace(b"\x8c\x02O8", b"\x8c\x02i8"),
    "a call": pickle.dumps(Calls(print, "executed")),
    "a call in a list": pickle.dumps(objects([[1], Calls(print, "executed")])),
    "an array in a list": pickle.dumps(objects([[1], np.arange(3)])),
    "texts": pickle.dumps(objects(["one", "two"])),
    "a number and a text": pickle.dumps(objects([[1, "two"]])),
    "fractions": pickle.dumps(objects([[1.5]])),
    "lists in lists": pickle.dumps(objects([[1], [[2]]])),
    "numbers beside lists": pickle.dumps(objects([[1], 2])),
    "a number beyond 64 bits": pickle.dumps(objects([[2**64]])),
    "a dictionary": pickle.dumps({"a": 1}),
    "a list alone": pickle.dumps([[1, 2]]),
    "nothing": b"",
    "an end too early": pickle.dumps(objects(ROWS))[:300],
    "a list that holds itself": b"\x80\x04]\x94(h\x00e.",
    "two dimensions": pickle.dumps(objects([1, 2, 3, 4]).reshape(2, 2)),
    "tuples in tuples": b"\x80\x04)" + b"\x85" * 100_000 + b".",
    "many marks": b"\x80\x04" + b"(" * 100_000 + b".",
    "many lists": b"\x80\x04" + b"]" * 1_000_000 + b".",
    "much remembered": b"\x80\x04]" + b"\x94" * 1_000_000 + b".",
    "a stack that is empty": b"\x80\x04e.",
    "many steps": pickle.dumps(objects([[1]])).replace(b"K\x01aa", b"K\x01a" + b"(e" * 100_000 + b"a"),
    "a long name": b"\x80\x02c" + b"a" * 1000,
    "a number without its bytes": b"\x80\x04\x8a\x08\x01",
}


@pytest.mark.parametrize("name", CRAFTED)
def test_nothing_is_called_and_all_else_is_refused_in_a_line(tmp_path, capfd, name) -> None:
    """Six of these ended Python itself, while an unpickler was told what it may call."""
    for shape in ("(1,)", "(2,)", "(1000,)"):
        path = archive(tmp_path / "a.npz", npy(CRAFTED[name], shape), LABELS)
        with pytest.raises(ValueError, match=r"must hold whole numbers, or lists of them, as x_train, got ") as caught:
            read_texts(path)
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_every_byte_of_a_file_may_be_another(tmp_path) -> None:
    """Whatever one byte of the program becomes: lists of numbers, or one error of one line."""
    data, rng = pickle.dumps(objects([[1, 300], [70_000]])), np.random.default_rng(0)
    for place in range(len(data)):
        for value in rng.integers(0, 256, 6).tolist():
            mutant = data[:place] + bytes([value]) + data[place + 1 :]
            path = archive(tmp_path / "a.npz", npy(mutant, "(2,)"), written(np.arange(2)))
            try:
                found = read_texts(path)
            except ValueError as error:
                assert len(str(error)) < 400
            else:
                assert sum(len(row) for row in found.texts) <= len(data)


def test_one_list_again_and_again_counts_again(tmp_path) -> None:
    """A list of 10,000 numbers that is named 10,000 times would be a hundred million numbers."""
    row = list(range(10_000))
    data = pickle.dumps(objects([row] * 10_000))
    path = archive(tmp_path / "a.npz", npy(data, "(10000,)"), written(np.zeros(10_000, np.int64)))
    with pytest.raises(ValueError, match=r"one list again and again, for more numbers than it has bytes"):
        read_texts(path)


def test_what_a_file_claims_is_compared_with_its_size(tmp_path) -> None:
    x = written(np.ones((3, 2), np.int64))
    bomb = archive(tmp_path / "bomb.npz", npy(bytes(2**26), "(1048576, 8)", "<i8"), LABELS, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"as x_train, got 67,\d{3},\d{3} bytes in a file of \d\d,\d{3}; np\.savez"):
        read_texts(bomb)
    with pytest.raises(ValueError, match=r"got 400,000 rows in a file of \d{3} bytes"):
        read_texts(archive(bomb, npy(bytes(400_000), "(400000, 1)", "|i1"), LABELS, zipfile.ZIP_DEFLATED))
    with pytest.raises(
        ValueError, match=r"1,000,000,000 elements by its header, where its size leaves room for 100,000"
    ):
        read_texts(archive(bomb, npy(b"\x80\x04].", "(1000000000,)"), LABELS))
    with pytest.raises(ValueError, match=r"got 8 bytes for the shape \(99999999999, 99999999999\)"):
        read_texts(archive(bomb, npy(bytes(8), "(99999999999, 99999999999)", "<i8"), LABELS))
    with pytest.raises(ValueError, match=r"must have a label for each text, got 7 for 3"):
        read_texts(archive(bomb, x, LABELS))


@pytest.mark.parametrize(("shape", "kind"), [("(" + "1, " * 900 + "2)", "<i8"), ("(3,)", "<i" + "9" * 5000)])
def test_a_long_header_makes_no_long_message(tmp_path, shape, kind) -> None:
    with pytest.raises(ValueError, match=r"got (8 bytes for the shape \(1, 1, .*…|the type <i9999.*…)") as caught:
        read_texts(archive(tmp_path / "a.npz", npy(bytes(8), shape, kind), LABELS))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, np.inf]), r"must have whole numbers as labels in y_train, got inf; give each text"),
        (np.array([0.2, 0.7, 1.4]), r"must have whole numbers as labels in y_train, got 0\.2; give each text"),
        (np.array([0.0, np.nan, 1.0]), r"as labels in y_train, got nan"),
        (np.eye(3), r"as labels in y_train, got an array of shape \(3, 3\); is it one-hot\? y\.argmax\(axis=1\)"),
        (np.array(["a", "b", "c"]), r"as y_train, got texts; write numbers, those of classes"),
        (objects([[0], [1], [1]]), r"as labels in y_train, got lists"),
        (objects(["a", "b", "c"]), r"as y_train, got what is no list of whole numbers, as element 1"),
        (np.array([1j, 2j, 3j]), r"as y_train, got the type <c16"),
        (np.array(3), r"as y_train, got 8 bytes for the shape \(\)"),
    ],
)
def test_labels_that_are_no_whole_numbers(tmp_path, labels, message) -> None:
    path = archive(tmp_path / "a.npz", written(np.ones((3, 2), np.int64)), written(labels))
    with pytest.raises(ValueError, match=message) as caught:
        read_texts(path)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (written(objects([[1], [-2]])), r"row 2 of x_train, must hold numbers of words, from 0 on, got -2"),
        (
            written(objects([[1], [2**50]])),
            r"row 2 of x_train, must hold numbers of words, from 0 on, got 1125899906842624",
        ),
        (written(np.ones((2, 3))), r"must have rows of whole numbers in x_train, got float64 of shape \(2, 3\)"),
        (written(np.ones(2, np.int64)), r"must have rows of whole numbers in x_train, got int64 of shape \(2,\)"),
        (b"PK" * 20, r"got no array of NumPy's but b'PKPKPKPK'"),
        (npy(b"", "(" * 5000), r"got the header b\""),
        (npy(b"", f"({'1' * 9000}x)"), r"got the header b\""),
    ],
)
def test_rows_that_are_no_numbers_of_words(tmp_path, x, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_texts(archive(tmp_path / "a.npz", x, written(np.arange(2))))
    assert len(str(caught.value)) < 400


def test_a_damaged_archive(tmp_path) -> None:
    path = archive(tmp_path / "a.npz", written(objects(ROWS)), LABELS, zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    for place in range(0, len(data), 7):
        (tmp_path / "b.npz").write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            read_texts(tmp_path / "b.npz")
        except ValueError as error:
            assert len(str(error)) < 400
            assert "b.npz" in str(error)
    with pytest.raises(ValueError, match=r"must hold x_train and y_train, as Keras's imdb\.npz does: packed in a way"):
        read_texts(archive(path, written(objects(ROWS)), LABELS, zipfile.ZIP_LZMA))
