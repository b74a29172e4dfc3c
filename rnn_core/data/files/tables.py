"""Tables: rows of cells parted by commas, semicolons or tabs, as CSV and TSV files have them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...foreign import shown
from .lines import Unread, at, numbered

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
"""The endings of files with rows, each of them with columns or keys."""

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
"""What parts the cells of a table."""

LOOKED_AT = 50
"""Rows that a separator is found out by, where no line names the columns."""

csv.field_size_limit(2**31 - 1)  # a review is longer than 128 KiB now and then


@dataclass(frozen=True)
class Columns:
    """Which columns of a table, or keys of an object, are read, and how.

    Attributes
    ----------
    wanted : dict of str to str
        The option that names each, as it stands in braces in a message, and its name or, without a line of names, its
        number from 1 on.
    separator : str, optional
        What parts cells; found out where it is not given.
    header : bool
        Whether the first line names the columns.
    """

    wanted: Mapping[str, str]
    separator: str | None = None
    header: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that are read."""
        return tuple(self.wanted.values())

    @property
    def options(self) -> str:
        """The options that name them, for a message."""
        *others, last = (f"{{{option}}}" for option in self.wanted)
        return f"{', '.join(others)} and {last}" if others else last


def cells_of(where: str, path: Path, columns: Columns, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the last line of each row and its cells in the columns that are read.

    Raises
    ------
    Unread
        The columns are not there.
    ValueError
        A row is broken, or in another encoding.
    """
    separator = columns.separator or _separator(where, path, columns, encoding)
    if separator not in SEPARATORS:
        raise Unread(
            f"{where}: separator must be one of {', '.join(SEPARATORS.values())}, got {shown(separator)}",
            "{separator} names it",
        )
    places: list[int] = []
    width = least = 0
    for first, last, row in rows_in(where, path, separator, encoding):
        if not _without_blanks(row) and (len(row) != 1 or len(columns.wanted) > 1):
            continue  # an empty line, or one of separators alone
        if not places:
            places = _found(where, at(path, first), row, columns, separator)
            width, least = len(row), max(len(_without_blanks(row)), max(places) + 1)
            if columns.header:
                continue
        if len(row) < least or len(_without_blanks(row)) > width:
            raise _wrong_width(where, path, (first, last), row, width, separator)
        yield last, [row[place] for place in places]


def has_columns(where: str, path: Path, columns: Columns, encoding: str) -> tuple[bool, ...]:
    """Return which of the columns a table's first line has, each once."""
    separator = columns.separator or _separator(where, path, columns, encoding)
    if separator in SEPARATORS:
        for _, _, row in rows_in(where, path, separator, encoding):
            if _without_blanks(row):
                return tuple(place is not None for place in _places(row, columns))
    return (False,) * len(columns.wanted)


def rows_in(where: str, path: Path, separator: str, encoding: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield (first line, last line, cells) of each row."""
    last, line = 0, ""

    def lines() -> Iterator[str]:
        nonlocal last, line
        for last, line in numbered(where, path, encoding):  # noqa: B007  # errors name it
            yield line + "\n"

    # Tab-separated files have no quoting of their own: a quotation mark is one.
    if path.suffix.lower() == ".tsv" and separator == "\t":
        reader = csv.reader(lines(), delimiter=separator, quoting=csv.QUOTE_NONE, strict=True)
    else:
        reader = csv.reader(lines(), delimiter=separator, strict=True)
    while True:
        first = last + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(where, path, (first, last), line, error) from error
        yield first, last, row


def _broken(where: str, path: Path, lines: tuple[int, int], line: str, error: csv.Error) -> ValueError:
    """Return the error of a row that is none, with the line on which it begins."""
    first, last = lines
    what = "must be a row of a table"
    if "unexpected end of data" in str(error):
        return ValueError(
            f"{where}: {at(path, first)} {what}, got a quotation mark that opens there and is not closed up to the "
            f"end, line {last}; close it, or write two for one that is meant"
        )
    if "new-line character" in str(error) or "\r" in line:
        return ValueError(f"{where}: {at(path, first)} {what}, got line ends of an old Mac; save it with others")
    upto = f", of a row that begins in line {first}: is a quotation mark open there" if last > first else ""
    said = str(error).replace("\t", r"\t")  # the separator stands in it as it is
    return ValueError(f"{where}: {at(path, last)} {what}, got {said}{upto}; write two for a mark that is meant")


def _separator(where: str, path: Path, columns: Columns, encoding: str) -> str:
    """Return what parts the cells: what is usual, unless another one alone gives the columns, or more of them."""
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    fit = {separator: _fit(where, path, separator, columns, encoding) for separator in SEPARATORS}
    best = [separator for separator, count in fit.items() if count == max(fit.values())]
    return best[0] if len(best) == 1 else usual


def _fit(where: str, path: Path, separator: str, columns: Columns, encoding: str) -> int:
    """Return how many columns a separator gives: in the line of names or, without one, in the first rows alike."""
    widths, found = set(), len(columns.wanted)
    try:
        rows = (row for _, _, row in rows_in(where, path, separator, encoding) if _without_blanks(row))
        for row in islice(rows, 1 if columns.header else LOOKED_AT):
            found = min(found, len(columns.wanted) - _places(row, columns).count(None))
            widths.add(len(row))
    except ValueError:  # it is said when the rows are read
        return 0
    return found if len(widths) == 1 else 0


def _places(row: Sequence[str], columns: Columns) -> list[int | None]:
    """Return where each wanted column stands in the first line; None where that is not clear."""
    if not columns.header:
        found = [int(name) - 1 if name.isdecimal() and len(name) < 10 else -1 for name in columns.names]
        return [place if 0 <= place < len(row) else None for place in found]
    return [place_of(name, row) for name in columns.names]


def place_of(name: str, names: Sequence[str]) -> int | None:
    """Return where a name stands: to the letter or, if there is none, without regard to case and blanks around it."""
    for alike in (str, lambda text: text.strip().casefold()):
        places = [k for k, other in enumerate(names) if alike(other) == alike(name)]
        if places:
            return places[0] if len(places) == 1 else None
    return None


def _found(where: str, place: str, row: list[str], columns: Columns, separator: str) -> list[int]:
    """Return where the columns stand, or raise."""
    places = _places(row, columns)
    found = [k for k in places if k is not None]
    if len(found) == len(places):
        return found
    got = shown(", ".join(row), 100) if row else "none"
    if not columns.header:
        raise Unread(
            f"{where}: {place} must have columns {' and '.join(columns.names)}, numbers from 1 to {len(row)}, got "
            f"{got}",
            f"without a line of names {columns.options} give their numbers, such as 1 and 2",
        )
    raise Unread(
        f"{where}: {place} must name the column {shown(columns.names[places.index(None)], 40)} once, got {got}",
        f"{columns.options} say which columns to read, {{separator}} what parts them (here {SEPARATORS[separator]}), "
        "{header} that there are no names",
    )


def _without_blanks(row: list[str]) -> list[str]:
    """Return a row without the empty cells at its end, which separators too many make."""
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]


def _wrong_width(
    where: str, path: Path, lines: tuple[int, int], row: list[str], width: int, separator: str
) -> ValueError:
    first, last = lines
    marks = path.suffix.lower() != ".tsv" or separator != "\t"  # as in `rows_in`
    begun = f" (the row begins in line {first}: is a quotation mark open there?)" if last > first else ""
    return Unread(
        f"{where}: {at(path, last)} must have {width} columns, as the first line, got {len(row)}{begun}",
        f"put a text that has {SEPARATORS[separator]} in it into quotation marks"
        if marks
        else "a .tsv has no quotation marks to hold a tab or a line's end in a text: save it as .csv",
    )
