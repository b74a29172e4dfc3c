"""Losses of what a forecast says beyond one number: a mean with its scale, or some quantiles.

::

    σ_n = σ_min + log(1 + exp(s_n))                                              (FC3)   softplus
    ℓ_n = log σ_n + ((t_n − μ_n) / σ_n)² / 2 + log(2π) / 2                       (FC4)   Gaussian
    ℓ_n = (1/Q) Σ_q max(q (t_n − z_nq), (q − 1) (t_n − z_nq))                    (FC5)   quantiles

Outputs have one axis more than targets: (μ_n, s_n), or z_nq for each of the Q quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, pi
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array

from ...foreign import shown
from ...layers.checks import check_activations
from ...layers.home import move
from .mean import check_elements, check_floating, real_part, weighted_mean


class GaussianLikelihood:
    """Negative log-likelihood of a normal distribution, from its mean and what becomes its scale: (FC3), (FC4).

    Parameters
    ----------
    floor : float
        σ_min, above 0: the smallest scale. Without one, a series without noise has no largest likelihood.

    Raises
    ------
    ValueError
        `floor` is not above 0 and finite.
    TypeError
        It is no number.

    References
    ----------
    D. Salinas, V. Flunkert, J. Gasthaus, "DeepAR: Probabilistic forecasting with autoregressive recurrent networks",
    arXiv:1704.04110v3, equations (3) and (4); there without σ_min.
    """

    outputs = 2

    def __init__(self, floor: float = 1e-3) -> None:
        if isinstance(floor, bool) or not isinstance(floor, int | float):
            raise TypeError(f"GaussianLikelihood: floor must be a number, got {shown(floor)}")
        if not 0 < floor < float("inf"):
            raise ValueError(f"GaussianLikelihood: floor must be above 0 and finite, got {floor}")
        self.floor = float(floor)

    def forward(self, outputs: Array, targets: Array, weights: Array | None = None) -> tuple[Array, LastAxisTape]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        outputs : ndarray, shape (..., 2)
            μ and s; float32 or float64 (or complex128).
        targets : ndarray, shape (...)
        weights : ndarray, shape (...) or the first axes of it, optional
            How much each target counts, at least 0; 0 leaves it out.

        Returns
        -------
        loss : scalar of the outputs' dtype
            Weighted mean over the targets, in nats.
        tape : LastAxisTape
            For `backward`, any number of times.

        Raises
        ------
        ValueError
            A shape does not fit, a weight is negative, all are zero, or a value is NaN or infinite; the message
            says where.
        TypeError
            Outputs are not floating point.
        """
        where = "GaussianLikelihood.forward"
        xp, t = _checked(where, outputs, targets, 2)
        mu, s = outputs[..., 0], outputs[..., 1]
        softplus, slope = _softplus(xp, s)
        sigma = self.floor + softplus  # (FC3)
        r = (t - mu) / sigma
        losses = xp.log(sigma) + r * r / 2 + log(2 * pi) / 2  # (FC4)
        loss, dlosses = weighted_mean(where, xp, losses, targets.shape, weights)
        dmu = -r / sigma  # (FC4′)
        dsigma = (1 - r * r) / sigma  # (FC4′)
        ds = dsigma * slope  # (FC3′)
        return loss, LastAxisTape(xp.stack([dmu, ds], axis=-1), dlosses)

    def backward(self, tape: LastAxisTape) -> Array:
        """Return ∂L/∂outputs, shape (..., 2)."""
        return _backward(tape)

    def scale(self, s: Array) -> Array:
        """Return σ, the shape of s: (FC3)."""
        return self.floor + _softplus(array_namespace(s), s)[0]  # (FC3)


