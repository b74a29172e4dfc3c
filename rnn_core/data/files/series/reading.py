"""Series of the UCR and UEA archives, by the format that a file's name tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....foreign import shown
from ..labels import classes_of, is_missing, numbers_of, remark_on
from ..lines import Place, Unread, at, empty, existing, named, remark
from .arff import arff_has_labels, open_arff
from .cells import GAPS, MISSING, Case, Content, filled, without_padding
from .kept import Series
from .ts import open_ts, ts_has_labels
from .ucr import open_ucr

PLAIN = (".tsv", ".txt", ".csv", "")
FORMATS = (".tsv", ".txt", ".csv", ".arff", ".ts")


def read_series(
    path: Place,
    *,
    labelled: bool = True,
    allow_unlabelled: bool = False,
    keep_missing_labels: bool = False,
    missing: str = "refuse",
    max_steps: int | None = None,
    encoding: str = "utf-8",
    numbers: bool = False,
) -> Series:
    """Read a file of the UCR/UEA archive.

    Parameters
    ----------
    path : path
        ``.tsv``, ``.csv`` or ``.txt``: a line is the label and the numbers, parted by tabs, commas, or blanks (a
        ``.txt`` by whichever it has). ``.arff``: Weka's, of numeric attributes or one relational, and a nominal one.
        ``.ts``: sktime's and aeon's; lines behind ``@data`` are the dimensions, parted by colons, and the label last.
        Steps with time stamps must be equal.
    labelled : bool
        Without it no label is read: plain files then have none, and of the others the header tells.
    allow_unlabelled : bool
        Take a series whose label is missing: its number is −1. Without it that is an error.
    keep_missing_labels : bool
        Take labels such as ``NA`` and ``null`` for classes. A class that is declared is one without it; what is blank,
        ``?`` or ``NaN`` never is.
    missing : {"refuse", "drop", "interpolate", "mask"}
        What becomes of a series in which a number is missing (``NaN``, ``?``, a blank, a place without a time stamp,
        the end of a dimension that is shorter than another): an error; the series is left out; a straight line between
        the neighbours, or the nearest; or it holds the last number seen, and every dimension has a second feature
        behind all the numbers that is 1 where one was seen, else 0. At a series' end, where no dimension has a number,
        it is padding and never counts.
    max_steps : int, optional
        Of longer series the beginning is kept.
    encoding : str
    numbers : bool
        Labels are numbers to be met, as in a regression: any may be as often as it likes, also in a ``.ts`` that says
        ``@targetLabel true``, and in an ``.arff`` without a nominal attribute, whose last numeric one they are. Each
        different one is a class here, by its name.

    Returns
    -------
    Series

    Raises
    ------
    ValueError
        A line is broken, holds no number where one should be, has another number of dimensions than the others or a
        class that isn't declared, or the header says otherwise (file and line are named); the file is of a regression,
        or its labels are as many different numbers as there are series, without `numbers`; or there is none.
    FileNotFoundError
        There is no such file.

    Warns
    -----
    FileWarning
        Series were left out, or two labels are one number.
    """
    where = "read_series"
    if missing not in MISSING:
        raise ValueError(f"{where}: missing must be one of {', '.join(MISSING)}, got {missing!r}")
    check_whole(where, "max_steps", max_steps)
    place = existing(where, path)
    content = _opened(where, place, encoding, labelled, missing, numbers)
    rows: list[np.ndarray] = []
    labels: list[str | None] = []
    places: list[str] = []
    whole: list[int] = []
    dropped: list[int] = []
    for case in content.cases:
        label = None
        if labelled:
            label = _label(where, place, case, content, allow_unlabelled, keep_missing_labels)
        values = without_padding(case.values)
        if not len(values) and missing != "drop":
            raise ValueError(f"{where}: {at(place, case.line)} must have a number, got none")
        kept = filled(where, place, case.line, values, missing) if len(values) else None
        if kept is None:
            dropped.append(case.line)
            continue
        rows.append(kept if max_steps is None else kept[:max_steps].copy())
        places.append(f"line {case.line}")
        whole.append(len(kept))
        labels.append(label)
    if dropped:
        _tell_dropped(where, place, dropped, len(rows))
    if not rows:
        raise empty(where, place, "a series")
    if not labelled:
        return Series(tuple(rows), None, (), tuple(places), None, np.array(whole))
    names = [name for name in labels if name is not None]
    if content.declared is None and not numbers:
        _check_labels(where, place, names)
    classes = tuple(content.declared or classes_of(names))
    return Series(tuple(rows), numbers_of(labels, classes), classes, tuple(places), None, np.array(whole))


def has_labels(path: Path, encoding: str = "utf-8", numbers: bool = False) -> bool:
    """Return whether a file of series says that they have labels; of one that says nothing it is to be expected.

    `numbers` says that they would be numbers to be met.

    Raises
    ------
    ValueError, OSError
        Its header is broken, or it can't be read.
    """
    ask = {".ts": ts_has_labels, ".arff": arff_has_labels}.get(path.suffix.lower())
    return ask is None or ask("read_series", path, encoding, numbers)


def _label(where: str, place: Path, case: Case, content: Content, allow_unlabelled: bool, keep: bool) -> str | None:
    """Return a case's label if it has one; errors are those of a label that is missing or isn't declared."""
    declared, name = content.declared, case.label or ""
    gap = name.lower() in GAPS
    if gap or (declared is None and is_missing(name, keep)):
        if allow_unlabelled:
            return None
        told = f"{where}: {at(place, case.line)} must have a label, got {shown(name, 40)}"
        raise ValueError(told) if gap else Unread(told, "{keep_missing_labels=True} takes it for a class")
    if declared is not None and case.label not in declared:
        raise ValueError(
            f"{where}: {at(place, case.line)} must have one of the classes that line {content.line} declares, "
            f"{shown(' '.join(declared))}, got {shown(case.label, 40)}"
        )
    return case.label


def _opened(where: str, place: Path, encoding: str, labelled: bool, missing: str, numbers: bool) -> Content:
    suffix = place.suffix.lower()
    if suffix == ".ts":
        return open_ts(where, place, encoding, labelled, missing, numbers)
    if suffix == ".arff":
        return open_arff(where, place, encoding, labelled, missing, numbers)
    if suffix in PLAIN and not place.is_dir():
        return open_ucr(where, place, encoding, labelled)
    way_out = "; a .tsf is of a forecast, which is no task here" if suffix == ".tsf" else ""
    raise ValueError(f"{where}: path must be a {', '.join(FORMATS[:-1])} or .ts file, got {named(place)}{way_out}")


def check_whole(where: str, name: str, value: Any) -> None:
    """Raise unless this is None or a whole number of at least 1."""
    if value is not None and (not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1):
        raise ValueError(f"{where}: {name} must be a whole number of at least 1, got {value!r}")


def _tell_dropped(where: str, place: Path, dropped: list[int], kept: int) -> None:
    told = f"{len(dropped):,} of {len(dropped) + kept:,} series of {named(place)}, in which numbers are missing"
    if not kept:
        raise Unread(f"{where}: {told}, are all there are", "{missing='interpolate'} or {missing='mask'} keeps them")
    lines = ", ".join(map(str, dropped[:5])) + ", …" * (len(dropped) > 5)
    remark(where, f"{told}, are left out: line {lines}")


def _check_labels(where: str, place: Path, labels: list[str]) -> None:
    """Raise if these labels are clearly no classes; remark if two are one number."""
    names = list(dict.fromkeys(labels))
    if len(names) >= max(3, 0.9 * len(labels)) and all(map(_is_number, names)) and any(float(k) % 1 for k in names):
        some = ", ".join(shown(name, 20) for name in names[:3])
        raise Unread(
            f"{where}: {named(place)} must have classes for labels, got {len(names):,} different numbers in "
            f"{len(labels):,} lines: {some}, …",
            "{labelled=False} reads a file without labels, {numbers=True} labels that are numbers to be met",
        )
    remark_on(where, named(place), names)


def _is_number(name: str) -> bool:
    try:
        return abs(float(name)) < float("inf")
    except ValueError:
        return False
