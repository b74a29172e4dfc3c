"""What X may be: an array of cases, or a list of sequences of any lengths.

An array (n, features) is n series of one number a step, as time series are usually laid out: read as one step of many
features there would be nothing for a recurrence to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from ...data.ragged import Ragged, is_list, pieces, rows_of
from ...data.scaling import Scaling
from ...foreign import shown

LAYOUTS = ("channels_last", "channels_first")
"""Where the features of a step are: (cases, time, features), or as aeon and sktime have them."""

FLOATS = [np.float64, np.float32]
"""What numbers are read as: those of another kind become float64."""

MOST = 256
"""Cases that are answered at a time."""


class Sequences:
    """N sequences: one array (N, T, I), or N arrays (T_k, I).

    Attributes
    ----------
    lengths : ndarray of int, shape (N,), or None
        T_k; None of an array.
    features : int
        I.
    columns : bool
        Whether they came as an array (N, T) of numbers, which has as many columns when it comes again.
    """

    def __init__(self, rows: np.ndarray | list[np.ndarray], columns: bool = False) -> None:
        self.rows, self.columns = rows, columns
        self.lengths = None if isinstance(rows, np.ndarray) else np.array([len(row) for row in rows], np.int64)
        self.features = int(rows[0].shape[-1])

    def __len__(self) -> int:
        """N."""
        return len(self.rows)

    @property
    def steps(self) -> np.ndarray:
        """The steps of each sequence, shape (N,)."""
        return np.full(len(self), self.rows[0].shape[0]) if self.lengths is None else self.lengths

    def take(self, places: np.ndarray) -> Sequences:
        """Return some of them, by their places."""
        rows = self.rows
        return Sequences(rows[places] if isinstance(rows, np.ndarray) else [rows[k] for k in places], self.columns)

    def scaling(self, weights: np.ndarray | None) -> Scaling:
        """Return mean and deviation of each feature over all steps, a case counted as often as its weight says."""
        rows = [self.rows.reshape(-1, self.features)] if isinstance(self.rows, np.ndarray) else self.rows
        if weights is None:
            return Scaling.of(rows)
        share = np.repeat(weights / weights.mean(), self.steps)
        return Scaling.of([np.concatenate(rows)], [np.repeat(share[:, None], self.features, axis=1)])

    def prepared(self, scaling: Scaling | None, dtype: np.dtype) -> np.ndarray | Ragged:
        """Return what a model reads."""

        def one(x: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray((x if scaling is None else scaling.apply(x)).astype(dtype, copy=False))

        with np.errstate(over="ignore"):  # what becomes infinite is refused, with its place, where it is read
            return one(self.rows) if isinstance(self.rows, np.ndarray) else Ragged([one(row) for row in self.rows])

    def batches(self, scaling: Scaling | None, dtype: np.dtype) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield inputs (n, T, I) and lengths, one piece after another."""
        x = self.prepared(scaling, dtype)
        for piece in pieces(self.steps, MOST):
            yield x[piece], None if self.lengths is None else self.lengths[piece]


def _is_table(X: Any) -> bool:
    """Return whether a list is an array (N, T) that has been written out, as ``X.tolist()`` writes it."""
    rows = all(isinstance(row, list | tuple) and len(row) == len(X[0]) for row in X)
    return len(X) > 0 and rows and not any(hasattr(one, "__len__") for row in X for one in row)


def read_sequences(estimator: Any, where: str, X: Any, *, reset: bool) -> Sequences:
    """Return the sequences of X; with `reset` the estimator remembers what it looks like, else that must be the same.

    Raises
    ------
    ValueError
        X has another shape, nothing in it, NaN or infinity, or other features than those that were learned from.
    TypeError
        It has no numbers, or is sparse.
    """
    turned = estimator.layout == "channels_first"
    if estimator.layout not in LAYOUTS:
        raise ValueError(
            f"{where}: layout must be one of {', '.join(map(repr, LAYOUTS))}, got {shown(estimator.layout)}"
        )
    if is_list(X) and not (reset and _is_table(X)):
        found = Sequences(_of_one_dtype(rows_of(where, X, turned=turned)))
    elif getattr(X, "ndim", 2) == 3:
        array = check_array(X, allow_nd=True, dtype=FLOATS, input_name="X")
        if 0 in array.shape:
            raise ValueError(f"{where}: X must have shape (N, T, I) with at least one number, got {array.shape}")
        found = Sequences(array.swapaxes(1, 2) if turned else array)
    elif reset or estimator._columns:
        found = Sequences(validate_data(estimator, X, reset=reset, dtype=FLOATS)[:, :, None], columns=True)
    else:
        found = Sequences(check_array(X, dtype=FLOATS, input_name="X")[:, :, None])
    remember(estimator, found.features, found.columns, reset=reset)
    return found


def remember(estimator: Any, features: int, columns: bool, *, reset: bool) -> None:
    """Let an estimator remember how many features a step has or, without `reset`, raise where there are others."""
    if not reset:
        if features != estimator._features:
            raise ValueError(
                f"X has {features} features, but {type(estimator).__name__} is expecting {estimator._features} "
                "features as input, in each step"
            )
        return
    estimator._features, estimator._columns = features, columns
    if not columns:
        estimator.n_features_in_ = features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_


def _of_one_dtype(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Return sequences in float32 if all are, else in float64."""
    dtype = np.float32 if all(row.dtype == np.float32 for row in rows) else np.float64
    return [row.astype(dtype, copy=False) for row in rows]
