"""The ``.ts`` of the UEA and UCR archives, of sktime and aeon: a header, ``@data``, and a case a line.

A line of the header is ``@name`` and its values, parted by blanks; names and ``true`` or ``false`` in any case. A line
of the data is the dimensions, parted by colons, and the label last if the header says that there are labels. A
dimension is numbers, parted by commas, or with time stamps ``(stamp,number)`` for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....foreign import shown
from ..lines import Unread, at, named, numbered
from .cells import Case, Content, numbers_in, side_by_side
from .stamps import Clock, parted

FLAGS = ("timestamps", "missing", "univariate", "equallength", "targetlabel")
NUMBERS = ("dimensions", "serieslength")
NAMES = {"problemname": "problemName", "timestamps": "timeStamps", "equallength": "equalLength",
         "targetlabel": "targetLabel", "serieslength": "seriesLength", "classlabel": "classLabel"}  # fmt: skip
"""Names as the archives write them, where they have a capital letter."""

SYNONYMS = {"dimension": "dimensions", "numdimensions": "dimensions"}


@dataclass
class Header:
    """What the lines above ``@data`` say, None where they say nothing, and where each stands.

    Attributes
    ----------
    said : dict of str to bool or int
        Flags and numbers, by their names in small letters.
    labels : bool
        Whether each case ends in a label.
    classes : tuple of str, or None
        Those declared.
    lines : dict of str to int
    """

    said: dict[str, Any] = field(default_factory=dict)
    labels: bool = True
    classes: tuple[str, ...] | None = None
    lines: dict[str, int] = field(default_factory=dict)

    def says(self, name: str) -> str:
        """Return in words what a line demands."""
        return f"as @{NAMES.get(name, name)} in line {self.lines[name]} says"


def ts_has_labels(where: str, path: Path, encoding: str, numbers: bool = False) -> bool:
    """Return whether a ``.ts`` says that its cases end in classes or, where labels are `numbers`, in such."""
    header = _header(where, path, numbered(where, path, encoding))
    return (numbers or not header.said.get("targetlabel")) and _labels(header, labelled=True)


def open_ts(where: str, path: Path, encoding: str, labelled: bool, missing: str, numbers: bool = False) -> Content:
    """Return the content of a ``.ts``.

    Raises
    ------
    ValueError
        The header is not one, or tells of a regression, or of no classes where they are wanted.
    """
    lines = numbered(where, path, encoding)
    header = _header(where, path, lines)
    header.labels = _labels(header, labelled)
    if labelled and header.said.get("targetlabel") and not numbers:
        raise Unread(
            f"{where}: {at(path, header.lines['targetlabel'])} must tell of classes, got @targetLabel true: the file "
            "is of a regression",
            "{numbers=True} reads its numbers, or make classes of them, @classLabel true low high",
        )
    if labelled and not header.labels:
        name = "classlabel" if "classlabel" in header.lines else "targetlabel"
        raise Unread(
            f"{where}: {at(path, header.lines[name])} must tell of classes, got @{NAMES[name]} false",
            "{labelled=False} reads series without",
        )
    declared = dict.fromkeys(header.classes) if labelled and header.classes else None
    return Content(declared, header.lines.get("classlabel", 0), _cases(where, path, lines, header, labelled, missing))


def _labels(header: Header, labelled: bool) -> bool:
    """Return whether each case ends in a label: where nothing is said of it, whether one is wanted."""
    if "classlabel" in header.lines:
        return header.labels
    target = header.said.get("targetlabel")
    return labelled if target is None else bool(target)


def _header(where: str, path: Path, lines: Iterator[tuple[int, str]]) -> Header:
    header = Header()
    for line, text in lines:
        text = text.strip()
        if not text or text[0] in "#%":
            continue
        name, *values = text.split()
        key = name[1:].lower()
        key = SYNONYMS.get(key, key)
        if name[0] != "@":
            raise ValueError(f"{where}: {at(path, line)} must stand behind a line @data, got {shown(text, 60)}")
        if key in header.lines and key != "problemname":  # which says nothing of the numbers
            raise ValueError(
                f"{where}: {at(path, line)} must not say {shown(name, 30)} again, which line {header.lines[key]} says"
            )
        header.lines[key] = line
        if key == "data" and not values:
            return header
        if key in FLAGS and len(values) == 1 and values[0].lower() in ("true", "false"):
            header.said[key] = values[0].lower() == "true"
        elif key in NUMBERS and len(values) == 1 and values[0].isdecimal() and 0 < int(values[0][:18]) < 10**15:
            header.said[key] = int(values[0])
        elif key == "classlabel" and values and values[0].lower() in ("true", "false"):
            _take_classes(where, path, line, header, values)
        elif key != "problemname":
            wanted = "a whole number" if key in NUMBERS else "true or false" if key in (*FLAGS, "classlabel") else ""
            rule = f"@{NAMES.get(key, key)} and {wanted}" if wanted else f"a known name: {KNOWN}"
            raise ValueError(f"{where}: {at(path, line)} must be {rule}, got {shown(text, 60)}")
    raise ValueError(f"{where}: {named(path)} must hold at least a line @data and a series behind it, got none")


KNOWN = ", ".join(f"@{NAMES.get(key, key)}" for key in ("problemname", *FLAGS, *NUMBERS, "classlabel", "data"))


def _take_classes(where: str, path: Path, line: int, header: Header, values: list[str]) -> None:
    header.labels = values[0].lower() == "true"
    names = tuple(values[1:])
    if names and not header.labels:
        raise ValueError(
            f"{where}: {at(path, line)} must name classes behind true only, got @classLabel false with "
            f"{shown(' '.join(names), 40)}"
        )
    if len(set(names)) < len(names):
        again, _ = Counter(names).most_common(1)[0]
        raise ValueError(f"{where}: {at(path, line)} must name each class once, got {shown(again, 40)} again")
    header.classes = names or None


def _cases(
    where: str, path: Path, lines: Iterator[tuple[int, str]], header: Header, labelled: bool, missing: str
) -> Iterator[Case]:
    stamped = header.said.get("timestamps", False)
    clock = Clock(where, path)
    dimensions = 1 if header.said.get("univariate") else header.said.get("dimensions")
    steps, first = header.said.get("serieslength"), 0
    for line, text in lines:
        text = text.strip()
        if not text or text[0] in "#%":
            continue
        columns = parted(text) if stamped else text.split(":")
        label = columns.pop().strip() if header.labels else None
        if not columns or (label and "(" in label):
            raise ValueError(
                f"{where}: {at(path, line)} must have dimensions and a label, parted by colons, got {shown(text, 60)}"
            )
        _check_count(where, path, line, len(columns), dimensions, first, header)
        dimensions, first = len(columns), first or line
        of = [f" of dimension {d}" if dimensions > 1 else "" for d in range(1, dimensions + 1)]
        if stamped:
            values = clock.values(line, columns, of, missing)
        else:
            parts = zip(map(_cells, columns), of, strict=True)
            numbers = [numbers_in(where, path, line, cells, name) for cells, name in parts]
            values = side_by_side(where, path, line, numbers, missing)
        _check_steps(where, path, line, len(values), steps, header)
        steps = len(values) if header.said.get("equallength") else steps
        yield Case(values, label if labelled else None, line)


def _cells(part: str) -> list[str]:
    """Return the numbers of a dimension; a comma at its end says nothing, and a blank dimension has none."""
    cells = part.split(",")
    return cells if cells[-1].strip() else cells[:-1]


def _check_count(where: str, path: Path, line: int, count: int, wanted: int | None, first: int, header: Header) -> None:
    said = header.said.get("dimensions")
    if said is not None and header.said.get("univariate") and said != 1:
        raise ValueError(
            f"{where}: {at(path, header.lines['dimensions'])} must be 1, {header.says('univariate')}, got {said}"
        )
    if wanted is not None and count != wanted:
        name = "univariate" if header.said.get("univariate") else "dimensions"
        why = header.says(name) if name in header.lines and header.said.get(name) else f"as line {first} has"
        raise ValueError(
            f"{where}: {at(path, line)} must have {wanted} dimension{'s' * (wanted > 1)}"
            f"{' and a label' if header.labels else ''}, parted by colons, {why}, got {count}"
        )


def _check_steps(where: str, path: Path, line: int, count: int, wanted: int | None, header: Header) -> None:
    """Raise if a case is longer or shorter than the header says; what is padded with NaN has its full length here."""
    if wanted is not None and count != wanted and header.said.get("equallength", True):
        name = "serieslength" if "serieslength" in header.lines else "equallength"
        raise ValueError(f"{where}: {at(path, line)} must have {wanted} steps, {header.says(name)}, got {count}")
