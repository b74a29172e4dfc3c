"""Optimizers by name, and when a run is over: as `MLPClassifier` has both."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from ..foreign import shown
from ..training import SGD, Adam, AdamW, History, Optimizer
from ..training.callbacks import Callback
from ..training.history import EpochRecord

OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {
    "adam": lambda lr: Adam(lr),
    "adamw": lambda lr: AdamW(lr),
    "sgd": lambda lr: SGD(lr, momentum=0.9, nesterov=True),
}
"""From a learning rate to an optimizer."""


class Convergence(Callback):
    """Ends a run in which the loss, or the score of what was held out, has not become better for some epochs.

    Attributes
    ----------
    losses, scores : list of float
        Of each epoch; `scores` is empty where nothing is held out.
    over : bool
        Whether the run was ended.
    """

    def __init__(self, tol: float, patience: float, score: Callable[[EpochRecord], float] | None) -> None:
        self.tol, self.patience, self.score = tol, patience, score
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.over = False
        self._best, self._stale = -inf, 0

    def epoch(self, history: History) -> bool:
        """Hear of an epoch."""
        record = history[-1]
        self.losses.append(record.loss)
        value = -record.loss
        if self.score is not None:
            value = self.score(record)
            self.scores.append(value)
        self._stale = 0 if value >= self._best + self.tol else self._stale + 1
        self._best = max(self._best, value)
        self.over = self._stale > self.patience
        return self.over


def optimizer_of(where: str, given: Any, learning_rate: Any) -> Optimizer:
    """Return an optimizer by its name, or the one that was given.

    Raises
    ------
    ValueError
        There is none of that name, or the learning rate is negative or not finite.
    TypeError
        It is neither, or the learning rate is no number.
    """
    if isinstance(given, Optimizer):
        return given
    if not isinstance(given, str) or given not in OPTIMIZERS:
        kind = ValueError if isinstance(given, str) else TypeError
        raise kind(
            f"{where}: optimizer must be one of {', '.join(map(repr, OPTIMIZERS))}, or an optimizer of "
            f"rnn_core.training, got {shown(given)}"
        )
    try:
        return OPTIMIZERS[given](learning_rate)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: learning_rate is the lr of {error}") from None


def number(where: str, name: str, value: Any, least: float, below: float = inf) -> float:
    """Return a number, if it lies within its bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: {name} must be a number, got {shown(value)}")
    if not least <= value < below:
        bound = "" if below == inf else f" and below {below:g}"
        raise ValueError(f"{where}: {name} must be at least {least:g}{bound}, got {value}")
    return float(value)
