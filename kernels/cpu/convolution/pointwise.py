"""ReLU, forward above backward, each in one pass."""

from __future__ import annotations

import numpy as np

from ..running.compiled import helper
from ..running.memory import array


@helper
def _relu(x, y, positive):
    zero = x.dtype.type(0)
    for n in range(x.size):
        above = x[n] > zero
        positive[n] = above
        y[n] = x[n] if above else zero  # (CV2)


@helper
def _relu_backward(dy, positive, dx):
    zero = dy.dtype.type(0)
    for n in range(dy.size):
        dx[n] = dy[n] if positive[n] else zero  # (CV2′)


def relu_forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positive part of x, and where x is positive."""
    y, positive = array(x.shape, x.dtype), array(x.shape, np.dtype(np.bool_))
    _relu(np.ascontiguousarray(x).reshape(-1), y.reshape(-1), positive.reshape(-1))
    return y, positive


def relu_backward(dy: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return ∂L/∂x from ∂L/∂y."""
    dx = array(dy.shape, dy.dtype)
    _relu_backward(np.ascontiguousarray(dy).reshape(-1), positive.reshape(-1), dx.reshape(-1))
    return dx
