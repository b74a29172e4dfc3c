"""Importance weights: how much each example of the source counts if the target's distribution is what matters.

::

    w = argmin ½ wᵀ(K + ρI)w − κᵀw,   0 ≤ w_i ≤ B,  Σ_i w_i = n           kernel mean matching   (X33)
        K_ij = k(x_i, x_j),   κ_i = n/m Σ_j k(x_i, x'_j),   k(x, x') = exp(−‖x − x'‖² / 2σ²)

    w_i ∝ min(c, n/m · P(target | x_i) / P(source | x_i))                 density ratio          (X34)

x are the n examples of the source, x' the m of the target; no label is needed. Both have a mean weight of 1.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from rnn_core.layers.checks import as_array, check_finite, check_seed, positive_int

from .rows import number, two_domains


def kernel_mean_matching(
    source: Any, target: Any, *, bandwidth: float | None = None, bound: float = 1000.0, ridge: float = 1.0
) -> np.ndarray:
    """Weights under which the source's mean, in the space of a Gaussian kernel, is the target's.

    Parameters
    ----------
    source : array, shape (n, F)
    target : array, shape (m, F)
        Features on comparable scales, for instance pooled hidden states.
    bandwidth : float, optional
        σ; by default the median distance between two rows of either domain.
    bound : float
        B, the largest weight, above 1.
    ridge : float
        ρ, at least 0. What follows from the kernel alone is spiky, as its matrix is all but singular; the default
        counts differences of weights as much as chance in n examples does. More makes weights more alike.

    Returns
    -------
    weights : ndarray, shape (n,)
        Mean 1.

    Raises
    ------
    ValueError
        Shapes do not fit, a value is NaN or infinite, an option is out of range, or all rows are the same.
    TypeError
        An option is no number, or the features are not real numbers.
    RuntimeError
        The solver did not converge.
    ModuleNotFoundError
        SciPy is missing.

    Notes
    -----
    The sum is held by a multiplier λ, found with `scipy.optimize.brentq`; for each λ the box alone is left, which is
    a matter for L-BFGS-B. The kernel takes 8·n² bytes: 10,000 examples are 0.8 GB.

    References
    ----------
    J. Huang, A. J. Smola, A. Gretton, K. M. Borgwardt, B. Schölkopf, "Correcting sample selection bias by unlabeled
    data", NIPS 2006, equation 6, here with the sum held exactly and with a ridge.
    """
    where = "kernel_mean_matching"
    source, target = two_domains(where, source, target)
    bound, ridge = number(where, "bound", bound, least=1, above=True), number(where, "ridge", ridge, least=0)
    if bandwidth is None:
        bandwidth = _median_distance(where, np.concatenate([source, target]))
    else:
        bandwidth = number(where, "bandwidth", bandwidth, least=0, above=True)
    n, m = len(source), len(target)
    K = _kernel(source, source, bandwidth)
    K.flat[:: n + 1] += ridge
    return _matched(where, K, _kernel(source, target, bandwidth).sum(axis=1) * (n / m), bound)


def density_ratio(
    source: Any, target: Any, *, classifier: Any = None, clip: float = 20.0, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """Weights from a classifier that tells the domains apart.

    Parameters
    ----------
    source : array, shape (n, F)
    target : array, shape (m, F)
        Features, for instance pooled hidden states.
    classifier : scikit-learn classifier, optional
        By default a logistic regression on standardised features. Domains of different spread, and not only different
        means, need its squares too: ``make_pipeline(PolynomialFeatures(2), StandardScaler(), LogisticRegression())``.
    clip : float
        c, at least 1: no ratio is larger than this before the weights are brought to a mean of 1.
    folds : int
        At least 2. A weight comes from classifiers that have not seen its example, with probabilities calibrated
        (by a sigmoid) on examples that they have not seen either.
    seed : int
        Draws the folds.

    Returns
    -------
    weights : ndarray, shape (n,)
        Mean 1.

    Raises
    ------
    ValueError
        Shapes do not fit, a value is NaN or infinite, an option is out of range, or there are fewer than
        ``2·folds`` rows of a domain.
    TypeError
        An option is of the wrong type, or the features are not real numbers.
    ModuleNotFoundError
        scikit-learn is missing.

    References
    ----------
    S. Bickel, M. Brückner, T. Scheffer, "Discriminative learning for differing training and test distributions",
    ICML 2007, section 3. J. Platt, "Probabilistic outputs for support vector machines", 1999: the calibration.
    """
    where = "density_ratio"
    folds = positive_int(where, "folds", folds)
    if folds < 2:
        raise ValueError(f"{where}: folds must be at least 2, got {folds}")
    # Each fold of the outer round is left out in turn; the calibration cuts what is left once more.
    source, target = two_domains(where, source, target, rows=2 * folds)
    clip, seed = number(where, "clip", clip, least=1), check_seed(where, seed) or 0
    try:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError as error:
        raise _missing(where, "scikit-learn") from error
    if classifier is None:
        classifier = make_pipeline(StandardScaler(), LogisticRegression())
    cuts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(classifier, method="sigmoid", cv=cuts)
    n, m = len(source), len(target)
    is_target = np.repeat([0, 1], [n, m])
    x = np.concatenate([source, target])
    p = cross_val_predict(calibrated, x, is_target, cv=cuts, method="predict_proba")[:n]
    with np.errstate(divide="ignore"):
        ratios = np.minimum(n / m * p[:, 1] / p[:, 0], clip)
    return ratios / ratios.mean()  # (X34)


def effective_size(weights: Any) -> float:
    """Return how many equally weighted examples these weighted ones are worth: (Σw)² / Σw².

    Parameters
    ----------
    weights : array, shape (n,)
        At least 0, and not all 0.

    Raises
    ------
    ValueError
        There are no weights, or one is negative, NaN or infinite, or all are 0.

    References
    ----------
    L. Kish, "Survey sampling", 1965, section 11.7.
    """
    w = as_array("effective_size", "weights", weights).astype(np.float64)
    check_finite("effective_size", "weights", w)
    if w.ndim != 1 or (w < 0).any() or not w.any():
        raise ValueError(
            f"effective_size: weights must be a row of numbers of at least 0, and not all 0, got shape {w.shape}"
            + (f" with a minimum of {w.min():g}" if w.size else "")
        )
    w = w / w.max()
    return float(w.sum() ** 2 / (w @ w))


def _matched(where: str, K: np.ndarray, kappa: np.ndarray, bound: float) -> np.ndarray:
    """Return what minimises ½ wᵀKw − κᵀw within the box and with a mean of 1."""
    try:
        from scipy.optimize import brentq, minimize
    except ModuleNotFoundError as error:
        raise _missing(where, "SciPy") from error
    n = len(kappa)
    box = [(0.0, bound)] * n
    start = np.ones(n)

    @cache  # so that what stands at an end of the bracket is not found anew, with another rounding
    def solution(multiplier: float) -> np.ndarray:
        """Return the best weights within the box where a unit of their sum costs so much."""
        nonlocal start

        def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
            Kw = K @ w
            return (w @ Kw / 2 - (kappa - multiplier) @ w) / n, (Kw - kappa + multiplier) / n  # (X33)

        found = minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=box,
            options={"maxiter": 20_000, "maxfun": 50_000, "maxcor": 30, "ftol": 0, "gtol": 1e-9},
        )  # fmt: skip
        if found.status == 1:  # out of iterations; status 2 is rounding, met where no step can improve any more
            raise RuntimeError(f"{where}: the solver did not converge ({found.message}); give a larger ridge")
        start = found.x
        return found.x

    def excess(multiplier: float) -> float:
        return float(solution(multiplier).mean() - 1)

    # The dearer the sum, the smaller it is, and it can be made 0 as well as n·bound.
    here, step = 0.0, 1.0 if excess(0.0) > 0 else -1.0
    while excess(here) * excess(here + step) > 0:
        here, step = here + step, 4 * step
    w = solution(brentq(excess, here, here + step, xtol=1e-9))
    return np.minimum(w / w.mean(), bound)


def _kernel(a: np.ndarray, b: np.ndarray, bandwidth: float) -> np.ndarray:
    return np.exp(-((_distances(a, b) / bandwidth) ** 2) / 2)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    try:
        from scipy.spatial.distance import cdist
    except ModuleNotFoundError as error:
        raise _missing("kernel_mean_matching", "SciPy") from error
    return cdist(a, b)


def _median_distance(where: str, rows: np.ndarray) -> float:
    """Return the median distance between two of at most 2,000 rows, evenly taken."""
    rows = rows[:: -(-len(rows) // 2000)]
    distances = _distances(rows, rows)[np.triu_indices(len(rows), 1)]
    median = float(np.median(distances)) if distances.size else 0.0
    if not median:
        raise ValueError(
            f"{where}: source and target must differ from row to row, got a median distance of 0; give a bandwidth, "
            "or features that vary"
        )
    return median


def _missing(where: str, package: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"{where}: {package} must be installed; pip install 'rnn_core[report]'")
