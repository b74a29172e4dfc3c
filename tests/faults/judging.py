"""What an end must have, and what a resumption must give."""

from __future__ import annotations

import re
from pathlib import Path

from rnn_core.training.checkpoint import LAST, Checkpoint

from .plans import Plan
from .work import KEPT

SOON = 10.0
"""Seconds from a kill to the launcher's end."""

LINE = re.compile(r"^fit: rank (\d+) \(.*\) has died, so rank (\d+) \(.*\) ends; (.*)$", re.MULTILINE)
HOLDS = re.compile(r"holds the state after step (\d+), ")


def wrong_with_end(
    plan: Plan, said: str, code: int, took: float | None, alive: list[int], kept: int | None
) -> list[str]:
    """Return what is wrong with the end of a job in which a rank was killed.

    Parameters
    ----------
    plan : Plan
    said : str
        All that launcher and ranks have written.
    code : int
        How the launcher ended.
    took : float or None
        Seconds from the kill to that; None if it did not end.
    alive : list of int
        Ranks whose processes are left.
    kept : int or None
        The step of the last checkpoint; None where there is none.
    """
    wrong = []
    if took is None:
        wrong.append("the job did not end")
    elif took > SOON:
        wrong.append(f"the job took {took:.1f} s to end")
    if took is not None and code == 0:
        wrong.append("the launcher ended with 0")
    if alive:
        wrong.append(f"rank {alive[0]} is still there")
    if "Traceback" in said:
        wrong.append("there is a traceback")
    lines = LINE.findall(said)
    tellers = sorted(int(teller) for _, teller, _ in lines)
    if any(int(dead) != plan.victim for dead, _, _ in lines):
        wrong.append("another rank is said to have died")
    others = [rank for rank in range(plan.ranks) if rank != plan.victim]
    if len(set(tellers)) < len(tellers):
        wrong.append("a rank wrote two lines")
    if not plan.early and tellers != others:
        wrong.append(f"ranks {others} must each write a line, and {tellers} did")
    for _, teller, rest in lines:
        told = HOLDS.search(rest)
        # A line may be written while rank 0 still writes the next checkpoint, or before the first.
        if told and (kept is None or int(told[1]) > kept):
            wrong.append(f"rank {teller} speaks of step {told[1]}, the checkpoint is of {kept}")
        if not told and "no checkpoint was kept" not in rest:
            wrong.append(f"rank {teller} says {rest!r}")
    return wrong


def kept_in(folder: Path) -> int | None:
    """Return the step of a job's last checkpoint, read whole; None where there is none.

    Raises
    ------
    ValueError
        It is damaged.
    """
    last = folder / KEPT / LAST
    return Checkpoint.read(last).position.step if last.exists() else None
