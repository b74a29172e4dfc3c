"""Digits 0–4 to digits 5–9, and digits to the same digits from another scanner: all methods, two tables.

In the first the inputs are alike and the classes new; in the second the classes are the same and the inputs another.
The images are scikit-learn's, 8 × 8 pixels, and their rows are time steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_core.data import Augmented
from rnn_core.data.labelled import Labelled
from rnn_core.data.source import Source
from transfer.comparing.classification import ClassificationStudy
from transfer.comparing.data_study import Budget
from transfer.demo.digits import CLASSES, Images, load_images, move
from transfer.spreading.spread import Workers

from ..frame import Experiment, Outcome, Progress
from ..methods import every_method, verdict

TEST = 500
SPLIT = 1
"""Draws the test images."""
SEEDS, QUICK_SEEDS = 20, 2
SHOTS = (1, 2, 10, 50)
TINY = Budget(source_updates=4, target_updates=4)
NETWORK = {"hidden_size": 64}


@dataclass(frozen=True, eq=False)
class NewClasses(ClassificationStudy):
    """The source sees its images moved by up to a pixel, as those of `rnn-core demo` are."""

    def batches(self, source: Labelled, seed: int, batch_size: int | None = None) -> Source:
        return Augmented(super().batches(source, seed, batch_size), move, seed=seed)


def new_classes(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """From 0–4 to 5–9, with 1, 2, 10 and 50 images of each."""
    low, high = load_images()
    test, target = _labelled(high, CLASSES).split(TEST, SPLIT)
    study = NewClasses(_labelled(low), target, test, _network(quick), TINY if quick else Budget())
    sizes = [CLASSES * shots for shots in (SHOTS[:1] if quick else SHOTS)]
    protocol = {
        "task": "rows of 8 × 8 digits as time steps; source 0–4, each image moved by up to a pixel in every reading; "
        "target 5–9, whose images stay where they are; size is a number of images, as many of each digit",
        "network": "LSTM, 64 units, last state, softmax",
        "test": f"{TEST} images of 5–9, the same for every arm and seed; they choose nothing",
        "what a seed draws": "the source model, the fresh target model, the images and the order of batches",
    }
    comparison, outcome = every_method(study, sizes, _seeds(quick), workers, progress, protocol)
    if quick:
        return outcome
    one, fifty = sizes[0], sizes[-1]
    claims = (
        verdict(comparison, "fine-tuned", one, "positive", "with 1 image of each digit, fine-tuning helps"),
        verdict(comparison, "frozen core", fifty, "NEGATIVE TRANSFER", "with 50, a frozen core hurts"),
    )
    return Outcome(outcome.protocol, outcome.results, outcome.table, claims)


def another_scanner(quick: bool, workers: Workers, progress: Progress) -> Outcome:
    """From digits to the same digits, dimmed, noisy and a pixel to the right."""
    study = scanner_study(quick, TINY if quick else Budget())
    sizes = [2 * CLASSES * shots for shots in ((1,) if quick else (1, 4, 16))]
    protocol = {
        "task": "rows of 8 × 8 digits as time steps; source and target are 0–9, other images; the target's have half "
        "the contrast on a grey ground, noise of a standard deviation of 0.15, and stand one pixel further right; "
        "size is a number of images",
        "network": "LSTM, 64 units, last state, softmax",
        "test": f"{TEST} images, the same for every arm and seed; they choose nothing",
        "what a seed draws": "the source model, the fresh target model, the images and the order of batches",
    }
    _, outcome = every_method(study, sizes, _seeds(quick), workers, progress, protocol)
    return outcome


def scanner_study(quick: bool, budget: Budget) -> ClassificationStudy:
    """Return the study from digits to other images of them, from another scanner."""
    parts = load_images()
    x = np.concatenate([part.x for part in parts])
    label = np.concatenate([part.label + CLASSES * k for k, part in enumerate(parts)])
    whole = _labelled(Images(x, label))
    here, there = whole.split(len(whole) // 2, SPLIT)
    test, target = Labelled(scanned(np.asarray(here.inputs)), here.targets, here.classes).split(TEST, SPLIT)
    return ClassificationStudy(there, target, test, _network(quick), budget)


def scanned(images: np.ndarray) -> np.ndarray:
    """Return images (N, 8, 8) as another scanner would see them."""
    rng = np.random.default_rng(SPLIT)
    right = np.pad(images, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    return (0.3 + 0.5 * right + 0.15 * rng.standard_normal(images.shape)).astype(np.float32)


def _labelled(images: Images, first: int = 0) -> Labelled:
    """Return images with the digits' names; the first label is that digit."""
    return Labelled(images.x, images.label, tuple(str(first + k) for k in range(images.label.max() + 1)))


def _network(quick: bool) -> dict[str, Any]:
    return {"hidden_size": 8} if quick else NETWORK


def _seeds(quick: bool) -> int:
    return QUICK_SEEDS if quick else SEEDS


NEW_CLASSES = Experiment("digits", "digits 0–4 to digits 5–9, all methods: accuracy", new_classes)
ANOTHER_SCANNER = Experiment("scanner", "digits to digits from another scanner, all methods: accuracy", another_scanner)
