"""Subspace mapping: the source's features moved to where the target's lie. No label of the target is needed.

::

    x ↦ (x − μ_s) P_s P_sᵀ P_t,   x' ↦ (x' − μ_t) P_t       subspace alignment     (X36)
    x ↦ (x − μ_s) C_s^(−1/2) C_t^(1/2),   x' ↦ x' − μ_t     CORAL                  (X37)

P are the d leading principal directions of a domain as columns (F, d), C its covariance (F, F), μ its mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_core.layers.checks import positive_int

from .rows import as_rows, number, two_domains


@dataclass(frozen=True)
class Alignment:
    """Two affine maps into one space, where what was learned from the source's features can be used on the target's.

    Attributes
    ----------
    source_mean, target_mean : ndarray, shape (F,)
    source_map, target_map : ndarray, shape (F, D)
        What the centred rows of either domain are multiplied by.
    """

    source_mean: np.ndarray
    source_map: np.ndarray
    target_mean: np.ndarray
    target_map: np.ndarray

    def source(self, x: Any) -> np.ndarray:
        """Return rows of the source, shape (n, F), in the common space, shape (n, D)."""
        x = as_rows("Alignment.source", "x", x, features=len(self.source_mean))
        return (x - self.source_mean) @ self.source_map

    def target(self, x: Any) -> np.ndarray:
        """Return rows of the target, shape (m, F), in the common space, shape (m, D)."""
        x = as_rows("Alignment.target", "x", x, features=len(self.target_mean))
        return (x - self.target_mean) @ self.target_map


def subspace_alignment(source: Any, target: Any, dimensions: int) -> Alignment:
    """Turn the source's principal directions into the target's.

    Parameters
    ----------
    source : array, shape (n, F)
    target : array, shape (m, F)
        Features, for instance pooled hidden states; put them on comparable scales first.
    dimensions : int
        d, how many directions are kept; at most the rank of either centred domain. Choose it on validation data.

    Returns
    -------
    Alignment
        Into the target's subspace, D = d.

    Raises
    ------
    ValueError
        The shapes do not fit, a value is NaN or infinite, or a domain does not vary in so many directions.
    TypeError
        `dimensions` is not an int, or the features are not real numbers.

    References
    ----------
    B. Fernando, A. Habrard, M. Sebban, T. Tuytelaars, "Unsupervised visual domain adaptation using subspace
    alignment", ICCV 2013, equation 3 and algorithm 1.
    """
    where = "subspace_alignment"
    source, target = two_domains(where, source, target, rows=2)
    d = positive_int(where, "dimensions", dimensions)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    P_s = _directions(where, "source", source - source_mean, d)
    P_t = _directions(where, "target", target - target_mean, d)
    return Alignment(source_mean, P_s @ (P_s.T @ P_t), target_mean, P_t)  # (X36)


def coral(source: Any, target: Any, ridge: float = 0.0) -> Alignment:
    """Give the source's features the covariance of the target's (correlation alignment).

    Parameters
    ----------
    source : array, shape (n, F)
    target : array, shape (m, F)
        Features, for instance pooled hidden states.
    ridge : float
        Added to each variance before the roots are taken, as a share of the domain's mean variance. At 0 the
        covariances become equal. 1, on standardised features, is what the paper does; a small one is for
        directions in which the source hardly varies, whose noise would else be blown up.

    Returns
    -------
    Alignment
        D = F; the target is only centred.

    Raises
    ------
    ValueError
        The shapes do not fit, a value is NaN or infinite, or, without a ridge, the source does not vary in all
        directions, so that no map can give it the target's covariance.
    TypeError
        `ridge` is no number, or the features are not real numbers.

    References
    ----------
    B. Sun, J. Feng, K. Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016, algorithm 1.
    """
    where = "coral"
    source, target = two_domains(where, source, target, rows=2)
    ridge = number(where, "ridge", ridge, least=0)
    F = source.shape[1]
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    (variance_s, U_s), (variance_t, U_t) = _spectrum(source - source_mean), _spectrum(target - target_mean)
    variance_s = variance_s + ridge * variance_s.mean()
    variance_t = variance_t + ridge * variance_t.mean()
    rank = _rank(np.sqrt(variance_s), F)
    if rank < F:
        raise ValueError(
            f"{where}: source must vary in all {F} directions, got {rank} from {len(source)} rows; give a ridge, "
            "such as 1e-3, or fewer features"
        )
    whitened = (U_s / np.sqrt(variance_s)) @ U_s.T
    coloured = (U_t * np.sqrt(variance_t)) @ U_t.T
    return Alignment(source_mean, whitened @ coloured, target_mean, np.eye(F))  # (X37)


def _directions(where: str, name: str, centred: np.ndarray, d: int) -> np.ndarray:
    """Return the d directions, (F, d), in which centred rows vary most."""
    _, scales, directions = np.linalg.svd(centred, full_matrices=False)
    rank = _rank(scales, max(centred.shape))
    if d > rank:
        raise ValueError(
            f"{where}: dimensions must be at most {rank}, in which the {name} varies (its {centred.shape[0]} rows "
            f"have {centred.shape[1]} features), got {d}"
        )
    return directions[:d].T


def _spectrum(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of centred rows as its F eigenvalues and their eigenvectors (columns)."""
    # From the rows themselves: forming the covariance would square what separates small variances from rounding.
    n, F = centred.shape
    padded = centred if n >= F else np.concatenate([centred, np.zeros((F - n, F))])
    _, scales, directions = np.linalg.svd(padded, full_matrices=False)
    return scales**2 / (n - 1), directions.T


def _rank(scales: np.ndarray, size: int) -> int:
    """Return how many of the scales are more than rounding."""
    return int((scales > scales.max() * size * np.finfo(np.float64).eps).sum())