class QuantileLoss:
    """Pinball loss, whose smallest expectation each of the quantiles has: (FC5).

    Parameters
    ----------
    quantiles : sequence of float
        Q levels, rising, each above 0 and below 1.

    Raises
    ------
    ValueError
        There is none, one is out of range, or they don't rise.
    TypeError
        One is no number.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978) 33-50.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.quantiles = checked_levels("QuantileLoss", quantiles)
        self.outputs = len(self.quantiles)

    def forward(self, outputs: Array, targets: Array, weights: Array | None = None) -> tuple[Array, LastAxisTape]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        outputs : ndarray, shape (..., Q)
            float32 or float64 (or complex128).
        targets : ndarray, shape (...)
        weights : ndarray, shape (...) or the first axes of it, optional
            How much each target counts, at least 0; 0 leaves it out.

        Returns
        -------
        loss : scalar of the outputs' dtype
            Weighted mean over the targets, of each the mean over the quantiles.
        tape : LastAxisTape
            For `backward`, any number of times.

        Raises
        ------
        ValueError, TypeError
            As `GaussianLikelihood.forward`.
        """
        where = "QuantileLoss.forward"
        xp, t = _checked(where, outputs, targets, self.outputs)
        q = xp.asarray(self.quantiles, dtype=real_part(xp, outputs).dtype)
        short = t[..., None] - outputs
        slope = xp.where(real_part(xp, short) >= 0, q, q - 1)
        losses = xp.sum(slope * short, axis=-1) / self.outputs  # (FC5)
        loss, dlosses = weighted_mean(where, xp, losses, targets.shape, weights)
        return loss, LastAxisTape(xp.astype(-slope / self.outputs, outputs.dtype), dlosses)  # (FC5′)

    def backward(self, tape: LastAxisTape) -> Array:
        """Return ∂L/∂outputs, shape (..., Q)."""
        return _backward(tape)


class LastAxisTape(NamedTuple):
    """What the backward of a loss with several outputs a target needs. Opaque to the caller."""

    dz: Array  # ∂ℓ_n/∂z_nk
    dlosses: Any  # ∂L/∂ℓ_n: flat, or one number for all


def _softplus(xp: Any, s: Array) -> tuple[Array, Array]:
    """Return log(1 + exp(s)) and its derivative, without overflow."""
    positive = real_part(xp, s) >= 0
    e = xp.exp(xp.where(positive, -s, s))
    return xp.where(positive, s, 0) + xp.log1p(e), xp.where(positive, 1, e) / (1 + e)


def _backward(tape: LastAxisTape) -> Array:
    xp = array_namespace(tape.dz)
    dlosses = tape.dlosses
    return tape.dz * (dlosses if isinstance(dlosses, float) else xp.reshape(dlosses, (*tape.dz.shape[:-1], 1)))


def _checked(where: str, outputs: Array, targets: Array, count: int) -> tuple[Any, Array]:
    """Return the namespace, and the targets where the outputs are, if both fit together."""
    xp = array_namespace(outputs)
    check_floating(where, xp, outputs, "outputs")
    if outputs.ndim == 0 or outputs.shape[-1] != count:
        raise ValueError(f"{where}: outputs must have shape (..., {count}), got {tuple(outputs.shape)}")
    check_activations(where, "outputs", outputs)
    _, targets = check_elements(where, "outputs", outputs[..., 0], targets)
    return xp, move(targets, xp)


def checked_levels(where: str, quantiles: Any) -> tuple[float, ...]:
    """Return levels of quantiles as floats, if they rise and each is above 0 and below 1."""
    if isinstance(quantiles, str) or not hasattr(quantiles, "__iter__"):
        raise TypeError(f"{where}: quantiles must be numbers such as (0.1, 0.5, 0.9), got {shown(quantiles)}")
    levels = tuple(quantiles)
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, int | float):
            raise TypeError(f"{where}: quantiles must be numbers, got {shown(level)}")
        if not 0 < level < 1:
            raise ValueError(f"{where}: quantiles must be above 0 and below 1, got {level}")
    if not levels or any(b <= a for a, b in pairwise(levels)):
        raise ValueError(f"{where}: quantiles must be at least one, and rise, got {shown(levels)}")
    return tuple(map(float, levels))
