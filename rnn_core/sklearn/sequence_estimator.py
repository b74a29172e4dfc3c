"""`OfSequences`: an estimator whose X are sequences of features: classifier, regressor and tagger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from ..data import Examples
from ..data.scaling import Scaling
from ..layers.checks import flag
from ..layers.home import HOST, move, to_host
from ..models import Model
from ..training.history import EpochRecord
from .estimator import Data, RNNEstimator
from .reading.answers import read_weights, together
from .reading.sequences import Sequences, read_sequences


class Answers(NamedTuple):
    """What y says, as a model learns it."""

    targets: np.ndarray  # (N, …)
    weights: np.ndarray | None = None  # (N,) or (N, T): how much each target counts, by its class
    strata: np.ndarray | None = None  # (N,): what is held out has its share of each


class OfSequences(RNNEstimator):
    """Reads sequences, scales them, and trains a model on them. Subclasses say what y is, and what a model answers."""

    standardize: Any

    _scaling: Scaling | None
    _by_step = False  # whether each step has an answer of its own

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @abstractmethod
    def _read_answers(self, where: str, y: Any, sequences: Sequences, fresh: bool) -> Any:
        """Return y, checked; with `fresh` the estimator remembers what it looks like."""

    @abstractmethod
    def _encode(self, where: str, y: Any, weights: np.ndarray | None, fresh: bool) -> Answers:
        """Return what a model learns of y."""

    @abstractmethod
    def _new_model(self, where: str) -> None:
        """Make the model: call `_begin`."""

    def _learn(self, where: str, X: Any, y: Any, sample_weight: Any, *, once: bool) -> Self:
        """Read, and train."""
        self._check(where, once)
        flag(where, "standardize", self.standardize)
        fresh = self._begins(once)
        sequences = read_sequences(self, where, X, reset=fresh)
        y = self._read_answers(where, y, sequences, fresh)
        weights = read_weights(where, sample_weight, len(sequences))
        if weights is not None:  # a weight of 0 is as good as a case that is left out
            there = np.flatnonzero(weights)
            sequences, weights = sequences.take(there), weights[there]
            y = [y[k] for k in there] if isinstance(y, list) else y[there]
        if fresh:
            self._start_drawing()
            self._scaling = sequences.scaling(weights) if self.standardize else None
        answers = self._encode(where, y, weights, fresh)
        if fresh:
            self._new_model(where)
        self._run(where, self._data(sequences, answers, weights), once)
        return self

    def _data(self, sequences: Sequences, answers: Answers, weights: np.ndarray | None) -> Data:
        """Return batches to learn from and, with early stopping, those that are held out."""
        rows = np.arange(len(sequences))
        if not self.early_stopping:
            return Data(self._batches(sequences, answers, weights, rows, bool(self.shuffle)), None, None)
        rows, held = train_test_split(
            rows, test_size=self.validation_fraction, random_state=self._random, stratify=answers.strata
        )
        train = self._batches(sequences, answers, weights, np.sort(rows), bool(self.shuffle))
        validation = self._batches(sequences, answers, weights, np.sort(held), False)
        return Data(train, validation, self._scoring(validation))

    def _batches(
        self, sequences: Sequences, answers: Answers, weights: np.ndarray | None, rows: np.ndarray, shuffle: bool
    ) -> Examples:
        some = sequences.take(rows)
        x: Any = some.prepared(self._scaling, self._dtype)
        targets, by_class = answers.targets[rows], answers.weights
        if self._by_step:  # targets have a column for each step, and so must what is read
            x = np.asarray(x)
            targets = targets[:, : x.shape[1]]
        if self.model_.namespace is not HOST:
            x = move(np.asarray(x), self.model_.namespace)
        if by_class is not None and by_class.ndim == 2:
            weights = None if weights is None else weights[:, None]
            by_class = by_class[:, : targets.shape[1]]
        both = together(weights, by_class)
        return Examples(
            x, targets, lengths=some.lengths, weights=None if both is None else both[rows], batch_size=self.batch_size,
            shuffle=shuffle, seed=self._draw(),
        )  # fmt: skip

    def _scoring(self, validation: Examples) -> Callable[[EpochRecord], float]:
        """Return what an epoch's score is, of what was held out: the share that is right."""

        def score(record: EpochRecord) -> float:
            return float(record.validation_accuracy or 0.0)

        return score

    def _asked(self, where: str, X: Any) -> Sequences:
        """Return the sequences that a fitted estimator is asked about."""
        check_is_fitted(self)
        return read_sequences(self, where, X, reset=False)

    def _says(self, sequences: Sequences, call: Callable[[Any, Any, Any], Any]) -> Iterator[np.ndarray]:
        """Yield what a model answers, on the host, one piece after another."""
        for x, lengths in sequences.batches(self._scaling, self._dtype):
            yield np.asarray(to_host(call(self.model_, move(x, self.model_.namespace), lengths)))

    def _recall(self, facts: Mapping[str, Any], model: Model) -> None:
        super()._recall(facts, model)
        if self._features != model.config["input_size"]:
            raise ValueError(f"features must be {model.config['input_size']}, as its model reads, got {self._features}")
        self._scaling = model.scaling
