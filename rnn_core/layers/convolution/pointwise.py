"""`ReLU` and `Flatten`: what stands between windows and a head.

::

    y = max(x, 0)        (CV2)   the slope at 0 is 0

Primes mark the backward; dX is ∂L/∂X. Both have no parameters, and work in the dtype of their input.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array

from .fast import loops


class Tape(NamedTuple):
    """What `ReLU.backward` needs. Opaque to the caller."""

    positive: Array


class ReLU:
    """The positive part: (CV2). Complex numbers pass by the sign of their real part.

    Its numbers and slopes are those of an RNN with ``nonlinearity="relu"``.
    """

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    def __call__(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, Tape]:
        """Return y, of the shape of x, and a tape for `backward`."""
        if fast := loops("pointwise", x):
            y, positive = fast.relu_forward(x)  # (CV2)
            return y, Tape(positive)
        xp = array_namespace(x)
        positive = (xp.real(x) if xp.isdtype(x.dtype, "complex floating") else x) > 0
        return xp.where(positive, x, xp.zeros_like(x)), Tape(positive)  # (CV2)

    def backward(self, tape: Tape, dy: Array) -> Array:
        """Return ∂L/∂x from ∂L/∂y; both have the shape of x.

        Raises
        ------
        ValueError
            The shape of dy is not x's.
        """
        if dy.shape != tape.positive.shape:
            shape = tuple(tape.positive.shape)
            raise ValueError(f"ReLU.backward: dy must have shape {shape}, as y, got {tuple(dy.shape)}")
        if fast := loops("pointwise", dy, tape.positive):
            dx: Array = fast.relu_backward(dy, tape.positive)  # (CV2′)
            return dx
        xp = array_namespace(dy)
        return xp.where(tape.positive, dy, xp.zeros_like(dy))  # (CV2′)


class Flatten:
    """(B, C, …) as one row of numbers each, (B, F), channel by channel."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    def __call__(self, x: Array) -> Array:
        """Return y, (B, F)."""
        return self.forward(x)[0]

    def forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """Return y, (B, F), and a tape for `backward`: the shape of x."""
        if x.ndim < 2:
            raise ValueError(f"Flatten.forward: x must have shape (B, …) with at least two axes, got {tuple(x.shape)}")
        shape = tuple(x.shape)
        return array_namespace(x).reshape(x, (shape[0], prod(shape[1:]))), shape

    def backward(self, tape: tuple[int, ...], dy: Array) -> Array:
        """Return ∂L/∂x, of the shape of x, from ∂L/∂y.

        Raises
        ------
        ValueError
            The shape of dy is not y's.
        """
        shape = (tape[0], prod(tape[1:]))
        if tuple(dy.shape) != shape:
            raise ValueError(f"Flatten.backward: dy must have shape {shape}, as y, got {tuple(dy.shape)}")
        return array_namespace(dy).reshape(dy, tape)
