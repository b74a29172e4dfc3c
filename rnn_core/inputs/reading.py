"""Examples as they stand in a user's files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.files import read_series, read_texts, read_waveforms
from ..data.files.folders import has_classes, has_halves
from ..data.files.lines import existing, named, numbered
from ..data.files.series import has_labels as series_have_labels
from ..data.files.sounds import SOUNDS
from ..data.files.texts import has_labels
from ..foreign import shown
from .how import How, heard
from .kinds import HERE, NUMERIC, kind_of, number_of, share_of_numbers

KERAS_FIRST = 3
"""What Keras adds to the number of a word."""

SUFFIXES = {"text": (".txt",), "waveforms": SOUNDS}
"""Files that a folder's examples are read from."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Examples as they were read.

    Attributes
    ----------
    kind : {"text", "ids", "series", "waveforms"}
    rows : list
        Strings, arrays of ids (T,) or arrays of numbers (T, I).
    labels : ndarray of int, shape (N,), or None
        −1 where an example that is to be predicted has none.
    classes : tuple of str
    places : tuple of str
        Where each stands in its file or folder.
    rate : int, optional
        Samples a second, of waveforms.
    whole : ndarray of int, shape (N,), optional
        Steps that each has in its file, where it was cut while it was read.
    missing : str
        What was done about numbers that are missing, in series.
    notes : tuple of str
        What was left out, or read in one of two ways that are possible.
    """

    kind: str
    rows: list[Any]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    places: tuple[str, ...]
    rate: int | None = None
    whole: np.ndarray | None = None
    missing: str = "refuse"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.rows)

    @property
    def targets(self) -> np.ndarray:
        """The classes' numbers, of examples that were read with them."""
        if self.labels is None:
            raise TypeError("Raw.targets: examples must be labelled, got some that are not")
        return self.labels

    @property
    def numbers(self) -> np.ndarray:
        """The labels as numbers, (N,): NaN where there is none.

        Raises
        ------
        ValueError
            A label is no finite number; its place is named.
        """
        values = np.array([number_of(name) for name in self.classes] + [np.nan])  # the last for −1, no label
        known = np.append(np.isfinite(values[:-1]), True)
        for place, label in zip(self.places, self.targets, strict=True):
            if not known[label]:
                raise ValueError(f"{place} must have a number for its label, got {shown(self.classes[label], 40)}")
        return np.asarray(values[self.targets])

    def take(self, rows: np.ndarray) -> Raw:
        """Return some of the examples."""
        places = tuple(self.places[k] for k in rows)
        whole = None if self.whole is None else self.whole[rows]
        some = [self.rows[k] for k in rows]
        return replace(self, rows=some, labels=self.targets[rows], places=places, whole=whole)

    def among(self, classes: tuple[str, ...]) -> Raw:
        """Return the examples with their classes numbered as these are, which have all of them."""
        number = np.array([classes.index(name) for name in self.classes])
        return replace(self, labels=number[self.targets], classes=classes)


def read(path: str, how: How, part: str = "train") -> Raw:
    """Read labelled examples.

    Parameters
    ----------
    path : str
    how : How
    part : {"train", "test"}
        Which half of an ``.npz``, or of a folder that has both.

    Raises
    ------
    ValueError
        As the readers of `rnn_core.data.files`, which name file and line; or the examples can't have classes.
    OSError
        A file is missing or can't be read.
    """
    place = existing(HERE, path)
    if not place.is_dir() and (suffix := place.suffix.lower()) in (".txt", *SOUNDS) and kind_of(path, how) != "series":
        series = "; --kind series, if it is a file of the UCR archive" if suffix == ".txt" else ""
        raise ValueError(
            f"{named(path)} must hold examples and their classes, got a single {suffix} file; give a folder with a "
            f"subfolder for each class (a .txt can be the --source, as running text{series})"
        )
    return _read(path, how, True, part)


