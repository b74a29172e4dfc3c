"""How far a claimed gradient is from its reference, and the table that says so."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..layers.home import to_host

RANGE = 1e-2
"""An element this much smaller than its row's largest has lost digits to cancellation."""


@dataclass(frozen=True)
class GradientRow:
    """One gradient, ∂⟨u, upstream⟩/∂name, and how well it agrees."""

    upstream: str
    name: str
    size: int  # elements compared
    error: float  # the largest relative error
    place: tuple[int, ...]  # of the largest error
    unresolved: int  # elements too small for the method or the dtype to tell from what is claimed
    passed: bool


@dataclass(frozen=True)
class GradientReport:
    """The result of `gradcheck`: truthy where every gradient passed, and a table as a string."""

    name: str
    method: str
    dtype: str
    tolerance: float
    rows: tuple[GradientRow, ...]

    @property
    def passed(self) -> bool:
        """Whether every judged element is within the tolerance, and each output's gradients have such elements."""
        judged = {row.upstream for row in self.rows if row.size}
        return all(row.passed and row.upstream in judged for row in self.rows)

    @property
    def worst(self) -> GradientRow:
        """The row with the largest error."""
        return max(self.rows, key=lambda row: row.error)

    @property
    def size(self) -> int:
        """How many elements were compared."""
        return sum(row.size for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"{self.name}, {self.dtype}, {self.method}: tolerance {self.tolerance:.0e}")
        for heading in ("upstream", "gradient of", "elements", "largest error", "at", ""):
            table.add_column(heading, justify="right" if heading in ("elements", "largest error") else "left")
        for row in self.rows:
            judged = ("passed" if row.size else "not judged") if row.passed else "FAILED"
            note = f"{judged}, {row.unresolved} too small to tell" if row.unresolved else judged
            place = ", ".join(map(str, row.place))
            table.add_row(row.upstream, row.name, str(row.size), f"{row.error:.1e}", f"[{place}]", note)
        console = Console(file=io.StringIO(), width=100, highlight=False, markup=False)
        console.print(table)
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]


def scale_of(reference: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return what each element's error is measured against: itself or, where it has cancelled, its row.

    A row is the last axis: for a sequence the same batch row and time step, for a weight the same unit. An element
    within `RANGE` of its row's largest is measured against itself. A smaller one is what is left of terms that
    cancelled; its last digits are rounding, and it is measured against the row's largest. Where a whole row has
    cancelled, `RANGE` times its largest sum of absolute terms stands in for that::

        scale = max(|g| if |g| ≥ RANGE·max_row |g| else max_row |g|,  RANGE·max_row Σ|terms|)        (K4)

    There is no absolute floor: in a row of 1e-40, an error of 1e-41 counts as 10 %. A row without any terms, all
    zeros, has scale 0 and must be matched exactly.

    Parameters
    ----------
    reference, terms : ndarray
        The reference, and the sum of the absolute values of its terms.
    """
    size = abs(reference)
    largest = _row_max(size)
    return np.maximum(np.where(size >= RANGE * largest, size, largest), RANGE * _row_max(terms))  # (K4)


def relative_error(claimed: np.ndarray, reference: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return ``|claimed − reference| / scale``; infinite where the claim is not a number, or the scale is 0."""
    difference = abs(claimed - reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(difference == 0, 0.0, difference / scale)
    return np.where(np.isnan(error), np.inf, error)


def compare(
    upstream: str,
    name: str,
    claimed: np.ndarray,
    reference: np.ndarray,
    terms: np.ndarray,
    tolerance: float,
    resolution: float,
) -> GradientRow:
    """Compare one gradient with its reference.

    Where both the scale and the difference are below `resolution`, an element is counted and not judged. A larger
    difference is judged, and so fails: a gradient that ought to have vanished must have.
    """
    claimed = np.asarray(to_host(claimed), np.float64)
    if claimed.shape != reference.shape:
        return GradientRow(upstream, name, reference.size, np.inf, (), 0, False)
    known = ~np.isnan(reference)  # the rest is where central differences met a kink
    reference = np.where(known, reference, 0.0)
    scale = scale_of(reference, terms)
    difference = abs(claimed - reference)
    judged = known & ((scale >= resolution) | ~(difference < resolution) | (difference == 0))  # a claimed NaN is judged
    error = np.where(judged, relative_error(claimed, reference, scale), 0.0)
    place = tuple(int(k) for k in np.unravel_index(int(error.argmax()), error.shape))
    worst, hidden = float(error[place]), int(np.sum(~judged))
    return GradientRow(upstream, name, error.size - hidden, worst, place, hidden, worst <= tolerance)


def _row_max(array: np.ndarray) -> np.ndarray:
    return array.max(axis=-1, keepdims=True) if array.ndim else array
