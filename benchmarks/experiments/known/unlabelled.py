"""Digits to the same digits from another scanner, whose labels nobody sees: methods of adaptation beside the source.

Weights of the losses are those of the catalogue. They were set before the first run, and nothing was chosen by what
came out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from transfer import Arm, Comparison, Plan, compare
from transfer.comparing.classification import ClassificationStudy
from transfer.comparing.data_study import Budget
from transfer.domains.losses.discrepancy import MMD
from transfer.methods.catalogue import arms_for
from transfer.methods.unlabelled import Adapted
from transfer.spreading.spread import Workers

from ..frame import Experiment, Outcome, Progress, markdown_table, watched
from .digits import QUICK_SEEDS, TEST, TINY, scanner_study

SEEDS = 5
LABELS = 40
"""Of the target, which "scratch" alone is given: 4 of each digit."""
BUDGET = Budget(target_updates=256)
ALONE = "source alone"
NAMES = (
    "MMD", "deep CORAL", "domain-adversarial", "conditional adversarial", "class confusion", "entropy minimisation",
    "pseudo-labels",
)  # fmt: skip


def unlabelled(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """From digits to the same digits, dimmed, noisy and a pixel to the right, without their labels."""
    study = scanner_study(quick, TINY if quick else BUDGET)
    seeds = QUICK_SEEDS if quick else SEEDS
    comparison = compare(
        study, sizes=[LABELS], seeds=seeds, arms=arms(study), workers=workers, **watched(progress)
    )
    protocol = {
        "task": "rows of 8 × 8 digits as time steps; source and target are 0–9, other images; the target's have half "
        "the contrast on a grey ground, noise of a standard deviation of 0.15, and stand one pixel further right",
        "labels": f"no arm but scratch sees a label of the target; scratch sees {LABELS}",
        "source alone": "the source's network, which trains on for as many updates on the source's images",
        "network": "LSTM, 64 units, last state, softmax",
        "budget": f"{study.budget}",
        "test": f"{TEST} images, the same for every arm and seed; they choose nothing",
    }
    against = {name: comparison.difference(name, LABELS, ALONE) for name in (*NAMES, "scratch")}
    results = {
        **comparison.as_dict(),
        "against source alone": {
            name: {"mean": found.mean, "half_width": found.half_width, "verdict": found.verdict}
            for name, found in against.items()
        },
    }
    headings = ("without labels of the target", "accuracy in %", "better than source alone by")
    table = markdown_table(headings, rows(comparison))
    return Outcome(protocol, results, f"{table}\n{calibrations(comparison)}", markdown=table)


def arms(study: ClassificationStudy) -> list[Arm]:
    """Return the methods without few labels, the source alone, and scratch, which has labels."""
    found = []
    for arm in arms_for(study, NAMES)[0]:
        method: Any = arm.method
        found.append(arm if method is None else replace(arm, method=replace(method, few=False)))
    tuned = Plan(rates=study.slowly(study.build(0)))
    return [Arm(ALONE, "trained", plan=tuned, method=Adapted(MMD(), weight=0.0, few=False)), *found]


def rows(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return a line for each arm: what it is called, its accuracy, and its gain."""
    lines = []
    for arm in comparison.arms:
        mean, gain = f"{comparison.scores(arm.name, LABELS).mean():.1f}", ""
        if arm.name != ALONE:
            found = comparison.difference(arm.name, LABELS, ALONE)
            gain = found.said(1).replace("-", "−")
            gain = f"**{gain}**" if found.verdict == "positive" else gain
            gain += " ⚠" if found.mean < 0 and found.half_width is not None and -found.mean > found.half_width else ""
        name = f"*scratch, with {LABELS} labels of the target*" if arm.name == "scratch" else arm.name
        lines.append((name, mean, gain))
    return lines


def calibrations(comparison: Comparison) -> str:
    """Return what became of the pseudo-labels' calibration, on average over seeds."""
    records = [run.record for run in comparison.runs if run.arm == "pseudo-labels"]
    return "pseudo-labels: " + ", ".join(
        f"{key} {sum(record[key] for record in records) / len(records):.3g}" for key in records[0]
    )


EXPERIMENT = Experiment("unlabelled", "digits from another scanner, without their labels: accuracy", unlabelled)
