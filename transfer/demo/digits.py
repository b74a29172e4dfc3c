"""Handwritten digits, read row by row: what a network knows of 0–4, carried over to 5–9.

The images are scikit-learn's, 8 × 8 pixels: a sequence of 8 time steps with 8 features each. A few images of each new
digit (the shots) are all that the target task has to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Augmented, Examples, Repeated
from rnn_core.data.batches import Batch
from rnn_core.models import Model
from rnn_core.training import Adam, Cosine, fit

from .. import Arm, Plan, Study
from .settings import DigitsSettings

CLASSES = 5
"""Digits in either task."""

SPLIT = 1
"""Draws the test images."""


class Images(NamedTuple):
    """Images as sequences, and what they show."""

    x: np.ndarray  # (N, 8, 8) float32, 0 to 1
    label: np.ndarray  # (N,) int, 0 to 4


def load_images() -> tuple[Images, Images]:
    """Return the images of 0–4, and those of 5–9 with 5 taken off their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, label = (digits.images / 16).astype(np.float32), digits.target
    low = label < CLASSES
    return Images(x[low], label[low]), Images(x[~low], label[~low] - CLASSES)


def move(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images (N, rows, columns), each moved by −1, 0 or 1 pixel down and across; what comes in is empty."""
    N, rows, columns = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    down, across = rng.integers(0, 3, (2, N, 1, 1))
    return padded[np.arange(N)[:, None, None], down + np.arange(rows)[:, None], across + np.arange(columns)]


def arms(settings: DigitsSettings) -> tuple[Arm, ...]:
    """Return what is compared. A core that was copied moves at a rate of its own, also in the control."""
    plan = Plan(rates={"rnn.*": settings.core_rate})
    return (
        Arm("fine-tuned", "trained", plan=plan),
        Arm("frozen core", "trained", frozen_core=True),
        Arm("random core", frozen_core=True),
        Arm("shuffled source", "shuffled", plan=plan),
        Arm("scratch"),
    )


@dataclass(frozen=True)
class DigitsStudy(Study):
    """Source: all images of 0–4. Target: 5–9; its size is the number of shots, images of each digit.

    The test images are the same for every arm and seed. A seed draws the shots from the others, the parameters and
    the order of the batches.
    """

    settings: DigitsSettings
    source: Images
    target: Images
    metric: str = "accuracy in %"

    @classmethod
    def of(cls, settings: DigitsSettings) -> Self:
        """Return the study of scikit-learn's digits."""
        return cls(settings, *load_images())

    def pretrain(self, seed: int, shuffled: bool) -> Model:
        """Return a classifier of 0–4 or, for the control, of the same images with their labels shuffled."""
        s, (x, label) = self.settings, self.source
        if shuffled:
            label = np.random.default_rng([seed, 0]).permutation(label)
        model, examples = self._classifier(2 * seed), Examples(x, label, batch_size=s.batch_size, seed=seed)
        fit(
            model,
            Repeated(Augmented(examples, move, seed=seed), s.source_updates),
            optimizer=Adam(s.source_rate),
            schedule=Cosine(s.source_updates),
            epochs=1,
            progress=False,
        )
        return model

    def build(self, seed: int) -> Model:
        """Return a fresh classifier for 5–9."""
        return self._classifier(2 * seed + 1)

    def train(self, model: Model, plan: Plan, size: int, seed: int) -> Any:
        """Train on `size` images of each digit; return the accuracy on the test images as it grew.

        The curve is for the eye alone: the parameters after the last update count, and nothing is chosen by it.
        """
        s = self.settings
        shots = self.shots(size, seed)
        history = fit(
            model,
            Repeated(Examples(*shots, batch_size=s.batch_size, seed=seed), s.target_updates // s.curve_points),
            optimizer=Adam(s.target_rate),
            schedule=Cosine(s.target_updates),
            epochs=s.curve_points,
            validation=Examples(*self.test, batch_size=s.test_images, shuffle=False),
            restore_best=False,
            updates=plan.resolve(model),
            progress=False,
        )
        accuracy = [round(100 * value, 2) for value in history.column("validation_accuracy")]
        return {"updates": history.column("step"), "accuracy": accuracy}

    def score(self, model: Model) -> float:
        """Return the accuracy on the test images, in per cent."""
        evaluation = model.evaluate(Batch(*self.test))
        return 100 * evaluation.correct / evaluation.count

    @property
    def test(self) -> Images:
        """The images that nothing is trained on."""
        return self._rows(self._order()[: self.settings.test_images])

    def shots(self, size: int, seed: int) -> Images:
        """Return `size` images of each digit that are not among the test images."""
        rest = self._order()[self.settings.test_images :]
        rest = np.random.default_rng([seed, 1]).permutation(rest)
        return self._rows(np.concatenate([rest[self.target.label[rest] == digit][:size] for digit in range(CLASSES)]))

    def _order(self) -> np.ndarray:
        return np.random.default_rng(SPLIT).permutation(len(self.target.label))

    def _rows(self, rows: np.ndarray) -> Images:
        return Images(self.target.x[rows], self.target.label[rows])

    def _classifier(self, seed: int) -> SequenceClassifier:
        rows = self.source.x.shape[-1]
        return SequenceClassifier(CLASSES, self.settings.hidden_size, input_size=rows, seed=seed)
