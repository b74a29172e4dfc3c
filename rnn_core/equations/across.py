"""What a user's cell may do across the units of a row, besides its sums: a mean, and products with its matrices.

::

    mean v = Σ_j v_j / n,  the same for all n units                      (DC5)
    (W v)_k = Σ_j W_kj v_j                                               (DC6)

Where a layer drops what its recurrence reads, a matrix comes with a mask d, (B, H), of what it is multiplied by: (RG2).

A mean is its own transpose: dv is the mean of what its result gets, (DC5′). A product gives dv = Wᵀ d and, over time
and batch, dW = Σ d vᵀ, of what its result gets, d: (DC6′). A product reads q of both factors, as in `affine`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .affine import affine, affine_backward_W, affine_backward_x
from .rounding import Rounding, exact


class Read(NamedTuple):
    """A matrix of which products read q, and d ⊙ v in the place of v if there is a mask."""

    weight: Any
    q: Rounding
    d: Any = None

    def masked(self, v: np.ndarray) -> np.ndarray:
        """Return d ⊙ v."""
        return v if self.d is None else self.d * v


def mean(v: Any) -> Any:
    """The mean over the units of each row, in every unit's place: forward, and back."""
    v = np.asarray(v)
    return np.broadcast_to(v.mean(axis=-1, keepdims=True), v.shape)  # (DC5), (DC5′)


def product(W: Any, v: np.ndarray) -> np.ndarray:
    """W v of each row v."""
    its = _read(W)
    return affine(its.masked(v), its.weight, None, its.q)  # (DC6), (RG2)


def product_transposed(W: Any, d: np.ndarray) -> np.ndarray:
    """Wᵀ d of each row d."""
    its = _read(W)
    return its.masked(affine_backward_x(d, its.weight, its.q))  # (DC6′), (RG2′)


def matrix_gradient(d: np.ndarray, v: np.ndarray, q: Rounding = exact) -> np.ndarray:
    """dW = Σ d vᵀ over all leading axes."""
    return affine_backward_W(d, v, q)  # (DC6′)


def dropped(W: Any, d: Any) -> Read:
    """W as products read it where d is the mask of what it is multiplied by."""
    return _read(W)._replace(d=d)


def _read(W: Any) -> Read:
    return W if isinstance(W, Read) else Read(W, exact)
