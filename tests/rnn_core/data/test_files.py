"""A user's own files: what is read from them, and what is said where they are broken."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from rnn_core.data.files import FileWarning, read_series, read_texts


def write(folder, name: str, text: str, encoding: str = "utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


# texts


def test_a_table_of_texts(tmp_path) -> None:
    path = write(tmp_path, "reviews.csv", 'label,text\nneg,"bad, ""very"" bad"\npos,"two\nlines"\n\nneg,no\n')
    found = read_texts(path)
    assert found.texts == ['bad, "very" bad', "two\nlines", "no"]
    assert found.classes == ("neg", "pos")
    assert found.labels.tolist() == [0, 1, 0]


def test_a_byte_order_mark_and_other_columns(tmp_path) -> None:
    path = write(tmp_path, "reviews.tsv", '\ufeffid\tverdict\tbody\n1\t10\tsay "hi\n2\t9\tyes\n')
    found = read_texts(path, text="body", label="verdict")
    assert found.texts == ['say "hi', "yes"]
    assert found.classes == ("9", "10")  # by value, not by the alphabet


def test_json_lines(tmp_path) -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b\nc", "label": 0}]
    path = write(tmp_path, "rows.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    found = read_texts(path)
    assert (found.texts, found.labels.tolist(), found.classes) == (["a", "b\nc"], [1, 0], ("0", "1"))


def test_a_folder_for_each_class(tmp_path) -> None:
    files = {"neg/0_2.txt": "dull", "pos/1_9.txt": "good\nfun", "unsup/2_0.txt": "?", "urls.txt": "x"}
    for name, text in files.items():
        write(tmp_path, name, text)
    with pytest.warns(FileWarning, match=r"has 1 text in unsup, left out because they have no label"):
        found = read_texts(tmp_path)
    assert (found.texts, found.classes, found.labels.tolist()) == (["dull", "good\nfun"], ("neg", "pos"), [0, 1])


def keras_file(path, rows, labels, part: str = "train") -> None:
    objects = np.empty(len(rows), object)
    objects[:] = rows
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in ((f"x_{part}", objects), (f"y_{part}", np.array(labels))):
            stream = io.BytesIO()
            np.lib.format.write_array(stream, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", stream.getvalue())


def test_kerass_imdb(tmp_path) -> None:
    keras_file(tmp_path / "imdb.npz", [[1, 14, 22], [1, 5]], [1, 0])
    found = read_texts(tmp_path / "imdb.npz")
    assert [row.tolist() for row in found.texts] == [[1, 14, 22], [1, 5]]
    assert (found.labels.tolist(), found.classes) == ([1, 0], ("0", "1"))
    with pytest.raises(ValueError, match=r"must hold x_test and y_test"):
        read_texts(tmp_path / "imdb.npz", part="test")


def test_nothing_in_a_file_is_executed(tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([1], object), allow_pickle=True)
    data = stream.getvalue()
    evil = data[: data.index(b"\n") + 1] + pickle.dumps(Evil())
    with zipfile.ZipFile(tmp_path / "imdb.npz", "w") as archive:
        archive.writestr("x_train.npy", evil)
        archive.writestr("y_train.npy", evil)
    with pytest.raises(ValueError, match=r"got builtins\.print, which no list of numbers needs"):
        read_texts(tmp_path / "imdb.npz")


def test_texts_without_labels(tmp_path) -> None:
    """No label is wanted, and a folder's files may lie anywhere."""
    for name, text in {
        "a.csv": 'id,text\n1,one\n\n2,"two\nlines"\n',
        "a.jsonl": '{"text": "one"}\n{"text": "two\\nlines", "label": null}\n',
        "folder/b.txt": "two\nlines\n",
        "folder/a.txt": "one",
    }.items():
        write(tmp_path, name, text)
    places = {"a.csv": ("line 2", "line 5"), "a.jsonl": ("line 1", "line 2"), "folder": ("a.txt", "b.txt")}
    for name, where in places.items():
        found = read_texts(tmp_path / name, label=None)
        assert found == (["one", "two\nlines"], None, (), where)
    lines = read_texts(tmp_path / "folder" / "b.txt", label=None)
    assert (lines.texts, lines.places) == (["two", "lines"], ("line 1", "line 2"))
    with pytest.raises(ValueError, match=r"line 1, must have the key 'body', got text"):
        read_texts(tmp_path / "a.jsonl", text="body", label=None)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"must hold files \.txt, got none"):
        read_texts(tmp_path / "none", label=None)


def test_every_text_and_series_knows_its_place(tmp_path) -> None:
    write(tmp_path, "classes/neg/x.txt", "a")
    write(tmp_path, "classes/pos/y.txt", "b")
    assert read_texts(tmp_path / "classes").places == ("neg/x.txt", "pos/y.txt")
    assert read_series(write(tmp_path, "a.tsv", "1\t2\n\n2\t3\n")).places == ("line 1", "line 3")
    assert read_series(write(tmp_path, "a.ts", "@data\n1,2:a\n")).places == ("line 2",)


TEN_THOUSAND = "text,label\n" + "fine,1\n" * 9_998


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", r"'.*a\.csv' must hold at least a line, got none"),
        ("a.csv", "text,label\n", r"must hold at least a text, got none"),
        ("a.csv", "body,label\nx,1\n", r"line 1, must name the column 'text' once, got 'body, label'; text and"),
        ("a.csv", TEN_THOUSAND + "broken\n", r"line 10000, must have 2 columns, as the first line, got 1"),
        ("a.csv", 'label\ttext\n""g\t1\n', r"line 2, must be a row of a table, got '\\t' expected after '\"'; write"),
        ("a.csv", TEN_THOUSAND + 'open,"1\n', r"line 10000, must be a row of a table, got a quotation mark that opens"),
        ("a.csv", "text,label\nx,\n", r"line 2, must have a label in column 'label', got none"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text": \n', r"line 2, must be JSON, got"),
        ("a.jsonl", '{"text": "x"}\n', r"line 1, must have the keys 'text' and 'label', got text"),
        ("a.jsonl", "[1]\n", r"line 1, must be a JSON object, got \[1\]"),
        ("a.jsonl", '{"text": 3, "label": 1}\n', r"line 1, must have a string under 'text', got 3"),
        ("a.jsonl", '{"text": "x", "label": null}\n', r"line 1, must have a label in column 'label', got none"),
        ("a.npz", "no archive", r"must hold x_train and y_train, as Keras's imdb\.npz does: File is not a zip file"),
        ("a.xls", "x", r"path must be a folder, an \.npz or one of \.csv, \.tsv, \.jsonl"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, text, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_texts(write(tmp_path, name, text))


def test_another_encoding_is_named(tmp_path) -> None:
    path = write(tmp_path, "a.csv", "text,label\nfine,1\ncafé,0\n", "latin-1")
    with pytest.raises(ValueError, match=r"line 3, must be utf-8, got byte 0xe9 at position 3; name its encoding"):
        read_texts(path)
    assert read_texts(path, encoding="latin-1").texts == ["fine", "café"]


def test_a_folder_without_classes_and_no_file_at_all(tmp_path) -> None:
    write(tmp_path, "loose.txt", "x")
    with pytest.raises(ValueError, match=r"must have a subfolder for each class, with files \.txt in it, got none"):
        read_texts(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"read_texts: path must be an existing file or folder, got '.*none'"):
        read_texts(tmp_path / "none")