def read_to_predict(path: str, how: How, *, labelled: bool = False) -> Raw:
    """Read examples, and their classes where they are there: of all, of some or, unless `labelled`, of none.

    Raises
    ------
    ValueError, OSError
        As `read`.
    """
    labelled = how.labelled and (labelled or _has_labels(path, how))
    found = _read(path, how, labelled, "test", allow_unlabelled=True)
    return replace(found, labels=None) if found.labels is not None and (found.labels < 0).all() else found


def has_test(path: str, how: How) -> bool:
    """Return whether a file or folder has its examples in two halves, for training and for testing."""
    kind = kind_of(path, how)
    return kind == "ids" or (Path(path).is_dir() and has_halves(Path(path), SUFFIXES[kind]))


def running_text(path: str, how: How) -> str:
    """Read a whole text.

    Raises
    ------
    ValueError
        It is in another encoding; or it is one of numbers, and nobody has said that it is a text.
    OSError
        It can't be read.
    """
    text = "\n".join(line for _, line in numbered(HERE, existing(HERE, path), how.encoding))
    if how.kind != "text" and (share := share_of_numbers([text])) >= NUMERIC:
        raise ValueError(
            f"{named(path)} must be a text, got numbers, {100 * share:.0f} % of its first words; --kind series reads "
            "it as series of the UCR archive, --kind text as a text all the same"
        )
    return text


def _read(path: str, how: How, labelled: bool, part: str, *, allow_unlabelled: bool = False) -> Raw:
    kind = kind_of(path, how)
    with heard(how) as notes:
        if kind in ("text", "ids"):
            found = _texts(path, kind, how, labelled, part, allow_unlabelled)
        else:
            found = _numbers(path, kind, how, labelled, part, allow_unlabelled)
    return replace(found, notes=tuple(notes))


def _texts(path: str, kind: str, how: How, labelled: bool, part: str, allow_unlabelled: bool) -> Raw:
    found = read_texts(
        path,
        text=how.text,
        label=how.label if labelled else None,
        encoding=how.encoding,
        part=part,
        separator=how.separator,
        header=how.header,
        keep_missing_labels=how.keep_missing_labels,
        allow_unlabelled=allow_unlabelled,
    )
    rows = found.texts if kind == "text" else [_as_keras(row) for row in found.texts]
    return Raw(kind, rows, found.labels, found.classes, found.places)


def _numbers(path: str, kind: str, how: How, labelled: bool, part: str, allow_unlabelled: bool) -> Raw:
    missing = how.missing or "refuse"
    if kind == "series":
        series = read_series(
            path,
            labelled=labelled,
            allow_unlabelled=allow_unlabelled,
            keep_missing_labels=how.keep_missing_labels,
            missing=missing,
            max_steps=how.max_steps,
            encoding=how.encoding,
            numbers=how.numbers,
        )
    else:
        series = read_waveforms(
            path,
            frame=how.samples,
            labelled=labelled,
            keep_missing_labels=how.keep_missing_labels,
            max_steps=how.max_steps,
            rate=how.rate,
            part=part,
        )
    rows = list(series.rows)
    return Raw(kind, rows, series.labels, series.classes, series.places, series.rate, series.whole, missing)


def _as_keras(row: np.ndarray) -> np.ndarray:
    """Return ids as ``keras.datasets.imdb.load_data`` does: 0 for padding, 1 begins, 2 is unknown, words from 4 on."""
    return np.concatenate([[1], row + KERAS_FIRST])


def _has_labels(path: str, how: How) -> bool:
    kind, place = kind_of(path, how), Path(path)
    if place.is_dir():
        return has_classes(place, SUFFIXES[kind])
    if kind == "series":
        return series_have_labels(place, how.encoding, how.numbers)
    if kind != "text":
        return kind != "waveforms"
    with heard(how):
        return has_labels(
            place, text=how.text, label=how.label, encoding=how.encoding, separator=how.separator, header=how.header
        )
