"""How times are taken: two sides in turn, in blocks, medians, and the ratio pair by pair.

A machine's speed drifts from minute to minute. The two sides of a pair are measured within a second of one another, so
a pair's ratio holds although neither of its times would.

Each side has threads of its own, OpenBLAS's and OpenMP's, and idle threads spin for a while before they sleep. Whoever
comes next shares its cores with them: torch's RNN at T=64, B=1, H=32 took 8 to 12 ms right after NumPy's turn, and
0.2 ms after a rest of 0.1 s; 0.02 s were not enough. Hence a rest before each block.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import NamedTuple

REST = 0.1
"""Seconds before a block in which the other side's threads fall asleep."""


class Pair(NamedTuple):
    """Two sides, and how much faster the first is."""

    ours: float  # seconds a call, median of the blocks
    theirs: float
    ratio: float  # median over the pairs of theirs ÷ ours
    low: float  # quartiles of the same
    high: float


def alternate(ours: Callable[[], object], theirs: Callable[[], object], *, pairs: int, block: float) -> Pair:
    """Time two functions in turn.

    Parameters
    ----------
    ours, theirs : callable
        Without arguments.
    pairs : int
        Blocks of either side, at least 2.
    block : float
        Seconds that a block is to last; it has at least one call.
    """
    calls = [_calls(side, block) for side in (ours, theirs)]
    times: list[list[float]] = [[], []]
    for pair in range(pairs):
        for k in (0, 1) if pair % 2 == 0 else (1, 0):  # so that neither always follows the other
            times[k].append(_block((ours, theirs)[k], calls[k]))
    ratios = [b / a for a, b in zip(*times, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Pair(median(times[0]), median(times[1]), median(ratios), low, high)


def _calls(side: Callable[[], object], block: float) -> int:
    """Return how many calls fill a block."""
    return max(1, round(block / max(_block(side, 1), 1e-9)))


def _block(side: Callable[[], object], calls: int) -> float:
    """Return seconds a call, the median. Two calls that don't count wake this side's threads and fill the caches."""
    sleep(REST)
    side()
    side()
    times = []
    for _ in range(calls):
        start = perf_counter()
        side()
        times.append(perf_counter() - start)
    return median(times)
