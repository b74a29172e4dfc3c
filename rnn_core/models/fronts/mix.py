"""The front of contextual features: the states of several layers at each step, mixed with trained weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ...layers.checks import as_array, check_lengths, positive_int
from ...layers.mixing.scalar_mix import ScalarMix
from ..base import named, needed
from ..inputs import valid_steps
from .front import Front


class Mix(Front):
    """States of J layers, (B, T, J, I), as their weighted sum: (CF6).

    Parameters
    ----------
    num_layers, input_size : int
        J and I.
    layer_norm : bool
        As `ScalarMix`'s.
    made : backend, dtype and seed
        Of its layer, called "mix".
    """

    differentiable = True

    def __init__(self, num_layers: int, input_size: int, layer_norm: bool = False, **made: Any) -> None:
        self.mix = ScalarMix(num_layers, layer_norm, **made)
        self.out_features = positive_int("the front 'mix'", "input_size", input_size)
        self.layers = {"mix": self.mix}
        self.config = {
            "kind": "mix", "num_layers": self.mix.num_layers, "input_size": self.out_features,
            "layer_norm": self.mix.layer_norm,
        }  # fmt: skip

    def checked(self, where: str, x: Any, lengths: Any, xp: Any) -> tuple[Array, np.ndarray | None]:
        """See `Front.checked`; past a row's length zeros are put, so that anything may stand there."""
        x, J, I = as_array(where, "x", x, xp), self.mix.num_layers, self.out_features
        if x.ndim != 4 or tuple(x.shape[2:]) != (J, I) or 0 in x.shape:
            raise ValueError(
                f"{where}: x must have shape (B, T, {J}, {I}), {J} layers' states at each step, got {tuple(x.shape)}; "
                "contextual_features computes them"
            )
        lengths = check_lengths(where, lengths, x.shape[1], x.shape[0])
        if lengths is not None:
            x = xp.where(valid_steps(xp, lengths, x.shape[1])[:, :, None, None], x, 0)
        return x, lengths

    def __call__(self, x: Array, lengths: np.ndarray | None) -> Array:
        """Return the mixture at each step."""
        return self.mix(x)

    def forward(self, x: Array, lengths: np.ndarray | None, rng: np.random.Generator | None) -> tuple[Array, Any]:
        """Return the mixture at each step, and its tape."""
        return self.mix.forward(x)

    def backward(self, tape: Any, dy: Array, needs: set[str]) -> tuple[Array | None, dict[str, Array]]:
        """Return the gradients of the states and of the mix's parameters."""
        wanted = needed(frozenset(needs), "mix") | (needs & {"x"})
        dx, grads = self.mix.backward(tape, dy, wanted)
        return dx, named("mix", grads)
