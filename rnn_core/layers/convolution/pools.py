"""`MaxPool`, `AvgPool` and `GlobalAvgPool`: one number for each window, or for all places, channel by channel.

::

    y[b, c, p] = max_k x̂[b, c, s p + d k]                 (CP1)   x̂ has −∞ for padding
    y[b, c, p] = Σ_k x̂[b, c, s p + k] / K                 (CP2)   x̂ has 0 for padding, which counts, or doesn't
    y[b, c]    = Σ_q x[b, c, q] / N                       (CP3)   over all N places

Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...foreign import shown
from ..checks import as_found, check_activations, flag
from .fast import empty, loops, places_of
from .geometry import AXES, Geometry, check_input, geometry
from .windows import inner, padded


class Tape(NamedTuple):
    """What the backward of a pooling needs. Opaque to the caller."""

    shape: tuple[int, ...]  # of x
    counts: tuple[int, ...]
    taken: Array | None  # which place of its window each number is; None for averages
    shares: Array | None  # of each place of a window in its average; None for maxima


class Pool(ABC):
    """What `MaxPool` and `AvgPool` share: where windows lie.

    They have no parameters, and work in the dtype of their input, over as many axes as it has behind its channels.
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> None:
        self.config: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
        self._options = {
            "kernel_size": kernel_size, "stride": kernel_size if stride is None else stride, "padding": padding,
            "dilation": dilation,
        }  # fmt: skip
        rank = max([len(one) for one in self._options.values() if isinstance(one, tuple | list)], default=1)
        if rank not in AXES:
            raise ValueError(f"{self._name}: kernel_size must be a number or two, got {shown(kernel_size)}")
        self.geometry_of(rank)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def geometry_of(self, rank: int) -> Geometry:
        """Return where windows lie over so many axes.

        Raises
        ------
        ValueError, TypeError
            An option is out of range, or there are not as many as axes.
        """
        found = geometry(self._name, rank, **self._options)
        for axis in found.axes:
            if 2 * axis.before > axis.kernel:
                raise ValueError(
                    f"{self._name}: padding must be at most half of kernel_size, or a window would hold nothing else, "
                    f"got {axis.before} for {axis.kernel}"
                )
        return found

    def sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return how many windows there are along each axis, for an input of these sizes behind its channels."""
        return self.geometry_of(len(sizes)).counts(sizes)

    def __call__(self, x: Array) -> Array:
        """Return y; parameters and errors are `forward`'s."""
        return self._apply(f"{self._name}.__call__", x)[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y, and a tape for `backward`.

        Parameters
        ----------
        x : ndarray, shape (B, C, L) or (B, C, H, W)

        Returns
        -------
        y : ndarray, shape (B, C, P) or (B, C, P, Q)
            P and Q are ⌊(size + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1: what fills no window is left out.
        tape : Tape

        Raises
        ------
        ValueError
            x has another shape, is too small for one window, or holds NaN or infinity.
        """
        return self._apply(f"{self._name}.forward", x)

    def backward(self, tape: Tape, dy: Array) -> Array:
        """Return ∂L/∂x from ∂L/∂y.

        Raises
        ------
        ValueError
            The shape of dy is not y's.
        """
        shape = (*tape.shape[:2], *tape.counts)
        if tuple(dy.shape) != shape:
            raise ValueError(f"{self._name}.backward: dy must have shape {shape}, as y, got {tuple(dy.shape)}")
        found = self.geometry_of(len(tape.counts))
        sizes = tape.shape[2:]
        if tape.taken is not None and (fast := loops("pools", dy, tape.taken)):
            taken: Array = fast.max_backward(dy, tape.taken, places_of(found), sizes)  # (CP1′)
            return taken
        outer = tuple(n + before + after for n, (before, after) in zip(sizes, found.padding, strict=True))
        dx = empty(dy, (*tape.shape[:2], *outer))
        dx[...] = 0
        for k, offset in enumerate(found.offsets()):
            dx[found.places(offset, tape.counts)] += self._share(tape, k, dy)
        return dx[inner(sizes, found)]

    def _apply(self, where: str, x: Array) -> tuple[Array, Tape]:
        x = as_found(where, "x", x, array_namespace(x) if hasattr(x, "shape") else np)
        rank = min(max(x.ndim - 2, 1), 2)
        found = self.geometry_of(rank)
        counts = check_input(where, x, rank, found)
        check_activations(where, "x", x)
        return self._pool(x, found, counts)

    @abstractmethod
    def _pool(self, x: Array, found: Geometry, counts: tuple[int, ...]) -> tuple[Array, Tape]:
        """Return y and the tape."""

    @abstractmethod
    def _share(self, tape: Tape, k: int, dy: Array) -> Array:
        """Return what place k of each window gets of ∂L/∂y."""


class MaxPool(Pool):
    """The largest number of each window: (CP1). Of equal ones the first; of complex ones by the real part.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        `kernel_size` by default, so that windows lie side by side.
    padding : int or pair of int
        At most half the kernel's size; what lies there is never taken.
    dilation : int or pair of int

    Raises
    ------
    ValueError, TypeError
        An option is out of range or of another kind.
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> None:
        super().__init__(kernel_size, stride, padding, dilation)
        self.config["dilation"] = dilation

    def _pool(self, x: Array, found: Geometry, counts: tuple[int, ...]) -> tuple[Array, Tape]:
        if fast := loops("pools", x):
            y, taken = fast.max_forward(x, places_of(found), counts)  # (CP1)
            return y, Tape(tuple(x.shape), counts, taken, None)
        xp = array_namespace(x)
        around = padded(x, found, -np.inf)
        y = taken = None
        for k, offset in enumerate(found.offsets()):
            one = around[found.places(offset, counts)]
            if y is None:
                y, taken = xp.asarray(one, copy=True), xp.zeros(one.shape, dtype=xp.int32)
                continue
            larger = _real(xp, one) > _real(xp, y)
            y, taken = xp.where(larger, one, y), xp.where(larger, xp.asarray(k, dtype=xp.int32), taken)  # (CP1)
        return y, Tape(tuple(x.shape), counts, taken, None)

    def _share(self, tape: Tape, k: int, dy: Array) -> Array:
        xp = array_namespace(dy)
        return xp.where(tape.taken == k, dy, xp.zeros_like(dy))  # (CP1′)


class AvgPool(Pool):
    """The mean of each window: (CP2).

    Parameters
    ----------
    kernel_size, stride, padding
        As in `MaxPool`.
    count_include_pad : bool
        Whether padding counts as zeros, as in torch; without it a window is averaged over what lies in x.

    Raises
    ------
    ValueError, TypeError
        An option is out of range or of another kind.
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True) -> None:
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = flag("AvgPool", "count_include_pad", count_include_pad)
        self.config["count_include_pad"] = self.count_include_pad

    def _pool(self, x: Array, found: Geometry, counts: tuple[int, ...]) -> tuple[Array, Tape]:
        around = padded(x, found)
        shares = self._shares(x, found, counts)
        y = sum(around[found.places(offset, counts)] for offset in found.offsets()) * shares  # (CP2)
        return y, Tape(tuple(x.shape), counts, None, shares)

    def _share(self, tape: Tape, k: int, dy: Array) -> Array:
        return dy * tape.shares  # (CP2′)

    def _shares(self, x: Array, found: Geometry, counts: tuple[int, ...]) -> Array:
        """Return 1/K or, where padding doesn't count, one over the places of each window that lie in x."""
        xp = array_namespace(x)
        real = _real(xp, x).dtype
        if self.count_include_pad:
            return xp.asarray(1 / found.size, dtype=real)
        ones = padded(xp.ones((1, 1, *x.shape[2:]), dtype=real), found)
        return 1 / sum(ones[found.places(offset, counts)] for offset in found.offsets())


class GlobalAvgPool:
    """The mean of each channel over all its places: (CP3). So rows of any size become vectors of one length."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    def __call__(self, x: Array) -> Array:
        """Return y, (B, C)."""
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """Return y, (B, C), and a tape for `backward`: the shape of x, (B, C, …)."""
        if x.ndim < 3 or 0 in x.shape:
            raise ValueError(f"GlobalAvgPool.forward: x must have shape (B, C, …) with places, got {tuple(x.shape)}")
        xp, shape = array_namespace(x), tuple(x.shape)
        return xp.sum(x, axis=tuple(range(2, x.ndim))) * (1 / prod(shape[2:])), shape  # (CP3)

    def backward(self, tape: tuple[int, ...], dy: Array) -> Array:
        """Return ∂L/∂x from ∂L/∂y.

        Raises
        ------
        ValueError
            The shape of dy is not y's.
        """
        if tuple(dy.shape) != tape[:2]:
            raise ValueError(f"GlobalAvgPool.backward: dy must have shape {tape[:2]}, as y, got {tuple(dy.shape)}")
        xp, places = array_namespace(dy), tape[2:]
        dx = xp.reshape(dy * (1 / prod(places)), (*tape[:2], *(1 for _ in places)))  # (CP3′)
        return xp.asarray(xp.broadcast_to(dx, tape), copy=True)


def _real(xp: Any, x: Array) -> Array:
    return xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x
