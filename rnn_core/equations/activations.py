"""The nonlinearities of the cells, each with its derivative below it.

Every derivative is written in terms of the *output* f(a), because that is what a tape keeps. All of them accept
complex numbers and branch on the real part alone, so that they stay analytic where the real function is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


def sigmoid(a: np.ndarray) -> np.ndarray:
    """σ(a) = 1/(1 + e^{−a}), without overflow and with full relative accuracy in the lower tail.  (A1)

    Where that is smaller than the smallest normal number it is 0, on every backend: a limit that all of them reach.
    """
    positive = a.real >= 0
    e = np.exp(np.where(positive, -a, a))
    s = np.where(positive, 1, e) / (1 + e)
    return np.where(s.real < np.finfo(s.dtype).tiny, 0, s)


def dsigmoid(s: np.ndarray) -> np.ndarray:
    """σ′ = σ·(1 − σ), from the output s = σ(a).  (A1′)"""
    return s * (1 - s)


def tanh(a: np.ndarray) -> np.ndarray:
    """tanh(a).  (A2)"""
    return np.tanh(a)


def dtanh(h: np.ndarray) -> np.ndarray:
    """tanh′ = 1 − tanh², from the output h = tanh(a).  (A2′)"""
    return 1 - h * h


def relu(a: np.ndarray) -> np.ndarray:
    """max(a, 0), with the sign taken from the real part; a NaN stays one.  (A3)"""
    return np.where(a.real <= 0, 0, a)


def drelu(h: np.ndarray) -> np.ndarray:
    """1 where the output is positive, otherwise 0 (at the kink too, as torch does).  (A3′)"""
    return (h.real > 0).astype(h.dtype)


class Activation(NamedTuple):
    """A function and its derivative in terms of the function's output."""

    f: Callable[[np.ndarray], np.ndarray]
    df: Callable[[np.ndarray], np.ndarray]


ACTIVATIONS = {
    "tanh": Activation(tanh, dtanh),
    "relu": Activation(relu, drelu),
    "sigmoid": Activation(sigmoid, dsigmoid),
}
