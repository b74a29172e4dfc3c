"""`Conv1d` and `Conv2d`: a kernel that slides over one axis or two, with torch's names and shapes.

::

    y[b, o, p] = b_o + Σ_c Σ_k W[o, c, k] x̂[b, c, s p + d k]        (CV1)

p numbers the windows and k the places within one, each a number or a pair; x̂ is x with its padding of zeros, s the
stride and d the dilation. This is cross-correlation, which is what networks call convolution: a convolution would
read x̂ at s p − d k, and learn the same kernel mirrored. Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..base import Layer
from ..checks import as_array, check_activations, check_needs, checked_dtype, flag, positive_int
from ..first_values import first_values
from ..home import namespace_of, on_gpu
from .fast import empty, loops, places_of
from .geometry import check_input, geometry
from .windows import columns, from_columns

BYTES = 2**21
"""Of the windows that are multiplied at once: they are still in a cache when the product reads them."""


class Tape(NamedTuple):
    """What `Convolution.backward` needs. Opaque to the caller."""

    x: Array
    counts: tuple[int, ...]


class Convolution(Layer):
    """What `Conv1d` and `Conv2d` share: all but over how many axes they slide, `rank`."""

    rank: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: bool = True,
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        name = type(self).__name__
        self.in_channels = positive_int(name, "in_channels", in_channels)
        self.out_channels = positive_int(name, "out_channels", out_channels)
        self.geometry = geometry(
            name, self.rank, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
        )
        xp, dtype = namespace_of(name, backend), checked_dtype(name, dtype)
        given = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        self.config = {
            "in_channels": self.in_channels, "out_channels": self.out_channels,
            **{key: list(value) if isinstance(value, tuple) else value for key, value in given.items()},
            "bias": flag(name, "bias", bias), "backend": backend, "dtype": dtype.name, "seed": seed,
        }  # fmt: skip
        rng = np.random.default_rng(seed)
        bound = (self.in_channels * self.geometry.size) ** -0.5
        kernel = tuple(axis.kernel for axis in self.geometry.axes)
        shapes = {"weight": (self.out_channels, self.in_channels, *kernel), "bias": (self.out_channels,)}
        if not bias:
            del shapes["bias"]
        draw = partial(rng.uniform, -bound, bound)
        self.parameters = {name: first_values(xp, shape, dtype, draw) for name, shape in shapes.items()}

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x and every parameter."""
        return ("x", *self.parameters)

    def sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return how many windows there are along each axis, for an input of these sizes behind its channels."""
        return self.geometry.counts(sizes)

    def __call__(self, x: Array) -> Array:
        """Return y; parameters and errors are `forward`'s."""
        return self._apply(f"{type(self).__name__}.__call__", x)[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y, and a tape for `backward`.

        Parameters
        ----------
        x : ndarray, shape (B, C, L) for `Conv1d`, (B, C, H, W) for `Conv2d`
            Of the layer's dtype.

        Returns
        -------
        y : ndarray, shape (B, O, P) or (B, O, P, Q)
            P and Q are ⌊(size + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.
        tape : Tape
            It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            x has another shape, is too small for one window, or holds NaN or infinity.
        TypeError
            The dtype of x is not the layer's.
        """
        return self._apply(f"{type(self).__name__}.forward", x)

    def _apply(self, where: str, x: Array) -> tuple[Array, Tape]:
        weight = self.parameters["weight"]
        xp = array_namespace(weight)
        x = as_array(where, "x", x, xp)
        if x.dtype != weight.dtype:
            raise TypeError(f"{where}: x must be {self.dtype}, got {x.dtype}; convert it with astype(np.{self.dtype})")
        counts = check_input(where, x, self.rank, self.geometry, self.in_channels)
        check_activations(where, "x", x)
        backend = self.config["backend"]
        if backend != "numpy" and (fast := loops("product", x)):
            y = fast.forward(x, weight, self.parameters.get("bias"), places_of(self.geometry), counts)  # (CV1)
            return y, Tape(x, counts)
        W = xp.reshape(weight, (self.out_channels, -1))
        y = empty(x, (x.shape[0], self.out_channels, *counts), backend)
        for some in self._parts(x, counts):
            found = W @ _flat(columns(x[some], self.geometry, counts, backend))  # (CV1)
            if "bias" in self.parameters:
                found += self.parameters["bias"][:, None]  # (CV1)
            y[some] = xp.moveaxis(xp.reshape(found, (self.out_channels, -1, *counts)), 0, 1)
        return y, Tape(x, counts)

    def backward(
        self, tape: Tape, dy: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂y.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        dy : ndarray, shape of y
        needs : set of str, optional
            Wanted gradients out of "x", "weight", "bias"; all by default. What is left out is not computed.

        Returns
        -------
        dx : ndarray, shape of x, or None
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
        where = f"{type(self).__name__}.backward"
        needs = check_needs(where, needs, self.gradient_names)
        weight, (x, counts) = self.parameters["weight"], tape
        xp = array_namespace(weight)
        dy = as_array(where, "dy", dy, xp)
        shape = (x.shape[0], self.out_channels, *counts)
        if tuple(dy.shape) != shape:
            raise ValueError(f"{where}: dy must have shape {shape}, as y, got {tuple(dy.shape)}")
        if dy.dtype != weight.dtype:
            raise TypeError(f"{where}: dy must be {self.dtype}, as y, got {dy.dtype}")
        found, grads = self._backward_in_pool(x, dy, counts, needs)
        needs = needs - grads.keys() - (set() if found is None else {"x"})  # what is left to do
        W = xp.reshape(weight, (self.out_channels, -1))
        dW = xp.zeros_like(W) if "weight" in needs else None
        backend = self.config["backend"]
        dx = empty(x, tuple(x.shape), backend) if "x" in needs else found
        for some in self._parts(x, counts) if needs - {"bias"} else ():
            part = xp.reshape(xp.moveaxis(dy[some], 1, 0), (self.out_channels, -1))  # (O, B·P)
            if dW is not None:
                dW += part @ _flat(columns(x[some], self.geometry, counts, backend)).T  # (CV1′)
            if dx is not None and "x" in needs:
                dwindows = xp.reshape(W.T @ part, (self.in_channels, self.geometry.size, -1, prod(counts)))  # (CV1′)
                dx[some] = from_columns(dwindows, self.geometry, counts, tuple(x.shape[2:]), backend)  # (CV1′)
        if dW is not None:
            grads["weight"] = xp.reshape(dW, weight.shape)
        if "bias" in needs:
            grads["bias"] = xp.sum(dy, axis=(0, *range(2, dy.ndim)))  # (CV1′)
        return dx, grads

    def _backward_in_pool(
        self, x: Array, dy: Array, counts: tuple[int, ...], needs: frozenset[str]
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return what the kernels have loops for, of what is needed."""
        fast = None if self.config["backend"] == "numpy" else loops("product", x)
        if not fast:
            return None, {}
        weight, places, dx = self.parameters["weight"], places_of(self.geometry), None
        grads = fast.parameter_gradients(x, dy, places, counts, needs) if needs - {"x"} else {}  # (CV1′)
        if "weight" in grads:
            grads["weight"] = grads["weight"].reshape(weight.shape)
        if "x" in needs and all(axis.stride == 1 for axis in self.geometry.axes):
            dx = fast.input_gradient(dy, weight, places, tuple(x.shape[2:]))  # (CV1′)
        return dx, grads

    def _parts(self, x: Array, counts: tuple[int, ...]) -> Iterator[slice]:
        """Return a few rows at a time: the windows of so many stay in the cache between their copy and their product.

        On the GPU they are all of them, as every part is a launch.
        """
        B, one = x.shape[0], self.in_channels * self.geometry.size * prod(counts) * x.dtype.itemsize
        rows = B if on_gpu(x) else max(1, BYTES // one)
        return (slice(first, first + rows) for first in range(0, B, rows))


def _flat(windows: Array) -> Array:
    """Return windows (C, K, B, P) as a matrix, a column for each."""
    C, K, B, P = windows.shape
    return array_namespace(windows).reshape(windows, (C * K, B * P))


class Conv1d(Convolution):
    """Cross-correlation along one axis: (CV1).

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, dilation : int
        Places of a window, from window to window, and from place to place within one.
    padding : int, "same", "causal" or "valid"
        Zeros on both sides. "same" gives as many windows as places and wants stride 1; so does "causal", where window p
        reads nothing behind place p; "valid" is none.
    bias : bool
        False leaves b out.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the arrays live: "cuda" for the GPU, otherwise the host.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    seed : int, optional
        Draws the parameters from U(−1/√(C·K), 1/√(C·K)), as torch does.

    Notes
    -----
    ``weight`` has shape (O, C, K) and ``bias`` (O,), as in ``torch.nn.Conv1d``.

    References
    ----------
    Y. LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of the IEEE 86 (1998).
    """

    rank = 1


class Conv2d(Convolution):
    """Cross-correlation over two axes: (CV1) with pairs for p and k.

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, dilation : int or pair of int
        As in `Conv1d`; of a pair the first is for the axis H.
    padding : int, pair of int, "same", "causal" or "valid"
        As in `Conv1d`.
    bias, backend, dtype
        As in `Conv1d`.
    seed : int, optional
        Draws the parameters from U(−1/√(C·K), 1/√(C·K)) with K places in a window, as torch does.

    Notes
    -----
    ``weight`` has shape (O, C, K_H, K_W) and ``bias`` (O,), as in ``torch.nn.Conv2d``.
    """

    rank = 2
