"""Labelled texts: tables (CSV, TSV, JSON Lines), a folder for each class, and Keras's ``imdb.npz``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....written import writable
from ..folders import check_class_names, class_folders, files_in
from ..json_rows import objects_in
from ..labels import Row, classes_of, numbers_of, remark_on
from ..lines import Place, empty, existing, named, numbered, remark
from ..tables import TABLES, has_columns, place_of
from .json_lines import from_json_lines
from .keras import from_keras
from .labelled import Labelled, columns_of, from_table

UNLABELLED = "unsup"
"""IMDB's folder of texts without a label, beside those of its classes."""


class Texts(NamedTuple):
    """Texts and what they are.

    Attributes
    ----------
    texts : list of str, or of int arrays
        One an example; arrays where the file holds tokens instead of text, as Keras's does.
    labels : ndarray of int, shape (N,), or None
        The number of each text's class, −1 where it has none and need not; None if no label was asked for.
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
    path: Place,
    *,
    text: str = "text",
    label: str | None = "label",
    encoding: str = "utf-8",
    part: str = "train",
    separator: str | None = None,
    header: bool = True,
    keep_missing_labels: bool = False,
    allow_unlabelled: bool = False,
) -> Texts:
    r"""Read texts, labelled or not.

    Parameters
    ----------
    path : path
        A table, ``.csv``, ``.tsv`` or ``.jsonl``, whose first line (for JSON Lines: whose keys) names the columns; a
        folder with a subfolder for each class, as IMDB's ``aclImdb/train``, with a file ``.txt`` for each text; or
        Keras's ``imdb.npz``.
    text : str
        A column of a table. Case and blanks around it don't matter where just one column is meant.
    label : str, optional
        Another. With None no label is read: a folder's files may lie anywhere in it, and a ``.txt`` file has a text a
        line.
    encoding : str
        Of the text.
    part : {"train", "test"}
        Which half of an ``.npz``, or of a folder that has its classes in ``train`` and in ``test``, as ``aclImdb``.
    separator : {",", ";", "\t", "|"}, optional
        What parts a table's cells. By default a comma, a tab in a ``.tsv``, or what else alone gives the columns.
    header : bool
        Whether a table's first line names the columns. Without it `text` and `label` are numbers, "1" the first.
    keep_missing_labels : bool
        Take labels such as ``nan``, ``NA``, ``None`` and ``null``, which pandas writes for none, as classes.
    allow_unlabelled : bool
        Let rows of a table have no label: theirs is −1.

    Returns
    -------
    Texts
        Classes in the order of their values, if they are numbers, before others in that of their names.

    Warns
    -----
    FileWarning
        Files were left out that a system keeps for itself, or classes look like one.

    Raises
    ------
    ValueError
        A file is empty, a row is broken or a column missing (file and line are named), the encoding is another, or
        there are no classes.
    FileNotFoundError
        There is no such file or folder.
    """
    where, place = "read_texts", existing("read_texts", path)
    columns = columns_of(str(text), label and str(label), separator, header, keep_missing_labels, allow_unlabelled)
    found = list(_rows(where, place, columns, encoding, part))
    if not found:
        raise empty(where, place, "a text")
    texts, places = [row[0] for row in found], tuple(row[2] for row in found)
    if label is None:
        return Texts(texts, None, (), places)
    names = [row[1] for row in found]
    classes = classes_of(name for name in names if name is not None)
    remark_on(where, named(place), classes)
    return Texts(texts, numbers_of(names, classes), classes, places)


def has_labels(
    path: Place,
    *,
    text: str = "text",
    label: str = "label",
    encoding: str = "utf-8",
    separator: str | None = None,
    header: bool = True,
) -> bool:
    """Return whether a table has a column of labels: in its first line, or under a key of its first objects.

    Raises
    ------
    ValueError
        As `read_texts`, of the lines that are looked at.
    FileNotFoundError
        There is no such file.
    """
    where, place = "read_texts", existing("read_texts", path)
    if place.suffix.lower() in (".csv", ".tsv"):
        return has_columns(where, place, columns_of(text, label, separator, header), encoding)[-1]
    if place.suffix.lower() not in TABLES:
        return False
    return any(place_of(label, list(row)) is not None for _, row in objects_in(where, place, encoding))


def _rows(where: str, path: Path, columns: Labelled, encoding: str, part: str) -> Iterator[Row]:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _from_folder(where, path, columns, encoding, part)
    if suffix == ".txt" and columns.label is None:
        return ((line, None, f"line {number}") for number, line in numbered(where, path, encoding) if line.strip())
    if suffix == ".npz":
        return from_keras(where, path, part)
    if suffix in (".csv", ".tsv"):
        return from_table(where, path, columns, encoding)
    if suffix in TABLES:
        return from_json_lines(where, path, columns, encoding)
    raise ValueError(
        f"{where}: path must be a folder, an .npz or one of {', '.join(TABLES)}, got {named(path)}; rename it to what "
        "it holds"
    )


def _from_folder(where: str, folder: Path, columns: Labelled, encoding: str, part: str) -> Iterator[Row]:
    parts: list[tuple[str | None, list[Path]]]
    if columns.label is not None:
        parts = [*class_folders(where, folder, (".txt",), part)]
        check_class_names(where, folder, [name for name, _ in parts if name is not None], columns.keep_missing_labels)
        if any(name == UNLABELLED for name, _ in parts):
            count = sum(len(files) for name, files in parts if name == UNLABELLED)
            several = f"{count:,} text{'s' * (count != 1)} in {UNLABELLED}"
            remark(where, f"{named(folder)} has {several}, left out because they have no label")
            parts = [(name, files) for name, files in parts if name != UNLABELLED]
    else:
        parts = [(None, files_in(where, folder, (".txt",)))]
    for name, files in parts:
        for file in files:
            text = "\n".join(line for _, line in numbered(where, file, encoding, blank=True))
            yield text, name, writable(file.relative_to(folder).as_posix())
