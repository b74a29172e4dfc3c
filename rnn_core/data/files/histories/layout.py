"""Which column of a table is what: time, series, value, and covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ....foreign import shown
from ..labels import MISSING
from ..lines import Unread, at
from ..series.cells import GAPS
from ..tables import LOOKED_AT, SEPARATORS, place_of, rows_in
from .clock import moment_of

TIME = ("time", "date", "datetime", "timestamp", "ds", "month", "year", "day", "week", "quarter", "period")
SERIES = ("series", "unique_id", "series_id", "item_id", "id")
VALUE = ("value", "y", "target")
"""What columns are usually called, in any case."""


@dataclass(frozen=True)
class TableLayout:
    """Where what stands in a row.

    Attributes
    ----------
    separator : str
    header : bool
        Whether the first line names the columns.
    names : tuple of str
        Of the columns, or their numbers from 1 on.
    time, series : int or None
    values : tuple of int
        One, or one a series where there is no column for these.
    past, known : tuple of int
    """

    separator: str
    header: bool
    names: tuple[str, ...]
    time: int | None
    series: int | None
    values: tuple[int, ...]
    past: tuple[int, ...]
    known: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """What a user says of a table; None where it is to be found out."""

    time: str | None
    series: str | None
    value: str | None
    past: tuple[str, ...]
    known: tuple[str, ...]
    stamps: bool
    decimal: str
    separator: str | None
    header: bool | None
    encoding: str


def layout_of(where: str, path: Path, asked: Asked) -> TableLayout:
    """Return where what stands, found out by the first rows.

    Raises
    ------
    Unread
        A column is not there, or which of them is meant is not clear.
    ValueError
        The file is empty, or in another encoding.
    """
    separator = asked.separator or _separator(where, path, asked)
    rows = [(first, row) for first, _, row in islice(rows_in(where, path, separator, asked.encoding), LOOKED_AT)]
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise ValueError(f"{where}: {at(path, 1)} must have a number, got none")
    line, first = rows[0]
    header = asked.header
    if header is None:
        header = not all(is_value(cell, asked.decimal) or moment_of(cell.strip()) is not None for cell in first)
    names = tuple(cell.strip() for cell in first) if header else tuple(str(k) for k in range(1, len(first) + 1))
    place = at(path, line)

    def column(name: str, option: str) -> int:
        found = place_of(name, names)
        if found is None:
            raise Unread(
                f"{where}: {place} must have the column {shown(name, 40)} once, got {shown(', '.join(names), 100)}",
                f"{{{option}}} names it, {{separator}} what parts the cells",
            )
        return found

    past, known = (tuple(column(name, what) for name in getattr(asked, what)) for what in ("past", "known"))
    taken: set[int | None] = {*past, *known}
    series = column(asked.series, "series") if asked.series is not None else _usual(names, SERIES, taken)
    value = column(asked.value, "value") if asked.value is not None else _usual(names, VALUE, taken)
    if value is None and asked.series is None:
        series = None  # a table with a column for each series may call one of them "id"
    time = column(asked.time, "time") if asked.time is not None else _usual(names, TIME, taken | {series, value})
    if time is None and asked.time is None and len(names) > 1:
        body = rows[1][1] if header and len(rows) > 1 else first
        free = next((k for k in range(len(names)) if k not in taken | {series, value}), None)
        if free is not None and free < len(body):
            cell = body[free].strip()
            time = free if not is_value(cell, asked.decimal) and moment_of(cell) is not None else None
    taken |= {time, series}
    values = (value,) if value is not None else tuple(k for k in range(len(names)) if k not in taken)
    if not values or (series is not None and len(values) > 1):
        raise Unread(
            f"{where}: {place} must have a column of values, got {shown(', '.join(names), 100)}",
            "{value} names it, {series} that of the series' names and {time} that of the time stamps",
        )
    first_places: dict[str, int] = {}
    for k, name in enumerate(names):
        first_places.setdefault(name, k)
    doubled = [names[k] for k in values if first_places[names[k]] != k]
    if doubled:
        raise ValueError(f"{where}: {place} must give columns names of their own, got {shown(doubled[0], 40)} twice")
    return TableLayout(separator, header, names, time if asked.stamps else None, series, values, past, known)


def is_value(cell: str, decimal: str) -> bool:
    """Return whether a cell is a number, or says that one is missing."""
    cell = cell.strip()
    if is_gap(cell):
        return True
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def is_gap(cell: str) -> bool:
    """Return whether a cell says that a number is missing."""
    return cell.lower() in GAPS or cell in MISSING


def _usual(names: Sequence[str], usual: Sequence[str], without: set[int | None]) -> int | None:
    """Return the first column that has a usual name."""
    free = {name.strip().casefold(): k for k, name in reversed(list(enumerate(names))) if k not in without}
    return next((free[name] for name in usual if name in free), None)


def _separator(where: str, path: Path, asked: Asked) -> str:
    """Return what parts the cells: what gives each of the first rows the most columns, and if possible as many."""
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    widths: dict[str, tuple[int, bool]] = {}
    for separator in sorted(SEPARATORS, key=lambda separator: separator != usual):
        if separator == asked.decimal:
            continue
        try:
            rows = [row for _, _, row in islice(rows_in(where, path, separator, asked.encoding), LOOKED_AT)]
        except ValueError:  # it is said when the rows are read
            continue
        found = {len(row) for row in rows if row}
        widths[separator] = min(found, default=0), len(found) == 1
    if not widths:
        return usual if usual != asked.decimal else ";"
    return max(widths, key=lambda separator: widths[separator])
