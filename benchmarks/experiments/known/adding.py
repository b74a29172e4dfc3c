"""The adding problem: does a network that adds over 20 steps learn to add over 100 sooner than a fresh one?

At each step it reads a number between 0 and 1 and a mark. Two steps are marked, one in either half, and the target is
the sum of their numbers. Who always answers 1 has the squared error 1/6, so whoever is below has remembered something.

References
----------
S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735-1780, section 5.4.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rnn_core.data import Batch
from rnn_core.models import Model
from rnn_core.showing.table import table
from rnn_core.training import Adam
from transfer import Arm, Comparison, Head, MultiTask, Plan, Study, TransferReport, compare
from transfer.comparing.arms import BASELINE
from transfer.comparing.verdicts import paired
from transfer.spreading.spread import Workers
from transfer.tasks.mixture import TaskBatch

from ..frame import Claim, Experiment, Outcome, Progress, watched

TRANSFERRED, SHUFFLED = "transferred", "shuffled sums"
ARMS = (
    Arm(TRANSFERRED, "trained"),
    Arm(BASELINE),
    Arm(SHUFFLED, "shuffled"),  # control: does the source have to have learned to add?
)
HALF = 0.5
PILOT = {"source": (700, 800), TRANSFERRED: (250, 550), BASELINE: (1050, 2200)}
"""Steps in an earlier experiment, in another program."""


@dataclass(frozen=True)
class Settings:
    """The budget. Lengths are in time steps, the rest in training steps unless it says otherwise."""

    seeds: int = 10
    source_length: int = 20
    target_length: int = 100
    hidden_size: int = 32
    rate: float = 3e-3
    batch_size: int = 50
    solved_below: float = 0.01
    evaluated_every: int = 25
    test_sequences: int = 1000
    most_steps: int = 10_000


QUICK = Settings(
    seeds=2, source_length=4, target_length=6, hidden_size=4, solved_below=0.16, evaluated_every=5, most_steps=40
)


class Adder(MultiTask):
    """A network with one head, which also knows how long it, and its source, have trained."""

    steps = 0
    solved = False
    source: dict[str, Any] | None = None


class Adding(Study):
    """Scored by the steps to an error below a threshold; a run that never gets there scores the most it may take."""

    core = "*"
    metric = "steps"
    higher_is_better = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        source = self.build(1000 + seed)
        self.learn(source, self.settings.source_length, self.settings.most_steps, [seed, 0], shuffled)
        return source

    def build(self, seed: int) -> Adder:
        return Adder({"sum": Head(1, "squared")}, self.settings.hidden_size, input_size=2, seed=seed)

    def copy(self, source: Any, target: Any) -> TransferReport:
        target.source = {"steps": source.steps, "solved": source.solved}
        return super().copy(source, target)

    def train(self, model: Any, plan: Plan, size: int, seed: int) -> dict[str, Any]:
        error = self.learn(model, self.settings.target_length, size, [seed, 1])
        return {"solved": model.solved, "error": error, "source": model.source}

    def score(self, model: Any) -> float:
        return float(model.steps)

    def learn(self, model: Adder, T: int, most: int, seed: list[int], shuffled: bool = False) -> float:
        """Train on ever new sequences until the problem is solved, and return the last error on the test's."""
        settings, rng = self.settings, np.random.default_rng(seed)
        x_test, y_test = sequences(np.random.default_rng([0, 2]), settings.test_sequences, T)
        optimizer = Adam(settings.rate)
        state, error = optimizer.init(model.parameters), np.inf
        for step in range(1, most + 1):
            x, y = sequences(rng, settings.batch_size, T)
            batch = Batch(x, rng.permutation(y) if shuffled else y)
            optimizer.update(model.parameters, model.loss_and_gradients(TaskBatch({"sum": batch})).gradients, state)
            if step % settings.evaluated_every == 0:
                error = float(np.mean((model("sum", x_test) - y_test) ** 2))
                if error < settings.solved_below:
                    break
        model.steps, model.solved = step, error < settings.solved_below
        return error


