"""The affine map of every cell, a = x·Wᵀ + b, and its gradients.

Each product reads q of its two factors: in precision "bfloat16" these are rounded, and the sum is float32's.
"""

from __future__ import annotations

import numpy as np

from .rounding import Rounding, exact


def affine(x: np.ndarray, W: np.ndarray, b: np.ndarray | None, q: Rounding = exact) -> np.ndarray:
    """a = q(x)·q(W)ᵀ + b over the last axis; of (T, B, ·) each step is a product of its own.  (P1), (BF2)

    A sequence that comes in pieces then gives the same bits, which a single product over all rows would not: how BLAS
    adds up depends on how many there are.
    """
    a = q(np.ascontiguousarray(x)) @ q(W).T
    if b is not None:
        a += b
    return a


def affine_backward_x(da: np.ndarray, W: np.ndarray, q: Rounding = exact) -> np.ndarray:
    """dx = q(da)·q(W).  (P1′), (BF2′)"""
    return (q(da.reshape(-1, da.shape[-1])) @ q(W)).reshape(*da.shape[:-1], W.shape[1])


def affine_backward_W(da: np.ndarray, x: np.ndarray, q: Rounding = exact) -> np.ndarray:
    """dW = Σ q(da)·q(x)ᵀ over all leading axes: one product over T·B rows, not one a time step.  (P1′), (BF2′)"""
    return q(da.reshape(-1, da.shape[-1])).T @ q(x.reshape(-1, x.shape[-1]))


def affine_backward_b(da: np.ndarray, q: Rounding = exact) -> np.ndarray:
    """db = Σ q(da) over all leading axes: of what the products read, as that is what is kept.  (P1′), (BF2′)"""
    return q(da.reshape(-1, da.shape[-1])).sum(axis=0)
