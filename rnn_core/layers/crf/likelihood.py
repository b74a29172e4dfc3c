"""What sequences of tags cost, and the gradient of it; forward above backward.

::

    L = Σ_b w_b (−log p(y_b)) / Σ_b w_b n_b          n_b: how many tags of row b are known                (CR8)

    dz_t(j) = (p_t(j) − [j = y_t]) dℓ,   dA(i, j) = Σ_t (q_t(i, j) − [i = y_{t−1}, j = y_t]) dℓ          (CR5′)
    dstart = (p_1 − [y_1]) dℓ,   dend = (p_ℓ − [y_ℓ]) dℓ                                                 (CR5′)

Where tags of a row are unknown, the marginals of the paths that have the known ones stand in the place of [·]: (CR6′).
The other equations are in `chain`. Primes mark the backward; dX is ∂L/∂X, and dℓ is ∂L/∂(−log p).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array

from .chain import Chain, alphas, apart, last_marginal, marginals, real, surprises
from .rows import Counted
from .viterbi import best_paths


class Tape(NamedTuple):
    """What `CRF.backward` needs. Opaque to the caller."""

    alpha: Array  # (T, K, B)
    chain: Chain
    tags: Array  # (T, B), past a row's length its last one
    partial: Array | None  # (B,), whose tags are not all known; None for none
    clamped: Array | None  # (T, K, B), α of the paths that have the known tags
    dcosts: Array  # (B,), ∂L/∂(−log p)
    valid: Array | None  # (T, B)


def forward(z: Array, chain: Chain, tags: Array, counted: Counted, valid: Array | None) -> tuple[Array, Array, Tape]:
    """Return the loss, what each row costs (B,), 0 for one that counts nothing, and a tape."""
    xp, K = array_namespace(z), z.shape[1]
    alpha, log_z = alphas(z, chain, valid)
    costs = surprises(alpha, chain, tags, valid)  # (CR5)
    partial = clamped = None
    if counted.known is not None:
        known = xp.asarray(counted.known.T[:, None])
        possible = (xp.arange(K)[:, None] == tags[:, None]) | ~known
        clamped, log_clamped = alphas(xp.where(possible, z, -xp.inf), chain, valid)
        partial = xp.asarray(~counted.known.all(axis=1))
        costs = xp.where(partial, log_z - log_clamped, costs)  # (CR6)
    w = xp.astype(xp.asarray(counted.rows), real(z).dtype)
    costs = xp.where(w > 0, costs, 0)
    loss = xp.sum(w * costs) / counted.total  # (CR8)
    return loss, costs, Tape(alpha, chain, tags, partial, clamped, w / counted.total, valid)  # (CR8′)


def backward(tape: Tape, needs: frozenset[str]) -> dict[str, Any]:
    """Return ∂L/∂z (T, K, B), as "emissions", and those of the potentials, of which "transitions" only if needed."""
    alpha, chain, tags, partial, clamped, dcosts, valid = tape
    xp, K = array_namespace(alpha), alpha.shape[1]
    right = xp.arange(K)[:, None] == tags[:, None]  # (T, K, B), [j = y_t]
    if partial is not None:
        right = right & ~partial
    dz, dA = (xp.zeros(shape, dtype=alpha.dtype) for shape in (alpha.shape, (K, *alpha.shape[1:])))
    p_end = last_marginal(alpha, chain) * dcosts
    dend = xp.sum(apart(p_end, right[-1]), axis=1)  # (CR5′)
    for t, p, q in marginals(alpha, chain, p_end, valid):
        dz[t] = apart(p, right[t])  # (CR5′)
        if q is not None and "transitions" in needs:
            dA += apart(q, right[t - 1][:, None] & right[t])  # (CR5′)
    if clamped is not None:
        p_end = last_marginal(clamped, chain) * xp.where(partial, dcosts, 0)
        dend = dend - xp.sum(p_end, axis=1)  # (CR6′)
        for t, p, q in marginals(clamped, chain, p_end, valid):
            dz[t] = dz[t] - p  # (CR6′)
            if q is not None and "transitions" in needs:
                dA -= q  # (CR6′)
    if valid is not None:
        dz = xp.where(valid[:, None], dz, 0)
    dstart = xp.sum(dz[0], axis=1)  # (CR5′), (CR6′)
    return {"emissions": dz, "transitions": xp.sum(dA, axis=2), "start": dstart, "end": dend}


def log_partition(z: Array, chain: Chain, valid: Array | None) -> Array:
    """Return log Z (B,)."""
    return alphas(z, chain, valid)[1]


def all_marginals(z: Array, chain: Chain, valid: Array | None) -> Array:
    """Return p (T, K, B), zero past a row's length."""
    alpha, _ = alphas(z, chain, valid)
    xp = array_namespace(z)
    steps = [p for _, p, _ in marginals(alpha, chain, last_marginal(alpha, chain), valid)]
    found = xp.stack(steps[::-1])
    return found if valid is None else xp.where(valid[:, None], found, 0)


__all__ = ["Tape", "all_marginals", "backward", "best_paths", "forward", "log_partition"]
