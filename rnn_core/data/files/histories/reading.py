"""`read_time_series`: one or many series over time, from a table or a plain column of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....foreign import shown
from ...forecasting import TimeSeries
from ..lines import Place, Unread, at, empty, existing, named, remark
from ..series.cells import MOST
from ..tables import SEPARATORS, rows_in
from .clock import Clock, Stamp, stamp_in
from .layout import Asked, TableLayout, is_gap, layout_of

ENDINGS = (".csv", ".tsv", ".txt", "")
GAPS = ("refuse", "missing")
"""What becomes of steps for which there is no row."""


class Row(NamedTuple):
    """A row of one series."""

    line: int
    stamp: Stamp | None
    value: float
    past: list[float]
    known: list[float]


def read_time_series(
    path: Place,
    *,
    time: str | None = None,
    series: str | None = None,
    value: str | None = None,
    past: Iterable[str] = (),
    known: Iterable[str] = (),
    gaps: str = "refuse",
    stamps: bool = True,
    decimal: str = ".",
    separator: str | None = None,
    header: bool | None = None,
    encoding: str = "utf-8",
) -> list[TimeSeries]:
    """Read series that are to be forecast.

    Parameters
    ----------
    path : path
        ``.csv``, ``.tsv`` or ``.txt``; a row is a step. Either a column for each series; or one for values, one that
        names the series of each row, if there are several, and covariates; or a plain column of numbers.
    time : str, optional
        The column of time stamps: numbers, dates of ISO 8601, months (2026-01) or quarters (2026Q1). By default one
        that is called time, date, ds, … or has dates in it.
    series, value : str, optional
        The columns of names and of values. By default those called series, unique_id, … and value, y or target; where
        there is no column of values, each but the others is a series.
    past, known : iterable of str
        Columns of covariates: known up to now, and in advance. Rows at the end that have no value are steps for which
        the latter are known, the horizon's for instance.
    gaps : {"refuse", "missing"}
        What becomes of steps for which there is no row: an error that names them, or missing values.
    stamps : bool
        Without it the rows are the steps, and no stamp is read.
    decimal : {".", ","}
    separator : str, optional
        What parts cells; found out where it is not given.
    header : bool, optional
        Whether the first line names the columns; found out where it is not given. Without names columns are "1", "2", …
    encoding : str

    Returns
    -------
    list of TimeSeries
        In the order of the file, NaN where a cell is empty or says NaN, NA or the like.

    Warns
    -----
    FileWarning
        Steps without a row were taken for missing values.

    Raises
    ------
    ValueError
        A cell is no number, stamps don't rise, come twice or are off their grid, steps are missing, a column is not
        there, or a covariate that is known in advance is missing: file and line are named.
    FileNotFoundError
        There is no such file.
    """
    where, place = "read_time_series", existing("read_time_series", path)
    if place.is_dir() or place.suffix.lower() not in ENDINGS:
        raise ValueError(f"{where}: path must be a table, {', '.join(ENDINGS[:3])}, got {named(place)}")
    if gaps not in GAPS or decimal not in (".", ","):
        name, found, allowed = ("gaps", gaps, GAPS) if gaps not in GAPS else ("decimal", decimal, (".", ","))
        raise ValueError(f"{where}: {name} must be one of {', '.join(map(repr, allowed))}, got {shown(found)}")
    if separator is not None and (separator not in SEPARATORS or separator == decimal):
        raise ValueError(
            f"{where}: separator must be one of {', '.join(map(repr, SEPARATORS))}, and not the decimal sign, got "
            f"{shown(separator)}"
        )
    asked = Asked(time, series, value, tuple(past), tuple(known), stamps, decimal, separator, header, encoding)
    layout = layout_of(where, place, asked)
    rows: dict[str, list[Row]] = {}
    for name, row in _rows(where, place, layout, asked):
        rows.setdefault(name, []).append(row)
    if not rows:
        raise empty(where, place, "a row of numbers")
    clock = None
    if layout.time is not None:
        clock = Clock(where, place, [[row.stamp for row in some if row.stamp] for some in rows.values()])
    return [_series(where, place, name, some, clock, gaps) for name, some in rows.items()]


def _rows(where: str, path: Path, layout: TableLayout, asked: Asked) -> Iterator[tuple[str, Row]]:
    """Yield the name of a series and a row of it; of a row with several series one each."""
    width, blank, alone = len(layout.names), 0, len(layout.names) == 1
    names = layout.names if layout.header or len(layout.values) > 1 else (path.stem,) * width
    for number, (line, _, row) in enumerate(rows_in(where, path, layout.separator, asked.encoding)):
        if not any(cell.strip() for cell in row):
            blank = blank or line
            continue
        if number == 0 and layout.header:
            continue
        if blank and alone:  # in a column of numbers it may stand for one
            raise ValueError(
                f"{where}: {at(path, blank)} must have a number, got a blank line; NaN says that one is missing"
            )
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise Unread(
                f"{where}: {at(path, line)} must have {width} columns, as the first line, got {len(row)}",
                "{separator} says what parts them, {decimal} what marks a fraction",
            )

        def cells(columns: tuple[int, ...], line: int = line, row: list[str] = row) -> list[float]:
            return [_number(where, path, line, row[k], layout.names[k], asked.decimal) for k in columns]

        stamp = None if layout.time is None else stamp_in(where, path, line, row[layout.time])
        past, known = cells(layout.past), cells(layout.known)
        for k, value in zip(layout.values, cells(layout.values), strict=True):
            name = names[k] if layout.series is None else row[layout.series].strip()
            if layout.series is None and layout.header and not name:
                name = str(k + 1)
            if not name:
                raise ValueError(f"{where}: {at(path, line)} must name its series, got a blank cell")
            yield name, Row(line, stamp, value, past, known)


def _series(where: str, path: Path, name: str, rows: list[Row], clock: Clock | None, gaps: str) -> TimeSeries:
    """Return a series of its rows, each at its step."""
    places = np.arange(len(rows))
    if clock is not None:
        places = clock.places([row.stamp for row in rows if row.stamp], gaps, bool(rows[0].known))
    steps = int(places[-1]) + 1
    values = np.full(steps, np.nan)
    values[places] = [row.value for row in rows]
    columns = {}
    for what in ("past", "known"):
        columns[what] = np.full((steps, len(getattr(rows[0], what))), np.nan)
        columns[what][places] = [getattr(row, what) for row in rows]
    past, known = columns["past"], columns["known"]
    seen = np.flatnonzero(~np.isnan(values))
    if not len(seen):
        raise ValueError(f"{where}: {named(path)} must have a value of {shown(name, 40)}, got none in {len(rows)} rows")
    end = int(seen[-1]) + 1 if known.shape[1] else steps
    if (bad := np.isnan(known).any(axis=1)).any():
        step = int(bad.argmax())
        row = rows[int(np.searchsorted(places, step))]
        lacks = "a number for each covariate that is known in advance"
        got, way_out = "an empty cell", "{past} takes what may be missing"
        if step not in places:
            got = "no row for the step before"
            way_out = (
                "{gaps='missing'} lets a value be missing, not these: give the step a row with its covariates and an "
                "empty cell for its value; {past} takes what may be missing"
            )
        raise Unread(f"{where}: {at(path, row.line)} must have {lacks}, got {got}", way_out)
    if len(places) < steps:
        remark(where, f"{steps - len(places):,} steps of {shown(name, 40)} have no row in {named(path)}: missing")
    texts: list[str] = [""] * steps
    for k, row in zip(places, rows, strict=True):
        texts[k] = row.stamp.text if row.stamp else str(row.line)
    stamps = None if clock is None else texts[:end]
    return TimeSeries(values[:end], past=past[:end], known=known, name=name, times=stamps)


def _number(where: str, path: Path, line: int, cell: str, column: str, decimal: str) -> float:
    """Return a cell as a number, NaN where it says that one is missing."""
    cell = cell.strip()
    if is_gap(cell):
        return float("nan")
    text = cell if decimal == "." else cell.replace(".", "?").replace(",", ".")  # 1.000 may be a thousand
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) <= MOST or "_" in cell:
        fraction = "," in cell or "." in cell
        hint = "{decimal} says what marks a fraction" if fraction else "an empty cell, or NaN, says that one is missing"
        raise Unread(
            f"{where}: {at(path, line)} must have a number in column {shown(column, 40)}, got {shown(cell, 40)}", hint
        )
    return value
