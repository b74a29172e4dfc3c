"""`RNNRegressor`: which number, or numbers, go with this sequence?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from ..data import Examples
from ..data.scaling import Scaling
from ..models import Model, SequenceRegressor
from ..training.history import EpochRecord
from .reading.answers import read_numbers
from .reading.sequences import Sequences
from .sequence_estimator import Answers, OfSequences


class RNNRegressor(RegressorMixin, OfSequences):
    """A regressor of sequences: RNN, LSTM or GRU, pooled over the steps, and one output or several.

    Targets are brought to mean 0 and deviation 1 for the network, and predictions back: losses are in those units.

    Parameters
    ----------
    cell, hidden_size, num_layers, bidirectional, pooling, dropout, nonlinearity, cell_options, layout, standardize
        As in `RNNClassifier`, and so is what X may be.
    optimizer, learning_rate, clip_norm, batch_size, max_iter, shuffle, tol, n_iter_no_change, early_stopping
        As in `RNNClassifier`.
    validation_fraction, warm_start, dtype, backend, plan, callbacks, random_state, verbose
        As in `RNNClassifier`.
    transfer_from : fitted estimator, Model or path, optional
        Begin with its core and, if it is a regressor of as many outputs, with its head.

    Attributes
    ----------
    n_outputs_ : int
    model_ : SequenceRegressor
        What was learned; with `scaling` and `target_scaling` beside it.
    n_features_in_, feature_names_in_, n_iter_, loss_curve_, loss_, best_loss_, transferred_
        As in `RNNClassifier`.
    validation_scores_, best_validation_score_
        R² of each epoch with `early_stopping`, else None; of several outputs weighted by their variance.

    Examples
    --------
    >>> X = [[0.1, 0.2], [0.5, 0.1, 0.3], [0.9, 0.8], [0.4, 0.2, 0.1, 0.2]]
    >>> model = RNNRegressor(hidden_size=8, max_iter=300, learning_rate=0.02, tol=0.01, random_state=0)
    >>> model.fit(X, [0.3, 0.9, 1.7, 0.9]).predict(X).shape
    (4,)
    """

    _kind = SequenceRegressor

    def __init__(
        self,
        *,
        cell: str = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
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
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from sequences and their numbers.

        Parameters
        ----------
        X : array or list of N sequences
            See `RNNClassifier`.
        y : array, shape (N,) or (N, O)
        sample_weight : array, shape (N,), optional
            How much each case counts, at least 0.

        Raises
        ------
        ValueError
            X or y is not as required, or an option is out of range.
        TypeError
            An option is of another kind.
        """
        return self._learn("RNNRegressor.fit", X, y, sample_weight, once=False)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go once through some cases, and keep what was learned before, the optimizer's moments included.

        The first call learns the scaling of X and y. Parameters are those of `fit`.
        """
        return self._learn("RNNRegressor.partial_fit", X, y, sample_weight, once=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the numbers of each sequence, float64 of shape (N,), or (N, O) for several outputs."""
        sequences = self._asked("RNNRegressor.predict", X)
        z = np.concatenate(list(self._says(sequences, lambda model, x, lengths: model(x, lengths))))
        found = self._target_scaling.undo(z.reshape(len(z), -1))
        return found[:, 0] if self.n_outputs_ == 1 else found

    _target_scaling: Scaling

    def _read_answers(self, where: str, y: Any, sequences: Sequences, fresh: bool) -> np.ndarray:
        found = read_numbers(self, where, y, len(sequences))
        if fresh:
            self.n_outputs_ = found.shape[1]
        elif found.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{where}: y must have {self.n_outputs_} outputs, as in the first call, got {found.shape[1]}"
            )
        return found

    def _encode(self, where: str, y: np.ndarray, weights: np.ndarray | None, fresh: bool) -> Answers:
        if fresh:
            share = None if weights is None else np.repeat((weights / weights.mean())[:, None], y.shape[1], axis=1)
            self._target_scaling = Scaling.of([y], None if share is None else [share])
        z = self._target_scaling.apply(y)
        return Answers(z[:, 0] if self.n_outputs_ == 1 else z)

    def _new_model(self, where: str) -> None:
        self._begin(where, self.n_outputs_, input_size=self._features)

    def _describe(self, model: Model) -> None:
        model.scaling, model.target_scaling = self._scaling, self._target_scaling

    def _scoring(self, validation: Examples) -> Callable[[EpochRecord], float]:
        """Return what an epoch's R² is, of what was held out."""
        t = np.asarray(validation.targets, np.float64).reshape(len(validation.targets), -1)
        w = np.ones(len(t)) if validation.weights is None else np.asarray(validation.weights)
        spread = float((w @ (t - w @ t / w.sum()) ** 2).sum() / w.sum() / t.shape[1])

        def score(record: EpochRecord) -> float:
            loss = float(record.validation_loss or 0.0)
            return 1 - loss / spread if spread else float(not loss)

        return score

    def _recall(self, facts: Mapping[str, Any], model: Model) -> None:
        super()._recall(facts, model)
        if model.target_scaling is None:
            raise ValueError("there must be a target_scaling beside its weights, got none")
        self._target_scaling = model.target_scaling
        self.n_outputs_ = len(model.target_scaling)
