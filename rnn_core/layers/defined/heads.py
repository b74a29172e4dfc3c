"""Heads: a W_h that is block-diagonal, gate by gate, and is kept as its blocks side by side.

Head n of N reads and makes the units n·H/N … (n + 1)·H/N − 1 alone. What is kept has the rows of W_h, gate by gate and
within a gate head by head, and of each row the H/N columns of its own head.
"""

from __future__ import annotations

from typing import Any

from kernels.contract import Array

from ..home import zeros


def whole(weight: Array, gates: int, heads: int, xp: Any) -> Array:
    """Return W_h (gates·H, H), with zeros between the blocks, from what is kept, (gates·H, H/heads)."""
    rows, columns = weight.shape
    W = zeros(xp, (gates, heads, rows // (gates * heads), heads, columns), weight.dtype)
    kept = weight.reshape(W.shape[:3] + (columns,))
    for n in range(heads):
        W[:, n, :, n] = kept[:, n]
    return W.reshape(rows, heads * columns)


def blocks(dW: Array, gates: int, heads: int, xp: Any) -> Array:
    """Return the gradient of what is kept, from that of W_h."""
    rows, columns = dW.shape[0], dW.shape[1] // heads
    dW = dW.reshape(gates, heads, rows // (gates * heads), heads, columns)
    return xp.stack([dW[:, n, :, n] for n in range(heads)], axis=1).reshape(rows, columns)
