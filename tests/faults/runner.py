"""A kill and its resumption, judged; and what to say of many."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from .job import Job, Standing, told
from .judging import SOON, kept_in, wrong_with_end
from .plans import Plan
from .work import STARTED, TRAINED, TRAINS

SOONER = 0.8
"""What the moment of a kill is multiplied by where the job was over before."""


class Kills:
    """A folder in which jobs are killed and resumed, and runs that nobody kills are kept to compare with."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.standing, self.path = folder, Standing(folder), folder / "unbroken.json"
        self.known: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __enter__(self) -> Kills:
        return self

    def __exit__(self, *raised: object) -> None:
        self.standing.close()

    def unbroken(self, task: str, sums: str, ranks: int) -> dict[str, Any]:
        """Return the seconds of a run's start and of its training, and its digests.

        Raises
        ------
        RuntimeError
            It failed, or exact sums gave other bits on another number of ranks.
        """
        name = ", ".join(map(str, (task, sums, ranks)))
        if name not in self.known:
            place = self.folder / "unbroken"
            shutil.rmtree(place, ignore_errors=True)
            run = self.standing.run(task, sums, ranks, place)
            shutil.rmtree(place)
            for other, before in self.known.items():
                if sums == "exact" and other.startswith(f"{task}, exact") and before["digests"] != run.digests:
                    raise RuntimeError(f"{name}: exact sums must give the bits of {other}, and do not")
            self.known[name] = asdict(run)
            self.path.write_text(json.dumps(self.known, indent=1), encoding="utf-8")
        one: dict[str, Any] = self.known[name]
        return one

    def outcome(self, plan: Plan) -> dict[str, Any]:
        """Kill a rank and go on with what is left; return figures, and what was wrong: a folder with that stays."""
        unbroken = self.unbroken(*plan.kind)
        place, share, missed = self.folder / str(plan.number), plan.share, 0
        while True:
            shutil.rmtree(place, ignore_errors=True)
            outcome = killed(plan, share * unbroken["start" if plan.early else "training"], place)
            if outcome is not None:
                break
            share, missed = share * SOONER, missed + 1
        outcome |= {"number": plan.number, "early": plan.early, "share": share, "missed": missed}
        copy = place.with_name(f"{plan.number}-broken")
        shutil.copytree(place, copy, dirs_exist_ok=True)
        try:
            found = self.standing.run(plan.task, plan.sums, plan.goes_on, place).digests
            other = [what for what, one in unbroken["digests"].items() if found[what] != one]
            outcome["wrong"] += [f"after resuming, these bits differ: {', '.join(other)}"] if other else []
        except RuntimeError as error:
            outcome["wrong"].append(f"the resumed run failed: {error}")
        if not outcome["wrong"]:
            del outcome["said"]
            shutil.rmtree(place)
            shutil.rmtree(copy)
        return outcome


def killed(plan: Plan, after: float, place: Path) -> dict[str, Any] | None:
    """Start a job, and kill a rank so many seconds after all have come so far; None where the job was over before."""
    job = Job(plan.ranks, place, plan.task, plan.sums)
    try:
        if not job.wait_for(STARTED if plan.early else TRAINS):
            raise RuntimeError(f"{plan}: the job must start, got {job.words()}")
        time.sleep(after)
        killed_at = job.kill(plan.victim)
        ended_at = job.end()
    finally:
        job.close()
    # A rank that has trained waits for nobody, and an early kill that comes late is none.
    if killed_at is None or told(place, TRAINED) or (plan.early and len(told(place, TRAINS)) == plan.ranks):
        return None
    took, code, said = None if ended_at is None else ended_at - killed_at, job.launcher.returncode, job.words()
    try:
        kept, wrong = kept_in(place), []
    except ValueError as error:
        kept, wrong = None, [f"the checkpoint is damaged: {error}"]
    wrong += wrong_with_end(plan, said, code, took, job.alive(), kept)
    return {"took": took, "code": code, "said": said, "kept": kept, "wrong": wrong}


def line(plan: Plan, outcome: dict[str, Any]) -> str:
    """Return what became of one kill."""
    kept = "no checkpoint" if outcome["kept"] is None else f"step {outcome['kept']} kept"
    came = "; ".join(outcome["wrong"]) or "the same bits"
    took = "no end" if outcome["took"] is None else f"{outcome['took']:.2f} s"
    return f"{plan.number:4}  {plan}; {took}, {kept}; on {plan.goes_on}: {came}"


def summary(outcomes: list[dict[str, Any]]) -> str:
    """Return the figures of many."""
    took = sorted(one["took"] for one in outcomes if one["took"] is not None)
    wrong = Counter(what for one in outcomes for what in one["wrong"])
    clean = sum(not one["wrong"] for one in outcomes)
    early, fresh = sum(one["early"] for one in outcomes), sum(one["kept"] is None for one in outcomes)
    kept = {one["kept"] for one in outcomes if one["kept"] is not None}
    said = [
        f"{len(outcomes)} kills, {early} of them before all ranks trained: {clean} clean ends that were resumed to the "
        f"same bits, {len(outcomes) - clean} others",
        f"from the kill to the end of the job: {median(took):.2f} s, at most {took[-1]:.2f} s (of {SOON:g} s)",
        f"resumed from checkpoints after {len(kept)} different steps; {fresh} times there was none yet",
    ]
    return "\n".join(said + [f"{count} × {what}" for what, count in wrong.most_common()])
