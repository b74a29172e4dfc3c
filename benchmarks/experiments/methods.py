"""What the experiments with all methods in one table share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from transfer import Comparison, compare
from transfer.comparing.data_study import DataStudy
from transfer.methods.catalogue import METHODS, arms_for
from transfer.spreading.spread import Workers

from .frame import Claim, Outcome, Progress, watched


def every_method(
    study: DataStudy,
    sizes: Sequence[int],
    seeds: int | Iterable[int],
    workers: Workers,
    progress: Progress,
    protocol: dict[str, Any],
    part: str = "",
) -> tuple[Comparison, Outcome]:
    """Compare all methods that suit a study, and say of the others why they don't."""
    arms, _ = arms_for(study)
    comparison = compare(study, sizes=sizes, seeds=seeds, arms=arms, workers=workers, **watched(progress, part))
    return comparison, told(comparison, study, protocol)


def joined(comparisons: Sequence[Comparison]) -> Comparison:
    """Return comparisons of one size each, whose budgets may differ, as one."""
    return replace(
        comparisons[-1],
        sizes=tuple(size for comparison in comparisons for size in comparison.sizes),
        runs=tuple(run for comparison in comparisons for run in comparison.runs),
    )


def told(comparison: Comparison, study: DataStudy, protocol: dict[str, Any]) -> Outcome:
    """Return what a comparison found, with the methods that do not suit its study."""
    arms, unsuited = arms_for(study)
    lines = [str(comparison), *(f"{method.name}: not run, as {method.reason}" for method in unsuited)]
    return Outcome(
        {"budget": asdict(study.budget), **protocol, "methods": {arm.name: METHODS[arm.name] for arm in arms}},
        {**comparison.as_dict(), "unsuited": {method.name: method.reason for method in unsuited}},
        "\n".join(lines),
    )


def verdict(comparison: Comparison, arm: str, size: int, expected: str, text: str) -> Claim:
    """Return the claim that an arm's verdict at a size is the expected one."""
    found = comparison.difference(arm, size)
    half = "" if found.half_width is None or found.note else f" ± {found.half_width:.2g}"
    return Claim(text, found.verdict == expected, f"{found.mean:+.2g}{half}, {found.verdict}")
