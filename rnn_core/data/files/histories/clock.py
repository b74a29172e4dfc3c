"""Time stamps: numbers, dates, months and quarters, on a grid of equal steps; what is not there is named."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....foreign import shown
from ..lines import Unread, at

MONTH = re.compile(r"(\d{4})[-/.]?[Mm]?(\d{1,2})")
QUARTER = re.compile(r"(\d{4})[-/ ]?[Qq]([1-4])")
EPOCH = datetime(1970, 1, 1)

CLOSE = 1e-4
"""How far from the grid a stamp may be, in steps: decimal fractions are rounded."""

SPARSE = 100
"""Places of a grid there may be for each row."""

MONTHS = ((12, "year"), (1, "month"))
SECONDS = ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
"""Units of a step, the largest first, and what each has of the smallest."""

SEASONS_OF_MONTHS = {1: 12, 3: 4}
"""Steps of a season, a year, by a step's months."""

SEASONS_OF_SECONDS = {900: 96, 1800: 48, 3600: 24, 86_400: 7, 604_800: 52}
"""Steps of a season, a day, a week or a year, by a step's seconds."""

WAY_OUT = (
    "{gaps='missing'} takes what is between for missing values, and with {stamps=False} the rows are the steps, "
    "whatever their stamps say"
)


WAY_OUT_KNOWN = (
    "give each a row, with an empty cell for its value and its covariates that are known in advance, and with "
    "{stamps=False} the rows are the steps, whatever their stamps say"
)
"""Where a step without a row would be one without a covariate that must be there."""


class Stamp(NamedTuple):
    """A time stamp: the line on which it stands, its text, and what that says, a number or a moment."""

    line: int
    text: str
    moment: float | datetime


def stamp_in(where: str, path: Path, line: int, text: str) -> Stamp:
    """Return a time stamp.

    Raises
    ------
    ValueError
        It is no number, no date of ISO 8601, no month and no quarter.
    """
    text = text.strip()
    found = moment_of(text)
    if found is None:
        raise Unread(
            f"{where}: {at(path, line)} must have a time stamp, a number or a date such as 2026-01-31, 2026-01 or "
            f"2026Q1, got {shown(text, 40)}",
            "{time} names the column, and with {stamps=False} the rows are the steps",
        )
    return Stamp(line, text, found)


def moment_of(text: str) -> float | datetime | None:
    """Return what a time stamp says; None where it is none."""
    try:
        value = float(text)
        return value if abs(value) < 1e15 and "_" not in text else None
    except ValueError:
        pass
    try:
        if found := QUARTER.fullmatch(text):
            return datetime(int(found[1]), 3 * int(found[2]) - 2, 1)
        if found := MONTH.fullmatch(text):
            return datetime(int(found[1]), int(found[2]), 1)
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


