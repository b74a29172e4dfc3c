"""What is drawn for each kill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tasks import TASKS

RANKS = (2, 3)
SUMS = ("sum", "exact")
MOST = 4
"""Ranks that a run of exact sums may go on with."""

EARLY = 0.1
"""How many of the kills come before all ranks train: while they import, and while they find each other."""


@dataclass(frozen=True)
class Plan:
    """One kill, and how the run goes on."""

    number: int
    task: str
    sums: str
    ranks: int
    victim: int
    early: bool  # before all ranks train
    share: float  # of that part of the run that has gone by
    goes_on: int  # ranks of the resumed run

    @property
    def kind(self) -> tuple[str, str, int]:
        """What an unbroken run depends on."""
        return self.task, self.sums, self.ranks

    def __str__(self) -> str:
        ranks, part = f"{self.ranks} ranks", "start" if self.early else "training"
        return f"{self.task}, {self.sums}, {ranks}: rank {self.victim} killed at {self.share:.0%} of its {part}"


def drawn(seed: int, number: int) -> Plan:
    """Return the kill of this number; others don't change it."""
    rng = np.random.default_rng([seed, number])
    ranks, sums = int(rng.choice(RANKS)), str(rng.choice(SUMS))
    others = [count for count in range(1, MOST + 1) if count != ranks]
    return Plan(
        number,
        str(rng.choice(TASKS)),
        sums,
        ranks,
        victim=int(rng.integers(ranks)),
        early=bool(rng.random() < EARLY),
        share=float(rng.random()),
        goes_on=int(rng.choice(others)) if sums == "exact" else ranks,
    )
