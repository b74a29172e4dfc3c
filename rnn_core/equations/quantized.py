"""Weights in int8, for inference: rows of integers with a scale each, by which the equations multiply as by any other.

::

    s_n  = max_k |x_nk| / 127                           (IQ1)   the scale of row n
    q_nk = round(x_nk · 127 / max_k |x_nk|)             (IQ2)   its numbers, −127 to 127
    a_nm = s_n s_m Σ_k q_nk q_mk                        (IQ3)   row n of x times row m of W

Weights are quantised once, rows of x_t and h_{t−1} as they come. The sum is of integers, and exact: it is taken in
float64, which holds every integer below 2⁵³, because NumPy has no quick product of integers. All else is float32. A row
whose largest number is below 2⁻¹⁰⁰ counts as zeros.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kernels.contract import Cell, Parameters, QuantizedParameters, State

MOST, LEAST = np.float32(127), np.float32(2.0**-100)


def quantized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of an array of float32 as int8, and their scales."""
    with np.errstate(invalid="ignore", over="ignore"):  # a ReLU's state may have run away to infinity
        largest = np.abs(x).max(axis=-1)
        some = largest >= LEAST
        times = np.where(some, MOST / np.where(some, largest, MOST), np.float32(0))
        scale = np.where(some, largest / MOST, np.float32(0))  # (IQ1)
        numbers = np.rint(x * times[..., np.newaxis]).astype(np.int8)  # (IQ2)
    return numbers, scale


class QuantizedWeight:
    """A weight whose row m stands for scale[m]·numbers[m]. A cell's equations multiply by it: ``x @ W.T``."""

    __array_ufunc__ = None  # the product is this class's, not NumPy's

    def __init__(self, numbers: np.ndarray, scale: np.ndarray):
        self.scale, self.shape = scale, numbers.shape
        self._columns = numbers.T.astype(np.float64)

    @property
    def T(self) -> QuantizedWeight:
        """Itself, for ``x @ W.T``: there is no other product."""
        return self

    def __rmatmul__(self, x: np.ndarray) -> np.ndarray:
        """Return x·Wᵀ of rows x (…, K)."""
        numbers, scale = quantized(x)
        sums = numbers.astype(np.float64) @ self._columns
        return sums.astype(np.float32) * self.scale * scale[..., np.newaxis]  # (IQ3)


class QuantizedLoop(NamedTuple):
    """A cell's inference with weights in int8: its own equations, as they stand."""

    loop: Cell

    def prepare(self, params: QuantizedParameters) -> Parameters:
        """Return the parameters with weights that multiply integers."""
        W_x, s_x, W_h, s_h, b_x, b_h = params
        return Parameters(QuantizedWeight(W_x, s_x), QuantizedWeight(W_h, s_h), b_x, b_h)

    def infer(
        self, prepared: Parameters, x: np.ndarray, state0: State, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray, State]:
        """All time steps."""
        return self.loop.infer(prepared, x, state0, lengths)


class QuantizedAffine:
    """y = x·Wᵀ + b with W in int8."""

    def prepare(
        self, weight: np.ndarray, scale: np.ndarray, bias: np.ndarray | None
    ) -> tuple[QuantizedWeight, np.ndarray | None]:
        """Return the weight as one that multiplies integers, and the bias."""
        return QuantizedWeight(weight, scale), bias

    def __call__(self, prepared: tuple[QuantizedWeight, np.ndarray | None], x: np.ndarray) -> np.ndarray:
        """Return y (N, O) of x (N, I)."""
        W, b = prepared
        y = x @ W.T
        return y if b is None else y + b