class Clock:
    """Finds the step of a file's stamps, the most frequent one, and the place of each on the grid that it makes.

    Parameters
    ----------
    where : str
        What errors name.
    path : Path
    series : sequence of sequences of Stamp
        Of each series, as they stand in the file.

    Raises
    ------
    ValueError
        Stamps don't rise, or are numbers in one line and dates in another.
    """

    def __init__(self, where: str, path: Path, series: Sequence[Sequence[Stamp]]) -> None:
        self.where, self.path = where, path
        every = [stamp for stamps in series for stamp in stamps]
        first = every[0]
        for stamp in every:
            if isinstance(stamp.moment, float) != isinstance(first.moment, float):
                raise ValueError(
                    f"{where}: {at(path, stamp.line)} must have a time stamp of the same kind as line {first.line}, "
                    f"{shown(first.text, 40)}, got {shown(stamp.text, 40)}"
                )
        self.months = not isinstance(first.moment, float) and _on_one_day([stamp.moment for stamp in every])
        gaps: Counter[float] = Counter()
        for stamps in series:
            values = [self._value(stamp) for stamp in stamps]
            for before, stamp, gap in zip(stamps, stamps[1:], np.diff(values).tolist(), strict=False):
                if gap <= 0:
                    what = "twice" if gap == 0 else f"behind {shown(before.text, 40)}"
                    raise ValueError(
                        f"{where}: {at(path, stamp.line)} must have a later time stamp than line {before.line}, got "
                        f"{shown(stamp.text, 40)} {what}; sort the rows, and let each series have a step once"
                    )
                gaps[round(gap, 6) or gap] += 1
        if self.months and any(gap < 1 for gap in gaps):
            self.months = False
        self.step = min(gaps, key=lambda gap: (-gaps[gap], gap), default=1.0)

    def places(self, stamps: Sequence[Stamp], gaps: str, known: bool = False) -> np.ndarray:
        """Return the steps at which a series' rows stand, from 0 on; `known` says that covariates are, in advance.

        Raises
        ------
        ValueError
            A stamp is off the grid, or steps are missing and may not be.
        """
        values = np.array([self._value(stamp) for stamp in stamps])
        exact = (values - values[0]) / self.step
        places = np.round(exact)
        off = abs(exact - places) > CLOSE
        if off.any() or places[-1] > SPARSE * len(places):
            k = int(off.argmax()) if off.any() else len(places) - 1
            raise Unread(
                f"{self.where}: {at(self.path, stamps[k].line)} must have a time stamp a whole number of steps of "
                f"{self.named_step} behind {shown(stamps[0].text, 40)} in line {stamps[0].line}, got "
                f"{shown(stamps[k].text, 40)}",
                "resample the series to equal steps; with {stamps=False} the rows are the steps",
            )
        jumps = np.diff(places) > 1
        if jumps.any() and gaps == "refuse":
            k = int(jumps.argmax())
            missing = int(places[k + 1] - places[k]) - 1
            raise Unread(
                f"{self.where}: {at(self.path, stamps[k + 1].line)} must come {self.named_step} behind "
                f"{shown(stamps[k].text, 40)}, got {shown(stamps[k + 1].text, 40)}: {missing} "
                f"step{'s are' if missing > 1 else ' is'} missing",
                WAY_OUT_KNOWN if known else WAY_OUT,
            )
        return places.astype(np.int64)

    @property
    def named_step(self) -> str:
        """The step in words."""
        if not self._dates:
            return f"{self.step:g}"
        units = MONTHS if self.months else SECONDS
        size, unit = next((size, unit) for size, unit in units if self.step % size == 0 or size <= 1)
        count = self.step / size
        return f"{count:g} {unit}{'' if count == 1 else 's'}"

    _dates = False

    def _value(self, stamp: Stamp) -> float:
        """Return a stamp as a number: of months, of seconds, or as it is."""
        moment = stamp.moment
        if isinstance(moment, float):
            return moment
        self._dates = True
        return 12.0 * moment.year + moment.month if self.months else (moment - EPOCH).total_seconds()


def _on_one_day(moments: Sequence[float | datetime]) -> bool:
    """Return whether moments are all of one day of the month, or all of its last, at one time of the day."""
    dates = [moment for moment in moments if isinstance(moment, datetime)]
    if len({date.time() for date in dates}) > 1:
        return False
    return len({date.day for date in dates}) == 1 or all((date + timedelta(days=1)).day == 1 for date in dates)


def usual_season(times: Sequence[str] | None) -> int:
    """Return how many steps a season has, as time stamps tell: twelve months, four quarters, seven days; 1 for others.

    It is the step between the first two that counts.
    """
    first, second = map(moment_of, (times or ())[:2]) if len(times or ()) > 1 else (None, None)
    if not isinstance(first, datetime) or not isinstance(second, datetime):
        return 1
    months = 12 * (second.year - first.year) + second.month - first.month
    if months and _on_one_day([first, second]):
        return SEASONS_OF_MONTHS.get(months, 1)
    return SEASONS_OF_SECONDS.get(round((second - first).total_seconds()), 1)
