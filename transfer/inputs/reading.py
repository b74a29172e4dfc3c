"""Examples as they stand in a user's files. Of what kind they are is told by the files' names."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.data.files import Series, read_series, read_texts, read_waveforms
from rnn_core.data.files.lines import at, existing, numbered
from rnn_core.data.files.texts import TABLES

KINDS = ("text", "series", "waveforms")
"""What can be told apart by hand, where a name is ambiguous. Beside them there are "ids": texts as Keras keeps them."""

HERE = "reading"
"""What errors name, behind the name of the command."""

FRAME = 64
"""Samples of a waveform that make a step, unless told otherwise."""


@dataclass(frozen=True)
class How:
    """How files are read."""

    kind: str | None = None
    text: str = "text"
    label: str = "label"
    encoding: str = "utf-8"
    frame: int | None = None

    @property
    def samples(self) -> int:
        """Samples that make a step of a waveform."""
        return self.frame or FRAME


@dataclass(frozen=True, eq=False)
class Raw:
    """Examples as they were read.

    Attributes
    ----------
    kind : {"text", "ids", "series", "waveforms"}
    rows : list
        Strings, arrays of ids (T,) or arrays of numbers (T, I).
    labels : ndarray of int, shape (N,), or None
    classes : tuple of str
    places : tuple of str
        Where each stands in its file or folder.
    rate : int, optional
        Samples a second, of waveforms.
    """

    kind: str
    rows: list[Any]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    places: tuple[str, ...]
    rate: int | None = None

    @property
    def targets(self) -> np.ndarray:
        """The classes' numbers, of examples that were read with them."""
        if self.labels is None:
            raise TypeError("Raw.targets: examples must be labelled, got some that are not")
        return self.labels

    def take(self, rows: np.ndarray) -> Raw:
        """Return some of the examples."""
        places = tuple(self.places[k] for k in rows)
        return replace(self, rows=[self.rows[k] for k in rows], labels=self.targets[rows], places=places)


def kind_of(path: str, how: How) -> str:
    """Return the kind of what a path leads to.

    Raises
    ------
    ValueError
        Its name doesn't tell.
    FileNotFoundError
        There is nothing there.
    """
    place = existing(HERE, path)
    suffix = place.suffix.lower()
    if place.is_dir():
        return how.kind if how.kind in ("text", "waveforms") else _kind_of_folder(place)
    if suffix == ".tsv":  # a table of texts, or a file of the UCR archive
        return how.kind if how.kind in ("text", "series") else _kind_of_tsv(place, how)
    kinds = {".txt": "text", ".npz": "ids", ".ts": "series", ".wav": "waveforms", **dict.fromkeys(TABLES, "text")}
    if suffix not in kinds:
        hint = "; a saved model is for --source-model, or predict's MODEL" if suffix == ".safetensors" else ""
        raise ValueError(
            f"{path!r} must be a folder or one of {', '.join(sorted(kinds))}, whose names tell what they hold{hint}"
        )
    return kinds[suffix]


def read(path: str, how: How, part: str = "train") -> Raw:
    """Read labelled examples.

    Parameters
    ----------
    path : str
    how : How
    part : {"train", "test"}
        Which half of an ``.npz``.

    Raises
    ------
    ValueError
        As the readers of `rnn_core.data.files`, which name file and line; or the examples can't have classes.
    OSError
        A file is missing or can't be read.
    """
    if Path(path).suffix.lower() in (".txt", ".wav") and not Path(path).is_dir():
        raise ValueError(
            f"{path!r} must hold examples and their classes, got a single {Path(path).suffix.lower()} file; give a "
            "folder with a subfolder for each class (a .txt can be the --source, as running text)"
        )
    return _read(path, how, True, part)


def read_to_predict(path: str, how: How) -> Raw:
    """Read examples, and their classes where they are there."""
    return _read(path, how, _has_labels(Path(path), how), "test")


def running_text(path: str, encoding: str) -> str:
    """Read a whole text."""
    place = existing(HERE, path)
    return "\n".join(line for _, line in numbered(HERE, place, encoding))


def _read(path: str, how: How, labelled: bool, part: str) -> Raw:
    kind = kind_of(path, how)
    if kind in ("text", "ids"):
        found = read_texts(path, text=how.text, label=how.label if labelled else None, encoding=how.encoding, part=part)
        rows = found.texts if kind == "text" else [_as_keras(row) for row in found.texts]
        return Raw(kind, rows, found.labels, found.classes, found.places)
    series: Series
    if kind == "series":
        series = read_series(path, encoding=how.encoding)
    else:
        series = read_waveforms(path, frame=how.samples, labelled=labelled)
    lengths = np.full(len(series.inputs), series.inputs.shape[1]) if series.lengths is None else series.lengths
    rows = [row[:n] for row, n in zip(series.inputs, lengths, strict=True)]
    return Raw(kind, rows, series.labels, series.classes, series.places, series.rate)


def _as_keras(row: np.ndarray) -> np.ndarray:
    """Return ids as ``keras.datasets.imdb.load_data`` does: 0 for padding, 1 begins, 2 is unknown, words from 4 on."""
    return np.concatenate([[1], row + 3])


def _kind_of_tsv(table: Path, how: How) -> str:
    """Return "text" for a table whose first line has names, "series" where a number follows the label."""
    columns = _columns(table, how)
    try:
        float(columns[1])
    except (ValueError, IndexError):
        return "text" if len(columns) > 1 or how.text in columns else "series"
    return "series"


def _kind_of_folder(folder: Path) -> str:
    found = {file.suffix.lower() for file in folder.rglob("*") if file.is_file()}
    if (".txt" in found) == (".wav" in found):
        got = "both; name one, --kind text or waveforms" if ".txt" in found else "neither; is it the right folder?"
        raise ValueError(f"{str(folder)!r} must hold .txt files or .wav files, got {got}")
    return "text" if ".txt" in found else "waveforms"


def _columns(table: Path, how: How) -> list[str]:
    """Return the names in a table's first line; of a ``.tsv`` quotation marks are a part of them."""
    _, line = next(iter(numbered(HERE, table, how.encoding)))
    if table.suffix.lower() in (".csv", ".tsv"):
        return line.split("\t") if table.suffix.lower() == ".tsv" else next(csv.reader([line]), [])
    try:
        first = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{HERE}: {at(table, 1)} must be a JSON object: {error}") from error
    return list(first) if isinstance(first, dict) else []


def _has_labels(path: Path, how: How) -> bool:
    kind = kind_of(str(path), how)
    if path.is_dir():
        suffix = ".txt" if kind == "text" else ".wav"
        return any(child.is_dir() and any(child.rglob(f"*{suffix}")) for child in path.iterdir())
    if kind == "text":
        return path.suffix.lower() != ".txt" and how.label in _columns(path, how)
    return kind != "waveforms"
