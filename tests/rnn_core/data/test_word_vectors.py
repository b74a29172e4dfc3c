"""Word vectors as people have them: told apart by content, measured by their size, and what is left out is said."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from rnn_core.data.files import read_vectors


def write(folder: Path, name: str, data: bytes | str) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def binary(*words: tuple[bytes, list[float]], count: int | None = None) -> bytes:
    """Return a file in word2vec's binary format."""
    size = len(words[0][1])
    head = b"%d %d\n" % (len(words) if count is None else count, size)
    return head + b"".join(word + b" " + np.array(numbers, "<f4").tobytes() + b"\n" for word, numbers in words)


# what it is, by its content


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v.vec", "v"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"the 1 2\nof 3 4\n", "text without a first line of counts, as GloVe's"),
        (b"2 2\nthe 1 2\nof 3 4\n", "text with a first line of counts, as word2vec's"),
        (b"2 2\r\nthe 1 2 \r\nof 3 4 \r\n", "text with a first line of counts, as word2vec's"),
        (binary((b"the", [1, 2]), (b"of", [3, 4])), "word2vec's binary format"),
    ],
)
def test_what_it_is_is_told_by_its_content(tmp_path, name, packed, data, kind) -> None:
    found = read_vectors(write(tmp_path, name, gzip.compress(data) if packed else data))
    assert found.index == {"the": 0, "of": 1}
    assert found.vectors.tolist() == [[1, 2], [3, 4]]
    assert found.vectors.dtype == np.float32
    assert found.kind == kind + (", packed by gzip" if packed else "")


def test_a_name_that_says_another_kind_is_noted(tmp_path) -> None:
    (note,) = read_vectors(write(tmp_path, "v.bin", "2 2\nthe 1 2\nof 3 4\n")).notes
    assert note == "read as text with a first line of counts, as word2vec's, whatever its name says"
    packed = gzip.compress(binary((b"the", [1, 2])))
    assert read_vectors(write(tmp_path, "v.bin.gz", packed)).notes == ()
    assert len(read_vectors(write(tmp_path, "v.txt.gz", packed)).notes) == 1


def test_a_binary_file_whose_numbers_look_like_letters(tmp_path) -> None:
    letters = np.frombuffer(b"AAAAABCD", "<f4").tolist()
    found = read_vectors(write(tmp_path, "v.bin", binary((b"the", letters))))
    assert found.vectors.tobytes() == b"AAAAABCD"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04" + bytes(30), "a ZIP archive; unpack it"),
        (b"BZh9" + bytes(30), "packed by bzip2"),
        (b"\xfd7zXZ\x00" + bytes(30), "packed by xz"),
        (b"\xba\x16\x4f\x2f" + bytes(30), "a whole model of fastText; take its .vec"),
        (b"\x80\x04\x95" + bytes(30), "a pickle, as gensim's, which is never read"),
        (b"\x93NUMPY\x01" + bytes(30), "an array of NumPy"),
        (b"\xff\xfet\x00h\x00e\x00", "UTF-16; save it as UTF-8"),
        (gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0), "a tar archive"),
    ],
)
def test_other_kinds_are_named_with_the_way_out(tmp_path, data, what) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        read_vectors(write(tmp_path, "v.txt", data))
    assert "v.txt" in str(caught.value)


def test_rows_of_a_vocabulary_have_the_mean_where_a_word_is_unknown(tmp_path) -> None:
    found = read_vectors(write(tmp_path, "g.txt", "the 1 2\nof 3 4\nand 9 9\n"), words=["the", "of"])
    rows, known = found.rows(["of", "cat"])
    assert rows.tolist() == [[3, 4], [2, 3]]
    assert known.tolist() == [True, False]


# lines of text


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfthe 1 2\nof 3 4\n",
        b"\xef\xbb\xbf2 2\nthe 1 2\nof 3 4\n",
        b"the\t1 2\nof\t3 4\n",
        b"the\t1\t2\nof\t3\t4\n",
        b"2\t2\nthe\t1 2\t\nof\t3 4\t\n",
        b"the  1  2\nof   3 4\n",
        b"the 1 2\n\nof 3 4",
    ],
)
def test_marks_tabs_and_blanks_are_no_part_of_a_word(tmp_path, data) -> None:
    found = read_vectors(write(tmp_path, "v.txt", data))
    assert found.index == {"the": 0, "of": 1}
    assert found.vectors.tolist() == [[1, 2], [3, 4]]


