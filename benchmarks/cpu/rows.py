"""A timed case beside torch, and all that a run has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..cases import Case
from ..timing import Pair
from .accuracy import AccuracyRow
from .frozen import FrozenRow
from .memory import MemoryRow
from .work import Work

BUSY = 0.05
"""Share of the cores in others' hands above which a time is taken again, and at last left out of the summary."""


class Row(NamedTuple):
    """A timed case and what came of it."""

    case: Case
    difference: float  # from torch's results, relative
    agrees: bool
    pair: Pair | None = None  # None where the results differ
    work: Work | None = None
    onnxruntime: Pair | None = None  # its time ÷ ours, where it is installed
    others: float | None = None  # what other processes took of the cores meanwhile

    @property
    def disturbed(self) -> bool:
        """Whether other processes took so much of the cores that the ratio tells nothing."""
        return (self.others or 0) > BUSY

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        if self.pair is None or self.work is None:
            return f"{self.case.name}: DIFFERS by {self.difference:.1e}, not timed"
        other = f", onnxruntime ÷ ours {self.onnxruntime.ratio:.2f}" if self.onnxruntime else ""
        return (
            f"{self.case.name}: ours {1e3 * self.pair.ours:.3g} ms, torch ÷ ours {self.pair.ratio:.2f}{other}, "
            f"{self.work.share:.0%} of the limit ({self.work.bound})"
            + (f"; others took {self.others:.0%} of the cores" if self.others and self.disturbed else "")
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data; seconds, operations, bytes."""
        return {
            **self.case._asdict(),
            "difference": self.difference,
            "agrees": self.agrees,
            **({} if self.pair is None else self.pair._asdict()),
            **({} if self.work is None else self.work._asdict()),
            "others": self.others,
            "onnxruntime": None if self.onnxruntime is None else self.onnxruntime._asdict(),
        }


@dataclass
class Findings:
    """All that a run has found so far."""

    machine: dict[str, Any]
    complete: bool = False  # False: interrupted
    limits: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    frozen: list[FrozenRow] = field(default_factory=list)
    memory: list[MemoryRow] = field(default_factory=list)
    accuracy: list[AccuracyRow] = field(default_factory=list)
