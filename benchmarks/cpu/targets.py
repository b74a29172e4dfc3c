"""What the kernels are to reach, as plain data, and how far the measured rows have come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp, log
from typing import Any, NamedTuple

from ..cases import Case
from .accuracy import AccuracyRow
from .rows import Row


class Target(NamedTuple):
    """A line of the summary: which rows it speaks of, and what torch ÷ ours is to be."""

    name: str
    mean: float
    worst: float
    selects: Callable[[Case], bool]


RATIOS = (
    Target("LSTM float32, inference", 1.6, 1.05, lambda c: _is(c, "float32", "inference", "LSTM")),
    Target("LSTM float32, training", 1.6, 1.05, lambda c: _is(c, "float32", "training", "LSTM")),
    Target("GRU and RNN, inference", 4.0, 1.3, lambda c: _is(c, "float32", "inference", "GRU", "RNN")),
    Target("GRU and RNN, training", 5.0, 1.3, lambda c: _is(c, "float32", "training", "GRU", "RNN")),
    Target("float64, all cells", 2.5, 1.1, lambda c: c.section == "float64"),
    Target("ragged, training", 6.0, 2.0, lambda c: c.section == "ragged" and c.task == "training"),
    Target("B = 1 inference, H 32–256", 3.0, 1.5, lambda c: _alone(c) and 32 <= c.H <= 256),
)
"""torch ÷ ours: the geometric mean and the worst case."""


class Share(NamedTuple):
    """A line of the summary: the least share of the machine's limits."""

    name: str
    least: float
    selects: Callable[[Case], bool]


SHARES = (
    Share("FMA peak, B ≥ 32, H ≥ 256", 0.85, lambda c: c.section == "float32" and c.B >= 32 and c.H >= 256),
    Share("streaming, B = 1", 0.70, lambda c: _alone(c)),
    Share("streaming, B = 1, H ≥ 256", 0.70, lambda c: _alone(c) and c.H >= 256),
)


def _is(case: Case, section: str, task: str, *cells: str) -> bool:
    return case.section == section and case.task == task and case.cell in cells


def _alone(case: Case) -> bool:
    return case.B == 1 and case.task == "inference" and case.section in ("float32", "single")


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return the mean that treats twice as fast and half as fast alike."""
    logarithms = [log(ratio) for ratio in ratios]
    return exp(sum(logarithms) / len(logarithms))


def summary(rows: list[Row], accuracy: list[AccuracyRow]) -> list[dict[str, Any]]:
    """Return the lines that have rows, as plain data. Disturbed rows are left out: they would flatter us."""
    rows = [row for row in rows if not row.disturbed]
    lines: list[dict[str, Any]] = []
    for target in RATIOS:
        found = {row.case.name: row.pair.ratio for row in rows if row.pair and target.selects(row.case)}
        if found:
            mean, worst = geometric_mean(found.values()), min(found, key=lambda name: found[name])
            lines.append(
                {
                    "what": target.name,
                    "unit": "torch ÷ ours",
                    "cases": len(found),
                    "mean": mean,
                    "mean_target": target.mean,
                    "worst": found[worst],
                    "worst_target": target.worst,
                    "worst_case": worst,
                    "reached": mean >= target.mean and found[worst] >= target.worst,
                }
            )
    for share in SHARES:
        found = {row.case.name: row.work.share for row in rows if row.work and share.selects(row.case)}
        if found:
            lines.append(_least(share.name, "share of the limit", found, share.least))
    if accuracy:
        found = {
            f"{row.case.name}: {name}": e.their_rms / e.our_rms for row in accuracy for name, e in row.errors.items()
        }
        lines.append(_least("float32 rms error", "torch's ÷ ours", found, 1.0))
    return lines


def _least(what: str, unit: str, found: dict[str, float], least: float) -> dict[str, Any]:
    """Return a line that has a target for the worst case alone."""
    worst = min(found, key=lambda name: found[name])
    return {
        "what": what,
        "unit": unit,
        "cases": len(found),
        "mean": geometric_mean(found.values()),
        "mean_target": None,
        "worst": found[worst],
        "worst_target": least,
        "worst_case": worst,
        "reached": found[worst] >= least,
    }