def test_words_with_blanks_are_words_as_in_glove(tmp_path) -> None:
    found = read_vectors(write(tmp_path, "v.txt", "the 1 2\n. . . 3 4\nat name@domain.com 5 6\n"))
    assert list(found.index) == ["the", ". . .", "at name@domain.com"]


def test_the_first_of_two_counts_with_a_warning(tmp_path) -> None:
    path = write(tmp_path, "v.txt", "the 1 2\nthe 3 4\nof 5 6\nof 7 8\n")
    with pytest.warns(UserWarning, match=r"v\.txt'.*: words that are there again: 2 \('the' in line 2\); the first"):
        found = read_vectors(path)
    assert found.vectors.tolist() == [[1, 2], [5, 6]]
    assert found.notes == ("words that are there again: 2 ('the' in line 2); the first counts",)
    with pytest.raises(ValueError, match=r"line 2, must have each word once, got 'the' again"):
        read_vectors(path, duplicates="error")
    with pytest.raises(ValueError, match=r"duplicates must be one of first, error, got 'last'"):
        read_vectors(path, duplicates="last")


def test_a_repeated_word_that_nobody_wants_is_no_matter(tmp_path) -> None:
    path = write(tmp_path, "v.txt", "the 1 2\nthe 3 4\nof 5 6\n")
    assert read_vectors(path, words=["of"], duplicates="error").notes == ()


def test_a_line_with_a_number_too_many_is_no_word_with_a_blank(tmp_path) -> None:
    path = write(tmp_path, "v.txt", "2 2\nthe 1 2\nof 3 4 5\n")
    with pytest.raises(ValueError, match=r"line 3, must have a word and 2 numbers, got b'of 3 4 5', which has more"):
        read_vectors(path)
    with pytest.warns(UserWarning, match=r"a word that ends in one, left out: 1 \(b'of 3' in line 3\)"):
        assert read_vectors(path, words=["the", "of"]).index == {"the": 0}


def test_a_word_in_another_encoding_is_counted_where_words_are_chosen(tmp_path) -> None:
    path = write(tmp_path, "v.txt", b"the 1 2\ncaf\xe9 3 4\nof 5 6\n")
    with pytest.warns(UserWarning, match=r"words that are not utf-8, left out: 1 \(b'caf\\xe9' in line 2\)"):
        found = read_vectors(path, words=["the", "of", "café"])
    assert found.index == {"the": 0, "of": 1}
    assert read_vectors(path, words=["café"], encoding="latin-1").vectors.tolist() == [[3, 4]]
    with pytest.raises(ValueError, match=r"v\.txt', line 2, must be utf-8, got byte 0xe9"):
        read_vectors(path)


def test_if_no_word_is_left_the_reasons_are_said(tmp_path) -> None:
    path = write(tmp_path, "v.txt", b"caf\xe9 3 4\n")
    with pytest.raises(ValueError, match="at least one of the words, got none; words that are not utf-8, left out: 1"):
        read_vectors(path, words=["café"])


