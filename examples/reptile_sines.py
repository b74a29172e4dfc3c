"""Reptile on sine waves: learn a start from which ten points of a new wave are enough, beside joint training.

A task is a wave of its own amplitude, 0.1 to 5, and phase, 0 to 2π. For example
``python examples/reptile_sines.py --iterations 3000 --seeds 2``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from math import pi
from time import perf_counter
from typing import Any

import numpy as np

from rnn_core.data import Batch
from rnn_core.layers import Linear
from rnn_core.models.base import Evaluation, Model, Step, named
from rnn_core.training import SGD, SquaredError, fit
from transfer.tasks.adaptation import adapt
from transfer.tasks.episodes import Task, Tasks
from transfer.tasks.meta import Reptile

GRID = np.linspace(-5, 5, 50)[:, None]
"""Where a wave is known in training, and judged in the test."""
STEPS = (1, 2, 4, 8, 16, 32)
"""After how many steps on ten points of a new wave the test looks at it."""
METHODS = ("Reptile", "joint")


class MLP(Model):
    """Numbers to a number: two hidden layers of tanh, and a linear one above."""

    def __init__(self, width: int = 64, *, dtype: Any = np.float64, seed: int = 0) -> None:
        self.config = {"width": width, "dtype": np.dtype(dtype).name, "seed": seed}
        self.loss = SquaredError()
        sizes = (1, width, width, 1)
        self._compose(
            {
                f"l{k}": Linear(sizes[k], sizes[k + 1], dtype=dtype, seed=1000 * seed + k)
                for k in range(len(sizes) - 1)
            }
        )

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, list[Any]]:
        """Return the outputs and, for the way back, what went into each layer."""
        tapes: list[Any] = []
        for layer in self.layers.values():
            x, tape = layer.forward(np.tanh(x) if tapes else x)  # type: ignore[attr-defined]
            tapes.append(tape)
        return x, tapes

    def loss_and_gradients(
        self, batch: Batch, *, state: Any = None, needs: Iterable[str] | None = None, rng: Any = None
    ) -> Step:
        outputs, tapes = self.forward(batch.inputs)
        loss, tape = self.loss.forward(outputs, batch.targets)
        needs, dx = set(self._trainable(needs)), self.loss.backward(tape)
        gradients: dict[str, Any] = {}
        for (part, layer), x in zip(reversed(self.layers.items()), reversed(tapes), strict=True):
            dx, found = layer.backward(x, dx)  # type: ignore[attr-defined]
            gradients |= {name: g for name, g in named(part, found).items() if name in needs}
            dx = dx * (1 - x.x * x.x)
        return Step(loss.item(), self._in_order(gradients), None, len(outputs))

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        outputs, _ = self.forward(batch.inputs)
        loss, _ = self.loss.forward(outputs, batch.targets)
        return Evaluation(loss.item() * len(outputs), len(outputs), 0, None)


def wave(rng: np.random.Generator, steps: int = 0) -> tuple[list[Batch], Batch]:
    """Return a new wave: batches of ten points, and all of it on the grid.

    For training they are so many different parts of the grid. For the test, 0, it is one batch from anywhere.
    """
    amplitude, phase = rng.uniform(0.1, 5), rng.uniform(0, 2 * pi)
    if steps:
        x = GRID[rng.permutation(len(GRID))[: 10 * steps]].reshape(steps, 10, 1)
    else:
        x = rng.uniform(-5, 5, (1, 10, 1))
    points = [Batch(x_k, amplitude * np.sin(x_k + phase)) for x_k in x]
    return points, Batch(GRID, amplitude * np.sin(GRID + phase))


def waves(iterations: int, steps: int, seed: int) -> Tasks:
    """Return waves to learn from, with so many steps on each."""
    return Tasks(lambda rng: Task(*wave(rng, steps)), iterations, seed=seed)


def joint(iterations: int, steps: int, seed: int) -> list[Batch]:
    """Return the same batches in the same order, as if all waves were one task."""
    tasks = waves(iterations, steps, seed)
    return [batch for k in range(iterations) for batch in tasks.batch(0, k).tasks[0].support]


def learned(method: str, seed: int, iterations: int, steps: int, inner: float, outer: float) -> MLP:
    """Return a start that so many waves have taught, so many steps on each at the rate `inner`.

    "Reptile" moves at its own rate `outer`, which falls to 0; "joint" takes the same batches as one task.
    """
    model = MLP(seed=seed)
    if method == "Reptile":
        falling = lambda k: 1 - k / iterations
        learner, tasks = Reptile(model, SGD(inner)), waves(iterations, steps, seed)
        fit(learner, tasks, optimizer=SGD(outer), schedule=falling, epochs=1, progress=False)
    else:
        adapt(model, joint(iterations, steps, seed), SGD(inner))
    return model


def errors(model: MLP, rate: float, steps: Iterable[int], count: int) -> np.ndarray:
    """Return the mean squared error on new waves, always the same, after some steps on ten points of each."""
    rng, start, found = np.random.default_rng([0, 0, 0, 1]), model.state_dict(), []
    for _ in range(count):
        points, whole = wave(rng)
        model.load_state_dict(start)
        row, made = [], 0
        for step in steps:
            adapt(model, points * (step - made), SGD(rate))
            made = step
            row.append(model.evaluate(whole).loss / len(GRID))
        found.append(row)
    model.load_state_dict(start)
    return np.mean(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=30_000, help="tasks to learn from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tests", type=int, default=400, help="new waves in the test")
    parser.add_argument("--inner", type=float, default=0.02, help="learning rate on a task")
    parser.add_argument("--outer", type=float, default=0.1, help="Reptile's own rate, which falls to 0")
    parser.add_argument("--steps", type=int, default=5, choices=range(1, 6), help="steps on each wave, ten points each")
    args = parser.parse_args()
    print(f"{'':16s}" + "".join(f"{step:>8d}" for step in STEPS) + "   steps on ten points")
    for seed in range(args.seeds):
        for method in METHODS:
            began = perf_counter()
            model = learned(method, seed, args.iterations, args.steps, args.inner, args.outer)
            seconds = perf_counter() - began
            row = errors(model, args.inner, STEPS, args.tests)
            print(f"{method:8s} seed {seed:2d}" + "".join(f"{e:8.3f}" for e in row) + f"   {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
