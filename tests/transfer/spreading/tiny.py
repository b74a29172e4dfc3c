"""What workers of tests are handed: a study that takes milliseconds, and tasks that go wrong."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import SGD, fit
from transfer import Arm, Plan, Study

ARMS = (
    Arm("fine-tuned", "trained"),
    Arm("scratch"),
    Arm("frozen core", "trained", frozen_core=True),
    Arm("shuffled", "shuffled"),
    Arm("scrambled", "scrambled", plan=Plan(rates={"head.*": 0.1})),
)
SIZES, SEEDS = (4, 8), 3
ALL = len(ARMS) * len(SIZES) * SEEDS


@dataclass
class Tiny(Study):
    """Is the sum of a sequence positive? With the equations as they are, so that no worker compiles anything."""

    fails: tuple[str, ...] = ()
    marks: Path | None = None

    def pretrain(self, seed, shuffled):
        x, y = self.data(seed, 12)
        return self.fit(self.build(seed + 100), x, np.roll(y, 1) if shuffled else y, seed)[0]

    def build(self, seed):
        return SequenceClassifier(2, 3, input_size=2, cell="gru", seed=seed, backend="numpy")

    def train(self, model, plan, size, seed):
        if self.marks is not None:
            (self.marks / f"{os.getpid()}-{size}-{seed}-{len(plan.frozen)}").touch()
        if "arm" in self.fails and seed == 1 and plan.frozen:
            raise FloatingPointError("it ran away")
        if "worker" in self.fails and seed == 1 and plan.frozen:
            os.kill(os.getpid(), signal.SIGKILL)
        if "once" in self.fails and seed == 1 and plan.frozen and not (self.marks / "died").exists():
            (self.marks / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        x, y = self.data(seed + 500, size)
        return self.fit(model, x, 1 - y, seed, plan.resolve(model))[1]

    def score(self, model):
        x, y = self.data(99, 16)
        return float(model.evaluate(Examples(x, 1 - y, shuffle=False).batch(0, 0)).loss)

    @staticmethod
    def data(seed, size):
        x = np.random.default_rng(seed).standard_normal((size, 3, 2)).astype(np.float32)
        return x, (x.sum(axis=(1, 2)) > 0).astype(np.int64)

    @staticmethod
    def fit(model, x, y, seed, updates=None):
        data = Examples(x, y, batch_size=4, seed=seed)
        found = fit(model, data, optimizer=SGD(0.5), epochs=1, updates=updates, seed=seed, progress=False)
        return model, found.column("loss")


def threads(shared, *arguments):
    """What the kernels of a worker have."""
    return numba.get_num_threads(), arguments


def pid_facts():
    """Facts that no other process shares."""
    return {"processor": "any", "code": os.getpid()}


def kinds():
    """Facts of which one may differ."""
    return {"processor": f"kind {os.getpid()}", "code": 1}


def given(shared, held, argument):
    """What a task was handed."""
    return shared, held.sum(), argument
