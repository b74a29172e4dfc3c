"""Hints, before any training, of how well a source may serve a target: H-score, LEEP and LogME.

Each looks once at what the source makes of the target's examples, and gives a number that is larger where the target's
labels are easier to read off it. They rank sources for one target. None of them is a verdict: `compare` gives that.

With f the pooled features of n examples and θ(x) the source's probabilities of its own classes::

    H   = tr(Σ_α⁻¹ (1 − α) Σ_z)                                    Σ_α = (1 − α) Σ_f + α (tr Σ_f / d) I    (X22)
    P(y given z) = Σ_{i: y_i = y} θ(x_i)_z / Σ_i θ(x_i)_z                                                  (X23)
    LEEP  = 1/n Σ_i log Σ_z P(y_i given z) θ(x_i)_z                                                        (X24)
    LogME = max over α, β of 1/n log N(y; 0, I/β + F Fᵀ/α)                                                 (X25)

Σ_f is the covariance of the features, Σ_z that of each example's class mean, both over n, and α in (X22) is Ledoit's
and Wolf's. In (X25), F has a row of features for each example, α and β are the precisions of the prior over the
weights of a linear head and of the noise.

References
----------
.. [1] S. Ibrahim, N. Ponomareva, R. Mazumder, "Newer is not always better: rethinking transferability metrics, their
   peculiarities, stability and performance", arXiv:2110.06893 (2021).
.. [2] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
   Multivariate Analysis 88 (2004) 365-411.
.. [3] C. V. Nguyen, T. Hassner, M. Seeger, C. Archambeau, "LEEP: a new measure to evaluate transferability of learned
   representations", ICML 2020, equations 1 and 2.
.. [4] K. You, Y. Liu, J. Wang, M. Long, "LogME: practical assessment of pre-trained models for transfer learning",
   ICML 2021, equation 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_core.layers.checks import as_array, check_finite
from rnn_core.layers.home import to_host

SEARCHED = 1e12
"""LogME looks for α/β between the largest eigenvalue of F Fᵀ divided and multiplied by this."""


def h_score(features: Any, labels: Any) -> float:
    """Return how much of the features' variance tells the classes apart: a hint, not a verdict.

    Parameters
    ----------
    features : array, shape (n, d)
        One pooled vector for each target example.
    labels : array of int, shape (n,)
        The target's classes: at least two.

    Returns
    -------
    score : float
        Between 0 and the smaller of d and the number of classes less one; larger is better.

    Raises
    ------
    ValueError
        A shape is not as required, a feature is NaN or infinite, no feature varies, or all labels are the same.
    TypeError
        Labels are not integers, or features not real numbers.
    RuntimeError
        scikit-learn is missing.

    Notes
    -----
    Equation (X22), with Ledoit's and Wolf's shrinkage, as Ibrahim and others use it, so that more features than
    examples are no trouble.
    """
    where = "h_score"
    try:
        from sklearn.covariance import ledoit_wolf
    except ImportError as error:
        raise RuntimeError(
            f"{where}: scikit-learn must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
        ) from error
    f = _table(where, "features", features)
    classes, place = _classes(where, labels, len(f))
    f = f - f.mean(axis=0)
    if not np.ptp(f, axis=0).any():
        raise ValueError(f"{where}: features must vary from example to example, got {len(f)} equal rows")
    # The score is the same for features of any scale; their squares may not fit.
    f = f / abs(f).max()
    cov, alpha = ledoit_wolf(f, assume_centered=True)  # Σ_α
    counts = np.bincount(place)
    means = np.stack([f[place == k].mean(axis=0) for k in range(len(classes))])
    between = (means.T * counts) @ means / len(f)  # Σ_z
    # Where α is 0, Σ_α may be singular, but only in directions in which Σ_z is zero, too.
    inverse = np.linalg.pinv(cov, rtol=len(cov) * np.finfo(float).eps, hermitian=True)
    return float(np.trace(inverse @ ((1 - alpha) * between)))  # (X22)


def leep(probabilities: Any, labels: Any) -> float:
    """Return the log-likelihood of the target's labels, as read off the source's own answers: a hint, not a verdict.

    Parameters
    ----------
    probabilities : array, shape (n, Z)
        What the source gives each of its Z classes for each target example, as `SequenceClassifier.predict_proba`.
    labels : array of int, shape (n,)
        The target's classes: at least two.

    Returns
    -------
    score : float
        In nats, at most 0; larger is better.

    Raises
    ------
    ValueError
        A shape is not as required, a row is not made of probabilities that sum to 1, or all labels are the same.
    TypeError
        Labels are not integers, or probabilities not real numbers.

    Notes
    -----
    Equations (X23) and (X24), from Nguyen and others. It looks at no feature, so a source of few classes has little to
    say.
    """
    where = "leep"
    way_out = "of a single sigmoid p, take np.stack([1 - p, p], axis=1)"
    theta = _table(where, "probabilities", probabilities, way_out)
    classes, place = _classes(where, labels, len(theta))
    sums = theta.sum(axis=1)
    for bad, what in ((theta.min(axis=1) < 0, "be at least 0"), (abs(sums - 1) > 1e-3, "sum to 1")):
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{where}: probabilities must {what} in each row, got {theta[row]} in row {row}; "
                "predict_proba gives them, logits want a softmax"
            )
    theta = theta / sums[:, None]  # float32 sums to 1 only nearly, and LEEP could then pass 0
    joint = np.stack([theta[place == k].sum(axis=0) for k in range(len(classes))])
    marginal = joint.sum(axis=0)
    seen = marginal > 0
    given = joint[:, seen] / marginal[seen]  # (X23)
    return float(np.log((given[place] * theta[:, seen]).sum(axis=1)).mean())  # (X24)


def logme(features: Any, targets: Any) -> float:
    """Return the evidence for a linear head on the features, per example: a hint, not a verdict.

    Parameters
    ----------
    features : array, shape (n, d)
        One pooled vector for each target example.
    targets : array, shape (n,) or (n, K)
        Integers, shape (n,), are classes: the result is the mean over their columns of ones and zeros. Real numbers are
        what a regression is to give; the result is the mean over the K columns.

    Returns
    -------
    score : float
        In nats; larger is better. Infinite if fewer features than examples give a column exactly.

    Raises
    ------
    ValueError
        A shape is not as required, a number is NaN or infinite, all features or a column of targets are zero, or all
        classes are the same.
    TypeError
        Something is not a real number.
    RuntimeError
        scipy is missing.

    Notes
    -----
    Equation (X25), from You and others. For a given λ = α/β the best β is known, n/R(λ), which leaves ::

        −½ (log(2π R(λ)/n) + 1 + 1/n Σ_k log(1 + σ_k²/λ)),     R(λ) = yᵀ (I + F Fᵀ/λ)⁻¹ y                      (X26)

    to be maximised over λ alone, with the singular values σ_k of F. The paper iterates to the same place.
    """
    where = "logme"
    f = _table(where, "features", features)
    y = _columns(where, targets, len(f))
    scale = abs(f).max()
    if scale == 0:
        raise ValueError(f"{where}: features must not all be zero, got shape {f.shape}")
    # The evidence is the same for features of any scale, α going with it; their squares may not fit.
    u, s, _ = np.linalg.svd(f / scale, full_matrices=False)
    rank = int((s > s[0] * max(f.shape) * np.finfo(float).eps).sum())
    u, eigenvalues = u[:, :rank], s[:rank] ** 2
    return float(np.mean([_evidence(where, eigenvalues, u, column) for column in y.T]))


def _evidence(where: str, eigenvalues: np.ndarray, u: np.ndarray, y: np.ndarray) -> float:
    """Return the largest evidence per example for one column of targets."""
    try:
        from scipy.optimize import minimize_scalar
    except ImportError as error:
        raise RuntimeError(
            f"{where}: scipy must be installed, got {error}; it comes with pip install 'rnn_core[report]'"
        ) from error
    n, rank = u.shape
    size = float(np.linalg.norm(y))
    y = y / size
    z = u.T @ y
    rest = float(np.sum((y - u @ z) ** 2))  # of y², what no head can give
    if rank == n:
        rest = 0.0
    elif rest <= (n * np.finfo(float).eps) ** 2:
        return np.inf

    def evidence(log_ratio: Any) -> Any:
        ratio = np.exp(np.asarray(log_ratio))[..., None]
        residual = (z**2 * ratio / (ratio + eigenvalues)).sum(axis=-1) + rest
        volume = np.log1p(eigenvalues / ratio).sum(axis=-1) / n
        return -0.5 * (np.log(2 * np.pi * residual / n) + 1 + volume)  # (X26)

    # There may be several maxima, so the best of a grid comes first.
    centre, reach = np.log(eigenvalues[0]), np.log(SEARCHED)
    grid = np.linspace(centre - reach, centre + reach, 400)
    values = evidence(grid)
    best = int(np.argmax(values))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(lambda at: -evidence(at), bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return max(-float(found.fun), float(values[best])) - float(np.log(size))


def _table(where: str, name: str, value: Any, way_out: str = "pool each sequence into one vector") -> np.ndarray:
    """Return finite real numbers as float64, shape (n, d)."""
    array = _real(where, name, value)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{where}: {name} must have shape (examples, columns) with at least one number, got {array.shape}; "
            f"{way_out}"
        )
    return array


def _real(where: str, name: str, value: Any) -> np.ndarray:
    array = as_array(where, name, to_host(value))
    if array.dtype.kind == "c":
        raise TypeError(f"{where}: {name} must be real numbers, got {array.dtype}")
    check_finite(where, name, array)
    return array.astype(np.float64)


def _classes(where: str, labels: Any, n: int, name: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """Return the classes there are, and the place among them of each example's."""
    labels = as_array(where, name, to_host(labels))
    if labels.dtype.kind not in "biu":
        raise TypeError(f"{where}: {name} must be integers, got {labels.dtype}")
    if labels.shape != (n,):
        raise ValueError(f"{where}: {name} must have shape ({n},), one for each example, got {labels.shape}")
    classes, place = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{where}: {name} must be of two classes or more, got {classes[0]} alone")
    if len(classes) == n:
        raise ValueError(
            f"{where}: {name} must have a class with two examples at least, got {n} classes of one each, whose "
            "examples have nothing in common; collect more of them"
        )
    return classes, place


def _columns(where: str, targets: Any, n: int) -> np.ndarray:
    """Return targets as float64, shape (n, K): a column of ones and zeros for each class, or numbers as they are."""
    array = as_array(where, "targets", to_host(targets))
    if array.dtype.kind in "biu" and array.ndim == 1:
        classes, place = _classes(where, array, n, "targets")
        return np.eye(len(classes))[place]
    y = _real(where, "targets", array)
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or len(y) != n or y.shape[1] == 0:
        raise ValueError(
            f"{where}: targets must have shape ({n},) or ({n}, columns), a row for each example, got {array.shape}"
        )
    if not (zero := y.any(axis=0)).all():
        raise ValueError(f"{where}: targets must not be zero throughout, got that in column {int(np.argmin(zero))}")
    return y
