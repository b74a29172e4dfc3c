"""`Highway`: a transform of features, or the features themselves, as a gate decides for each.

::

    t = σ(W_t x + b_t)                                                (CF8)
    y = t ⊙ ReLU(W_h x + b_h) + (1 − t) ⊙ x                           (CF9)

Primes mark the backward; dX is ∂L/∂X.

References
----------
.. [1] R. K. Srivastava, K. Greff, J. Schmidhuber, "Highway networks", arXiv:1505.00387v2 (2015): equation (3), and the
   gate's negative bias of section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..base import Layer
from ..checks import as_array, check_needs, check_seed, checked_dtype, positive_int
from ..convolution.pointwise import ReLU
from ..linear import Linear
from .gates import sigmoid

CARRIES = -2.0
"""b_t at first: the features pass as they are, and a stack of such layers learns from its first step on."""


class Tape(NamedTuple):
    """What `Highway.backward` needs. Opaque to the caller."""

    x: Array
    hidden: Any
    relu: Any
    gate: Any
    h: Array
    t: Array


class Highway(Layer):
    """y = t ⊙ ReLU(W_h x + b_h) + (1 − t) ⊙ x, with a gate t for each feature.

    Parameters
    ----------
    features : int
        F, of x and of y.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the arrays live: "cuda" for the GPU, otherwise the host.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Draws the weights and ``hidden.bias`` from U(−1/√F, 1/√F); ``gate.bias`` begins as −2.

    Raises
    ------
    ValueError
        `features` is below 1.
    TypeError
        `features` is not an int, or the dtype none of the above.

    Notes
    -----
    ``hidden.weight`` and ``gate.weight`` have shape (F, F), ``hidden.bias`` and ``gate.bias`` (F,).
    """

    def __init__(
        self, features: int, *, backend: str | None = None, dtype: Any = np.float32, seed: int | None = None
    ) -> None:
        F, dtype = positive_int("Highway", "features", features), checked_dtype("Highway", dtype)
        words = np.random.SeedSequence(check_seed("Highway", seed)).generate_state(2)
        self.hidden, self.gate = (Linear(F, F, backend=backend, dtype=dtype, seed=int(word)) for word in words)
        self.gate.parameters["bias"][...] = CARRIES
        self.relu = ReLU()
        self.config = {"features": F, "backend": backend, "dtype": dtype.name, "seed": seed}
        self.parameters = {
            f"{part}.{name}": array
            for part, layer in (("hidden", self.hidden), ("gate", self.gate))
            for name, array in layer.parameters.items()
        }

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x and every parameter."""
        return ("x", *self.parameters)

    def __call__(self, x: Array) -> Array:
        """Return y; parameters and errors are `forward`'s."""
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y, and a tape for `backward`.

        Parameters
        ----------
        x : ndarray, shape (..., F)
            Of the layer's dtype.

        Returns
        -------
        y : ndarray, shape (..., F)
        tape : Tape
            It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            The last axis is not F, or x holds a NaN or an infinity.
        TypeError
            The dtype of x is not the layer's.
        """
        x = as_array("Highway.forward", "x", x, self.namespace)
        a, hidden = self.hidden.forward(x)
        h, relu = self.relu.forward(a)
        b, gate = self.gate.forward(x)
        t = sigmoid(b)  # (CF8)
        return t * h + (1 - t) * x, Tape(x, hidden, relu, gate, h, t)  # (CF9)

    def backward(
        self, tape: Tape, dy: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂y.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dy : ndarray, shape (..., F)
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed.

        Returns
        -------
        dx : ndarray, shape (..., F), or None
            None if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError
            The shape of dy is not y's, or a name in `needs` doesn't exist.
        TypeError
            The dtype of dy is not the layer's.
        """
        needs = check_needs("Highway.backward", needs, self.gradient_names)
        x, hidden, relu, gate, h, t = tape
        dy = as_array("Highway.backward", "dy", dy, array_namespace(x))
        if tuple(dy.shape) != tuple(x.shape):
            raise ValueError(f"Highway.backward: dy must have shape {tuple(x.shape)}, as y, got {tuple(dy.shape)}")
        if dy.dtype != x.dtype:
            raise TypeError(f"Highway.backward: dy must be {self.dtype}, as y, got {dy.dtype}")
        da = self.relu.backward(relu, dy * t)  # (CF9′)
        dt = dy * (h - x)  # (CF9′)
        db = dt * t * (1 - t)  # (CF8′)
        through_h, grads = self._affine("hidden", hidden, da, needs)
        through_t, more = self._affine("gate", gate, db, needs)
        if "x" not in needs:
            return None, grads | more
        return dy * (1 - t) + through_h + through_t, grads | more  # (CF8′), (CF9′)

    def _affine(self, part: str, tape: Any, da: Array, needs: frozenset[str]) -> tuple[Any, dict[str, Array]]:
        """Return what one of the two affine maps hands back, by this layer's names."""
        layer = self.hidden if part == "hidden" else self.gate
        wanted = {name for name in layer.gradient_names if (name == "x" and "x" in needs) or f"{part}.{name}" in needs}
        dx, grads = layer.backward(tape, da, wanted)
        return dx, {f"{part}.{name}": gradient for name, gradient in grads.items()}
