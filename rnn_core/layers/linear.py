"""`Linear`: an affine map of the last axis, with torch's names and shapes.

::

    y_n = W x_n + b        (F1)

n runs over all leading axes. Primes mark the backward; dX is ∂L/∂X. In precision "bfloat16" each product reads q of its
two factors, (BF1) and (BF2), as those of the recurrent core do.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from kernels.contract import Array

from .. import backends
from .base import Layer
from .checks import as_array, check_activations, check_needs, checked_dtype, checked_precision, positive_int
from .first_values import first_values
from .home import namespace_of
from .live import or_build

SMALL = 1 << 18
"""Terms of a product below which it is NumPy's on the host, too: BLAS then stays on one thread, and is called quicker.

With more, BLAS wakes threads of its own, which go on spinning where those of the recurrent core are to run.
"""


class Tape(NamedTuple):
    """What `Linear.backward` needs. Opaque to the caller."""

    x: Array


class Linear(Layer):
    """Affine map, y = x·Wᵀ + b.

    Parameters
    ----------
    in_features, out_features : int
        I and O.
    bias : bool
        False leaves b out.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the arrays live: "cuda" for the GPU, otherwise the host.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    precision : {"float32", "bfloat16"}
        What the products read: x, W and ∂L/∂y as they are, or rounded to bfloat16. Parameters, outputs and gradients
        are float32 in either. "bfloat16" wants dtype float32, and the host.
    seed : int, optional
        Draws the parameters from U(−1/√I, 1/√I), as torch does.

    Notes
    -----
    ``weight`` has shape (O, I) and ``bias`` (O,), as in ``torch.nn.Linear``.

    In float32 the CPU backend's own products, of 2¹⁸ terms and more, take subnormal numbers (below 1.2e-38) for 0 and
    write 0 in their place; the namespaces' products keep them.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
    ) -> None:
        self.in_features = positive_int("Linear", "in_features", in_features)
        self.out_features = positive_int("Linear", "out_features", out_features)
        xp, dtype = namespace_of("Linear", backend), checked_dtype("Linear", dtype)
        self.config = {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": bool(bias),
            "backend": backend,
            "dtype": dtype.name,
            "seed": seed,
        }
        if self._precision(xp, dtype, precision) != "float32":  # a file says no more than it did before there was one
            self.config["precision"] = precision
        self._initialise(xp, dtype, seed)

    @staticmethod
    def _precision(xp: Any, dtype: np.dtype, precision: Any) -> str:
        """Return a precision, if products can have it where the layer is."""
        try:
            precision = checked_precision(precision, dtype)
        except ValueError as error:
            raise ValueError(f"Linear: {error}") from None
        if precision != "float32" and not is_numpy_namespace(xp):
            raise ValueError(
                f"Linear: precision must be 'float32' with backend='cuda', got {precision!r}; take backend='cpu', or "
                "leave it out"
            )
        return str(precision)

    def _initialise(self, xp: Any, dtype: np.dtype, seed: int | None) -> None:
        """Draw the parameters."""
        bound = self.in_features**-0.5
        draw = partial(np.random.default_rng(seed).uniform, -bound, bound)
        shapes = {"weight": (self.out_features, self.in_features), "bias": (self.out_features,)}
        if not self.config["bias"]:
            del shapes["bias"]
        self.parameters = {name: first_values(xp, shape, dtype, draw) for name, shape in shapes.items()}

    @property
    def precision(self) -> str:
        """In what the layer multiplies: "float32" stands for its own dtype; `astype` makes another."""
        return str(self.config.get("precision", "float32"))

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x and every parameter."""
        return ("x", *self.parameters)

    def __call__(self, x: Array) -> Array:
        """Return y; parameters and errors are `forward`'s."""
        return self._apply("Linear.__call__", x)[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y, and a tape for `backward`.

        Parameters
        ----------
        x : ndarray, shape (..., I)
            Of the layer's dtype.

        Returns
        -------
        y : ndarray, shape (..., O)
        tape : Tape
            It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            The last axis is not I, or x holds a NaN or an infinity.
        TypeError
            The dtype of x is not the layer's.
        """
        y, x = self._apply("Linear.forward", x)
        return y, Tape(x)

    def _apply(self, where: str, x: Any) -> tuple[Array, Array]:
        """Return y, and x as an array."""
        x = self._checked(where, x)
        xp = array_namespace(x)
        # One product over all rows: NumPy would otherwise run one for each index of the leading axes.
        rows = xp.reshape(x, (-1, self.in_features))
        y = self._product(rows, self.parameters["weight"].T, self.parameters.get("bias"))  # (F1)
        return xp.reshape(y, (*x.shape[:-1], self.out_features)), x

    def _checked(self, where: str, x: Any) -> Array:
        """Return x as an array, if it is one of (..., I) numbers of the layer's dtype."""
        x = as_array(where, "x", x, xp := self.namespace)
        if x.dtype != getattr(xp, self.dtype.name):  # a tensor's dtype is not NumPy's
            raise TypeError(
                f"{where}: x must be {self.dtype}, as the weights are, got {x.dtype}; convert it with "
                f"x.astype(np.{self.dtype}){or_build(type(self).__name__, x.dtype)}"
            )
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"{where}: x must have shape (..., {self.in_features}), got {tuple(x.shape)}; "
                f"in_features is {self.in_features}"
            )
        check_activations(where, "x", x)
        return x

    def backward(
        self, tape: Tape, dy: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂y.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dy : ndarray, shape (..., O)
        needs : set of str, optional
            Wanted gradients out of "x", "weight", "bias"; all by default. What is left out is not computed.

        Returns
        -------
        dx : ndarray, shape (..., I), or None
            None if not wanted.
        grads : dict of str to ndarray
            ∂L/∂weight and ∂L/∂bias, as far as wanted.

        Raises
        ------
        ValueError
            The shape of dy is not y's, or a name in `needs` doesn't exist.
        TypeError
            The dtype of dy is not the layer's.
        """
        needs = check_needs("Linear.backward", needs, self.gradient_names)
        weight = self.parameters["weight"]
        xp = array_namespace(weight)
        dy = as_array("Linear.backward", "dy", dy, xp)
        shape = (*tape.x.shape[:-1], self.out_features)
        if tuple(dy.shape) != shape:
            raise ValueError(f"Linear.backward: dy must have shape {shape}, as y, got {tuple(dy.shape)}")
        if dy.dtype != weight.dtype:
            raise TypeError(f"Linear.backward: dy must be {self.dtype}, as y, got {dy.dtype}")
        dy = xp.reshape(dy, (-1, self.out_features))
        grads = {}
        if "weight" in needs:
            grads["weight"] = self._product(dy.T, xp.reshape(tape.x, (-1, self.in_features)))  # (F1′)
        if "bias" in needs:
            grads["bias"] = xp.sum(self._read(dy), axis=0)  # (F1′)
        dx = xp.reshape(self._product(dy, weight), tape.x.shape) if "x" in needs else None  # (F1′)
        return dx, grads

    def _product(self, A: Array, B: Array, b: Array | None = None) -> Array:
        """Return A·B + b where the layer is: by its backend, or where there is little to do by the namespace."""
        if type(A) is np.ndarray and len(A) * B.size >= SMALL and self.dtype.kind == "f":
            backend = backends.get(self.config["backend"] or backends.default())
            if hasattr(backend, "multiply"):
                return backend.multiply(self.precision)(A, B, b)
        y = self._read(A) @ self._read(B)
        if b is not None:
            y += b
        return y

    def _read(self, factor: Array) -> Array:
        """Return q of a factor: what a product reads of it.  (BF1)"""
        if "precision" not in self.config:
            return factor
        from ..equations.rounding import rounded_to_bfloat16  # whoever rounds nothing has no use for the equations

        return rounded_to_bfloat16(factor)
