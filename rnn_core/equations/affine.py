"""The affine map of every cell, a = x·Wᵀ + b, and its gradients."""

from __future__ import annotations

import numpy as np


def affine(x: np.ndarray, W: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    """a = x·Wᵀ + b over the last axis; leading axes are rows of one product.  (P1)"""
    a = x.reshape(-1, x.shape[-1]) @ W.T
    if b is not None:
        a += b
    return a.reshape(*x.shape[:-1], W.shape[0])


def affine_backward_x(da: np.ndarray, W: np.ndarray) -> np.ndarray:
    """dx = da·W.  (P1′)"""
    return (da.reshape(-1, da.shape[-1]) @ W).reshape(*da.shape[:-1], W.shape[1])


def affine_backward_W(da: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dW = Σ da·xᵀ over all leading axes: one product over T·B rows, not one a time step.  (P1′)"""
    return da.reshape(-1, da.shape[-1]).T @ x.reshape(-1, x.shape[-1])


def affine_backward_b(da: np.ndarray) -> np.ndarray:
    """db = Σ da over all leading axes.  (P1′)"""
    return da.reshape(-1, da.shape[-1]).sum(axis=0)
