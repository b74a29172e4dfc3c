"""`RNNClassifier`: which class is this sequence?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin

from ..models import SequenceClassifier
from .labels import Labels
from .reading.answers import codes_of, read_classes, weights_of_classes
from .reading.sequences import Sequences
from .sequence_estimator import Answers


class RNNClassifier(ClassifierMixin, Labels):
    """A classifier of sequences: RNN, LSTM or GRU, pooled over the steps, and a softmax.

    X may be, in all methods:

    - an array (cases, time, features), or (cases, channels, time) with ``layout="channels_first"``;
    - a list of sequences of any lengths, each (T_k, features) or, of one feature, (T_k,);
    - an array or data frame (cases, time): n series of one number a step, and as many steps in each.

    Parameters
    ----------
    cell : str
        "rnn", "lstm", "gru", a cell of `rnn_core.variants`, or one of your own (`rnn_core.cell.define`).
    hidden_size : int
        H.
    num_layers : int
        Cells stacked on one another.
    bidirectional : bool
        Each sequence is read in both directions.
    pooling : {"last", "mean", "max"}
        How the steps become one vector.
    dropout : float
        Probability that a unit is dropped between layers and on the way to the head.
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layer takes by keyword.
    layout : {"channels_last", "channels_first"}
        Where the features of a step are in three dimensions.
    standardize : bool
        Bring each feature to mean 0 and deviation 1, over all steps of what `fit` saw.
    optimizer : {"adam", "adamw", "sgd"} or Optimizer
        "sgd" has Nesterov's momentum of 0.9; an optimizer of `rnn_core.training` has a learning rate of its own.
    learning_rate : float
        Of an optimizer by name.
    clip_norm : float, optional
        Gradients are scaled down to this length, all together.
    batch_size : int
        Cases of a step; all of them, where there are fewer.
    max_iter : int
        Epochs at most.
    shuffle : bool
        Draw a new order each epoch.
    tol, n_iter_no_change : float, int
        The run is over when the loss, or with `early_stopping` the score of what is held out, has not become better by
        `tol` for more than this many epochs.
    early_stopping : bool
        Hold out `validation_fraction` of the cases, and keep the parameters of the epoch that was the best there.
    validation_fraction : float
    warm_start : bool
        `fit` goes on from what was learned.
    class_weight : "balanced" or mapping from class to float, optional
        How much a case counts by its class, beside its `sample_weight`.
    dtype : {"float32", "float64"}
        What the network computes in.
    backend : {"numpy", "cpu", "cuda"}, optional
        The best one present on the host by default.
    transfer_from : fitted estimator, Model or path, optional
        Begin with its core and, where its classes are the same, with its head.
    plan : transfer.Plan, optional
        What of it stays, at which rates the rest learns, and what holds it back. A plan with an unfreezing or a
        schedule takes `max_iter` as its budget, and uses it up.
    callbacks : sequence of Callback, optional
        As for `rnn_core.training.fit`.
    random_state : int, RandomState or None
        Draws parameters, orders, dropout, and what is held out.
    verbose : bool
        Show a bar on standard error.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
    model_ : SequenceClassifier
        What was learned; with `classes` and `scaling` beside it.
    n_features_in_ : int
        Columns of a two-dimensional X, otherwise the features of a step.
    feature_names_in_ : ndarray of str
        Where X was a data frame.
    n_iter_ : int
        Epochs of the last `fit`, and those of `partial_fit` since.
    loss_curve_ : list of float
        The loss of each epoch, those before a warm start included; `loss_` is the last, `best_loss_` the least.
    validation_scores_, best_validation_score_
        The accuracy of each epoch with `early_stopping`, else None.
    transferred_ : tuple of str
        Which parameters `transfer_from` has set.

    Examples
    --------
    >>> ups, downs = [[0.1, 0.4, 0.8], [0.2, 0.9]], [[0.9, 0.3], [0.7, 0.5, 0.1]]
    >>> model = RNNClassifier(hidden_size=8, max_iter=200, learning_rate=0.02, tol=0.01, random_state=0)
    >>> model.fit(ups + downs, ["up", "up", "down", "down"]).predict([[0.3, 0.6], [0.8, 0.2]]).tolist()
    ['up', 'down']
    """

    _kind = SequenceClassifier

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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from sequences and their classes.

        Parameters
        ----------
        X : array or list of N sequences
            See the class.
        y : array, shape (N,)
        sample_weight : array, shape (N,), optional
            How much each case counts, at least 0.

        Raises
        ------
        ValueError
            X or y is not as required, there is but one class, or an option is out of range.
        TypeError
            An option is of another kind.
        """
        return self._learn("RNNClassifier.fit", X, y, sample_weight, once=False)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go once through some cases, and keep what was learned before, the optimizer's moments included.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array, shape (C,), optional
            All classes there will be: wanted in the first call, and the same in every later one that has it. The first
            call also learns the scaling.
        """
        where = "RNNClassifier.partial_fit"
        if classes is None and self._begins(once=True):
            raise ValueError(f"{where}: classes must be passed on the first call to partial_fit, got None")
        return self._with_classes(where, X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each sequence, shape (N,)."""
        z = self._logits(self._asked("RNNClassifier.predict", X))
        found: np.ndarray = self.classes_[z.argmax(axis=1)]
        return found

    def decision_function(self, X: Any) -> np.ndarray:
        """Return a score for each class, shape (N, C); for two classes that of the second less the first's, (N,)."""
        z = self._logits(self._asked("RNNClassifier.decision_function", X))
        return z[:, 1] - z[:, 0] if z.shape[1] == 2 else z

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, shape (N, C), in the model's dtype."""
        return self._shares(self._logits(self._asked("RNNClassifier.predict_proba", X)))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class, shape (N, C)."""
        z = self._logits(self._asked("RNNClassifier.predict_log_proba", X)).astype(np.float64)
        z = z - z.max(axis=1, keepdims=True)
        return (z - np.log(np.exp(z).sum(axis=1, keepdims=True))).astype(self._dtype)

    def _logits(self, sequences: Sequences) -> np.ndarray:
        return np.concatenate(list(self._says(sequences, lambda model, x, lengths: model(x, lengths))))

    def _read_answers(self, where: str, y: Any, sequences: Sequences, fresh: bool) -> np.ndarray:
        found = read_classes(self, where, y, len(sequences))
        if fresh:
            self._settle_classes(where, found)
            if len(self.classes_) < 2:
                raise ValueError(f"{where}: y must have at least two classes, got one class, {self.classes_[0]!r}")
        return codes_of(where, "y", found, self.classes_)

    def _encode(self, where: str, y: np.ndarray, weights: np.ndarray | None, fresh: bool) -> Answers:
        return Answers(y, weights_of_classes(where, self.class_weight, self.classes_, y), strata=y)

    def _new_model(self, where: str) -> None:
        self._begin(where, len(self.classes_), input_size=self._features)
