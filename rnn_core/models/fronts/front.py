"""`Front`: what stands before a core."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from kernels.contract import Array

from ...layers.base import Layer


class Front(ABC):
    """Makes of what comes in the features that a core reads, a step for each of its steps; forward above backward.

    Attributes
    ----------
    layers : dict of str to Layer
        Its layers with parameters, from the input upwards, by the names that they have in the model: ``embedding``.
        Where there are any, the model drops units between front and core.
    out_features : int
        I, what the core reads at each step.
    differentiable : bool
        Whether what comes in has a gradient: tokens have none.
    config : dict
        What it is built from, in types that JSON has; None for those that a model's own arguments tell.
    """

    layers: dict[str, Layer]
    out_features: int
    differentiable: bool
    config: dict[str, Any] | None = None

    @abstractmethod
    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """Return what comes in, as an array whose first axes are (B, T), and lengths.

        Parameters
        ----------
        where : str
            The public call, which errors name.
        x, lengths
            As the user gave them; past a row's length anything may stand.
        xp : namespace
            Of the model's arrays.

        Raises
        ------
        ValueError, TypeError
            It has another shape or dtype, or a length is out of range.
        """

    @abstractmethod
    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return features (B, T, I) of what `checked` returned, without a tape and without dropout."""

    @abstractmethod
    def forward(self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Return features (B, T, I), and a tape for `backward`; `rng` draws what is dropped within."""

    @abstractmethod
    def backward(self, tape: Any, dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return ∂L/∂x and ∂L/∂parameter, by the model's names, from ∂L/∂y; of what isn't in `needs`, nothing.

        `needs` has names of the model that belong to these layers, and "x".
        """
