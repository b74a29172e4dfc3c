"""How well queries and keys go together, and the weights that this makes; each backward directly below its forward.

::

    s_tj = q_tᵀ p_j                                 (AT2)   product: dot, general
    s_tj = vᵀ tanh(q_t + p_j)                       (AT3)   additive
    α_tj = exp(s_tj) / Σ_{i ≤ ℓ} exp(s_ti)          (AT4)   softmax over the ℓ valid steps; 0 past them

q_t is a query, p_j a key, each as the score reads it. Primes mark the backward; dX is ∂L/∂X.
"""

from __future__ import annotations

from collections.abc import Iterator

from array_api_compat import array_namespace

from kernels.contract import Array

CHUNK = 1 << 20
"""Numbers, B·t·Tx·A for t queries of each row, that the additive score holds at a time; or those of one query."""


def product(q: Array, p: Array) -> Array:
    """Return the scores (B, Ty, Tx) of queries (B, Ty, A) with keys (B, Tx, A)."""
    return q @ p.swapaxes(1, 2)  # (AT2)


def product_backward(q: Array, p: Array, ds: Array, needs: frozenset[str]) -> tuple[Array | None, Array | None]:
    """Return ∂L/∂q and ∂L/∂p from ∂L/∂s, each if "queries" or "keys" need it."""
    dq = ds @ p if "queries" in needs else None  # (AT2′)
    dp = ds.swapaxes(1, 2) @ q if "keys" in needs else None  # (AT2′)
    return dq, dp


def additive(q: Array, p: Array, v: Array) -> Array:
    """Return the scores (B, Ty, Tx) of queries (B, Ty, A) with keys (B, Tx, A); v is (A,)."""
    xp = array_namespace(q)
    (B, Ty, A), Tx = q.shape, p.shape[1]
    s = xp.zeros((B, Ty, Tx), dtype=q.dtype)
    for some in _chunks(B, Ty, Tx, A):
        u = xp.tanh(q[:, some, None, :] + p[:, None, :, :])  # (AT3)
        s[:, some, :] = xp.reshape(xp.reshape(u, (-1, A)) @ v, (B, -1, Tx))  # (AT3)
    return s


def additive_backward(q: Array, p: Array, v: Array, ds: Array) -> tuple[Array, Array, Array]:
    """Return ∂L/∂q, ∂L/∂p and ∂L/∂v from ∂L/∂s.

    tanh is computed once more: on a tape it would be the largest array of all, B·Ty·Tx·A numbers.
    """
    xp = array_namespace(q)
    (B, Ty, A), Tx = q.shape, p.shape[1]
    dq, dp, dv = xp.zeros_like(q), xp.zeros_like(p), xp.zeros_like(v)
    for some in _chunks(B, Ty, Tx, A):
        u = xp.tanh(q[:, some, None, :] + p[:, None, :, :])  # (AT3)
        d = xp.reshape(ds[:, some, :], (-1,))
        dv += xp.reshape(u, (-1, A)).T @ d  # (AT3′)
        u = (1 - u * u) * xp.reshape(d, (B, -1, Tx, 1))  # (AT3′), but for v, which is the same for all
        dq[:, some, :] = xp.sum(u, axis=2) * v  # (AT3′)
        dp += xp.sum(u, axis=1) * v  # (AT3′)
    return dq, dp, dv


def weights_of(s: Array, valid: Array | None) -> Array:
    """Return the weights (B, Ty, Tx) of scores; `valid` is a mask (B, 1, Tx), or None where all steps are.

    They are exactly 0 past a row's length, and each row's sum is 1.
    """
    xp = array_namespace(s)
    real = xp.real(s) if xp.isdtype(s.dtype, "complex floating") else s
    if valid is not None:
        real = xp.where(valid, real, -xp.inf)
    top = xp.max(real, axis=-1, keepdims=True)
    # Measured from the largest, no exponential overflows; what is in the padding might, so it is replaced before.
    e = xp.exp((s if valid is None else xp.where(valid, s, top)) - top)
    e = e if valid is None else xp.where(valid, e, 0)
    return e / xp.sum(e, axis=-1, keepdims=True)  # (AT4)


def weights_backward(alpha: Array, dalpha: Array) -> Array:
    """Return ∂L/∂s from ∂L/∂α; where α is 0, it is 0."""
    xp = array_namespace(alpha)
    return alpha * (dalpha - xp.sum(alpha * dalpha, axis=-1, keepdims=True))  # (AT4′)


def _chunks(B: int, Ty: int, Tx: int, A: int) -> Iterator[slice]:
    """Yield slices of the queries' axis, of as many as `CHUNK` has room for, and at least one."""
    some = max(1, CHUNK // (B * Tx * A))
    for start in range(0, Ty, some):
        yield slice(start, min(start + some, Ty))
