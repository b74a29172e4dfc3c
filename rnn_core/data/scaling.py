"""`Scaling`: numbers brought to mean 0 and deviation 1, feature by feature, and back.

::

    z = (x − mean) / scale        (of each feature, over all steps of all examples it was learned from)
    x = z · scale + mean
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..foreign import shown
from ..schema import check_arguments

ROUNDING = 1e-13
"""Of the mean: a deviation that rounding alone makes."""


@dataclass(frozen=True)
class Scaling:
    """Mean and scale of each feature, in float64.

    Parameters
    ----------
    mean, scale : sequence of float
        Taken away, and divided by; one of each a feature.

    Raises
    ------
    ValueError
        They are not as many, not finite, or a scale is not above 0.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            object.__setattr__(self, name, tuple(float(one) for one in getattr(self, name)))
        if len(self.mean) != len(self.scale) or not self.mean or not np.isfinite([self.mean, self.scale]).all():
            raise ValueError(
                "Scaling: mean and scale must be as many finite numbers, at least one, got "
                f"{shown(self.mean)} and {shown(self.scale)}"
            )
        if not all(one > 0 for one in self.scale):
            raise ValueError(f"Scaling: scale must be above 0, got {shown(self.scale)}")

    def __len__(self) -> int:
        """The number of features."""
        return len(self.mean)

    @classmethod
    def of(cls, rows: Iterable[np.ndarray], seen: Iterable[np.ndarray] | None = None) -> Self:
        """Learn mean and deviation from examples: of the training part alone, or what is judged by has been seen.

        Parameters
        ----------
        rows : iterable of ndarray, shape (T, I)
            Gone through more than once.
        seen : iterable of ndarray, shape (T, I), optional
            1 for each number that counts, 0 for those that were missing.
        """
        rows = [np.asarray(row, np.float64) for row in rows]
        pairs = list(zip(rows, [np.ones_like(row) for row in rows] if seen is None else seen, strict=True))
        count = np.maximum(sum(there.sum(axis=0) for _, there in pairs), 1)
        mean = sum((row * there).sum(axis=0) for row, there in pairs) / count
        # Taken away before the squares are summed: or nothing would be left of what is far from 0 and varies little.
        mean = mean + sum(((row - mean) * there).sum(axis=0) for row, there in pairs) / count
        scale = np.sqrt(sum(((row - mean) ** 2 * there).sum(axis=0) for row, there in pairs) / count)
        scale = np.where(scale > ROUNDING * abs(mean), scale, 1.0)  # what never varies says nothing
        return cls(tuple(mean.tolist()), tuple(scale.tolist()))

    @classmethod
    def from_any(cls, where: str, name: str, value: Any) -> Self:
        """Return a `Scaling` of what people have: one, a pair (mean, scale), or scikit-learn's ``StandardScaler``.

        Raises
        ------
        TypeError
            It is none of these.
        ValueError
            As the constructor's.
        """
        if isinstance(value, cls):
            return value
        if hasattr(value, "mean_") and hasattr(value, "scale_"):
            value = (value.mean_, value.scale_)
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise TypeError(
                f"{where}: {name} must be a Scaling, a pair (mean, scale) or a fitted StandardScaler, got "
                f"{shown(value)}"
            )
        mean, scale = (np.atleast_1d(np.asarray(part, np.float64)) for part in value)
        return cls(tuple(mean.tolist()), tuple(scale.tolist()))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return x (..., I) scaled, in float64: float32 would keep nothing of what is far from 0 and varies little."""
        return (np.asarray(x, np.float64) - np.array(self.mean)) / np.array(self.scale)

    def undo(self, z: np.ndarray) -> np.ndarray:
        """Return what `apply` made z of, in float64."""
        return np.asarray(z, np.float64) * np.array(self.scale) + np.array(self.mean)

    def as_dict(self) -> dict[str, Any]:
        """Return all there is to know, in types that JSON has."""
        return {"mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `as_dict` wrote down.

        Raises
        ------
        ValueError
            Something is missing or not as it was written.
        """
        found = check_arguments("a scaling", _stored, stored)
        return cls(tuple(found["mean"]), tuple(found["scale"]))


def _stored(mean: list[float], scale: list[float]) -> None:
    """What JSON has of a `Scaling`."""
