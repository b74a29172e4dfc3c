"""What a forecaster's head says of each step: a mean, a normal distribution, or some quantiles.

::

    q(p) = μ + σ Φ⁻¹(p)                                                          (FC6)   of a normal distribution

All is in the units of the network. Arrays here are on the host: a forecast is small.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from ...foreign import shown
from ...training.losses import GaussianLikelihood, QuantileLoss, SquaredError

LOSSES = ("squared", "gaussian", "quantiles")
"""What a forecaster can be trained by."""


class Answer(ABC):
    """How the K numbers of each step are read.

    Attributes
    ----------
    outputs : int
        K.
    loss : SquaredError, GaussianLikelihood or QuantileLoss
    levels : tuple of float
        Quantiles that are told without being asked for; none where there are none to tell.
    """

    outputs: int
    loss: Any
    levels: tuple[float, ...] = ()

    @abstractmethod
    def point(self, z: np.ndarray) -> np.ndarray:
        """Return the one number that stands for all, (...), of outputs (..., K)."""

    @abstractmethod
    def quantiles(self, where: str, z: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return quantiles (..., Q) of outputs (..., K); ValueError where they are not told."""

    @abstractmethod
    def draw(self, where: str, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a number drawn of each distribution, (...)."""


class Mean(Answer):
    """A mean, and nothing about what is around it."""

    outputs = 1

    def __init__(self) -> None:
        self.loss = SquaredError()

    def point(self, z: np.ndarray) -> np.ndarray:
        """See `Answer.point`."""
        return z[..., 0]

    def quantiles(self, where: str, z: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """See `Answer.quantiles`."""
        raise ValueError(
            f"{where}: quantiles of a model with loss='squared' must come from residuals, got none; "
            "residuals=model.residuals(windows), of windows that it wasn't trained on"
        )

    def draw(self, where: str, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See `Answer.draw`."""
        return self.quantiles(where, z, ())


class Normal(Answer):
    """Mean and scale of a normal distribution: (FC3), (FC6)."""

    outputs = 2
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)

    def __init__(self) -> None:
        self.loss = GaussianLikelihood()

    def point(self, z: np.ndarray) -> np.ndarray:
        """See `Answer.point`."""
        return z[..., 0]

    def quantiles(self, where: str, z: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """See `Answer.quantiles`."""
        normal = np.array([NormalDist().inv_cdf(level) for level in levels])
        return z[..., :1] + self.loss.scale(z[..., 1:]) * normal  # (FC6)

    def draw(self, where: str, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See `Answer.draw`."""
        return z[..., 0] + self.loss.scale(z[..., 1]) * rng.standard_normal(z.shape[:-1])


class Quantiles(Answer):
    """Quantiles at some levels, put in order: what crosses is exchanged, and no quantile is the worse for it.

    The number that stands for all is the quantile whose level is the closest to ½.

    References
    ----------
    V. Chernozhukov, I. Fernández-Val, A. Galichon, "Quantile and probability curves without crossing", Econometrica 78
    (2010) 1093-1125, arXiv:0704.3649v3.
    """

    def __init__(self, levels: Sequence[float]) -> None:
        self.loss = QuantileLoss(levels)
        self.levels, self.outputs = self.loss.quantiles, self.loss.outputs
        self._middle = int(np.argmin(abs(np.array(self.levels) - 0.5)))

    def point(self, z: np.ndarray) -> np.ndarray:
        """See `Answer.point`."""
        return np.sort(z, axis=-1)[..., self._middle]

    def quantiles(self, where: str, z: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """See `Answer.quantiles`."""
        if unknown := [level for level in levels if level not in self.levels]:
            raise ValueError(
                f"{where}: quantiles must be some of {', '.join(map(str, self.levels))}, for which the model was "
                f"trained, got {shown(unknown[0])}"
            )
        return np.sort(z, axis=-1)[..., [self.levels.index(level) for level in levels]]

    def draw(self, where: str, z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a number from between the quantiles, by straight lines; beyond the outermost there is none."""
        q, u = np.sort(z, axis=-1), rng.random(z.shape[:-1])
        levels = np.array(self.levels)
        if len(levels) == 1:
            return q[..., 0]
        u = np.clip(u, levels[0], levels[-1])
        k = np.clip(np.searchsorted(levels, u, side="right") - 1, 0, len(levels) - 2)
        share = (u - levels[k]) / (levels[k + 1] - levels[k])
        low, high = (np.take_along_axis(q, (k + step)[..., None], axis=-1)[..., 0] for step in (0, 1))
        return low + share * (high - low)


def answer_of(where: str, loss: Any, quantiles: Any) -> Answer:
    """Return what a model's `loss` says, with its levels where it has some."""
    if loss not in LOSSES:
        raise ValueError(f"{where}: loss must be one of {', '.join(map(repr, LOSSES))}, got {shown(loss)}")
    if loss == "quantiles":
        return Quantiles((0.1, 0.5, 0.9) if quantiles is None else quantiles)
    if quantiles is not None:
        raise ValueError(f"{where}: quantiles must be left out with loss={loss!r}, got {shown(quantiles)}")
    return Mean() if loss == "squared" else Normal()
