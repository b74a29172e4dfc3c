"""`RNNTagger`: which tag has each step?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ..models import SequenceTagger
from .labels import Labels
from .reading.answers import codes_of, read_tags, read_weights, weights_of_classes
from .reading.sequences import Sequences
from .sequence_estimator import Answers


class RNNTagger(Labels):
    """A tagger of sequences: RNN, LSTM or GRU, and a softmax at every step or a chain (CRF) over all of them.

    X is what `RNNClassifier` takes. y has a tag for each step: a list of sequences of tags, or an array (cases, time).
    One tag in the place of a sequence stands for all of its steps.

    Parameters
    ----------
    crf : bool
        A linear-chain conditional random field on top, so that tags know of their neighbours.
    cell, hidden_size, num_layers, bidirectional, dropout, nonlinearity, cell_options, layout, standardize
        As in `RNNClassifier`; `bidirectional` is True by default.
    optimizer, learning_rate, clip_norm, batch_size, max_iter, shuffle, tol, n_iter_no_change, early_stopping
        As in `RNNClassifier`.
    validation_fraction, warm_start, dtype, backend, transfer_from, plan, callbacks, random_state, verbose
        As in `RNNClassifier`.
    class_weight : "balanced" or mapping from tag to float, optional
        How much a step counts by its tag; not with `crf`, whose loss is of a sequence's tags together.

    Attributes
    ----------
    classes_ : ndarray, shape (K,)
        The tags.
    model_ : SequenceTagger
        What was learned; with `classes` and `scaling` beside it.
    n_features_in_, feature_names_in_, n_iter_, loss_curve_, loss_, best_loss_, transferred_
        As in `RNNClassifier`.
    validation_scores_, best_validation_score_
        The share of the tags that are right in each epoch with `early_stopping`, else None.

    Examples
    --------
    >>> X, y = [[0.1, 0.9, 0.2], [0.8, 0.7]], [["low", "high", "low"], ["high", "high"]]
    >>> tagger = RNNTagger(hidden_size=8, max_iter=100, learning_rate=0.05, tol=0.01, random_state=0).fit(X, y)
    >>> [tags.tolist() for tags in tagger.predict([[0.9, 0.1], [0.2]])]
    [['high', 'low'], ['low']]
    """

    _kind = SequenceTagger
    _by_step = True
    _model_takes = (
        "crf", "cell", "hidden_size", "num_layers", "bidirectional", "dropout", "nonlinearity", "cell_options",
        "backend",
    )  # fmt: skip

    def __init__(
        self,
        *,
        crf: bool = False,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        layout: str = "channels_last",
        standardize: bool = True,
        optimizer: Any = "adam",
        learning_rate: float = 0.001,
        clip_norm: float | None = None,
        batch_size: int = 32,
        max_iter: int = 200,
        shuffle: bool = True,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        class_weight: Any = None,
        dtype: Any = "float32",
        backend: str | None = None,
        transfer_from: Any = None,
        plan: Any = None,
        callbacks: Sequence[Any] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self._take(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from sequences and their tags.

        Parameters
        ----------
        X : array or list of N sequences
            See `RNNClassifier`.
        y : list of N sequences of tags, or array, shape (N, T) or (N,)
        sample_weight : array, shape (N,), optional
            How much each sequence counts, at least 0.

        Raises
        ------
        ValueError
            X or y is not as required, or an option is out of range.
        TypeError
            An option is of another kind.
        """
        return self._learn("RNNTagger.fit", X, y, sample_weight, once=False)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go once through some sequences, and keep what was learned before, the optimizer's moments included.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array, shape (K,), optional
            All tags there will be; those of the first call's y without it. The first call also learns the scaling.
        """
        return self._with_classes("RNNTagger.partial_fit", X, y, sample_weight, classes)

    def predict(self, X: Any) -> Any:
        """Return the tag of each step: an array (N, T) for an array, a list of arrays (T_k,) for a list."""
        sequences = self._asked("RNNTagger.predict", X)
        return self._by_case(sequences, lambda model, x, lengths: model.predict(x, lengths), self._named)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each tag at each step, (N, T, K) or a list of (T_k, K); of a CRF the marginals."""
        sequences = self._asked("RNNTagger.predict_proba", X)
        if self.model_.config["crf"]:  # what was learned: the parameter may have been set since
            return self._by_case(sequences, lambda model, x, lengths: model.predict_proba(x, lengths), lambda p: p)
        return self._by_case(sequences, lambda model, x, lengths: model(x, lengths), self._shares)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of all steps whose tag is right; a step counts as much as its sequence."""
        where = "RNNTagger.score"
        sequences = self._asked(where, X)
        tags = read_tags(self, where, y, sequences.steps)
        right = np.array([np.sum(a == b) for a, b in zip(self.predict(X), tags, strict=True)], np.float64)
        weights = read_weights(where, sample_weight, len(sequences))
        weights = np.ones(len(sequences)) if weights is None else weights
        return float(weights @ right / (weights @ sequences.steps))

    def _named(self, codes: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.classes_[codes]
        return found

    def _by_case(self, sequences: Sequences, call: Any, finish: Any) -> Any:
        """Return what a model says of each step: an array for an array, else a list, each as long as its sequence."""
        found = [finish(piece) for piece in self._says(sequences, call)]
        if sequences.lengths is None:
            return np.concatenate(found)
        rows = (row for piece in found for row in piece)
        return [row[:T].copy() for row, T in zip(rows, sequences.lengths, strict=True)]

    def _read_answers(self, where: str, y: Any, sequences: Sequences, fresh: bool) -> list[np.ndarray]:
        rows = read_tags(self, where, y, sequences.steps)
        flat = np.concatenate(rows)
        if fresh:
            self._settle_classes(where, flat)
        if self.crf and self.class_weight is not None:
            raise ValueError(f"{where}: class_weight must be None with crf=True, whose loss is of a sequence's tags")
        codes = codes_of(where, "y", flat, self.classes_)
        return np.split(codes, np.cumsum([len(row) for row in rows])[:-1])

    def _encode(self, where: str, y: list[np.ndarray], weights: np.ndarray | None, fresh: bool) -> Answers:
        flat = np.concatenate(y)
        by_class = weights_of_classes(where, self.class_weight, self.classes_, flat)
        return Answers(_padded(y, flat), None if by_class is None else _padded(y, by_class))

    def _new_model(self, where: str) -> None:
        self._begin(where, len(self.classes_), input_size=self._features)


def _padded(rows: list[np.ndarray], flat: np.ndarray) -> np.ndarray:
    """Return what lies end to end in `flat` as rows of these lengths, padded with 0."""
    lengths = np.array([len(row) for row in rows])
    found = np.zeros((len(rows), lengths.max()), flat.dtype)
    found[np.arange(found.shape[1]) < lengths[:, None]] = flat
    return found
