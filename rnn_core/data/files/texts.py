"""Labelled texts: tables (CSV, TSV, JSON Lines), a folder for each class, and Keras's ``imdb.npz``."""

from __future__ import annotations

import csv
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .lines import Place, at, class_folders, empty, existing, files_in, numbered

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")

csv.field_size_limit(2**31 - 1)  # a review is longer than 128 KiB now and then


Row = tuple[Any, str | None, str]
"""A text, its label and its place."""


class Texts(NamedTuple):
    """Texts and what they are.

    Attributes
    ----------
    texts : list of str, or of int arrays
        One an example; arrays where the file holds tokens instead of text, as Keras's does.
    labels : ndarray of int, shape (N,), or None
        The number of each text's class; None if no label was asked for.
    classes : tuple of str
        The classes' names: ``classes[labels[k]]`` is that of text k.
    places : tuple of str
        Where each text stands: its line (the last, if it has several), its number, or its file.
    """

    texts: list[Any]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    places: tuple[str, ...]


def read_texts(
    path: Place, *, text: str = "text", label: str | None = "label", encoding: str = "utf-8", part: str = "train"
) -> Texts:
    """Read texts, labelled or not.

    Parameters
    ----------
    path : path
        A table, ``.csv``, ``.tsv`` or ``.jsonl``, whose first line (for JSON Lines: whose keys) names the columns; a
        folder with a subfolder for each class, as IMDB's ``aclImdb/train``, with a file ``.txt`` for each text; or
        Keras's ``imdb.npz``.
    text : str
        A column of a table.
    label : str, optional
        Another. With None no label is read: a folder's files may lie anywhere in it, and a ``.txt`` file has a text a
        line.
    encoding : str
        Of the text.
    part : {"train", "test"}
        Which half of an ``.npz``.

    Returns
    -------
    Texts
        Classes in the order of their names; numbers in that of their value.

    Raises
    ------
    ValueError
        A file is empty, a row is broken or a column missing (file and line are named), the encoding is another, or
        there are no classes.
    FileNotFoundError
        There is no such file or folder.
    """
    where, place = "read_texts", existing("read_texts", path)
    suffix = place.suffix.lower()
    rows: Iterator[Row]
    if place.is_dir():
        rows = _from_folder(where, place, label is not None, encoding)
    elif suffix == ".txt" and label is None:
        rows = ((line, None, f"line {number}") for number, line in numbered(where, place, encoding) if line.strip())
    elif suffix == ".npz":
        rows = _from_keras(where, place, part)
    elif suffix in (".csv", ".tsv"):
        rows = _from_table(where, place, text, label, encoding, "\t" if suffix == ".tsv" else ",")
    elif suffix in TABLES:
        rows = _from_json_lines(where, place, text, label, encoding)
    else:
        raise ValueError(
            f"{where}: path must be a folder, an .npz or one of {', '.join(TABLES)}, got {str(path)!r}; rename it to "
            "what it holds"
        )
    found = list(rows)
    if not found:
        raise empty(where, place, "a text")
    texts, places = [row[0] for row in found], tuple(row[2] for row in found)
    names = [row[1] for row in found if row[1] is not None]
    if label is None:
        return Texts(texts, None, (), places)
    classes = _in_order(set(names))
    number = {name: k for k, name in enumerate(classes)}
    return Texts(texts, np.array([number[name] for name in names], np.int64), classes, places)


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Return the names of classes by their value, if all are whole numbers, else by the alphabet."""
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(sorted(names))


def _from_table(where: str, path: Path, text: str, label: str | None, encoding: str, delimiter: str) -> Iterator[Row]:
    last = 0

    def lines() -> Iterator[str]:
        nonlocal last
        for last, line in numbered(where, path, encoding):  # noqa: B007  # errors name it
            yield line + "\n"

    # Tab-separated files have no quoting of their own: a quotation mark is one.
    if delimiter == "\t":
        rows = csv.reader(lines(), delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    else:
        rows = csv.reader(lines(), delimiter=delimiter, strict=True)
    try:
        head = next(rows)
        for column in (text, label):
            if column is not None and head.count(column) != 1:
                raise ValueError(
                    f"{where}: {at(path, 1)} must name the column {column!r} once, got "
                    f"{', '.join(head)[:200] or 'none'}; say which columns hold text and label"
                )
        of_text, of_label = head.index(text), None if label is None else head.index(label)
        for row in rows:
            if not row:
                continue
            if len(row) != len(head):
                raise ValueError(
                    f"{where}: {at(path, last)} must have {len(head)} columns, as the first line, got {len(row)}"
                )
            name = None if of_label is None else row[of_label].strip()
            if name == "":
                raise ValueError(f"{where}: {at(path, last)} must have a label in column {label!r}, got none")
            yield row[of_text], name, f"line {last}"
    except csv.Error as error:
        raise ValueError(f"{where}: {at(path, last)} must be a row of a table: {error}") from error


def _from_json_lines(where: str, path: Path, text: str, label: str | None, encoding: str) -> Iterator[Row]:
    keys = [text] if label is None else [text, label]
    for number, line in numbered(where, path, encoding):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{where}: {at(path, number)} must be a JSON object: {error}") from error
        if not isinstance(row, dict) or not set(keys) <= set(row):
            got = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
            wanted = f"the key {text!r}" if label is None else f"the keys {text!r} and {label!r}"
            raise ValueError(f"{where}: {at(path, number)} must have {wanted}, got {got[:200]}")
        if not isinstance(row[text], str):
            raise ValueError(f"{where}: {at(path, number)} must have a string under {text!r}, got {row[text]!r:.80}")
        name = None
        if label is not None:
            if row[label] is None or isinstance(row[label], dict | list):
                raise ValueError(
                    f"{where}: {at(path, number)} must have a label under {label!r}, got {row[label]!r:.80}"
                )
            name = str(row[label]).strip()
        yield row[text], name, f"line {number}"


def _from_folder(where: str, folder: Path, labelled: bool, encoding: str) -> Iterator[Row]:
    parts: list[tuple[str | None, list[Path]]]
    if labelled:  # "unsup" is IMDB's texts without a label
        parts = [(name, files) for name, files in class_folders(where, folder, (".txt",)) if name != "unsup"]
    else:
        parts = [(None, files_in(where, folder, (".txt",)))]
    for name, files in parts:
        for file in files:
            text = "\n".join(line for _, line in numbered(where, file, encoding))
            yield text, name, file.relative_to(folder).as_posix()


def _from_keras(where: str, path: Path, part: str) -> Iterator[Row]:
    if part not in ("train", "test"):
        raise ValueError(f"{where}: part must be 'train' or 'test', got {part!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(f"{name}_{part}.npy") for name in "xy"}
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{where}: {str(path)!r} must hold x_{part} and y_{part}, as Keras's imdb.npz does: {error}"
        ) from error
    rows, labels = (_array(where, path, found[name]) for name in "xy")
    if len(rows) != len(labels):
        raise ValueError(f"{where}: {str(path)!r} must have a label for each text, got {len(labels)} for {len(rows)}")
    for number, (row, label) in enumerate(zip(rows, labels, strict=True), 1):
        yield np.asarray(row, np.int64), str(int(label)), f"text {number}"


class _Lists(pickle.Unpickler):
    """Reads arrays of lists of numbers, and refuses whatever else a pickle might ask for."""

    ALLOWED = frozenset({
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"),
        ("numpy", "dtype"), ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    })  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few names that an array is made with."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no list of numbers needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _array(where: str, path: Path, data: bytes) -> np.ndarray:
    """Return the array of an .npy file; one of objects is read without executing anything."""
    stream = io.BytesIO(data)
    try:
        major, _ = np.lib.format.read_magic(stream)
        head = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        _, _, dtype = head(stream)
        if dtype.hasobject:
            return np.asarray(_Lists(stream).load(), object)
        stream.seek(0)
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except (ValueError, EOFError, AttributeError, pickle.UnpicklingError, IndexError) as error:
        raise ValueError(f"{where}: {str(path)!r} must hold arrays of lists of numbers: {error}") from error
