"""Calibration by temperature: so that a network that is sure in 9 of 10 cases is right in 9 of 10.

::

    T = argmin_T 1/N Σ_i ℓ(z_i / T, t_i)           (DA22)   ℓ of (S1)
    E = Σ_b n_b/N |a_b − q_b|                      (DA23)   expected calibration error

In bin b lie n_b rows by their confidence max_k p_ik; a_b is the share of them that is right, q_b their mean confidence.
At the minimum the network expects, on average, the logit of the right class: Σ_i (Σ_k p_ik z_ik − z_{i,t_i}) = 0. In
1/T the loss is convex, so that halving an interval finds it.

References
----------
C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017, equations 3 and 9.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rnn_core.layers.checks import positive_int
from rnn_core.layers.home import to_host
from rnn_core.training.losses.cross_entropy import check_classes

from ..instances.rows import as_rows
from .losses.classes import probabilities

COLDEST, HOTTEST = 0.02, 50.0
"""Bounds of T: rows that are all told right would be the surer the better, and rows of chance the less sure."""


class Calibration(NamedTuple):
    """What calibration has found.

    Attributes
    ----------
    temperature : float
        T; a bound, 0.02 or 50, where the rows have no minimum.
    before, after : float
        The expected calibration error at temperature 1 and at T, from 0 to 1.
    rows : int
        How many it was found on.
    """

    temperature: float
    before: float
    after: float
    rows: int


def calibrate(logits: Any, targets: Any, bins: int = 15) -> Calibration:
    """Find the temperature at which a network's confidence is likeliest.

    Parameters
    ----------
    logits : array, shape (N, K)
        What a network says of rows that it has **not** been trained on: of those it is too sure.
    targets : array of int, shape (N,)
        What they are.
    bins : int
        Of the calibration error.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        A shape does not fit, a class is out of range, or a value is NaN or infinite.
    TypeError
        The logits are no real numbers, or the targets not integers.
    """
    z = as_rows("calibrate", "logits", to_host(logits))
    t = np.asarray(to_host(targets))
    check_classes("calibrate", t, z.shape)
    right = z[np.arange(len(z)), t]

    def slope(beta: float) -> float:
        """∂L/∂β of the mean loss at β = 1/T."""
        return float(((probabilities(beta * z).p * z).sum(axis=1) - right).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    while high - low > 4 * np.spacing(high):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    T = 1 / low  # (DA22)
    before, after = (calibration_error(probabilities(z, at).p, t, bins) for at in (1.0, T))
    return Calibration(float(T), before, after, len(z))


def calibration_error(p: Any, targets: Any, bins: int = 15) -> float:
    """Return how far confidence and accuracy lie apart, from 0 to 1.

    Parameters
    ----------
    p : array, shape (N, K)
        Probabilities of the classes.
    targets : array of int, shape (N,)
    bins : int
        Intervals of confidence, of equal width.

    Raises
    ------
    ValueError, TypeError
        As `calibrate`.
    """
    where = "calibration_error"
    p, t = as_rows(where, "p", to_host(p)), np.asarray(to_host(targets))
    check_classes(where, t, p.shape)
    bins = positive_int(where, "bins", bins)
    q, right = p.max(axis=1), p.argmax(axis=1) == t
    place = np.minimum((q * bins).astype(int), bins - 1)
    gaps = np.bincount(place, right, bins) - np.bincount(place, q, bins)
    return float(np.abs(gaps).sum() / len(q))  # (DA23)
