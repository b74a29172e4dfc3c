"""Kills: what is drawn, how an end is judged, and one of them, started, killed and resumed."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from .__main__ import main
from .job import BESIDE
from .judging import SOON, wrong_with_end
from .plans import RANKS, drawn
from .runner import summary
from .tasks import TASKS

LATE = next(plan for plan in (drawn(0, number) for number in range(99)) if plan.ranks == 3 and not plan.early)


def said(victim, tellers, step=8):
    kept = "no checkpoint was kept" if step is None else f"a/last.safetensors holds the state after step {step}, with 0"
    lines = [f"fit: rank {victim} (a) has died, so rank {teller} (a) ends; {kept} epochs done" for teller in tellers]
    return "\n".join([*lines, "prterun noticed that process rank 1 exited on signal 9"])


def judged(plan=LATE, words=None, **changes):
    others = [rank for rank in range(plan.ranks) if rank != plan.victim]
    facts = {"code": 137, "took": 0.4, "alive": [], "kept": 8} | changes
    return wrong_with_end(plan, said(plan.victim, others) if words is None else words, **facts)


def test_a_clean_end_is_clean():
    assert judged() == []
    assert judged(kept=9) == []  # rank 0 wrote another one before it ended
    assert judged(replace(LATE, early=True), "", kept=None) == []


def test_whatever_is_wrong_with_an_end_is_told():
    others = [rank for rank in range(3) if rank != LATE.victim]
    cases = {
        "the launcher ended with 0": judged(code=0),
        f"the job took {2 * SOON:.1f} s to end": judged(took=2 * SOON),
        "the job did not end": judged(took=None),
        "rank 1 is still there": judged(alive=[1]),
        "there is a traceback": judged(words=said(LATE.victim, others) + "\nTraceback (most recent call last):"),
        "another rank is said to have died": judged(words=said(others[0], others)),
        "a rank wrote two lines": judged(replace(LATE, early=True), said(LATE.victim, [others[0]] * 2)),
        f"ranks {others} must each write a line, and [] did": judged(words=""),
        f"ranks {others} must each write a line, and {others[:1]} did": judged(words=said(LATE.victim, others[:1])),
    }
    for what, found in cases.items():
        assert what in found
    assert [one for one in judged(kept=7) if "speaks of step 8, the checkpoint is of 7" in one]
    assert [one for one in judged(kept=None) if "the checkpoint is of None" in one]


def test_a_plan_depends_on_seed_and_number_alone_and_all_kinds_come():
    plans = [drawn(3, number) for number in range(60)]
    assert plans[17] == drawn(3, 17)
    assert plans != [drawn(4, number) for number in range(60)]
    assert {plan.kind for plan in plans} == {(t, s, r) for t in TASKS for s in ("sum", "exact") for r in RANKS}
    assert {plan.victim for plan in plans} == {0, 1, 2}
    assert any(plan.early for plan in plans)
    assert all((plan.goes_on == plan.ranks) == (plan.sums == "sum") for plan in plans)


def test_a_summary_counts():
    one = {"took": 0.5, "early": False, "kept": 4, "wrong": []}
    text = summary([one, one | {"took": 2.0, "kept": None, "early": True, "wrong": ["it broke"]}])
    assert "2 kills, 1 of them before all ranks trained: 1 clean ends that were resumed to the same bits" in text
    assert "1.25 s, at most 2.00 s" in text
    assert "1 × it broke" in text


@pytest.mark.skipif(not BESIDE.exists() or not hasattr(os, "pidfd_open"), reason="no mpiexec here, or no pidfd_open")
def test_one_is_killed_and_resumed_to_the_same_bits(tmp_path, capsys):
    """The first rank, which writes checkpoints."""
    pytest.importorskip("mpi4py")
    number = next(
        number for number in range(99)
        if (plan := drawn(0, number)).ranks == 2 and plan.sums == "sum" and plan.victim == 0 and not plan.early
    )  # fmt: skip
    assert main(["--only", str(number), "--out", str(tmp_path)]) == 0, capsys.readouterr()
    said = capsys.readouterr().out
    assert "on 2: the same bits" in said
    assert "1 clean ends" in said


def test_no_kills_at_all_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--number", "0"])
    assert "--number must be at least 1, got 0" in capsys.readouterr().err