def sequences(rng: np.random.Generator, count: int, T: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers with marks, (count, T, 2) float32, and the sums of the marked ones, (count,) float32."""
    x = np.zeros((count, T, 2), np.float32)
    x[:, :, 0] = rng.random((count, T), np.float32)
    rows, first, second = np.arange(count), rng.integers(0, T // 2, count), rng.integers(T // 2, T, count)
    x[rows, first, 1] = x[rows, second, 1] = 1
    return x, x[rows, first, 0] + x[rows, second, 0]


@dataclass(frozen=True)
class Ratio:
    """An arm's steps over those from scratch: seed by seed, and their geometric mean with its interval."""

    arm: str
    each: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        interval = "" if self.low is None else f" (95% interval {self.low:.2f} to {self.high:.2f})"
        within = sum(ratio <= HALF for ratio in self.each)
        return f"{self.mean:.2f} of scratch's steps{interval}, at most half in {within} of {len(self.each)} seeds"


def ratio(comparison: Comparison, arm: Arm) -> Ratio:
    """Return the ratio of an arm; the interval is the paired one, (X7), of the logarithms."""
    (size,) = comparison.sizes
    steps, scratch = comparison.scores(arm.name, size), comparison.scores(BASELINE, size)
    log = paired(arm, BASELINE, size, np.log(steps), np.log(scratch), sign=1)
    ends = [None, None] if log.half_width is None else np.exp([log.mean - log.half_width, log.mean + log.half_width])
    return Ratio(arm.name, tuple((steps / scratch).tolist()), float(np.exp(log.mean)), *map(_number, ends))


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Run every arm with every seed."""
    settings = QUICK if quick else Settings()
    comparison = compare(
        Adding(settings),
        sizes=[settings.most_steps],
        seeds=settings.seeds,
        arms=ARMS,
        workers=workers,
        **watched(progress),
    )
    ratios = {arm.name: ratio(comparison, arm) for arm in ARMS if arm.name != BASELINE}
    unsolved = {arm.name: sum(not r.record["solved"] for r in comparison.runs if r.arm == arm.name) for arm in ARMS}
    main = ratios[TRANSFERRED]
    claim = Claim(
        f"from T = {settings.source_length} to {settings.target_length}, transfer takes at most half of the steps",
        # A transferred run that was cut off would have taken longer, so its ratio is too small to be believed.
        holds=main.high is not None and main.high <= HALF and not unsolved[TRANSFERRED],
        found=str(main),
    )
    return Outcome(
        {
            "task": "the sum of the two marked numbers, a mark in either half; always answering 1 scores 1/6",
            "network": f"LSTM, {settings.hidden_size} units, a linear head on the last state, float32",
            "training": f"Adam at {settings.rate:g}, {settings.batch_size} new sequences a step, squared error",
            "transfer": "every parameter is copied from a source that trained until it had solved the shorter task",
            "control": "the same, from a source that had each batch's sums in another order, for the most steps",
            "score": "steps until the error on the test's sequences is below the threshold; size is the most steps",
            "claim": "holds if the whole interval of the mean ratio is at most half, and every transferred run ended",
            **asdict(settings),
        },
        {**comparison.as_dict(), "ratios": [asdict(found) for found in ratios.values()], "unsolved": unsolved},
        _table(comparison, settings, ratios, unsolved),
        (claim,),
    )


def _table(comparison: Comparison, settings: Settings, ratios: dict[str, Ratio], unsolved: dict[str, int]) -> str:
    runs = {(r.seed, r.arm): r for r in comparison.runs}
    names = [arm.name for arm in ARMS]
    headings = ("seed", "source", *names, f"{TRANSFERRED} ÷ {BASELINE}")
    rows = []
    for k, seed in enumerate(comparison.seeds):
        source = runs[seed, TRANSFERRED].record["source"]
        cells = [_steps(source["steps"], source["solved"])]
        cells += [_steps(runs[seed, name].score, runs[seed, name].record["solved"]) for name in names]
        rows.append((str(seed), *cells, f"{ratios[TRANSFERRED].each[k]:.2f}"))
    lines = [table(headings, rows, right=headings)]
    if cut := [f"{count} {name}" for name, count in unsolved.items() if count]:
        lines.append(f">: not solved in {settings.most_steps:,} steps, and counted as so many ({', '.join(cut)})")
    lines += [f"{name}: {found}" for name, found in ratios.items()]
    sources = [runs[seed, TRANSFERRED].record["source"]["steps"] for seed in comparison.seeds]
    for name, (low, high) in PILOT.items():
        steps = sources if name == "source" else [runs[seed, name].score for seed in comparison.seeds]
        lines.append(f"{name}: {min(steps):,.0f} to {max(steps):,.0f} steps; an earlier program {low:,} to {high:,}")
    return "\n".join([*lines, str(comparison)])


def _steps(steps: float, solved: bool) -> str:
    return f"{'' if solved else '> '}{steps:,.0f}"


EXPERIMENT = Experiment("adding", "the adding problem, from 20 time steps to 100: steps until it is solved", run)
