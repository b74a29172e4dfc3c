"""Weka's ``.arff``, as the archives have it: a series a line, or a relation of several dimensions a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ....foreign import shown
from ..lines import Unread, at, named, numbered
from .cells import Case, Content, numbers_in, side_by_side

ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|\S+)\s+(.+)""", re.IGNORECASE)
CELL = re.compile(r"""\s*('[^']*'|"[^"]*"|[^,]*)\s*,""")
NUMERIC = ("numeric", "real", "integer")


class Preamble(NamedTuple):
    """What stands above ``@data``: the classes and their line, the labels' column, all columns, and of what kind.

    Attributes
    ----------
    target : int, optional
        Where the numbers to be met would stand, the last numeric attribute.
    """

    classes: tuple[str, ...] | None
    line: int
    column: int | None
    target: int | None
    columns: int
    relational: bool

    @property
    def regression(self) -> bool:
        """Whether a number stands beside a relation: it can be nothing else than a label."""
        return self.relational and self.target is not None


def arff_has_labels(where: str, path: Path, encoding: str, numbers: bool = False) -> bool:
    """Return whether an ``.arff`` has a nominal attribute or, where labels are `numbers`, one for them."""
    head = _head(where, path, numbered(where, path, encoding))
    return head.classes is not None or (numbers and head.target is not None)


def open_arff(where: str, path: Path, encoding: str, labelled: bool, missing: str, numbers: bool = False) -> Content:
    """Return the content of an ``.arff``.

    Raises
    ------
    ValueError
        Its header is broken, tells of something other than numbers and one nominal attribute, or doesn't end; or the
        labels that it has are none of those that are wanted.
    """
    lines = numbered(where, path, encoding)
    head = _head(where, path, lines)
    if labelled and head.classes is None and not (numbers and head.target is not None):
        last = "the numeric attribute beside the relation" if head.regression else "the last numeric attribute"
        raise Unread(
            f"{where}: {named(path)} must have a nominal attribute, {{a, b}}, for the classes, got none",
            "{labelled=False} reads series without classes" + f", {{numbers=True}} {last} as a number to be met",
        )
    if head.classes is None and (labelled or head.regression):
        head = head._replace(column=head.target)
    declared = dict.fromkeys(head.classes) if labelled and head.classes else None
    return Content(declared, head.line, _cases(where, path, lines, head, labelled, missing))


def _head(where: str, path: Path, lines: Iterator[tuple[int, str]]) -> Preamble:
    classes: tuple[str, ...] | None = None
    column, declared, columns, relational, inside = None, 0, 0, False, False
    numeric: list[tuple[int, int, str]] = []
    for line, text in lines:
        text = text.strip()
        word = text.split(maxsplit=1)[0].lower() if text else "%"
        if word.startswith("%") or word == "@relation":
            continue
        if word == "@data":
            beside = 1 if classes is None else 0  # a relation may have a label beside it, and no more
            if relational and len(numeric) > beside:
                raise _no_attribute(where, path, *numeric[beside][1:])
            return Preamble(classes, declared, column, numeric[-1][0] if numeric else None, columns, relational)
        if word == "@end":
            inside = False
            continue
        found = ATTRIBUTE.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{where}: {at(path, line)} must be @relation, @attribute NAME TYPE, @end or @data, got "
                f"{shown(text, 60)}"
            )
        kind = found[2].strip()
        if inside:
            continue
        if kind.lower() == "relational" and not relational:
            relational = inside = True
        elif kind.startswith("{") and kind.endswith("}") and classes is None:
            names = _cells(kind[1:-1])
            if len(set(names)) < len(names) or "" in names:
                raise ValueError(f"{where}: {at(path, line)} must name each class once, got {shown(kind, 60)}")
            classes, declared, column = tuple(names), line, columns
        elif kind.lower() in NUMERIC:
            numeric.append((columns, line, kind))
        else:
            raise _no_attribute(where, path, line, kind)
        columns += 1
    raise ValueError(f"{where}: {named(path)} must have a line @data, got none")


def _no_attribute(where: str, path: Path, line: int, kind: str) -> ValueError:
    return ValueError(
        f"{where}: {at(path, line)} must be a numeric attribute, or the one nominal or relational, got "
        f"{shown(kind, 60)}"
    )


def _cells(text: str) -> list[str]:
    """Return what stands between the commas, without its quotation marks."""
    cells = [found[1].strip() for found in CELL.finditer(text + ",")]
    return [cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\"" else cell for cell in cells]


def _cases(
    where: str, path: Path, lines: Iterator[tuple[int, str]], head: Preamble, labelled: bool, missing: str
) -> Iterator[Case]:
    for line, text in lines:
        text = text.strip()
        if not text or text.startswith("%"):
            continue
        if text.startswith("{"):
            raise ValueError(f"{where}: {at(path, line)} must have all values, got the sparse {shown(text, 40)}")
        cells = _cells(text)
        if len(cells) == head.columns + 1 and not cells[-1]:  # a trailing comma
            cells.pop()
        if len(cells) != head.columns:
            raise ValueError(
                f"{where}: {at(path, line)} must have {head.columns} values, one for each attribute, got {len(cells)}"
            )
        label = None if head.column is None else cells.pop(head.column)
        # The archives write the two characters \\n where one dimension ends and the next begins.
        rows = [row.split(",") for row in cells[0].split("\\n")] if head.relational else [cells]
        columns = [
            numbers_in(where, path, line, row, f" of dimension {d}" if len(rows) > 1 else "")
            for d, row in enumerate(rows, 1)
        ]
        yield Case(side_by_side(where, path, line, columns, missing), label if labelled else None, line)
