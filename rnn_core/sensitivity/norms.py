"""The squared norms of single examples' gradients, from what each of these is a sum of.

::

    g    = Σ_t δ_t u_tᵀ                                         (J6)   of a weight: δ_t = ∂L/∂a_t where a_t = W u_t
    ‖g‖² = Σ_t Σ_t′ (δ_t·δ_t′) (u_t·u_t′)                       (J7)   the same, and no g; the "ghost norm"
    ‖g‖² = Σ_k ‖Σ_{t: k_t = k} de_t‖²                           (J8)   of an embedding, whose rows may be met twice
    ⟨g, g_e⟩ = Σ_t Σ_t′ δ_t[k_t′] (u_t·de_t′)                   (J9)   of a weight with an embedding that is tied to it

With T steps, O numbers in δ_t and K in u_t, (J6) takes T·O·K products and room for O·K numbers, (J7) T²·(O + K) and
room for T²: that one is taken where T·(O + K) < O·K. Examples are taken some at a time, so that this room stays small.

References
----------
.. [1] I. Goodfellow, "Efficient per-example gradient computations", arXiv:1510.01799v2 (2015): one step, ‖δ‖²‖u‖².
.. [2] X. Li, F. Tramèr, P. Liang, T. Hashimoto, "Large language models can be strong differentially private learners",
   arXiv:2110.05679v6 (2022): section 4, the sum over pairs of steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import backends
from ..layers.linear import SMALL

ROOM = 1 << 18
"""Numbers of the largest array that is made for some examples at a time, unless that of a single one is larger."""


def some_at_a_time(B: int, each: int) -> Iterator[slice]:
    """Yield slices of B examples such that what `each` of them needs, in numbers, does not pass `ROOM` together."""
    count = max(1, ROOM // max(each, 1))
    for first in range(0, B, count):
        yield slice(first, min(first + count, B))


def product(A: np.ndarray, B: np.ndarray, backend: str) -> np.ndarray:
    """Return A·B, in a backend's own threads where there is much to do: those of BLAS would stand in their way."""
    if len(A) * B.size >= SMALL and hasattr(backends.get(backend), "multiply"):
        return backends.get(backend).multiply()(A, B)
    return A @ B


def of_products(delta: np.ndarray, parts: Sequence[np.ndarray], backend: str) -> np.ndarray:
    """Return ‖g_b‖² of a weight (B,), in the cheaper of two ways.

    Parameters
    ----------
    delta : ndarray, shape (T, B, O)
        Zero where a row has ended.
    parts : sequence of ndarray, (T, B, ·) each
        u: they stand side by side, K numbers together.
    backend : str
        Whose threads compute large products.
    """
    (T, B, O), K = delta.shape, sum(part.shape[2] for part in parts)
    pairs = T * (O + K) < O * K
    squares = np.zeros(B)
    for rows in some_at_a_time(B, max(T * (O + K), T * T if pairs else O * K)):
        d = delta[:, rows].swapaxes(0, 1)
        u = np.concatenate([part[:, rows] for part in parts], axis=2).swapaxes(0, 1)
        if pairs:
            d, u = d.astype(np.float64), u.astype(np.float64)  # unlike squares, pairs cancel
            alike = _each(d, d.swapaxes(1, 2), backend) * _each(u, u.swapaxes(1, 2), backend)
            squares[rows] = alike.sum(axis=(1, 2))  # (J7)
        else:
            g = _each(d.swapaxes(1, 2), u, backend).reshape(len(d), -1)  # (J6)
            squares[rows] = (g * g).sum(axis=1, dtype=np.float64)
    return np.maximum(squares, 0)


def _each(A: np.ndarray, B: np.ndarray, backend: str) -> np.ndarray:
    """Return the product of each matrix in A (R, M, K) with that in B (R, K, C)."""
    if A.shape[1] * B[0].size < SMALL:
        return A @ B
    return np.stack([product(a, b, backend) for a, b in zip(A, B, strict=True)])


def of_embedding(tokens: np.ndarray, de: np.ndarray) -> float:
    """Return ‖g‖² of an embedding from the tokens (T,) of one example and ∂L/∂e (T, D)."""
    order = np.argsort(tokens, kind="stable")
    starts = np.flatnonzero(np.diff(tokens[order], prepend=-1))
    rows = np.add.reduceat(np.asarray(de, np.float64)[order], starts, axis=0)
    return float((rows * rows).sum())  # (J8)


def between_tied(delta: np.ndarray, u: np.ndarray, tokens: np.ndarray, de: np.ndarray) -> float:
    """Return ⟨g, g_e⟩ of a matrix (V, H) with two uses: δ (T, V) and u (T, H) above, tokens and ∂L/∂e (T, H) below."""
    pairs = np.asarray(u, np.float64) @ np.asarray(de, np.float64).T
    return float((delta[:, tokens] * pairs).sum())  # (J9)
