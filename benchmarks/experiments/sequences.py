"""Copy, reverse and sort: what a network with attention must be able to write, and how far beyond its lengths it goes.

Three tasks are to be solved: ten symbols out of twenty, written as they came, from behind, and in order. A fourth asks
for more than was trained: copying 40 symbols after sequences of at most 20. That a task is not solved is told like any
other result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from rnn_core import Seq2Seq
from rnn_core.data import Batch
from rnn_core.showing.table import table
from rnn_core.training import Adam, fit
from rnn_core.training.schedules import WarmupCosine
from transfer.spreading.spread import Workers

from .frame import Claim, Experiment, Outcome, Progress

SOLVED = 0.995
"""The share of unseen sequences that has to be right, to the last symbol."""

Task = Callable[[np.ndarray], np.ndarray]
TASKS: dict[str, Task] = {
    "copy": lambda rows: rows,
    "reverse": lambda rows: rows[:, ::-1],
    "sort": lambda rows: np.sort(rows, axis=1),
}


@dataclass(frozen=True)
class Settings:
    """The budget: lengths in symbols, the rest in training steps unless it says otherwise."""

    seeds: int = 3
    symbols: int = 20
    length: int = 10
    hidden_size: int = 64
    embedding_size: int = 32
    batch_size: int = 64
    rate: float = 5e-3
    steps: int = 2000
    trained_lengths: tuple[int, int] = (1, 20)
    asked_lengths: tuple[int, ...] = (10, 20, 25, 30, 40)
    long_steps: int = 3000
    test_sequences: int = 2000


QUICK = Settings(
    seeds=1, symbols=3, length=2, hidden_size=8, embedding_size=4, batch_size=8, steps=5, trained_lengths=(1, 3),
    asked_lengths=(2, 5), long_steps=5, test_sequences=20,
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """Ever new sequences; all of a batch have one length, between the two."""

    task: Task
    settings: Settings
    lengths: tuple[int, int]
    steps: int
    seed: int

    def __len__(self) -> int:
        return self.steps

    def batch(self, epoch: int, index: int) -> Batch:
        """Return one batch."""
        rng = np.random.default_rng([self.seed, epoch, index])
        length = int(rng.integers(self.lengths[0], self.lengths[1] + 1))
        rows = rng.integers(1, self.settings.symbols + 1, (self.settings.batch_size, length))
        return Batch(rows, np.pad(self.task(rows), ((0, 0), (0, 1))))


def learned(source: Drawn, seed: int, **options: Any) -> Seq2Seq:
    """Return a network that has learned a task."""
    settings = source.settings
    model = Seq2Seq(
        settings.symbols + 1, settings.hidden_size, vocab_size=settings.symbols + 1,
        embedding_size=settings.embedding_size, seed=seed, **options,
    )  # fmt: skip
    schedule = WarmupCosine(min(100, source.steps // 2), source.steps, floor=0.01)
    fit(model, source, optimizer=Adam(settings.rate), epochs=1, schedule=schedule, clip_norm=1.0, progress=False)
    return model


def right(model: Seq2Seq, task: Task, settings: Settings, length: int) -> tuple[float, float]:
    """Return the share of unseen sequences that are written right, greedily, and that of their symbols."""
    rows = np.random.default_rng([length, 2**31]).integers(1, settings.symbols + 1, (settings.test_sequences, length))
    whole = symbols = 0
    for start in range(0, len(rows), 250):
        some = rows[start : start + 250]
        for found, expected in zip(model.predict(some, max_length=length + 5), task(some), strict=True):
            whole += np.array_equal(found, expected)
            common = min(len(found), length)
            symbols += int((found[:common] == expected[:common]).sum())
    return whole / len(rows), symbols / rows.size


def run(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """Learn each task with each seed."""
    settings = QUICK if quick else Settings()
    solved: list[dict[str, Any]] = []
    lines = []
    for name, task in TASKS.items():
        for seed in range(settings.seeds):
            began = perf_counter()
            model = learned(Drawn(task, settings, (settings.length,) * 2, settings.steps, seed), seed)
            whole, symbols = right(model, task, settings, settings.length)
            seconds = perf_counter() - began
            solved.append({"task": name, "seed": seed, "exact": whole, "symbols": symbols, "seconds": seconds})
            lines.append((name, str(seed), f"{whole:.2%}", f"{symbols:.2%}", f"{seconds:.0f}"))
            progress(f"{name}, seed {seed}: {whole:.2%} right")
    longer, long_lines = [], []
    for feeding in (False, True):
        for seed in range(settings.seeds):
            source = Drawn(TASKS["copy"], settings, settings.trained_lengths, settings.long_steps, seed)
            model = learned(source, seed, input_feeding=feeding)
            found = {length: right(model, TASKS["copy"], settings, length) for length in settings.asked_lengths}
            longer += [
                {"input_feeding": feeding, "seed": seed, "length": length, "exact": whole, "symbols": symbols}
                for length, (whole, symbols) in found.items()
            ]
            cells = [f"{whole:.1%} ({symbols:.1%})" for whole, symbols in found.values()]
            long_lines.append(("yes" if feeding else "no", str(seed), *cells))
            progress(f"copy of up to {source.lengths[1]}, input feeding {feeding}, seed {seed}: {', '.join(cells)}")
    worst = min(solved, key=lambda one: one["exact"])
    most = settings.trained_lengths[1]
    return Outcome(
        {
            "task": f"write {settings.length} symbols out of {settings.symbols} as they came, from behind, in order",
            "network": "LSTM, both directions, general attention, one layer",
            "training": f"Adam at {settings.rate:g}, warm-up and cosine, {settings.batch_size} new sequences a step",
            "score": f"{settings.test_sequences} unseen sequences, greedy, exact to the last symbol and the end",
            "longer": f"copy, trained on lengths of {settings.trained_lengths[0]} to {most}, one length a batch",
            **asdict(settings),
        },
        {"solved": solved, "longer": longer},
        "\n".join([
            table(("task", "seed", "exact", "symbols", "seconds"), lines, right=("exact", "symbols", "seconds")),
            f"\ncopy, trained on at most {most} symbols: exact sequences (symbols) by length",
            table(("fed", "seed", *map(str, settings.asked_lengths)), long_lines, right=()),
        ]),
        (
            Claim(
                f"copy, reverse and sort of {settings.length} out of {settings.symbols} are exact in {SOLVED:.1%}",
                worst["exact"] >= SOLVED,
                f"at worst {worst['exact']:.2%}, {worst['task']} with seed {worst['seed']}",
            ),
        ),
    )  # fmt: skip


EXPERIMENT = Experiment("sequences", "copy, reverse and sort with attention, and copies of twice the length", run)
