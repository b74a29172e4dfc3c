"""How far a claimed gradient is from its reference, and the table that says so."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..layers.home import to_host
from .diagnosis import First, Wrong, diagnose
from .places import Axes, gate_blocks

RANGE = 1e-2
"""An element this much smaller than its row's largest has lost digits to cancellation."""


@dataclass(frozen=True)
class GradientRow:
    """One gradient, ∂⟨u, upstream⟩/∂name, and how well it agrees."""

    upstream: str
    name: str
    size: int  # elements judged
    error: float  # the largest relative error
    place: tuple[int, ...]  # of the largest error
    unresolved: int  # elements not judged: too small for the method or the dtype to tell, or too close to a kink
    passed: bool
    zeros: int = 0  # elements not judged: a backward that returns nothing but zeros would pass as well
    silent: tuple[str, ...] = ()  # the gates these are of, "" where a gradient has no gates
    wrong: Wrong | None = None  # of a row that failed: what is known of it
    apart: tuple[str, ...] = ()  # the output if it depends on nothing, the value if nothing depends on it


@dataclass(frozen=True)
class GradientReport:
    """The result of `gradcheck`: truthy where every gradient passed, and a table as a string."""

    name: str
    method: str
    dtype: str
    tolerance: float
    rows: tuple[GradientRow, ...]
    first: First | None = None  # where an output has time steps and failed: the smallest case that is wrong

    @property
    def passed(self) -> bool:
        """Whether every judged element is within the tolerance, and nothing is left that was never judged."""
        return all(row.passed for row in self.rows) and not self.unjudged

    @property
    def unjudged(self) -> tuple[str, ...]:
        """What was never judged: an output none of whose gradients was, a value (or a gate of it) under any output."""
        outputs = dict.fromkeys(row.upstream for row in self.rows)
        judged = {row.upstream for row in self.rows if row.size and (not row.apart or row.upstream in row.apart)}
        found = [f"every gradient of {output}" for output in outputs if output not in judged]
        for name in dict.fromkeys(row.name for row in self.rows):
            rows = [row for row in self.rows if row.name == name and (not row.apart or name in row.apart)]
            if not any(row.size for row in rows):
                found.append(name)
            else:
                silent = [gate for gate in rows[0].silent if all(gate in row.silent for row in rows)]
                found += [f"gate {gate} of {name}" for gate in silent]
        return tuple(found)

    @property
    def worst(self) -> GradientRow:
        """The row with the largest error."""
        return max(self.rows, key=lambda row: row.error)

    @property
    def size(self) -> int:
        """How many elements were judged."""
        return sum(row.size for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for JSON."""
        return {**asdict(self), "passed": self.passed, "unjudged": self.unjudged}

    def __str__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"{self.name}, {self.dtype}, {self.method}: tolerance {self.tolerance:.0e}")
        for heading in ("upstream", "gradient of", "elements", "largest error", "at", ""):
            table.add_column(heading, justify="right" if heading in ("elements", "largest error") else "left")
        for row in self.rows:
            place = ", ".join(map(str, row.place))
            table.add_row(row.upstream, row.name, str(row.size), f"{row.error:.1e}", f"[{place}]", _verdict(row))
        console = Console(file=io.StringIO(), width=100, highlight=False, markup=False)
        console.print(table)
        lines = [console.file.getvalue().rstrip()]  # type: ignore[attr-defined]
        lines += self.first.says if self.first else ()
        for row in self.rows:
            if row.wrong is not None:
                total = row.size + row.unresolved + row.zeros
                lines.append(f"∂{row.upstream}/∂{row.name}: {row.wrong.size} of {total} elements are wrong")
                lines += [f"  {line}" for line in row.wrong.says]
        if self.unjudged:
            lines.append(f"not judged, and so not passed: {', '.join(self.unjudged)}")
            lines.append(f"  {UNJUDGED}")
        return "\n".join(lines)


UNJUDGED = (
    "a backward that returns zeros would pass there as well; give an initial state, more time steps, inputs or\n"
    "  weights that keep units alive, or leave out what nothing depends on"
)


def _verdict(row: GradientRow) -> str:
    """Return a row's judgement in a few words."""
    if not row.passed:
        return "FAILED"
    parts = ["passed" if row.size else "not judged"]
    if row.unresolved:
        parts.append(f"{row.unresolved} too small to tell")
    if row.zeros:
        parts.append(f"{row.zeros} not judged" if row.size else f"{row.zeros} zeros")
    return ", ".join(parts)


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
    axes: Axes = (),
    zero: float | None = None,
    apart: tuple[str, ...] = (),
) -> GradientRow:
    """Compare one gradient with its reference.

    Where both the scale and the difference are below `resolution`, an element is counted and not judged. A larger
    difference is judged, and so fails: a gradient that ought to have vanished must have. Where the reference has no
    terms at all, a difference is judged from `zero` on, if that is given. Nor is judged what can't
    tell a right backward from one that returns zeros: a gradient, or the part of it that is a gate's, in which no
    element would fail if 0 were claimed. Zeros beside others are judged: in the padding, of a dead unit. And so are
    those of which a `Problem` knows that they must be zeros, which `apart` says.
    """
    claimed = np.asarray(to_host(claimed), np.float64)
    if claimed.shape != reference.shape:
        return GradientRow(upstream, name, reference.size, np.inf, (), 0, False)
    known = ~np.isnan(reference)  # the rest is where central differences met a kink
    reference = np.where(known, reference, 0.0)
    scale = scale_of(reference, terms)
    difference = abs(claimed - reference)
    resolved = known & (scale >= resolution)
    least = resolution if zero is None else np.where(scale == 0, zero, resolution)
    judged = resolved | known & (~(difference < least) | (difference == 0))  # a claimed NaN is judged
    error = np.where(judged, relative_error(claimed, reference, scale), 0.0)
    hidden = int(np.sum(~judged))
    telling = resolved & (relative_error(np.zeros_like(reference), reference, scale) > tolerance)
    silent = []
    for gate, part in gate_blocks(axes, reference.shape):
        if not apart and not telling[part].any() and not (error[part] > tolerance).any():
            silent.append(gate)
            judged[part] = False
    place = tuple(int(k) for k in np.unravel_index(int(error.argmax()), error.shape))
    worst, size = float(error[place]), int(judged.sum())
    passed = worst <= tolerance
    wrong = None if passed else diagnose(claimed, reference, error, tolerance, axes)
    zeros = error.size - hidden - size
    return GradientRow(upstream, name, size, worst, place, hidden, passed, zeros, tuple(silent), wrong, apart)


def _row_max(array: np.ndarray) -> np.ndarray:
    return array.max(axis=-1, keepdims=True) if array.ndim else array
