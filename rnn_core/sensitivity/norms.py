"""The squared norm of one example's gradient, from what the gradient is a sum of.

::

    g    = Σ_t δ_t u_tᵀ                                         (J6)   of a weight: δ_t = ∂L/∂a_t where a_t = W u_t
    ‖g‖² = Σ_t Σ_t′ (δ_t·δ_t′) (u_t·u_t′)                       (J7)   the same, and no g; the "ghost norm"
    ‖g‖² = Σ_k ‖Σ_{t: k_t = k} de_t‖²                           (J8)   of an embedding, whose rows may be met twice
    ⟨g, g_e⟩ = Σ_t Σ_t′ δ_t[k_t′] (u_t·de_t′)                   (J9)   of a weight with an embedding that is tied to it

With T steps, O numbers in δ_t and K in u_t, (J6) takes T·O·K products and room for O·K numbers, (J7) T²·(O + K) and
room for T²: that one is taken where T·(O + K) < O·K. Sums are in double precision.

References
----------
.. [1] I. Goodfellow, "Efficient per-example gradient computations", arXiv:1510.01799v2 (2015): one step, ‖δ‖²‖u‖².
.. [2] X. Li, F. Tramèr, P. Liang, T. Hashimoto, "Large language models can be strong differentially private learners",
   arXiv:2110.05679v6 (2022): section 4, the sum over pairs of steps.
"""

from __future__ import annotations

import numpy as np


def of_product(delta: np.ndarray, u: np.ndarray) -> float:
    """Return ‖g‖² of a weight from δ (T, O) and u (T, K), in the cheaper of two ways."""
    delta, u = (np.asarray(part, np.float64) for part in (delta, u))
    (T, O), K = delta.shape, u.shape[1]
    if T * (O + K) < O * K:
        return max(float(((delta @ delta.T) * (u @ u.T)).sum()), 0.0)  # (J7)
    g = delta.T @ u  # (J6)
    return float((g * g).sum())


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
