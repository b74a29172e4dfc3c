"""TrAdaBoost: boosting that trusts the target's examples, and the source's only as long as they agree with it.

::

    ε_t = Σ_target w_i e_i / Σ_target w_i,   e_i = [h_t(x_i) ≠ y_i]
    β_t = ε_t / (1 − ε_t),   β = 1 / (1 + √(2 ln n / N))
    w_i ← w_i β^e_i  (source),   w_i ← w_i β_t^−e_i  (target)                             (X35)

    h(x) = argmax_k Σ_{t ≥ ⌈N/2⌉} ln(1/β_t) [h_t(x) = k]

n are the source's examples, N the rounds. Of equal votes the higher class wins, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np

from rnn_core.data import Examples, pad_sequences, sequence_lengths
from rnn_core.layers.checks import as_array, check_finite, positive_int
from rnn_core.layers.home import to_host
from rnn_core.models import SequenceClassifier
from rnn_core.training import Optimizer, Updates, fit

SMALLEST_ERROR = 1e-10
"""A learner without a mistake on the target would have a vote without bound."""


class MisleadingSource(ValueError):
    """The first round is wrong on half of the target or more, so that there is nothing to boost."""


class SequenceLearner:
    """A `SequenceClassifier` as a learner with `fit` and `predict`, whose examples have weights.

    Parameters
    ----------
    model : SequenceClassifier
        Where each training begins; it is copied, and stays as it is. It may be one that has learned before.
    optimizer : Optimizer
    epochs : int
    batch_size : int, optional
        By default all rows are one batch, so that a weight means what equation (M1) says. In smaller batches each has
        a weighted mean of its own, and a batch of light rows counts as much as one of heavy rows.
    updates : Updates, optional
        As `fit` takes it; a `Plan` makes it.
    schedule : callable, optional
        From the number of steps in a training to a schedule, such as `Cosine`.
    clip_norm : float, optional
        As `fit` takes it.
    seed : int
        Draws the order of the rows and the dropout.

    Raises
    ------
    TypeError
        This is not a `SequenceClassifier`.
    """

    def __init__(
        self,
        model: SequenceClassifier,
        *,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int | None = None,
        updates: Updates | None = None,
        schedule: Callable[[int], Callable[[int], float]] | None = None,
        clip_norm: float | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(model, SequenceClassifier):
            raise TypeError(f"SequenceLearner: model must be a SequenceClassifier, got {type(model).__name__}")
        self.model, self.optimizer, self.epochs = model, optimizer, positive_int("SequenceLearner", "epochs", epochs)
        self.batch_size = None if batch_size is None else positive_int("SequenceLearner", "batch_size", batch_size)
        self.updates, self.schedule, self.clip_norm, self.seed = updates, schedule, clip_norm, seed
        self.trained: SequenceClassifier | None = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a copy of the model.

        Parameters
        ----------
        X : array, shape (N, T, I) or, of int, (N, T); or a list of N rows of different lengths
        y : array of int, shape (N,)
        sample_weight : array, shape (N,), optional

        Raises
        ------
        ValueError, TypeError
            As `Examples`, the model and `rnn_core.training.fit`.
        """
        x, lengths = self._padded(X)
        data = Examples(
            x, y, lengths=lengths, weights=sample_weight, batch_size=self.batch_size or len(x), seed=self.seed
        )
        self.trained = self.model.astype(self.model.dtype)
        schedule = None if self.schedule is None else self.schedule(self.epochs * len(data))
        fit(
            self.trained, data, optimizer=self.optimizer, epochs=self.epochs, schedule=schedule,
            clip_norm=self.clip_norm, updates=self.updates, seed=self.seed, progress=False,
        )  # fmt: skip
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of each row, shape (N,), on the host."""
        if self.trained is None:
            raise RuntimeError("SequenceLearner.predict: the learner must have been trained; call fit first")
        return to_host(self.trained.predict(*self._padded(X)))

    def _padded(self, X: Any) -> tuple[Any, np.ndarray | None]:
        """Return rows as one array, and their lengths where these may differ."""
        if not isinstance(X, list | tuple):
            return X, None
        dtype = np.int64 if self.model.embedding is not None else self.model.dtype
        return pad_sequences(X, dtype=dtype, padding="post"), sequence_lengths(X)


class TrAdaBoost:
    """Boosting over a source and a target at once.

    Parameters
    ----------
    learner : object
        Anything with ``fit(X, y, sample_weight=…)`` and ``predict(X)``: of scikit-learn, or a `SequenceLearner`. Each
        round trains a copy. Weights come with a mean of 1.
    rounds : int
        N.

    Attributes
    ----------
    learners : list
        The trained copies.
    errors : list of float
        ε_t.
    weights : list of ndarray, shape (n + m,)
        w_t, with a sum of 1, source before target: that of each round and, last, what the next would have had.

    Raises
    ------
    ValueError
        `rounds` is below 1.
    TypeError
        The learner lacks a method, or `rounds` is not an int.

    Notes
    -----
    The paper has two classes; for more, a mistake is a mistake, and the vote goes to each class as in AdaBoost.M1.
    A round whose ε_t is ½ or more is dropped, and is the last: the vote is then among the rounds before it.

    References
    ----------
    W. Dai, Q. Yang, G.-R. Xue, Y. Yu, "Boosting for transfer learning", ICML 2007, algorithm 1.
    """

    def __init__(self, learner: Any, rounds: int = 10) -> None:
        if missing := [name for name in ("fit", "predict") if not callable(getattr(learner, name, None))]:
            raise TypeError(
                f"TrAdaBoost: learner must have fit and predict, got {type(learner).__name__} without "
                f"{' and '.join(missing)}; SequenceLearner wraps a SequenceClassifier"
            )
        self.learner, self.rounds = learner, positive_int("TrAdaBoost", "rounds", rounds)
        self.learners: list[Any] = []
        self.errors: list[float] = []
        self.weights: list[np.ndarray] = []

    def fit(self, source_x: Any, source_y: Any, target_x: Any, target_y: Any) -> Self:
        """Boost.

        Parameters
        ----------
        source_x, target_x : array, shape (n, ...) and (m, ...), or both lists of n and m sequences
            What the learner takes.
        source_y, target_y : array of int, shape (n,) and (m,)
            Classes, the same numbers for the same things.

        Raises
        ------
        ValueError
            A domain is empty, shapes do not fit, there is but one class, or the first learner is wrong on at least half
            of the target.
        TypeError
            Classes are not integers; or what the learner raises.
        """
        where = "TrAdaBoost.fit"
        y_s, y_t = _classes(where, "source_y", source_y, source_x), _classes(where, "target_y", target_y, target_x)
        x, y, n = _joined(where, source_x, target_x), np.concatenate([y_s, y_t]), len(y_s)
        if (y == y[0]).all():
            raise ValueError(f"{where}: source_y and target_y must hold two classes or more together, got {y[0]} alone")
        beta = 1 / (1 + np.sqrt(2 * np.log(n) / self.rounds))
        w = np.full(len(y), 1 / len(y))
        self.learners, self.errors, self.weights = [], [], [w]
        for _ in range(self.rounds):
            learner = deepcopy(self.learner)
            learner.fit(x, y, sample_weight=w * len(y))
            wrong = np.asarray(learner.predict(x)) != y
            error = max(float(w[n:] @ wrong[n:] / w[n:].sum()), SMALLEST_ERROR)
            if error >= 0.5 - 1e-12:  # a half that rounding has made a little less is one
                break
            self.learners.append(learner)
            self.errors.append(error)
            beta_t = error / (1 - error)
            w = w * np.concatenate([np.where(wrong[:n], beta, 1), np.where(wrong[n:], 1 / beta_t, 1)])  # (X35)
            w = w / w.sum()
            self.weights.append(w)
        if not self.learners:
            raise MisleadingSource(
                f"{where}: learner must be right on more than half of the target, got an error of {error:.3g} in the "
                "first round; train it for longer, or leave the source out"
            )
        return self

    def predict(self, x: Any) -> np.ndarray:
        """Return the class of each row by the vote of the second half of the rounds, shape (N,).

        Raises
        ------
        RuntimeError
            Nothing has been fitted.
        """
        if not self.learners:
            raise RuntimeError("TrAdaBoost.predict: it must have been fitted; call fit first")
        first = -(-len(self.learners) // 2) - 1  # round ⌈N/2⌉, counted from 0
        predictions = np.stack([np.asarray(learner.predict(x)) for learner in self.learners[first:]])
        errors = np.array(self.errors[first:])
        votes = np.log((1 - errors) / errors)  # (X35) ln(1/β_t)
        classes = np.unique(predictions)[::-1]
        counts = np.stack([votes @ (predictions == k) for k in classes])
        return classes[counts.argmax(axis=0)]


def _classes(where: str, name: str, y: Any, x: Any) -> np.ndarray:
    y = as_array(where, name, y)
    if not np.issubdtype(y.dtype, np.integer):
        raise TypeError(f"{where}: {name} must be integers, the numbers of classes, got {y.dtype}")
    if y.ndim != 1 or not y.size or not hasattr(x, "__len__") or len(x) != len(y):
        examples = len(x) if hasattr(x, "__len__") else 0
        raise ValueError(f"{where}: {name} must be a class for each of {examples} examples, got shape {y.shape}")
    return y


def _joined(where: str, source: Any, target: Any) -> Any:
    """Return the examples of both, source before target."""
    if isinstance(source, list | tuple) and isinstance(target, list | tuple):
        return [*source, *target]
    parts: Sequence[np.ndarray] = [as_array(where, f"{k}_x", x) for k, x in (("source", source), ("target", target))]
    if parts[0].shape[1:] != parts[1].shape[1:]:
        raise ValueError(
            f"{where}: target_x must have rows of shape {parts[0].shape[1:]}, as the source, got "
            f"{parts[1].shape[1:]}; sequences of different lengths go in two lists"
        )
    for name, part in zip(("source_x", "target_x"), parts, strict=True):
        check_finite(where, name, part)
    return np.concatenate(parts)
