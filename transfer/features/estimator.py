"""`RNNFeatures`: a core in front of any classifier of scikit-learn. This file alone needs scikit-learn.

::

    z = [pool_1(h), …, pool_n(h)],   h = core(x)        (X38)

Of a `BidirectionalLanguageModel` h are a layer's states, of both halves side by side, or the mean of all layers'.

`transfer` imports it when `transfer.RNNFeatures` is asked for, and not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import pad_sequences
from rnn_core.data.ragged import is_list, rows_of
from rnn_core.layers.checks import check_finite, check_lengths, positive_int
from rnn_core.layers.home import to_host
from rnn_core.layers.pooling import POOLINGS, Pooling

from .states import Source, checked_source, sides, states_of

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data
except ImportError as error:
    raise RuntimeError(
        f"RNNFeatures: scikit-learn must be installed, 1.6 or later, got {error}; pip install 'rnn_core[report]'"
    ) from error


class RNNFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns sequences into vectors, the pooled hidden states of a core: a transformer of scikit-learn.

    Parameters
    ----------
    model : LanguageModel, SequenceClassifier or BidirectionalLanguageModel, optional
        A trained model; its core makes the features, of tokens with its embedding before. It is not changed. Without
        it, the core is a random one of the sizes below, a baseline for what any features would do.
    layer : int, optional
        Of a `BidirectionalLanguageModel` alone: the states of this layer, 0 for the embedding; the mean of all layers
        without it.
    hidden_size : int
        H of a random core.
    cell : {"rnn", "lstm", "gru"}
        Of a random core.
    cell_options : mapping, optional
        What else a random core takes by keyword.
    seed : int, optional
        Draws a random core; None draws another in every `fit`.
    pooling : {"last", "mean", "max"} or sequence of these
        How the valid steps become one vector; several are put side by side.
    batch_size : int
        How many sequences go through the core at a time.

    Attributes
    ----------
    model_ : LanguageModel, SequenceClassifier or BidirectionalLanguageModel
        `model` itself, or the random one. A random core computes in float32 if `fit` saw float32, in float64 otherwise.
    n_features_in_ : int
        Columns of a two-dimensional X, otherwise the features of a step. Token models have none.

    Notes
    -----
    X may be, in all methods:

    - an array (N, T, I) of T steps of I features each; with `lengths`, the rest of a row is padding;
    - a list or an object array of N sequences, each (T_k, I) or, for one feature or for tokens, (T_k,); in a Pipeline
      this is the way to sequences of different lengths, as it can be cut into folds;
    - an array (N, T) of tokens or of steps of one feature, or such a DataFrame.

    `fit` looks at the shape alone, and draws the random core. `get_params` and `clone` treat the model as any other
    parameter, so a clone has a copy of it.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(RNNFeatures(hidden_size=8, pooling=("last", "mean")), LogisticRegression())
    >>> pipeline.fit([[0.1, 0.2, 0.3], [0.9, 0.8]], ["up", "down"]).predict([[0.5, 0.7]]).shape
    (1,)
    """

    _columns: bool  # whether `fit` saw an array (N, T) of numbers, so that T is to stay

    def __init__(
        self,
        model: Source | None = None,
        *,
        layer: int | None = None,
        hidden_size: int = 64,
        cell: str = "lstm",
        cell_options: Mapping[str, Any] | None = None,
        seed: int | None = 0,
        pooling: str | Sequence[str] = "last",
        batch_size: int = 256,
    ) -> None:
        self.model = model
        self.layer = layer
        self.hidden_size = hidden_size
        self.cell = cell
        self.cell_options = cell_options
        self.seed = seed
        self.pooling = pooling
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None, lengths: Any = None) -> Self:
        """Check X, and draw the core if it is to be a random one.

        Parameters
        ----------
        X : array or list of sequences
            See the Notes of the class.
        y : ignored
        lengths : array of int, shape (N,), optional
            Valid steps of each row of an array.

        Raises
        ------
        ValueError
            An option or a length is out of range, X has another shape than the model's input, a sequence is empty, or
            a number is NaN or infinite.
        TypeError
            The model is none, or numbers are of another kind than the model takes.
        """
        where = "RNNFeatures.fit"
        kinds = _kinds(self.pooling)
        positive_int("RNNFeatures", "batch_size", self.batch_size)
        model = checked_source("RNNFeatures", self.model, self.layer)
        sequences, _ = self._checked(where, X, lengths, model, reset=True)
        if model is None:
            first = sequences[0]
            model = SequenceClassifier(
                1,
                self.hidden_size,
                input_size=first.shape[-1],
                cell=self.cell,
                cell_options=self.cell_options,
                dtype=np.float32 if first.dtype == np.float32 else np.float64,
                seed=self.seed,
            )
        self.model_ = model
        directions, units = sides(model)
        self._n_features_out = len(kinds) * directions * units
        return self

    def transform(self, X: Any, lengths: Any = None) -> np.ndarray:
        """Return the features of each sequence.

        Parameters
        ----------
        X : array or list of sequences
            See the Notes of the class.
        lengths : array of int, shape (N,), optional
            Valid steps of each row of an array.

        Returns
        -------
        features : ndarray, shape (N, poolings·directions·H)
            Of the model's dtype, on the host.

        Raises
        ------
        NotFittedError
            `fit` was not called.
        ValueError, TypeError
            As `fit`.
        """
        check_is_fitted(self)
        model, where = self.model_, "RNNFeatures.transform"
        sequences, lengths = self._checked(where, X, lengths, model, reset=False)
        pools = [Pooling(kind, sides(model)[0] == 2, batch_first=True) for kind in _kinds(self.pooling)]
        xp, parts = model.namespace, []
        dtype = model.dtype if model.embedding is None else np.dtype(np.int64)
        for start in range(0, len(sequences), self.batch_size):
            rows = slice(start, start + self.batch_size)
            some, n = sequences[rows], None if lengths is None else lengths[rows]
            x = pad_sequences(some, dtype=dtype, padding="post") if isinstance(some, list) else some.astype(dtype)
            h = states_of(where, model, self.layer, xp.asarray(x), n)
            parts.append(to_host(xp.concat([pool(h, n) for pool in pools], axis=1)))  # (X38)
        return np.concatenate(parts)

    def fit_transform(self, X: Any, y: Any = None, lengths: Any = None) -> np.ndarray:
        """Return ``fit(X, y, lengths).transform(X, lengths)``."""
        return self.fit(X, y, lengths).transform(X, lengths)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if self.model is None else []
        return tags

    def _checked(
        self, where: str, X: Any, lengths: Any, model: Source | None, *, reset: bool
    ) -> tuple[list[np.ndarray] | np.ndarray, np.ndarray | None]:
        """Return X as an array, (N, T) of tokens or (N, T, I), or as a list of (T_k,) or (T_k, I); and lengths.

        `reset` is for `fit`: remember what X looks like, instead of comparing with what it did.
        """
        tokens = model is not None and model.embedding is not None
        x: list[np.ndarray] | np.ndarray
        if is_list(X):
            if lengths is not None:
                raise ValueError(f"{where}: lengths must be left out with sequences, which have their own, got some")
            x = rows_of(where, X, tokens=tokens)
            lengths, columns, features = np.array([len(row) for row in x]), False, x[0].shape[-1]
        else:
            columns = not tokens and getattr(X, "ndim", 2) != 3
            x = array = self._array(where, X, lengths is None, tokens, columns, reset)
            N, T = array.shape[:2]
            lengths, features = check_lengths(where, lengths, T, N), array.shape[-1]
            if not tokens:
                valid = None if lengths is None else (np.arange(T) < lengths[:, None])[:, :, None]
                check_finite(where, "X", array, valid)
        if model is not None and not tokens and features != model.front.out_features:
            raise ValueError(
                f"{where}: X must have {model.front.out_features} features a step, as the model's input, got {features}"
            )
        if reset:
            self._columns = columns
            if not (tokens or columns):
                self.n_features_in_ = features
        return x, lengths

    def _array(self, where: str, X: Any, finite: bool, tokens: bool, columns: bool, reset: bool) -> np.ndarray:
        """Return X as an array, (N, T) of tokens or (N, T, I), as scikit-learn reads it.

        Columns, (N, T) of numbers, must be those of `fit` if it saw columns.
        """
        if tokens:
            x = check_array(X, dtype=None, input_name="X")
            if x.dtype.kind not in "iu":
                raise TypeError(f"{where}: X must be tokens, which are integers, got {x.dtype}; a Tokenizer makes them")
            return x
        floats: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": finite}
        if columns and (reset or self._columns):
            return validate_data(self, X, reset=reset, **floats)[..., None]
        x = check_array(X, allow_nd=not columns, input_name="X", **floats)
        if 0 in x.shape:
            raise ValueError(f"{where}: X must have shape (N, T, I) with at least one number, got {x.shape}")
        return x[..., None] if columns else x


def _kinds(pooling: Any) -> tuple[str, ...]:
    """Return the ways of pooling as a tuple."""
    kinds = (pooling,) if isinstance(pooling, str) else pooling
    if not isinstance(kinds, tuple | list) or not kinds or any(kind not in POOLINGS for kind in kinds):
        raise ValueError(
            f"RNNFeatures: pooling must be one of {', '.join(map(repr, POOLINGS))}, or a tuple of them, got {pooling!r}"
        )
    return tuple(kinds)
