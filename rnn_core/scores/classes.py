"""How well classes are told: the confusion matrix, and what is read from it; and how far numbers are missed.

::

    N_kj = how many of class k were called j           (rows are what is, columns what was said)
    accuracy           Σ_k N_kk / Σ_kj N_kj
    balanced accuracy  the mean over the classes that there are of N_kk / Σ_j N_kj
    F_k = 2 N_kk / (Σ_j N_kj + Σ_j N_jk), 0 where a class neither is nor was said; macro F1 is their mean over the
    classes that there are or that were said
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.checks import as_array


def confusion(targets: Any, answers: Any, classes: int) -> np.ndarray:
    """Return the confusion matrix.

    Parameters
    ----------
    targets, answers : array of int, shape (N,)
        What is, and what was said.
    classes : int
        K.

    Returns
    -------
    ndarray of int, shape (K, K)
        Row k, column j: how many of class k were called j.

    Raises
    ------
    ValueError
        The two are not as many, there are none, or a class is none of 0…K−1.
    TypeError
        They are not integers.
    """
    where = "confusion"
    pair = [as_array(where, name, value) for name, value in (("targets", targets), ("answers", answers))]
    for name, array in zip(("targets", "answers"), pair, strict=True):
        if array.dtype.kind not in "iu":
            raise TypeError(f"{where}: {name} must be integers, the numbers of classes, got {array.dtype}")
        if array.ndim != 1 or array.shape != pair[0].shape or not array.size:
            raise ValueError(f"{where}: {name} must have shape (N,), as targets, with N ≥ 1, got {array.shape}")
        if array.min() < 0 or array.max() >= classes:
            raise ValueError(
                f"{where}: {name} must be in 0…{classes - 1}, as there are {classes} classes, got {array.min()} to "
                f"{array.max()}"
            )
    return np.bincount(pair[0] * classes + pair[1], minlength=classes**2).reshape(classes, classes)


def accuracy(matrix: np.ndarray) -> float:
    """Return the share of all that was told right, of a confusion matrix."""
    return float(np.trace(matrix) / matrix.sum())


def recalls(matrix: np.ndarray) -> np.ndarray:
    """Return the share of each class that was told right, (K,); NaN where there is none of a class."""
    there = matrix.sum(axis=1)
    return np.where(there > 0, matrix.diagonal() / np.maximum(there, 1), np.nan)


def precisions(matrix: np.ndarray) -> np.ndarray:
    """Return how often each class was rightly said, (K,); NaN where it never was."""
    said = matrix.sum(axis=0)
    return np.where(said > 0, matrix.diagonal() / np.maximum(said, 1), np.nan)


def balanced_accuracy(matrix: np.ndarray) -> float:
    """Return the mean of the classes' accuracies: of those that there are."""
    return float(np.nanmean(recalls(matrix)))


def f1(matrix: np.ndarray) -> np.ndarray:
    """Return each class's F1, (K,); NaN where it neither is nor was said."""
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    return np.where(both > 0, 2 * matrix.diagonal() / np.maximum(both, 1), np.nan)


def macro_f1(matrix: np.ndarray) -> float:
    """Return the mean of the classes' F1: of those that there are, or that were said."""
    return float(np.nanmean(f1(matrix)))
