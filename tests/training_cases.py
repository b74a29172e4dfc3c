"""Small models and runs for the tests of training. `Line` and `Script` have what `fit` asks for, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from rnn_core.data import Examples, TextStream
from rnn_core.models import LanguageModel, SequenceClassifier


class Line:
    """ŷ = x·w + b, by least squares. `calls` holds what `fit` asked for."""

    def __init__(self, size: int = 3) -> None:
        self.parameters = {"w": np.zeros(size), "b": np.zeros(())}
        self.frozen: frozenset[str] = frozenset()
        self.config: dict[str, Any] = {"size": size}
        self.calls: list[SimpleNamespace] = []

    def loss_and_gradients(self, batch, *, state, needs, rng):
        self.calls.append(SimpleNamespace(batch=batch, state=state, needs=needs, rng=rng))
        error = batch.inputs @ self.parameters["w"] + self.parameters["b"] - batch.targets
        gradients = {"w": 2 * batch.inputs.T @ error / len(error), "b": np.asarray(2 * error.mean())}
        return SimpleNamespace(
            loss=float((error * error).mean()),
            gradients={name: gradients[name] for name in needs},
            state=None,
            count=len(error),
        )

    def evaluate(self, batch, *, state):
        error = batch.inputs @ self.parameters["w"] + self.parameters["b"] - batch.targets
        return SimpleNamespace(
            loss=float(error @ error), count=len(error), correct=int((abs(error) < 0.1).sum()), state=None
        )


def line_data(rows: int = 24, batch_size: int = 8, seed: int = 0) -> Examples:
    """Return points on y = x·(1, −2, 0.5) + 3."""
    x = np.random.default_rng(seed).standard_normal((rows, 3))
    return Examples(x, x @ [1.0, -2.0, 0.5] + 3.0, batch_size=batch_size)


class Script:
    """A model whose validation follows a script.

    Its gradient is −1, so that under ``SGD(1.0)`` its one parameter counts the steps. `losses` and `accuracies` are
    those of epoch after epoch, of `steps` steps each. The state after a step is the number of steps made.
    """

    def __init__(self, losses=(), *, accuracies=None, steps: int = 2) -> None:
        self.parameters = {"w": np.zeros(1)}
        self.frozen: frozenset[str] = frozenset()
        self.config: dict[str, Any] = {}
        self.losses, self.accuracies, self.steps = list(losses), accuracies, steps
        self.states: list[Any] = []
        self.validation_states: list[Any] = []

    def loss_and_gradients(self, batch, *, state, needs, rng):
        self.states.append(None if state is None else state.item())
        return SimpleNamespace(
            loss=1.0, gradients={"w": -np.ones(1)}, state=self.parameters["w"] + 1, count=batch.targets.size
        )

    def evaluate(self, batch, *, state):
        self.validation_states.append(state)
        n = batch.targets.size
        epoch = int(self.parameters["w"][0]) // self.steps - 1
        right = 0.0 if self.accuracies is None else self.accuracies[epoch]
        after = np.asarray(0 if state is None else state + 1)
        return SimpleNamespace(loss=self.losses[epoch] * n, count=n, correct=right * n, state=after)


def stream(batches: int = 2) -> TextStream:
    """Return a text of that many batches; what it says doesn't matter."""
    return TextStream(np.arange(4 * batches + 1) % 3, batch_size=2, steps=2)


TEXT = np.tile(np.random.default_rng(5).integers(0, 7, 11), 12)
"""A text over seven characters that repeats itself after eleven."""
TEXT.setflags(write=False)


def language_model(seed: int = 1, **options: Any) -> LanguageModel:
    """Return a small language model for `TEXT`."""
    return LanguageModel(7, 6, seed=seed, **options)


def text_streams() -> tuple[TextStream, TextStream]:
    """Return `TEXT` for training (four batches, the last of them shorter) and for validation."""
    return TextStream(TEXT[:100], batch_size=3, steps=9), TextStream(TEXT[100:], batch_size=2, steps=9)


def classifier(seed: int = 1, **options: Any) -> SequenceClassifier:
    """Return a small classifier for `sums`."""
    return SequenceClassifier(2, 6, input_size=2, seed=seed, **options)


def sums(rows: int = 20, batch_size: int = 6, seed: int = 3) -> Examples:
    """Return ragged rows of numbers, and whether the sum of the first feature is positive."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 6, rows)
    x = rng.standard_normal((rows, 5, 2)).astype(np.float32)
    x[np.arange(5) >= lengths[:, None]] = 0
    return Examples(x, (x[..., 0].sum(1) > 0).astype(int), lengths=lengths, batch_size=batch_size)


def bits(model: Any) -> dict[str, bytes]:
    """Return the content of every parameter, to be compared bit by bit."""
    return {name: array.tobytes() for name, array in model.parameters.items()}
