"""Reptile on sine waves, beside joint training on the same batches: the functions of ``examples/reptile_sines.py``.

What it should come to is the range that another program found. Seeds run one after the other, in this process.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from examples.reptile_sines import METHODS, STEPS, errors, learned  # from the repository's root, as is this package
from rnn_core.showing.table import table
from transfer import Arm, Difference
from transfer.comparing.verdicts import LEVEL, paired
from transfer.spreading.spread import Workers

from ..frame import Claim, Experiment, Outcome, Progress

REPTILE, JOINT = METHODS
SHOWN = (1, 32)
RANGES = {
    (REPTILE, 1): (0.70, 0.86),
    (REPTILE, 32): (0.13, 0.18),
    (JOINT, 1): (3.8, 3.8),
    (JOINT, 32): (2.4, 2.7),
}
"""Errors by method and steps, in an earlier experiment in another program; as many decimals as it gave."""
DECIMALS = {REPTILE: 2, JOINT: 1}


@dataclass(frozen=True)
class Settings:
    """The budget."""

    seeds: int = 3
    iterations: int = 30_000
    steps: int = 5
    inner: float = 0.02
    outer: float = 0.1
    tests: int = 400


QUICK = Settings(seeds=2, iterations=100, tests=5)


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Learn with both methods for every seed, and judge them on the same new waves."""
    from threadpoolctl import threadpool_limits

    settings = QUICK if quick else Settings()
    found: dict[str, list[np.ndarray]] = {method: [] for method in METHODS}
    with threadpool_limits(1):
        for seed in range(settings.seeds):
            for method in METHODS:
                model = learned(method, seed, settings.iterations, settings.steps, settings.inner, settings.outer)
                found[method].append(errors(model, settings.inner, STEPS, settings.tests))
                progress(f"{method}, seed {seed}: {', '.join(f'{error:.3f}' for error in found[method][-1])}")
    scores = {(method, step): np.array(found[method])[:, k] for method in METHODS for k, step in enumerate(STEPS)}
    arm = Arm(REPTILE, "trained")
    differences = [paired(arm, JOINT, step, scores[REPTILE, step], scores[JOINT, step], sign=-1) for step in SHOWN]
    places = {key: [place(error, *key) for error in scores[key]] for key in RANGES}
    claims = tuple(
        Claim(
            f"{REPTILE}'s error after {step} step{'s' * (step > 1)} lies within {_range(REPTILE, step)}, or below",
            holds=set(places[REPTILE, step]) <= {"within", "below"},
            found=_counted(places[REPTILE, step]),
        )
        for step in SHOWN
    )
    return Outcome(
        {
            "task": "sine waves of amplitude 0.1 to 5 and phase 0 to 2π on -5 to 5, ten points each",
            "network": "1-64-64-1, tanh, float64",
            "training": f"{settings.steps} steps on each wave at the rate {settings.inner:g}, on parts of one grid; "
            f"{REPTILE}'s own rate falls from {settings.outer:g} to 0; {JOINT} takes the same batches as one task",
            "score": "mean squared error on the grid of new waves, after some steps on ten points of each",
            **asdict(settings),
        },
        {
            "errors": [
                {"method": method, "seed": seed, "by_steps": dict(zip(map(str, STEPS), row.tolist(), strict=True))}
                for method in METHODS
                for seed, row in enumerate(found[method])
            ],
            "ranges": [
                {"method": method, "steps": step, "range": list(RANGES[method, step]), "seeds": places[method, step]}
                for method, step in RANGES
            ],
            "differences": [asdict(difference) | {"better": "lower"} for difference in differences],
        },
        _table(settings, scores, places, differences),
        claims,
    )


def place(error: float, method: str, step: int) -> str:
    """Return where an error lies, rounded as the range is."""
    low, high = RANGES[method, step]
    rounded = round(float(error), DECIMALS[method])
    return "below" if rounded < low else "above" if rounded > high else "within"


def _counted(places: list[str]) -> str:
    words = {"within": "within", "below": "below it, which is better", "above": "above it, which is worse"}
    return ", ".join(f"{places.count(k)} of {len(places)} {text}" for k, text in words.items() if k in places)


def _range(method: str, step: int) -> str:
    low, high = (f"{end:.{DECIMALS[method]}f}" for end in RANGES[method, step])
    return low if low == high else f"{low} to {high}"


def _table(
    settings: Settings, scores: dict[Any, np.ndarray], places: dict[Any, list[str]], differences: list[Difference]
) -> str:
    seeds = [f"seed {seed}" for seed in range(settings.seeds)]
    rows = [
        (method, str(step), *(f"{error:.2f}" for error in scores[method, step]), _range(method, step),
         _counted(places[method, step]))
        for method, step in RANGES
    ]  # fmt: skip
    lines = [
        table(("", "steps", *seeds, "range known", "lies"), rows, right=("steps", *seeds)),
        f"mean squared error on {settings.tests} new waves, lower is better",
    ]
    for difference in differences:
        width = "" if difference.half_width is None else f" ± {difference.half_width:.2f}"
        note = f" ({difference.note})" if difference.note else ""
        lines.append(
            f"after {difference.size}: {REPTILE} better than {JOINT} by {difference.mean:.2f}{width}, "
            f"{difference.verdict}{note}"
        )
    lines.append(f"±: {LEVEL:.0%} t-interval of the paired difference over {settings.seeds} seeds")
    return "\n".join(lines)


EXPERIMENT = Experiment("sines", "Reptile on sine waves, beside joint training on the same batches", run)
