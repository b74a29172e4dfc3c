"""Texts in many files, and their ids in one: as if all had been in memory; whole or not at all."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data import BlockExamples, FileArray, TextFiles, Tokenizer, encode_files
from rnn_core.data.files.lines import FileWarning
from rnn_core.data.large import text_files
from rnn_core.data.large.arrays import ArrayBlocks


@pytest.fixture
def shards(tmp_path):
    """Return a pattern of three files, one of them packed."""
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfTo be,\r\nor not\r\n\r\n")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("to bé: 中文\nthat")
    (tmp_path / "c.txt").write_text("", encoding="utf-8")
    (tmp_path / "d.txt").write_text("is\n", encoding="utf-8")
    return str(tmp_path / "*.t*")


WHOLE = "To be,\nor not\n\nto bé: 中文\nthat\nis"


def test_texts_are_gone_through_again_and_again(shards):
    texts = TextFiles(shards)
    assert len(texts) == 4
    for _ in range(2):
        assert "".join(texts) == WHOLE
    lines = [(path[-5], number, line) for path, number, line in texts.lines()]
    assert lines[:3] == [("a", 1, "To be,"), ("a", 2, "or not"), ("a", 3, "")]
    assert "".join(TextFiles(list(texts.paths))) == WHOLE


@pytest.mark.parametrize("level", ["char", "word", "piece"])
@pytest.mark.parametrize("oov", [None, "<unk>", "?"])
@pytest.mark.parametrize("lower", [True, False])
def test_ids_are_those_of_the_whole_text(shards, tmp_path, monkeypatch, level, oov, lower):
    monkeypatch.setattr(text_files, "PIECE", 5)
    tokenizer = Tokenizer(level, oov=oov, lower=lower, num_words=9).fit(TextFiles(shards))
    assert tokenizer.tokens == Tokenizer(level, oov=oov, lower=lower, num_words=9).fit(WHOLE).tokens
    found = encode_files(tmp_path / "ids.npy", shards, tokenizer)
    np.testing.assert_array_equal(found[:], tokenizer.encode(WHOLE))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.load(tmp_path / "ids.npy", mmap_mode="r"), found[:])


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r\ufeff"), min_size=1), size=st.integers(1, 9))
def test_any_text_in_any_pieces(tmp_path_factory, text, size):
    folder = tmp_path_factory.getbasetemp()
    (folder / "any.txt").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "PIECE", size)
        pieces = list(TextFiles(folder / "any.txt"))
    assert "".join(pieces) == text.removesuffix("\n")
    for level in ("char", "word", "piece"):
        tokenizer = Tokenizer(level, oov="<unk>").fit(text + " a")
        ids = np.concatenate([tokenizer.encode(""), *map(tokenizer.encode, pieces)])
        np.testing.assert_array_equal(ids, tokenizer.encode(text.removesuffix("\n")))


def test_the_smallest_integers_that_hold_the_vocabulary(tmp_path):
    (tmp_path / "a.txt").write_text(" ".join(map(str, range(70_000))), encoding="utf-8")
    tokenizer = Tokenizer("word").fit(TextFiles(tmp_path / "a.txt"))
    for words, dtype in ((256, "uint8"), (257, "uint16"), (65_536, "uint16"), (65_537, "uint32")):
        kept = Tokenizer("word", num_words=words).fit(TextFiles(tmp_path / "a.txt"))
        found = encode_files(tmp_path / "ids.npy", tmp_path / "a.txt", kept)
        assert found.dtype == dtype
        assert found[:].max() == words - 1
    assert encode_files(tmp_path / "ids.npy", tmp_path / "a.txt", tokenizer).dtype == "uint32"


def test_rows_are_lines(shards, tmp_path):
    tokenizer = Tokenizer("char", padding=False).fit(TextFiles(shards))
    found = encode_files(tmp_path / "ids.npy", shards, tokenizer, rows=True)
    runs = found.read(0, len(found))
    texts = [tokenizer.decode(row) for row in np.split(runs.values, np.cumsum(runs.lengths)[:-1])]
    assert texts == [line.lower() for line in WHOLE.split("\n") if line]
    batch = BlockExamples(ArrayBlocks(found, rows=2), batch_size=5, shuffle=False).batch(0, 0)
    assert tokenizer.decode(batch.inputs[0, : batch.lengths[0]]) == "to be"
    assert tokenizer.decode(batch.targets[1, : batch.lengths[1]]) == "r not"


def test_lines_without_a_known_token_are_left_out_and_counted(tmp_path):
    (tmp_path / "a.txt").write_text("a b\nc\nb\n", encoding="utf-8")
    tokenizer = Tokenizer("word").fit("a b")
    with pytest.warns(FileWarning, match="encode_files: 1 lines left out"):
        found = encode_files(tmp_path / "ids.npy", tmp_path / "a.txt", tokenizer, rows=True)
    assert found.read(0, 2).lengths.tolist() == [2, 1]


def test_a_call_that_fails_leaves_what_was_there(shards, tmp_path):
    path = tmp_path / "ids.npy"
    tokenizer = Tokenizer("char").fit(TextFiles(shards))
    before = encode_files(path, shards, tokenizer)[:]
    (tmp_path / "e.txt").write_bytes(b"fine\n\xff")
    for rows in (False, True):
        with pytest.raises(ValueError, match=r"TextFiles: '.*e\.txt', line 2, must be utf-8, got byte 0xff"):
            encode_files(path, shards, tokenizer, rows=rows)
    np.testing.assert_array_equal(FileArray(path)[:], before)
    assert not list(tmp_path.glob(".*"))
    assert not list(tmp_path.glob("*.offsets.npy"))


def test_a_packed_file_that_was_cut_short_is_named(tmp_path):
    packed = gzip.compress(b"a line\n" * 100_000)
    for content in (packed[:-9], packed[:-3] + b"xyz", b"plain text", packed[:50] + b"\x00" * 50):
        (tmp_path / "a.txt.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.txt\.gz' must be a whole gzipped file, .* behind line \d+ .*again"):
            list(TextFiles(tmp_path / "a.txt.gz"))


def test_a_text_that_changes_while_it_is_read_is_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n", encoding="utf-8")
    texts = TextFiles(path)
    path.write_text("one two\n", encoding="utf-8")
    with pytest.raises(ValueError, match="must stay as it is while it is read, got 8 bytes instead of 4"):
        list(texts)


def test_bad_arguments(tmp_path, shards, monkeypatch):
    tokenizer = Tokenizer("char").fit("ab")
    with pytest.raises(ValueError, match="the pattern '.*none.*' must fit at least one file, got none"):
        TextFiles(str(tmp_path / "none*"))
    with pytest.raises(FileNotFoundError, match="must be existing files, folders or patterns"):
        TextFiles(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="paths must name at least one file"):
        TextFiles([])
    with pytest.raises(ValueError, match=r"path must end in \.npy"):
        encode_files(tmp_path / "ids.bin", shards, tokenizer)
    with pytest.raises(TypeError, match="tokenizer must be a Tokenizer, got str"):
        encode_files(tmp_path / "ids.npy", shards, "char")
    with pytest.raises(RuntimeError, match="call fit first"):
        encode_files(tmp_path / "ids.npy", shards, Tokenizer("char"))
    (tmp_path / "z.txt").write_text("zzz\n", encoding="utf-8")
    with pytest.raises(ValueError, match="at least one token that the vocabulary has"):
        encode_files(tmp_path / "ids.npy", tmp_path / "z.txt", tokenizer)
    monkeypatch.setattr(text_files, "LONGEST", 2)
    monkeypatch.setattr(text_files, "PIECE", 1)
    with pytest.raises(ValueError, match="line 1, must have at most 2 bytes, got more"):
        list(TextFiles(tmp_path / "z.txt"))
