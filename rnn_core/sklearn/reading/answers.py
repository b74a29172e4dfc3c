"""What y and weights may be: classes, numbers, tags, and how much each case counts."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, check_array

from ...foreign import shown


def check_given(estimator: Any, y: Any) -> None:
    """Raise ValueError where there is no y."""
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")


def check_count(where: str, y: Any, N: int) -> None:
    """Raise ValueError where y has not one answer for each of N cases."""
    if len(y) != N:
        raise ValueError(f"{where}: y must have {N} answers, one for each case of X, got {len(y)}")


def read_classes(estimator: Any, where: str, y: Any, N: int) -> np.ndarray:
    """Return a class for each case, shape (N,)."""
    check_given(estimator, y)
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "fc":
        assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    check_count(where, y, N)
    return y


def read_numbers(estimator: Any, where: str, y: Any, N: int) -> np.ndarray:
    """Return numbers for each case, float64 of shape (N, O)."""
    check_given(estimator, y)
    y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    if y.ndim not in (1, 2):
        raise ValueError(f"{where}: y must have shape (N,) or (N, O), got {y.shape}")
    check_count(where, y, N)
    return y.astype(np.float64).reshape(N, -1)


def read_tags(estimator: Any, where: str, y: Any, steps: np.ndarray) -> list[np.ndarray]:
    """Return the tags of each case, one for each of its steps; a single tag stands for all of them."""
    check_given(estimator, y)
    y = y if isinstance(y, list | tuple) else np.asarray(y)
    check_count(where, y, len(steps))
    rows = []
    for k, (tags, T) in enumerate(zip(y, steps, strict=True)):
        tags = np.asarray(tags)
        if tags.ndim == 0:
            tags = np.full(T, tags)
        if tags.shape != (T,) or tags.dtype.kind not in "biufUO":
            raise ValueError(
                f"{where}: y[{k}] must have a tag for each of the {T} steps of X[{k}], got {tags.dtype} of shape "
                f"{tags.shape}"
            )
        if tags.dtype.kind == "f":
            assert_all_finite(tags, input_name="y")
        rows.append(tags)
    return rows


def codes_of(where: str, name: str, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the places of labels among the classes, which rise."""
    try:
        places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        unknown = classes[places] != y
    except TypeError:  # words among numbers
        unknown = np.full(len(y), True)
    if np.any(unknown):
        new = np.asarray(y)[unknown][:1].tolist()
        raise ValueError(f"{where}: {name} must be of the classes {shown(classes.tolist())}, got {shown(new[0])}")
    return places


def read_weights(where: str, sample_weight: Any, N: int) -> np.ndarray | None:
    """Return how much each case counts, shape (N,); None where all count alike."""
    if sample_weight is None:
        return None
    if not np.any(given := np.asarray(sample_weight)) and given.size:
        raise ValueError(f"{where}: sample_weight must not all be zero; leave it out, and all cases count alike")
    weights: np.ndarray = _check_sample_weight(sample_weight, np.empty((N, 1)), dtype=np.float64)
    if (weights < 0).any():
        k = int(np.argmax(weights < 0))
        raise ValueError(f"{where}: sample_weight must be at least 0, got {weights[k]} at index {k}")
    return weights


def weights_of_classes(where: str, class_weight: Any, classes: np.ndarray, codes: np.ndarray) -> np.ndarray | None:
    """Return the weight of each label, by its class; None where there is none."""
    if class_weight is None:
        return None
    if not isinstance(class_weight, dict) and class_weight != "balanced":
        raise ValueError(f"{where}: class_weight must be 'balanced', a dict or None, got {shown(class_weight)}")
    if isinstance(class_weight, dict):
        table = np.array([float(class_weight.get(label, 1.0)) for label in classes.tolist()])
    else:
        present = np.unique(codes)
        table = np.ones(len(classes))
        table[present] = compute_class_weight("balanced", classes=present, y=codes)
    if not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError(f"{where}: class_weight must have finite weights of at least 0, got {shown(class_weight)}")
    return table[codes]


def together(*weights: np.ndarray | None) -> np.ndarray | None:
    """Return the product of weights; None where there are none at all."""
    given = [one for one in weights if one is not None]
    return reduce(np.multiply, given) if given else None
