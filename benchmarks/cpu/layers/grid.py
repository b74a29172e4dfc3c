"""A layer beside torch's, case by case: agreement first, then both sides in turn."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...cases import Case
from ...sides import AGREEMENT, disagreement, ours, theirs
from ...timing import Pair
from ..limits import Limits
from ..setting import BUSY, Setting
from .work import Work, work


class Row(NamedTuple):
    """A timed case and what came of it."""

    case: Case
    difference: float  # from torch's results, relative
    agrees: bool
    pair: Pair | None = None  # None where the results differ
    work: Work | None = None
    others: float | None = None  # what other processes took of the cores meanwhile

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        if self.pair is None or self.work is None:
            return f"{self.case.name}: DIFFERS by {self.difference:.1e}, not timed"
        disturbed = self.others is not None and self.others > BUSY
        return (
            f"{self.case.name}: ours {1e3 * self.pair.ours:.3g} ms, torch ÷ ours {self.pair.ratio:.2f}, "
            f"{self.work.share:.0%} of the limit ({self.work.bound})"
            + (f"; others took {self.others:.0%} of the cores" if disturbed else "")
        )

    def settled(self, limits: Limits) -> Row:
        """Return the row with the share of limits that have been measured once more."""
        return self._replace(work=work(self.case, self.pair.ours, limits)) if self.pair else self

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data; seconds, operations, bytes."""
        return {
            **self.case.as_dict(),
            "difference": self.difference,
            "agrees": self.agrees,
            **({} if self.pair is None else self.pair._asdict()),
            **({} if self.work is None else self.work._asdict()),
            "others": self.others,
        }


def measure(setting: Setting, case: Case) -> Row:
    """Check a case against torch's results, and time both sides if they agree: what is wrong is not worth timing."""
    mine, peer = ours(case, setting.backend), theirs(setting.torch, case)
    difference = disagreement(mine.results(), peer.results())
    if not difference <= AGREEMENT[case.dtype]:  # nor is NaN agreement
        return Row(case, difference, agrees=False)
    pair, others = setting.alternate(mine.call, peer.call)
    return Row(case, difference, True, pair, work(case, pair.ours, setting.limits), others)
