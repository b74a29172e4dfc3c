"""How times are taken: two sides or more in turn, in blocks, medians, and the ratio pair by pair.

A machine's speed drifts from minute to minute. The two sides of a pair are measured within a second of one another, so
a pair's ratio holds although neither of its times would.

Each side has threads of its own, OpenBLAS's and OpenMP's, and idle threads spin for a while before they sleep. Whoever
comes next shares its cores with them: torch's RNN at T=64, B=1, H=32 took 8 to 12 ms right after NumPy's turn, and
0.2 ms after a rest of 0.1 s; 0.02 s were not enough. Hence a rest before each block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any, NamedTuple

REST = 0.1
"""Seconds before a block in which the other side's threads fall asleep."""

FEWEST = 5
"""Pairs, before a narrow spread or a spent budget ends the measurement."""

NARROW = 0.02
"""Distance of the quartiles, relative to the ratio, at which more pairs would tell nothing new."""


class Pair(NamedTuple):
    """Two sides, and how much faster the first is."""

    ours: float  # seconds a call, median of the blocks
    theirs: float
    ratio: float  # median over the pairs of theirs ÷ ours
    low: float  # quartiles of the same
    high: float


def alternate(ours: Callable[[], object], theirs: Callable[[], object], **options: Any) -> Pair:
    """Time two functions without arguments in turn; the options are those of `in_turn`."""
    return paired(*in_turn((ours, theirs), **options))


def in_turn(
    sides: Sequence[Callable[[], object]],
    *,
    pairs: int,
    block: float,
    budget: float = float("inf"),
    rest: float | None = None,
) -> list[list[float]]:
    """Time two or more functions in turn, and return seconds a call of each, block by block.

    Parameters
    ----------
    sides : sequence of callable
        Without arguments.
    pairs : int
        Most blocks of each side, at least 2. After `FEWEST` of them, quartiles less than `NARROW` apart are enough.
    block : float
        Seconds that a block is to last; it has at least one call.
    budget : float
        Seconds after which `FEWEST` blocks are enough, whatever their spread.
    rest : float, optional
        Seconds before each block; `REST` by default.
    """
    rest = REST if rest is None else rest
    begin = perf_counter()
    calls = [_calls(side, block, rest) for side in sides]
    times: list[list[float]] = [[] for _ in sides]
    for pair in range(pairs):
        order = range(len(sides))
        for k in order if pair % 2 == 0 else reversed(order):  # so that none always follows the same other
            times[k].append(_block(sides[k], calls[k], rest))
        if pair + 1 >= FEWEST:
            found = [paired(times[0], others) for others in times[1:]]
            narrow = all(pair.high - pair.low < NARROW * pair.low for pair in found)
            if narrow or perf_counter() - begin > budget:
                break
    return times


def paired(ours: list[float], theirs: list[float]) -> Pair:
    """Compare two sides' blocks, each with the other side's block that stood beside it."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Pair(median(ours), median(theirs), median(ratios), low, high)


def _calls(side: Callable[[], object], block: float, rest: float) -> int:
    """Return how many calls fill a block."""
    return max(1, round(block / max(_block(side, 1, rest), 1e-9)))


def _block(side: Callable[[], object], calls: int, rest: float) -> float:
    """Return seconds a call, the median.

    Two calls that don't count wake this side's threads and fill the caches; one that outlasts the rest does both.
    """
    sleep(rest)
    start = perf_counter()
    side()
    if perf_counter() - start < REST:
        side()
    times = []
    for _ in range(calls):
        start = perf_counter()
        side()
        times.append(perf_counter() - start)
    return median(times)