def test_rows_without_a_word_are_counted(tmp_path) -> None:
    with pytest.warns(UserWarning, match="rows without a word, left out: 1"):
        assert read_vectors(write(tmp_path, "v.txt", "the 1 2\n 3 4\n")).index == {"the": 0}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("the 1 2\nof  3\n", r"line 2, must have a word and 2 numbers, got 2 parts"),
        ("the 1 2\nof\n", r"line 2, must have a word and 2 numbers, got 1 parts"),
        ("the 1 2\n  3\n", r"line 2, must have a word and 2 numbers, got 1 parts"),
        ("the\n", r"line 1, must have a word and 1 numbers, got 1 parts"),
        ("the 1 x\n", r"line 1, must have a number for 'the', got 'x'"),
        ("the 1 1_000\n", r"line 1, must have a number for 'the', got '1_000'"),
        ("the 1 1e39\n", r"line 1, must have numbers that float32 holds for 'the', got '1e39'"),
        ("the 1 nan\n", r"line 1, must have a finite number for 'the', got 'nan'"),
        ("the 1 -inf\n", r"line 1, must have a finite number for 'the', got '-inf'"),
    ],
)
def test_a_broken_line_is_named(tmp_path, data, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_vectors(write(tmp_path, "v.txt", data))


# what the first line claims


def test_fewer_words_than_claimed_are_an_error_and_more_a_warning(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"must hold the 3 words that its first line claims, got 2: it is cut short"):
        read_vectors(write(tmp_path, "v.txt", "3 2\nthe 1.5 2\nof 3.25 4\n"), words=["the"])
    with pytest.warns(UserWarning, match="it holds 2 words, 1 more than its first line claims; all were read"):
        assert len(read_vectors(write(tmp_path, "v.txt", "1 2\nthe 1 2\nof 3 4\n")).index) == 2
    more = binary((b"the", [1, 2]), (b"of", [3, 4]), count=1)
    with pytest.warns(UserWarning, match="it goes on behind the last word that its first line claims"):
        assert read_vectors(write(tmp_path, "v.bin", more)).index == {"the": 0}
    assert read_vectors(write(tmp_path, "v.bin", binary((b"the", [1, 2])) + b"\n")).notes == ()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"1000000000000 0\n", "must claim at least a word and a number, got 1,000,000,000,000 words of 0 numbers"),
        (b"0 5\n", "must claim at least a word and a number, got 0 words"),
        (b"1 1000000000000\n", "must claim at most 262,144 numbers a word, got 1,000,000,000,000"),
        (b"9999999999999999999 300\n", "must hold the 9,999,999,999,999,999,999 words of 300 numbers"),
        (b"1 9999999999999999999\n", "must claim at most 262,144 numbers a word"),
        (b"1000000 200000\n", "which takes 800,001,999,999 bytes or more, and it .* [0-9,]+: it is cut short"),
    ],
)
def test_what_the_first_line_claims_is_compared_with_the_size_first(tmp_path, head, message, packed) -> None:
    data = head + b"the " + bytes(8)
    with pytest.raises(ValueError, match=message):
        read_vectors(write(tmp_path, "v.bin", gzip.compress(data) if packed else data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"2 2\nthe " + bytes(8) + b"x" * 12, "must hold 2 words, got 1: it is cut short"),
        (binary((b"the", [1, np.inf])), "must have finite numbers, got others for 'the', word 0"),
        (b"9 2\n" + b"\0" * 9000, "must have a blank behind each word, got none within 4,096 bytes behind word 0"),
        (b"\0words\n", "line 1, must have the numbers of words and of columns in a binary file"),
        (b"words\n", "line 1, must have a word and 1 numbers, got 1 parts"),
        (b"", "must hold at least a word, got none"),
        (b"\xef\xbb\xbf", "must hold at least a word, got none"),
        (gzip.compress(b"", mtime=0), "must hold at least a word, got none"),
        (b"x" * (1 << 20) + b"y", "got one of more than 1,048,576 bytes: these are no word vectors"),
    ],
)
def test_damaged_files_are_named(tmp_path, data, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_vectors(write(tmp_path, "v.bin", data))
    assert "v.bin" in str(caught.value)
    assert len(str(caught.value)) < 400


# packed, and not there


def test_a_damaged_archive_is_an_error_of_one_line(tmp_path) -> None:
    whole = gzip.compress(b"the 1 2\nof 3 4\n")
    for data in (whole[:-10], whole[:12] + b"\xff" + whole[13:], b"\x1f\x8bx"):
        with pytest.raises(OSError, match=r"^read_vectors: '.*v\.gz' can't be unpacked: .*it is damaged or cut short$"):
            read_vectors(write(tmp_path, "v.gz", data))


def test_a_bomb_is_not_unpacked(tmp_path) -> None:
    bomb = gzip.compress(b"the 1\n" + b"\n" * 4_000_000)
    with pytest.raises(ValueError, match="must be word vectors, got what unpacks to over 200 times its size"):
        read_vectors(write(tmp_path, "v.gz", bomb))


def test_a_folder_is_no_file(tmp_path) -> None:
    with pytest.raises(IsADirectoryError, match="path must be a file of word vectors, got the folder"):
        read_vectors(tmp_path)
    with pytest.raises(FileNotFoundError, match="path must be an existing file"):
        read_vectors(tmp_path / "nothing")


def test_words_and_vectors_unpack(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2\nb 3 4\n", encoding="utf-8")
    index, vectors = read_vectors(tmp_path / "v.txt")
    assert index == {"a": 0, "b": 1}
    np.testing.assert_array_equal(vectors, [[1, 2], [3, 4]])
