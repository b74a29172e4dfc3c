"""What `choose_strength` has tried and found, as a table and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rnn_core.showing.table import table
from rnn_core.training.history import HIGHER_IS_BETTER

from ..planning.plan import Plan

MONITORS = ("validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class Trial:
    """One pair of strengths and what came of it.

    Attributes
    ----------
    alpha, beta : float
    score : float
        The best epoch's validation loss, penalties not included, or accuracy.
    epoch : int
        Which epoch that was; of a plan with stages, in the last one.
    distance : float
        √Σ (θ − θ_s)² over all anchored parameters at that epoch.
    """

    alpha: float
    beta: float
    score: float
    epoch: int
    distance: float


@dataclass(frozen=True)
class StrengthChoice:
    """What `choose_strength` found: every trial, the best of them, and a table as a string.

    Attributes
    ----------
    monitor : {"validation_loss", "validation_accuracy"}
    trials : tuple of Trial
        In the order of the grid.
    plan : Plan
        The one that was given, with the best strengths.
    """

    monitor: str
    trials: tuple[Trial, ...]
    plan: Plan

    @property
    def best(self) -> Trial:
        """The best trial, of equals the first."""
        trial: Trial = best_of(self.trials, "score", self.monitor)
        return trial

    @property
    def caution(self) -> str:
        """Where the best trial stands at the upper end of a grid, so that the real best may lie beyond it."""
        ends = [
            f"the best {name} is the largest of those tried: a larger one may do better still"
            for name, best, tried in (
                ("alpha", self.best.alpha, {trial.alpha for trial in self.trials}),
                ("beta", self.best.beta, {trial.beta for trial in self.trials}),
            )
            if len(tried) > 1 and best == max(tried)
        ]
        return "\n".join(ends)

    def as_dict(self) -> dict[str, Any]:
        """Return monitor, trials and the best one as plain data, for JSON."""
        return {
            "monitor": self.monitor,
            "trials": [asdict(trial) for trial in self.trials],
            "best": asdict(self.best),
            "caution": self.caution,
        }

    def __str__(self) -> str:
        headings = ("alpha", "beta", self.monitor, "epoch", "distance", "")
        rows = [
            (
                f"{trial.alpha:g}",
                f"{trial.beta:g}",
                f"{trial.score:.6g}",
                str(trial.epoch),
                f"{trial.distance:.4g}",
                "best" if trial is self.best else "",
            )
            for trial in self.trials
        ]
        return "\n".join(part for part in (table(headings, rows, right=headings[:-1]), self.caution) if part)


def best_of(records: Sequence[Any], number: str, monitor: str | None = None) -> Any:
    """Return the record that is best by one of its numbers, which is a `monitor`; of equals the first."""
    sign = -1 if HIGHER_IS_BETTER[monitor or number] else 1
    return min(records, key=lambda record: sign * getattr(record, number))


