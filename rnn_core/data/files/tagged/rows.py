"""The rows of a file of columns: parted by tabs, blanks, or as a table's; blank lines end a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..lines import at, numbered, remark
from ..tables import SEPARATORS, rows_in

Row = tuple[int, list[str] | None]
"""A line's number and its cells; None for what ends a sentence."""

BLANKS = re.compile(r"[ \t]+")
DOCUMENT = "-DOCSTART-"
"""What begins a document in the files of CoNLL 2003: no token, but the end of a sentence."""


COMMENTS = "comments='# ' says how lines begin that are none, and nothing else is left out then"
"""The way out, for whoever meant such a line."""


def rows_of_table(where: str, path: Path, separator: str, encoding: str) -> Iterator[Row]:
    """Yield the rows of a table with quotation marks, as a CSV; a row of separators alone ends a sentence."""
    for _, last, row in rows_in(where, path, separator, encoding):
        yield last, row if any(cell.strip() for cell in row) else None


def rows_of_lines(where: str, path: Path, separator: str | None, encoding: str, comments: str | None) -> Iterator[Row]:
    """Yield the rows of a file of columns, which has no quotation marks.

    Parameters
    ----------
    separator : str, optional
        A tab, or another of the tables'; None for blanks of any number, or for tabs if the first row has one.
    comments : str, optional
        How lines begin that are none. Without it, a line that begins with ``#`` and doesn't have as many columns as the
        first is one; so is one at the top of the file that stands alone, or whose first word is ``#``. That is said.
    """
    width = left_out = 0
    doubtful: list[tuple[int, str]] = []  # what begins with # before the first row, whose width isn't known yet
    for number, line in numbered(where, path, encoding):
        if "\r" in line:
            raise ValueError(
                f"{where}: {at(path, number)} must be one row, got line ends of an old Mac; save it with others"
            )
        if comments and line.startswith(comments):
            continue
        if not (stripped := line.strip(" \t\f\v")):
            left_out += len(doubtful)  # no sentence ends behind them
            doubtful = []
            yield number, None
        elif line.startswith("#") and not comments and not width:
            doubtful.append((number, line))
        else:
            separator = separator or ("\t" if "\t" in stripped else " ")
            row = split(line, separator)
            if row[0] == DOCUMENT:  # whose columns may be others
                left_out += len(doubtful)
                doubtful = []
                yield number, None
                continue
            width = width or len(row)
            for before, other in doubtful:
                found = split(other, separator)
                if len(found) == width and (found[0] != "#" or separator != " "):
                    yield before, found
                else:
                    left_out += 1
            doubtful = []
            if line.startswith("#") and not comments and len(row) != width:
                left_out += 1
            else:
                yield number, row
    left_out += len(doubtful)
    if left_out:
        remark(where, f"{left_out:,} lines left out that begin with # and are no rows; {COMMENTS}")


def split(line: str, separator: str) -> list[str]:
    """Return the cells of a line."""
    if separator == " ":
        return BLANKS.split(line.strip(" \t\f\v"))
    return line.split(separator)


__all__ = ["SEPARATORS", "Row", "rows_of_lines", "rows_of_table", "split"]
