"""Paired differences, their intervals, and what may be said about them.

For n seeds with differences d, mean d̄ and standard deviation s (over n − 1), the interval is::

    d̄ ± t · s / √n        (X7)

with t the (1 + level)/2 quantile of Student's distribution with n − 1 degrees of freedom.

References
----------
Student, "The probable error of a mean", Biometrika 6 (1908) 1-25.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import floor, isfinite, log10
from typing import Any

import numpy as np

from rnn_core.showing.table import table

from ..parameters.groups import listed
from .arms import BASELINE, Arm
from .runs import Run

LEVEL = 0.95
POSITIVE, INCONCLUSIVE, NEGATIVE = "positive", "inconclusive", "NEGATIVE TRANSFER"
TOO_FEW = "too few seeds to say"
"""The note on an interval that covers half of all the differences there can be."""
WORSE = "negative"
"""The verdict on a control that did worse: nothing of what the source's labels taught was transferred, so no alarm."""


@dataclass(frozen=True)
class Difference:
    """How much better an arm did than another, seed by seed."""

    arm: str
    against: str
    size: int
    gains: tuple[float, ...]
    """For each seed; above 0 where the arm did better, whichever way the score points."""
    mean: float
    half_width: float | None
    """The interval is mean ± half_width; None where there is nothing to estimate it from."""
    verdict: str
    """"positive" if the whole interval is above 0, "NEGATIVE TRANSFER" if below (for a control, "negative"), otherwise
    "inconclusive"."""
    note: str
    """Why there is no interval, or none that says anything."""

    def said(self, digits: int) -> str:
        """Return the mean with its interval, as every table and report has it; the `note` says why one isn't there."""
        mean = round(self.mean, digits) + 0.0  # which has no minus before a zero
        shown = self.half_width is not None and not self.note
        return f"{mean:+.{digits}f}" + (f" ± {self.half_width:.{digits}f}" if shown else "")


def paired(
    arm: Arm,
    against: str,
    size: int,
    scores: np.ndarray,
    others: np.ndarray,
    sign: int,
    span: float | None = None,
) -> Difference:
    """Return the difference of two arms.

    Parameters
    ----------
    arm : Arm
    against : str
        The other arm's name.
    size : int
    scores, others : ndarray, shape (seeds,)
        Of the two arms, seed by seed.
    sign : {1, -1}
        −1 where a lower score is better.
    span : float, optional
        The largest difference that there can be: an interval that covers half of all there can be says nothing.
    """
    with np.errstate(invalid="ignore"):
        gains = sign * (scores - others)
    mean, half_width, verdict = float(gains.mean()), None, INCONCLUSIVE
    largest = max(abs(scores).max(), abs(others).max())
    if not np.isfinite(gains).all():
        note = f"{int((~np.isfinite(gains)).sum())} of {len(gains)} differences are not finite"
    elif len(gains) == 1:
        note = "one seed: no interval"
    elif np.ptp(gains) <= 16 * np.finfo(float).eps * largest:  # what rounding alone makes of equal differences
        note = "no spread between seeds: no interval"
    else:
        note = ""
        half_width = _half_width(gains)
        if abs(mean) > half_width:
            verdict = POSITIVE if mean > 0 else NEGATIVE if arm.carries else WORSE
        elif span is not None and half_width >= span / 2:
            note = TOO_FEW
    return Difference(arm.name, against, size, tuple(gains.tolist()), mean, half_width, verdict, note)


