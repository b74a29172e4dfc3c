"""What every format of series ends in: a case, its numbers, and what becomes of those that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....foreign import shown
from ..lines import Unread, at

GAPS = frozenset({"", "?", "nan", "+nan", "-nan"})
"""What stands in a file where a number is missing, in any case."""

MISSING = ("refuse", "drop", "interpolate", "mask")
"""What can be done about it."""

MOST = float(np.finfo(np.float32).max)
"""The largest number that is read: beyond it float32 has none."""

WAY_OUT = "{missing='drop'}, {missing='interpolate'} or {missing='mask'} reads series with gaps"


class Case(NamedTuple):
    """A series as it stands in a file: numbers (T, I), NaN where one is missing; its label, if any; its line."""

    values: np.ndarray
    label: str | None
    line: int


class Content(NamedTuple):
    """What is in a file: the classes that it declares, as keys, if it does; in which line; and its cases one by one."""

    declared: dict[str, None] | None  # there may be many, and each case asks for its own
    line: int
    cases: Iterator[Case]


def numbers_in(where: str, path: Path, line: int, cells: Sequence[str], of: str = "") -> np.ndarray:
    """Return cells as numbers (T,), NaN where one is missing.

    Raises
    ------
    ValueError
        A cell is something else, or a number that float32 can't hold; the message names its step and `of`.
    """
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError:
        values = np.array([_number(where, path, line, cell, f"step {t}{of}") for t, cell in enumerate(cells)])
    if "_" in "".join(cells):  # Python's own way to write 1_000
        t = next(t for t, cell in enumerate(cells) if "_" in cell)
        raise ValueError(f"{where}: {at(path, line)} must have a number for step {t}{of}, got {shown(cells[t], 40)}")
    if (beyond := abs(values) > MOST).any():  # NaN is not
        t = int(beyond.argmax())
        raise ValueError(
            f"{where}: {at(path, line)} must have a finite number for step {t}{of}, at most {MOST:.2g} as float32 has "
            f"them, got {shown(cells[t].strip(), 40)}"
        )
    return values


def _number(where: str, path: Path, line: int, cell: str, what: str) -> float:
    if cell.strip().lower() in GAPS:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise ValueError(
            f"{where}: {at(path, line)} must have a number for {what}, got {shown(cell.strip(), 40)}"
        ) from None


def without_padding(values: np.ndarray) -> np.ndarray:
    """Return a case (T, I) without the steps at its end in which nothing was seen."""
    if len(values) and values[-1, 0] == values[-1, 0]:
        return values
    seen = np.flatnonzero(~np.isnan(values).all(axis=1))
    return values[: seen[-1] + 1] if len(seen) else values[:0]


def filled(where: str, path: Path, line: int, values: np.ndarray, missing: str) -> np.ndarray | None:
    """Return a case (T, I) in which every number is there; None where it is to be dropped.

    Parameters
    ----------
    where, path, line
        What an error names.
    values : ndarray, shape (T, I)
        NaN where a number is missing.
    missing : str
        One of `MISSING`. With "mask" the result has 2·I features: the numbers, where one is missing the last before it
        (or the first, or 0 where the dimension has none), and for each 1 if it was seen or 0.

    Raises
    ------
    ValueError
        A number is missing, and none may; or there is nothing to interpolate from.
    """
    gaps = np.isnan(values)
    if missing == "mask":
        held = np.stack([_held(column) for column in values.T], axis=1)
        return np.concatenate([held, (~gaps).astype(np.float64)], axis=1)
    if not gaps.any():
        return values
    if missing == "drop":
        return None
    if missing == "refuse":
        t, d = (int(k) for k in np.argwhere(gaps)[0])
        of = f" of dimension {d + 1}" if values.shape[1] > 1 else ""
        raise Unread(
            f"{where}: {at(path, line)} must have a number for step {t}{of}, got none (NaN, ? or a blank)", WAY_OUT
        )
    return np.stack([_interpolated(where, path, line, column, d) for d, column in enumerate(values.T, 1)], axis=1)


def _held(column: np.ndarray) -> np.ndarray:
    seen = np.flatnonzero(~np.isnan(column))
    if not len(seen):
        return np.zeros_like(column)
    latest = np.maximum(np.searchsorted(seen, np.arange(len(column)), side="right") - 1, 0)
    return np.asarray(column[seen[latest]])


def _interpolated(where: str, path: Path, line: int, column: np.ndarray, dimension: int) -> np.ndarray:
    seen = np.flatnonzero(~np.isnan(column))
    if not len(seen):
        raise Unread(
            f"{where}: {at(path, line)} must have a number in dimension {dimension} to interpolate from, got none",
            "{missing='drop'} or {missing='mask'} reads it",
        )
    return np.interp(np.arange(len(column)), seen, column[seen])


def side_by_side(
    where: str, path: Path, line: int, columns: Sequence[np.ndarray], missing: str, what: str = "dimension"
) -> np.ndarray:
    """Return dimensions (T_d,) as a case (T, I); what a shorter one lacks at its end is missing.

    Raises
    ------
    ValueError
        Their lengths differ, and nothing may be missing.
    """
    if len(columns) == 1:
        return columns[0][:, None]
    lengths = [len(column) for column in columns]
    most = max(lengths)
    usual = max(set(lengths), key=lambda length: (lengths.count(length), length))
    if missing == "refuse" and (odd := [d for d, length in enumerate(lengths) if length != usual]):
        raise Unread(
            f"{where}: {at(path, line)} must have {what}s of one length, got {lengths[odd[0]]} steps in {what} "
            f"{odd[0] + 1} and {usual} in {'the other' if len(lengths) == 2 else 'most others'}",
            f"{WAY_OUT}, and takes what is too short for one",
        )
    values = np.full((most, len(columns)), np.nan)
    for d, column in enumerate(columns):
        values[: len(column), d] = column
    return values
