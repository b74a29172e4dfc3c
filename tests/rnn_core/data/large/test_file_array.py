"""Arrays in files: what is taken of them is what NumPy takes, and a file that changes is an error."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data import Examples, FileArray, RaggedFile, TextStream
from rnn_core.data.stored import panels
from rnn_core.data.stored.file_array import file_array_of


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves an array and returns its path."""

    def save(array, name="a.npy"):
        np.save(tmp_path / name, array)
        return tmp_path / name

    return save


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Return numbers, and their file."""
    array = np.random.default_rng(0).normal(size=(23, 3, 2)).astype(np.float32)
    path = tmp_path_factory.mktemp("table") / "t.npy"
    np.save(path, array)
    return array, FileArray(path)


@given(data=st.data())
def test_what_is_taken_is_what_numpy_takes(table, data):
    array, stored = table
    rows = data.draw(st.one_of(
        st.slices(len(array)), st.integers(-len(array), len(array) - 1),
        st.lists(st.integers(-len(array), len(array) - 1), max_size=9),
    ))  # fmt: skip
    rows = np.array(rows, int) if isinstance(rows, list) else rows
    np.testing.assert_array_equal(stored[rows], array[rows])
    assert stored[rows].dtype == array.dtype


def test_pieces_and_the_whole(table):
    array, stored = table
    pieces = list(stored.pieces(5))
    assert [start for start, _ in pieces] == [0, 5, 10, 15, 20]
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), array)
    np.testing.assert_array_equal(np.asarray(stored), array)
    assert (stored.shape, stored.ndim, stored.size, len(stored)) == (array.shape, 3, array.size, 23)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stored))[2:4], array[2:4])


@pytest.mark.parametrize("take", [lambda m: m, lambda m: m[3:9], lambda m: m[4], lambda m: m[2:][1:4]])
def test_a_part_of_a_map_lies_where_numpy_says(saved, take):
    array = np.arange(60, dtype=np.int32).reshape(12, 5)
    mapped = np.load(saved(array), mmap_mode="r")
    found = file_array_of(take(mapped))
    assert isinstance(found, FileArray)
    np.testing.assert_array_equal(found[:], take(array))


def test_a_map_with_gaps_or_changes_of_its_own_stays_an_array(saved):
    path = saved(np.arange(60).reshape(12, 5))
    mapped = np.load(path, mmap_mode="r")
    assert not isinstance(file_array_of(mapped[::2]), FileArray)
    assert not isinstance(file_array_of(mapped[:, 1:3]), FileArray)
    assert not isinstance(file_array_of(np.load(path, mmap_mode="c")), FileArray)
    copied = mapped[[1, 2]]
    assert file_array_of(copied) is copied


def test_a_file_of_numbers_alone(tmp_path):
    numbers = np.arange(10, dtype="<u2")
    (tmp_path / "raw").write_bytes(b"head" + numbers.tobytes())
    np.testing.assert_array_equal(FileArray(tmp_path / "raw", dtype="<u2", offset=4)[:], numbers)
    np.testing.assert_array_equal(
        FileArray(tmp_path / "raw", dtype="<u2", offset=4, shape=(5, 2))[3:], numbers.reshape(5, 2)[3:]
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"FileArray: .*must be a \.npy file"),
        (b"\x93NUMPY\x01\x00\x76\x00{'descr': '<u2', 'fortran_order'", r"must be a \.npy file"),
        (b"x" * 200, r"must be a \.npy file"),
    ],
)
def test_what_is_no_npy_is_refused(tmp_path, content, message):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        FileArray(tmp_path / "a.npy")


def test_other_arrays_are_refused(saved, tmp_path):
    with pytest.raises(ValueError, match="must hold numbers in C order, got <U1"):
        FileArray(saved(np.array(["a"])))
    with pytest.raises(ValueError, match="in Fortran's order; numpy.save"):
        FileArray(saved(np.asfortranarray(np.ones((3, 2)))))
    with pytest.raises(ValueError, match="at least one number in rows"):
        FileArray(saved(np.ones(())))
    with pytest.raises(FileNotFoundError, match="FileArray: .*can't be read"):
        FileArray(tmp_path / "none.npy")
    with pytest.raises(TypeError, match="dtype must be one of numbers"):
        FileArray(saved(np.ones(3)), dtype="O")
    with pytest.raises(ValueError, match="shape and offset must come with dtype"):
        FileArray(saved(np.ones(3)), offset=3)
    with pytest.raises(IndexError, match="rows must be in 0…2"):
        FileArray(saved(np.ones(3)))[[3]]
    with pytest.raises(TypeError, match="rows must be a slice or integers"):
        FileArray(saved(np.ones(3)))[0.5]


def test_a_file_that_was_cut_short_is_refused_at_once(saved):
    path = saved(np.arange(1000))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"must have 8,128 bytes for int64 of shape \(1000,\), got 8,120; it was cut"):
        FileArray(path)


def test_a_file_that_changes_while_it_is_read_is_an_error(saved):
    path = saved(np.arange(1000))
    stored = FileArray(path)
    stream = TextStream(stored, batch_size=2, steps=5)
    with path.open("r+b") as file:
        file.truncate(500)
    with pytest.raises(ValueError, match="must stay as it is while it is read, got 500 bytes instead of 8,128"):
        stream.batch(0, 0)
    with pytest.raises(ValueError, match="must be the file that it was in the process before"):
        pickle.loads(pickle.dumps(stored))


# Through the sources.


@given(N=st.integers(4, 300), B=st.integers(1, 9), S=st.integers(1, 20), panel=st.integers(8, 4000))
def test_a_stream_from_a_file_is_that_from_memory(tmp_path_factory, N, B, S, panel):
    if N <= B:
        return
    tokens = np.random.default_rng(N).integers(0, 200, N).astype(np.uint8)
    path = tmp_path_factory.getbasetemp() / "stream.npy"
    np.save(path, tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "PANEL", panel)
        stored = TextStream(FileArray(path), batch_size=B, steps=S)
    held = TextStream(tokens, batch_size=B, steps=S)
    assert len(stored) == len(held)
    assert stored.inputs.shape == held.inputs.shape
    for k in [*range(len(held)), 0]:
        mine, theirs = stored.batch(0, k), held.batch(0, k)
        np.testing.assert_array_equal(mine.inputs, theirs.inputs)
        np.testing.assert_array_equal(mine.targets, theirs.targets)
        assert mine.carry == theirs.carry


def test_a_stream_over_a_map_never_reads_the_map(saved):
    mapped = np.load(saved(np.arange(100)), mmap_mode="r")
    stream = TextStream(mapped, batch_size=2, steps=7)
    assert isinstance(stream.inputs, panels.Columns)
    np.testing.assert_array_equal(stream.batch(0, 1).inputs, np.stack([np.arange(7, 14), np.arange(56, 63)]))


def test_a_token_beyond_the_vocabulary_is_named_by_its_place(saved):
    tokens = np.zeros(1000, np.uint16)
    tokens[700] = 9
    stream = TextStream(FileArray(saved(tokens)), batch_size=4, steps=50, vocab_size=9)
    with pytest.raises(ValueError, match=r"tokens must be in 0…8, got 9 at position 700 of '.*a\.npy'; encode"):
        stream.batch(0, 0)
    with pytest.raises(ValueError, match="at least 0, got -1 at position 0 of"):
        TextStream(FileArray(saved(np.full(9, -1))), batch_size=1, steps=2).batch(0, 0)
    with pytest.raises(TypeError, match="tokens must be integers, got float64"):
        TextStream(FileArray(saved(np.ones(9))), batch_size=1, steps=2)
    with pytest.raises(ValueError, match="tokens must have shape"):
        TextStream(FileArray(saved(np.ones((9, 2), int))), batch_size=1, steps=2)


def test_examples_from_files_are_those_from_memory(saved):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4, 2)).astype(np.float32), rng.integers(0, 3, 50)
    weights, lengths = rng.random(50), rng.integers(1, 5, 50)
    mapped = [np.load(saved(array, f"{k}.npy"), mmap_mode="r") for k, array in enumerate((x, y, weights))]
    held = Examples(x, y, weights=weights, lengths=lengths, batch_size=7, seed=3)
    stored = Examples(mapped[0], mapped[1], weights=mapped[2], lengths=lengths, batch_size=7, seed=3)
    assert isinstance(stored.inputs, FileArray)
    for k in range(len(held)):
        for mine, theirs in zip(stored.batch(1, k)[:4], held.batch(1, k)[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_examples_look_at_all_of_a_file_piece_by_piece(saved, monkeypatch):
    monkeypatch.setattr("rnn_core.data.stored.file_array.AT_ONCE", 10 * 4 * 8)
    x, y = np.ones((50, 4)), np.ones(50)
    x[33, 2] = np.nan
    stored = FileArray(saved(x))
    with pytest.raises(ValueError, match=r"Examples: inputs\[30:\] must be finite, got nan at index \(3, 2\)"):
        Examples(stored, y)
    Examples(stored, y, lengths=np.where(np.arange(50) == 33, 2, 4))
    y[41] = -1
    with pytest.raises(ValueError, match=r"weights must be at least 0, got -1.0 at index \(41,\)"):
        Examples(np.ones((50, 4)), np.ones(50), weights=FileArray(saved(y, "y.npy")))


def test_offsets_that_are_no_rows_are_refused(saved):
    values = FileArray(saved(np.arange(10)))
    with pytest.raises(ValueError, match="offsets must go from 0 to 10, .* got 0 to 9; both files"):
        RaggedFile(values, [0, 4, 9])
    with pytest.raises(ValueError, match=r"offsets must grow from row to row, got \[4, 4\] for row 1"):
        RaggedFile(values, [0, 4, 4, 10]).read(0, 3)
    with pytest.raises(ValueError, match=r"offsets must have shape \(N \+ 1,\)"):
        RaggedFile(values, [0])
    with pytest.raises(TypeError, match="offsets must be integers"):
        RaggedFile(values, [0.0, 10.0])
    with pytest.raises(TypeError, match="values must be a FileArray"):
        RaggedFile(np.arange(3), [0, 3])
    assert [len(run) for run in np.split(values[:], [4])] == RaggedFile(values, [0, 4, 10]).read(0, 2).lengths.tolist()
