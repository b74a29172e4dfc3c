"""What every measurement is given, and how a time is taken that others may disturb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import sleep
from typing import Any, NamedTuple

from ..machine import Others
from ..timing import Pair, in_turn, paired
from .limits import Limits

FULL = {"pairs": 7, "block": 0.03, "budget": 1.5}
QUICK = {"pairs": 2, "block": 0.005, "rest": 0.03}
"""How long `timing.in_turn` takes."""

BUSY = 0.05
"""Share of the cores in others' hands above which a time is taken again, and at last left out of the summary."""

ATTEMPTS = 3
PATIENCE = 2.0
"""How often a disturbed time is taken, and seconds before the next attempt."""


class Setting(NamedTuple):
    """Where and how a case is measured."""

    torch: Any
    backend: str  # ours
    threads: int  # of either side
    limits: Limits  # of the machine with so many threads
    quick: bool = False

    @property
    def timing(self) -> dict[str, Any]:
        """The arguments of `timing.in_turn`."""
        return QUICK if self.quick else FULL

    def in_turn(
        self, sides: Sequence[Callable[[], object]], **timing: Any
    ) -> tuple[list[list[float]], float | None]:
        """Time functions in turn, again if other processes were busy meanwhile; return what these took, too.

        torch suffers far more than we do when a core is missing (its RNN took 250 ms instead of 0.2), so such a ratio
        would flatter us. A quick run does without, and says nothing of the others.
        """
        timing = {**self.timing, **timing}
        if self.quick:
            return in_turn(sides, **timing), None
        for attempt in range(ATTEMPTS):
            if attempt:
                sleep(PATIENCE)
            others = Others()
            times = in_turn(sides, **timing)
            share = others.share()
            if share is None or share <= BUSY:
                break
        return times, share

    def alternate(
        self, mine: Callable[[], object], peer: Callable[[], object], **timing: Any
    ) -> tuple[Pair, float | None]:
        """Time two functions as `in_turn` does."""
        times, others = self.in_turn((mine, peer), **timing)
        return paired(*times), others
