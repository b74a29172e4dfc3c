"""Inference beside ONNX Runtime, whose calls cost little: small shapes, where that decides, and a few larger ones."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

from ...cases import Case
from ...sides import AGREEMENT, disagreement, ours
from ...timing import Pair
from ..peers import onnx_side
from ..setting import Setting

CELLS = ("LSTM", "GRU")
SMALL = (
    *product((1, 16, 64), (1, 8), (16, 32, 64, 128, 256)),
    (12, 1, 32), (4, 1, 100), (32, 2, 48), (7, 3, 200), (16, 4, 64), (64, 4, 128),
)  # fmt: skip
LARGER = ((1, 1, 512), (64, 1, 512), (64, 32, 64), (128, 16, 128), (64, 32, 256), (35, 8, 512), (20, 128, 512))
"""T, B, H = I."""

QUICK = ((1, 1, 32), (7, 8, 12))


class Row(NamedTuple):
    """A timed case and what came of it."""

    case: Case
    difference: float
    agrees: bool
    pair: Pair | None = None  # None where the results differ
    others: float | None = None

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        if self.pair is None:
            return f"{self.case.name}: DIFFERS by {self.difference:.1e} from onnxruntime, not timed"
        return f"{self.case.name}: ours {1e6 * self.pair.ours:.4g} µs, onnxruntime ÷ ours {self.pair.ratio:.2f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        told = {"difference": self.difference, "agrees": self.agrees, "others": self.others}
        return {**self.case.as_dict(), **told, **({} if self.pair is None else self.pair._asdict())}


def cases(quick: bool) -> list[Case]:
    """Return every case, where ONNX Runtime is installed."""
    if onnx_side.find()[0] is None:
        return []
    shapes = QUICK if quick else (*SMALL, *LARGER)
    return [Case(cell, "inference", *shape, section="onnxruntime") for cell in CELLS for shape in shapes]


def measure(setting: Setting, case: Case) -> Row:
    """Compare the results, then time both sides in turn."""
    mine, peer = ours(case, setting.backend), onnx_side.side(onnx_side.find()[0], case, setting.threads)
    difference = disagreement(mine.results(), peer.results())
    if not difference <= AGREEMENT[case.dtype]:
        return Row(case, difference, agrees=False)
    return Row(case, difference, True, *setting.alternate(mine.call, peer.call))
