"""What is written by the rules of a format is read as it was: any rows, any numbers, any words, drawn by hypothesis."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rnn_core import save
from rnn_core.data.files import read_series, read_texts, read_vectors
from rnn_core.weights import read_arrays

from .mutators.archives import npy, zipped

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABEL = st.sampled_from(["a", "b b", "é", "10", "9", "-1", "x,y", 'say "x"'])
ROWS = st.lists(st.tuples(LABEL, TEXT), min_size=1, max_size=6)
NUMBER = st.floats(-(2.0**100), 2.0**100, allow_subnormal=False, width=32)


def named(found) -> list[str]:
    """Return the class of each example, by name."""
    return [found.classes[label] for label in found.labels]


@given(rows=ROWS, end=st.sampled_from(["\n", "\r\n"]), mark=st.booleans())
def test_any_table(tmp_path_factory, rows, end, mark) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerows([("label", "text"), *rows])
    path = tmp_path_factory.mktemp("table") / "a.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    found = read_texts(path)
    assert (found.texts, named(found)) == ([text for _, text in rows], [label for label, _ in rows])


@given(rows=ROWS, ascii=st.booleans())
def test_any_json_lines(tmp_path_factory, rows, ascii) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    lines = [json.dumps({"text": text, "label": label, "more": [label]}, ensure_ascii=ascii) for label, text in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read_texts(path)
    assert (found.texts, named(found)) == ([text for _, text in rows], [label for label, _ in rows])


IDS = st.lists(st.integers(0, 2**31), min_size=1, max_size=4)


@given(rows=st.lists(IDS, min_size=2, max_size=5), protocol=st.integers(2, 5))
def test_any_lists_of_keras(tmp_path_factory, rows, protocol) -> None:
    objects = np.empty(len(rows), object)
    objects[:] = rows
    labels = np.arange(len(rows)) % 2
    path = tmp_path_factory.mktemp("keras") / "imdb.npz"
    path.write_bytes(zipped([("x_train.npy", npy(objects, protocol)), ("y_train.npy", npy(labels))]))
    found = read_texts(path)
    assert [row.tolist() for row in found.texts] == rows
    assert named(found) == [str(label) for label in labels]


@given(
    rows=st.lists(st.tuples(st.sampled_from("ab"), st.lists(NUMBER, min_size=2, max_size=5)), min_size=1, max_size=5),
    suffix=st.sampled_from([".tsv", ".csv", ".txt", ".ts"]),
)
def test_any_series(tmp_path_factory, rows, suffix) -> None:
    path = tmp_path_factory.mktemp("series") / f"a{suffix}"
    mark = {".tsv": "\t", ".csv": ",", ".txt": " ", ".ts": ","}[suffix]
    lines = [mark.join(map(repr, values)) for _, values in rows]
    if suffix == ".ts":
        head = ["@problemName x", "@classLabel true a b", "@data"]
        text = [*head, *(f"{line}:{label}" for line, (label, _) in zip(lines, rows, strict=True))]
    else:
        text = [f"{label}{mark}{line}" for line, (label, _) in zip(lines, rows, strict=True)]
    path.write_text("\n".join(text))
    found = read_series(path)
    assert [row[:, 0].tolist() for row in found.rows] == [values for _, values in rows]
    assert named(found) == [label for label, _ in rows]


@given(
    words=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=6),
        min_size=1, max_size=5, unique=True,
    ),
    columns=st.integers(2, 4),
    form=st.sampled_from(["word2vec", "glove", "binary"]),
    data=st.data(),
)  # fmt: skip
def test_any_vectors(tmp_path_factory, words, columns, form, data) -> None:
    if form == "binary":  # long rows, as such files have: a few bytes may look like text
        columns = 50
        rows = np.random.default_rng(data.draw(st.integers(0, 999))).normal(size=(len(words), columns)).astype("<f4")
    else:
        rows = data.draw(arrays(np.float32, (len(words), columns), elements=NUMBER))
    path = tmp_path_factory.mktemp("vectors") / "a.vec"
    head = f"{len(words)} {columns}\n".encode()
    if form == "binary":
        entries = [word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(words, rows, strict=True)]
        path.write_bytes(head + b"".join(entries))
    else:
        lines = [f"{word} {' '.join(map(repr, row.tolist()))}\n" for word, row in zip(words, rows, strict=True)]
        path.write_bytes((head if form == "word2vec" else b"") + "".join(lines).encode())
    found = read_vectors(path)
    assert list(found.index) == words
    assert np.array_equal(found.vectors, rows)


@given(
    names=st.lists(TEXT.filter(lambda name: name != "__metadata__"), min_size=1, max_size=3, unique=True),
    note=TEXT,
    data=st.data(),
)
def test_any_arrays(tmp_path_factory, names, note, data) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.safetensors"
    dtypes = st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int64, np.uint64, np.bool_])
    shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
    given_ones = {name: data.draw(arrays(data.draw(dtypes), data.draw(shapes))) for name in names}
    save(given_ones, path, metadata={"note": note})
    found = read_arrays(path)
    assert found.keys() == given_ones.keys()
    for name, array in given_ones.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
