"""A user's own files: what is read from them, and what is said where they are broken."""

from __future__ import annotations

import io
import json
import pickle
import wave
import zipfile

import numpy as np
import pytest

from rnn_core.data.files import FileWarning, read_series, read_texts, read_waveforms


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
    with pytest.warns(FileWarning, match=r"has 1 texts in unsup, which are left out: they have no label"):
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


# series


def test_ucr_tsv(tmp_path) -> None:
    found = read_series(write(tmp_path, "Train.tsv", "2\t1.5\t-2\t3e-1\n-1\t4\t5\tNaN\n2\t7\t8\t9\n"))
    assert found.inputs.dtype == np.float32
    assert found.inputs[..., 0].tolist() == [[1.5, -2, np.float32(0.3)], [4, 5, 0], [7, 8, 9]]
    assert found.lengths.tolist() == [3, 2, 3]
    assert (found.classes, found.labels.tolist()) == (("-1", "2"), [1, 0, 1])


def test_ts_with_two_dimensions(tmp_path) -> None:
    text = "# a comment\n@problemName x\n@classLabel true a b\n@data\n1,2:3,4:b\n5,6:7,8:a\n"
    found = read_series(write(tmp_path, "x.ts", text))
    assert found.inputs.tolist() == [[[1, 3], [2, 4]], [[5, 7], [6, 8]]]
    assert (found.lengths, found.classes, found.labels.tolist()) == (None, ("a", "b"), [1, 0])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "1\t2\n1\tx\n", r"line 2, must have a number for step 0, got 'x'"),
        ("a.tsv", "1\t2\tNaN\t3\n", r"line 1, must have a finite number for step 1, got 'NaN'"),
        ("a.tsv", "1\n", r"line 1, must have a label, a tab and numbers, got '1'"),
        ("a.ts", "@data\n1,2:a\n1,2:3,4:a\n", r"line 3, must have 1 dimensions and a label"),
        ("a.ts", "@data\n1,2:3:a\n", r"line 2, must have dimensions of one length, got 2, 1"),
        ("a.ts", "@timestamps true\n", r"line 1, must have no time stamps"),
        ("a.ts", "1,2:a\n", r"line 1, must stand behind a line @data"),
        ("a.ts", "@data\n", r"must hold at least a series, got none"),
        ("a.csv", "x", r"path must be a \.tsv or \.ts file"),
    ],
)
def test_broken_series_are_named(tmp_path, name, text, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_series(write(tmp_path, name, text))


def wav(path, samples: np.ndarray, width: int = 2, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1 if samples.ndim == 1 else samples.shape[1], width, rate, 0, "NONE", ""))
        scaled = np.round(samples * (2 ** (8 * width - 1) - 1)).astype(np.int64)
        low = (scaled + 128 * (width == 1))[..., None].view(np.uint8)[..., :width]
        file.writeframes(np.ascontiguousarray(low).tobytes())


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_waveforms_of_every_width(tmp_path, width) -> None:
    tone = np.sin(np.arange(40) / 3)
    wav(tmp_path / "low" / "a.wav", tone, width)
    wav(tmp_path / "high" / "b.wav", np.stack([tone, -tone], axis=1)[:31], width)
    found = read_waveforms(tmp_path, frame=4)
    assert (found.inputs.shape, found.rate, found.classes) == ((2, 10, 4), 8000, ("high", "low"))
    assert found.lengths.tolist() == [7, 10]
    assert np.abs(found.inputs[1].reshape(-1) - tone).max() < 2.0 ** (2 - 8 * width) + 1e-6
    assert np.abs(found.inputs[0]).max() <= 2.0 ** (1 - 8 * width) + 1e-6  # the channels cancel


def test_waveforms_without_labels(tmp_path) -> None:
    for name in ("b.wav", "more/a.wav"):
        wav(tmp_path / name, np.zeros(9))
    found = read_waveforms(tmp_path, frame=3, labelled=False)
    assert (found.labels, found.classes, found.places) == (None, (), ("b.wav", "more/a.wav"))
    assert read_waveforms(tmp_path / "b.wav", labelled=False).places == ("b.wav",)
    with pytest.raises(ValueError, match=r"path must be a folder with a subfolder for each class"):
        read_waveforms(tmp_path / "b.wav")


def test_broken_waveforms_are_named(tmp_path) -> None:
    wav(tmp_path / "a" / "x.wav", np.zeros(9), rate=8000)
    with pytest.raises(ValueError, match=r"x\.wav' must hold at least 10 samples, got 9"):
        read_waveforms(tmp_path, frame=10)
    wav(tmp_path / "b" / "y.wav", np.zeros(9), rate=16000)
    with pytest.raises(ValueError, match=r"files must have one rate, got 8000 in .* and 16000 in .*; resample"):
        read_waveforms(tmp_path)
    write(tmp_path, "b/y.wav", "no sound")
    with pytest.raises(ValueError, match=r"y\.wav' must be a PCM WAV file: .*; convert it to 16 bits PCM"):
        read_waveforms(tmp_path)