def _half_width(differences: np.ndarray) -> float:
    from scipy.special import stdtrit

    n = len(differences)
    return float(stdtrit(n - 1, (1 + LEVEL) / 2) * differences.std(ddof=1) / n**0.5)  # (X7)


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`: every score, the paired differences, and a table as a string.

    Attributes
    ----------
    metric : str
    higher_is_better : bool
    core : tuple of str
        The study's patterns of what carried over.
    arms : tuple of Arm
    sizes, seeds : tuple of int
    runs : tuple of Run
        By seed, size and arm, in this order.
    """

    metric: str
    higher_is_better: bool
    core: tuple[str, ...]
    arms: tuple[Arm, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]

    def scores(self, arm: str, size: int) -> np.ndarray:
        """Return an arm's scores at a size, float64, shape (seeds,).

        Raises
        ------
        ValueError
            There is no such arm or size.
        """
        found = [run.score for run in self.runs if run.arm == arm and run.size == size]
        if not found:
            raise ValueError(
                f"Comparison.scores: arm and size must be among those compared, got {arm!r} and {size!r}; there are "
                f"{', '.join(a.name for a in self.arms)} and {', '.join(map(str, self.sizes))}"
            )
        return np.array(found, np.float64)

    def difference(self, arm: str, size: int, against: str = BASELINE) -> Difference:
        """Return how much better an arm did at a size than another, by default than training from scratch.

        Errors are those of `scores`.
        """
        sign = 1 if self.higher_is_better else -1
        scores, others = self.scores(arm, size), self.scores(against, size)
        return paired(next(a for a in self.arms if a.name == arm), against, size, scores, others, sign, self.span)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest score that there can be, where the metric tells: an accuracy, a share in %."""
        most = 100.0 if self.metric.endswith("in %") else 1.0 if "accuracy" in self.metric else None
        scores = [run.score for run in self.runs if isfinite(run.score)]
        return None if most is None or not all(0 <= score <= most for score in scores) else (0.0, most)

    @property
    def span(self) -> float | None:
        """The largest difference of two scores that there can be, where the metric tells."""
        return None if self.bounds is None else self.bounds[1] - self.bounds[0]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Every arm against training from scratch, at every size."""
        return tuple(
            self.difference(arm.name, size) for size in self.sizes for arm in self.arms if arm.name != BASELINE
        )

    @property
    def caution(self) -> str:
        """How many intervals there are, and what that means for each."""
        count = sum(difference.half_width is not None for difference in self.differences)
        if count and all(difference.note for difference in self.differences):
            return "no interval is narrow enough to say anything: that takes more seeds"
        if not count:
            return "there are no intervals: that takes two seeds or more, and scores that differ"
        return (
            f"each interval stands for itself: of {count}, {(1 - LEVEL) * count:.2g} would be expected to leave 0 out "
            "by chance if nothing made a difference"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return protocol, scores and verdicts as plain data, for JSON; what is not finite becomes None."""
        return {
            "protocol": {
                "metric": self.metric,
                "higher_is_better": self.higher_is_better,
                "core": list(self.core),
                "baseline": BASELINE,
                "arms": [_arm(arm) for arm in self.arms],
                "sizes": list(self.sizes),
                "seeds": list(self.seeds),
                "level": LEVEL,
                "interval": "paired over seeds, Student's t; gains above 0 are better",
                "caution": self.caution,
            },
            "runs": [{**run._asdict(), "score": _finite(run.score)} for run in self.runs],
            "differences": [
                {**asdict(d), "gains": [_finite(gain) for gain in d.gains], "mean": _finite(d.mean)}
                for d in self.differences
            ],
        }

    def __str__(self) -> str:
        digits = self.digits
        headings = ("size", "arm", self.metric, "better than scratch by", "verdict")
        rows = []
        for size in self.sizes:
            for k, arm in enumerate(self.arms):
                gain, verdict = "", ""
                if arm.name != BASELINE:
                    difference = self.difference(arm.name, size)
                    gain = difference.said(digits)
                    verdict = difference.verdict + (f" ({difference.note})" if difference.note else "")
                mean = f"{self.scores(arm.name, size).mean():.{digits}f}"
                rows.append(("" if k else str(size), arm.name, mean, gain, verdict))
        better = "higher" if self.higher_is_better else "lower"
        return (
            f"{table(headings, rows, right=('size', self.metric, 'better than scratch by'))}\n"
            f"{self.metric}: mean over {len(self.seeds)} seeds, {better} is better; "
            f"±: {LEVEL:.0%} t-interval of the paired difference\n{self.caution}"
        )

    @property
    def digits(self) -> int:
        """Decimals that show four digits of the largest score."""
        largest = max((abs(run.score) for run in self.runs if isfinite(run.score)), default=0.0)
        return min(max(3 - floor(log10(largest)), 0), 6) if largest else 3


def _arm(arm: Arm) -> dict[str, Any]:
    """Return an arm as plain data: `method` and `carried` only where it has one, objects by what made them."""
    source = arm.source if arm.source is None or isinstance(arm.source, str) else repr(arm.source)
    rules = {"name": arm.name, "source": source, "frozen_core": arm.frozen_core, "plan": arm.plan.as_dict()}
    more = {
        "method": arm.method and repr(arm.method),
        "carried": None if arm.carried is None else list(listed("Arm", "carried", arm.carried)),
    }
    return rules | {name: value for name, value in more.items() if value}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
