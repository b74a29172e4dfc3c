"""Time stamps: a dimension of ``(stamp,number)`` pairs becomes numbers at equal steps, or is refused.

A network counts steps and knows no clock. So stamps must lie on a grid, the same for the whole file; where the grid has
a place without a pair, a number is missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from ....foreign import shown
from ..lines import Unread, at
from .cells import WAY_OUT, numbers_in

PAIR = re.compile(r"\(([^(),]*),([^(),]*)\)")
PIECE = re.compile(r"\([^()]*\)|[^():]+|[:()]")

CLOSE = 1e-4
"""How far from the grid a stamp may be, in steps: decimal fractions are rounded."""

SPARSE = 100
"""Places of a grid there may be for each pair."""

GRIDS = "resample the series to equal steps, or leave the stamps out if they don't matter"


def parted(text: str) -> list[str]:
    """Return the parts of a line between colons; within parentheses a colon is a part of a time."""
    parts: list[list[str]] = [[]]
    for piece in PIECE.findall(text):
        if piece == ":":
            parts.append([])
        else:
            parts[-1].append(piece)
    return ["".join(part) for part in parts]


def _first_hole(steps: np.ndarray) -> int:
    """Return the first of the steps from 0 on that isn't among these, which rise."""
    off = np.flatnonzero(steps != np.arange(len(steps)))
    return int(off[0]) if len(off) else len(steps)


class Clock:
    """Brings the cases of one file to equal steps: the step is the smallest between two stamps of its first case."""

    def __init__(self, where: str, path: Path) -> None:
        self.where = where
        self.path = path
        self.step: float | None = None
        self.line = 0

    def values(self, line: int, parts: Sequence[str], of: Sequence[str], missing: str) -> np.ndarray:
        """Return a case (T, I) on its grid, NaN where it has no pair.

        Raises
        ------
        ValueError
            A pair is broken, stamps don't rise or aren't on a grid, the step is another than in the cases before, or a
            place is empty and nothing may be missing.
        """
        where, path = self.where, self.path
        pairs = [self._pairs(line, part, name) for part, name in zip(parts, of, strict=True)]
        times = [stamps for stamps, _ in pairs]
        begin = min((stamps[0] for stamps in times if len(stamps)), default=0.0)
        gaps = np.concatenate([np.diff(stamps) for stamps in times])
        step = float(gaps.min()) if len(gaps) else self.step or 1.0
        if self.step is not None and len(gaps):
            multiple = step / self.step
            whole = 1 if missing == "refuse" else max(1, round(multiple))
            if abs(multiple - whole) > CLOSE:
                raise ValueError(
                    f"{where}: {at(path, line)} must have time stamps {self.step:g} apart, as line {self.line} has, "
                    f"got {step:g}; {GRIDS}"
                )
            step = self.step
        elif len(gaps):
            self.step, self.line = step, line
        places = [(stamps - begin) / step for stamps in times]
        most = max((round(float(place[-1])) + 1 for place in places if len(place)), default=1)
        for place, name in zip(places, of, strict=True):
            off = abs(place - np.round(place)) > CLOSE
            if len(place) and (off.any() or most > SPARSE * sum(map(len, places))):
                k = int(off.argmax()) if off.any() else len(place) - 1
                raise ValueError(
                    f"{where}: {at(path, line)} must have time stamps at equal steps, got one {float(place[k]):g} "
                    f"steps of {step:g} from the first{name}; {GRIDS}"
                )
        taken = [np.round(place).astype(np.int64) for place in places]
        holes = [(_first_hole(steps), d) for d, steps in enumerate(taken) if len(steps) < most]
        if missing == "refuse" and holes:  # before there is a grid, which may be far larger than the file
            t, d = min(holes)
            raise Unread(
                f"{where}: {at(path, line)} must have time stamps without a gap, got none for step {t}{of[d]}, "
                f"counted in steps of {step:g}",
                WAY_OUT,
            )
        grid = np.full((most, len(parts)), np.nan)
        for d, (steps, (_, values)) in enumerate(zip(taken, pairs, strict=True)):
            grid[steps, d] = values
        return grid

    def _pairs(self, line: int, part: str, of: str) -> tuple[np.ndarray, np.ndarray]:
        """Return stamps and numbers (n,) of a dimension."""
        found = PAIR.findall(part)
        if PAIR.sub("", part).replace(",", "").strip():
            raise ValueError(
                f"{self.where}: {at(self.path, line)} must have pairs (stamp,number){of}, as @timeStamps says, got "
                f"{shown(part.strip(), 60)}"
            )
        stamps = np.array([self._time(line, stamp.strip(), of) for stamp, _ in found])
        if (back := np.diff(stamps) <= 0).any():
            stamp = found[int(back.argmax()) + 1][0].strip()
            raise ValueError(
                f"{self.where}: {at(self.path, line)} must have time stamps that rise, got {shown(stamp, 40)} behind a "
                f"later or the same{of}"
            )
        return stamps, numbers_in(self.where, self.path, line, [value for _, value in found], of)

    def _time(self, line: int, stamp: str, of: str) -> float:
        """Return a number, or the seconds of a date."""
        try:
            value = float(stamp)
        except ValueError:
            try:
                moment = datetime.fromisoformat(stamp)
                value = (moment.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
            except (ValueError, OverflowError):
                value = float("nan")
        if not abs(value) < 1e15:
            raise ValueError(
                f"{self.where}: {at(self.path, line)} must have a number or a date, 2026-01-31 12:00:00, as time stamp"
                f"{of}, got {shown(stamp, 40)}"
            )
        return value
