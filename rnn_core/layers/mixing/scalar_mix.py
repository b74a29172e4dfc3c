"""`ScalarMix`: one vector out of several layers' states, each with a weight that is trained.

::

    s   = softmax(w)                                                           (CF5)
    y_n = γ Σ_j s_j x_{n,j}                                                    (CF6)
    x_{n,j} ← (x_{n,j} − μ_{n,j}) / √(σ²_{n,j} + ε)    with layer_norm         (CF7)

n runs over all leading axes, j over the layers; μ and σ² are mean and variance over the features of one state. Primes
mark the backward; dX is ∂L/∂X.

References
----------
.. [1] M. E. Peters, M. Neumann, M. Iyyer, M. Gardner, C. Clark, K. Lee, L. Zettlemoyer, "Deep contextualized word
   representations", arXiv:1802.05365v2 (2018): equation (1), with the layer normalisation of the paragraph below it.
.. [2] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450v1 (2016): without gain and bias.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..base import Layer
from ..checks import as_array, check_activations, check_needs, checked_dtype, flag, positive_int
from ..first_values import first_values
from ..home import namespace_of

EPSILON = 1e-5
"""ε of the layer normalisation: what keeps a state of equal numbers from a division by zero."""


class Tape(NamedTuple):
    """What `ScalarMix.backward` needs. Opaque to the caller."""

    x: Array  # (..., J, I), normalised with layer_norm
    s: Array  # (J,)
    mixed: Array  # (..., I), Σ_j s_j x_j
    r: Array | None  # (..., J, 1), what the states were multiplied with; None without layer_norm


class ScalarMix(Layer):
    """Weighted sum of layers, y = γ Σ_j s_j x_j, with weights that are positive and add up to 1.

    Parameters
    ----------
    num_layers : int
        J.
    layer_norm : bool
        Bring each state to mean 0 and variance 1 before it is weighed, as states of different layers may differ in
        size.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the arrays live: "cuda" for the GPU, otherwise the host.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Without effect, as nothing is drawn: all layers begin with the same weight, and γ with 1.

    Raises
    ------
    ValueError
        `num_layers` is below 1.
    TypeError
        `num_layers` is not an int, `layer_norm` neither True nor False, or the dtype none of the above.

    Notes
    -----
    ``weight`` has shape (J,) and is what the softmax is taken of, ``gamma`` (1,).
    """

    def __init__(
        self,
        num_layers: int,
        layer_norm: bool = False,
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self.num_layers = positive_int("ScalarMix", "num_layers", num_layers)
        self.layer_norm = flag("ScalarMix", "layer_norm", layer_norm)
        xp, dtype = namespace_of("ScalarMix", backend), checked_dtype("ScalarMix", dtype)
        self.config = {
            "num_layers": self.num_layers, "layer_norm": self.layer_norm, "backend": backend, "dtype": dtype.name,
            "seed": seed,
        }  # fmt: skip
        self.parameters = {
            "weight": first_values(xp, (self.num_layers,), dtype, np.zeros),
            "gamma": first_values(xp, (1,), dtype, np.ones),
        }

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x and every parameter."""
        return ("x", *self.parameters)

    @property
    def weights(self) -> Array:
        """How much each layer counts: s, shape (J,)."""
        return _softmax(self.parameters["weight"])

    def __call__(self, x: Array) -> Array:
        """Return y; parameters and errors are `forward`'s."""
        return self._mix("ScalarMix.__call__", x)[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y, and a tape for `backward`.

        Parameters
        ----------
        x : ndarray, shape (..., J, I)
            The states of J layers, of the layer's dtype.

        Returns
        -------
        y : ndarray, shape (..., I)
        tape : Tape
            It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            x has not J layers, or holds a NaN or an infinity.
        TypeError
            The dtype of x is not the layer's.
        """
        return self._mix("ScalarMix.forward", x)

    def _mix(self, where: str, x: Any) -> tuple[Array, Tape]:
        weight, gamma = self.parameters["weight"], self.parameters["gamma"]
        xp = array_namespace(weight)
        x = as_array(where, "x", x, xp)
        if x.dtype != weight.dtype:
            raise TypeError(
                f"{where}: x must be {self.dtype}, as the weights are, got {x.dtype}; convert it with "
                f"x.astype(np.{self.dtype}), or build the ScalarMix with dtype=np.{x.dtype}"
            )
        if x.ndim < 2 or x.shape[-2] != self.num_layers:
            raise ValueError(
                f"{where}: x must have shape (..., {self.num_layers}, I), got {tuple(x.shape)}; num_layers is "
                f"{self.num_layers}"
            )
        check_activations(where, "x", x)
        x, r = _normalised(x) if self.layer_norm else (x, None)
        s = _softmax(weight)
        mixed = xp.sum(s[:, None] * x, axis=-2)  # (CF6)
        return gamma * mixed, Tape(x, s, mixed, r)  # (CF6)

    def backward(
        self, tape: Tape, dy: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂y.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times, as long as the parameters are the same.
        dy : ndarray, shape (..., I)
        needs : set of str, optional
            Wanted gradients out of "x", "weight", "gamma"; all by default. What is left out is not computed.

        Returns
        -------
        dx : ndarray, shape (..., J, I), or None
            None if not wanted.
        grads : dict of str to ndarray
            ∂L/∂weight and ∂L/∂gamma, as far as wanted.

        Raises
        ------
        ValueError
            The shape of dy is not y's, or a name in `needs` doesn't exist.
        TypeError
            The dtype of dy is not the layer's.
        """
        where = "ScalarMix.backward"
        needs = check_needs(where, needs, self.gradient_names)
        x, s, mixed, r = tape
        gamma, xp = self.parameters["gamma"], array_namespace(s)
        dy = as_array(where, "dy", dy, xp)
        if tuple(dy.shape) != tuple(mixed.shape):
            raise ValueError(f"{where}: dy must have shape {tuple(mixed.shape)}, as y, got {tuple(dy.shape)}")
        if dy.dtype != s.dtype:
            raise TypeError(f"{where}: dy must be {self.dtype}, as y, got {dy.dtype}")
        grads = {}
        if "weight" in needs:
            each = xp.reshape(xp.sum(dy[..., None, :] * x, axis=-1), (-1, self.num_layers))
            ds = gamma * xp.sum(each, axis=0)  # (CF6′)
            grads["weight"] = s * (ds - xp.sum(s * ds))  # (CF5′)
        if "gamma" in needs:
            grads["gamma"] = xp.reshape(xp.sum(dy * mixed), (1,))  # (CF6′)
        if "x" not in needs:
            return None, grads
        dx = gamma * s[:, None] * dy[..., None, :]  # (CF6′)
        return dx if r is None else _normalised_backward(x, r, dx), grads


def _softmax(w: Array) -> Array:
    """Return s = softmax(w), from the largest real part on, so that nothing overflows."""
    xp = array_namespace(w)
    real = xp.real(w) if xp.isdtype(w.dtype, "complex floating") else w
    e = xp.exp(w - w[xp.argmax(real)])  # (CF5)
    return e / xp.sum(e)  # (CF5)


def _normalised(x: Array) -> tuple[Array, Array]:
    """Return states of mean 0 and variance 1, and the r that each was multiplied with, shape (..., 1)."""
    xp, I = array_namespace(x), x.shape[-1]
    x = x - xp.sum(x, axis=-1, keepdims=True) / I  # (CF7)
    r = 1 / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True) / I + EPSILON)  # (CF7)
    return x * r, r  # (CF7)


def _normalised_backward(n: Array, r: Array, dn: Array) -> Array:
    """Return ∂L/∂x from ∂L/∂n and the normalised states n."""
    xp, I = array_namespace(n), n.shape[-1]
    mean = xp.sum(dn, axis=-1, keepdims=True) / I
    along = xp.sum(dn * n, axis=-1, keepdims=True) / I
    return r * (dn - mean - n * along)  # (CF7′)
