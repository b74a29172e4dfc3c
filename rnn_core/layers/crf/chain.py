"""The linear chain: what all sequences of tags weigh together, what the right one costs, and how likely each tag is.

::

    s(y) = start(y_1) + Σ_t z_t(y_t) + Σ_{t≥2} A(y_{t−1}, y_t) + end(y_ℓ)                       (CR1)   a path's score
    α_1 = start + z_1,   α_t(j) = z_t(j) + log Σ_i exp(α_{t−1}(i) + A(i, j))                     (CR2)
    log Z = log Σ_y exp s(y) = log Σ_j exp(α_ℓ(j) + end(j))                                      (CR3)
    w_t(i|j) = exp(α_{t−1}(i) + A(i, j)) / Σ_k exp(α_{t−1}(k) + A(k, j)),                        (CR4)
    w_{ℓ+1}(j) = softmax(α_ℓ + end)(j)
    −log p(y) = log Z − s(y) = −log w_{ℓ+1}(y_ℓ) − Σ_{t≥2} log w_t(y_{t−1} | y_t)                (CR5)
    −log p(known tags) = log Z − log Z of the paths that have them                               (CR6)
    p_ℓ = w_{ℓ+1},   q_t(i, j) = w_t(i|j) p_t(j),   p_{t−1}(i) = Σ_j q_t(i, j)                   (CR7)

w_t(i|j) is the probability of tag i at step t − 1, given tag j at step t and all that came before: a softmax. So (CR5)
is a sum of surprises, none of which is negative, and loses nothing where log Z and s(y) are large and almost alike.
Only differences of α enter it: α is measured from its largest at every step, and a float32 is as good at step 1000 as
at step 1. p and q, the marginals, are (CR2) walked backwards: ∂log Z/∂z_t(j) = p_t(j), ∂log Z/∂A(i, j) = Σ_t q_t(i, j).

Here time comes first and the batch last: z is (T, K, B), and sums over tags run along whole rows of memory. Past a
row's length α and p stand still. What is ruled out has the potential −∞.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array


class Chain(NamedTuple):
    """Log potentials that are the same for every sequence."""

    transitions: Array  # (K, K), A: from the row's tag to the column's
    start: Array  # (K,)
    end: Array  # (K,)


def alphas(z: Array, chain: Chain, valid: Array | None) -> tuple[Array, Array]:
    """Return α (T, K, B), each step's measured from its largest, and log Z (B,).

    Parameters
    ----------
    z : ndarray, shape (T, K, B)
    chain : Chain
    valid : ndarray of bool, shape (T, B), optional
        Which steps are no padding; without it all.
    """
    xp = array_namespace(z)
    alpha, log_z = xp.zeros(z.shape, dtype=z.dtype), 0
    for t in range(z.shape[0]):
        if t == 0:
            a = chain.start[:, None] + z[0]  # (CR2)
        else:
            a = z[t] + log_sum_exp(alpha[t - 1][:, None, :] + chain.transitions[:, :, None])  # (CR2)
        top = largest(a)
        a = a - top
        if valid is not None and t:
            a, top = xp.where(valid[t], a, alpha[t - 1]), xp.where(valid[t], top, 0)
        alpha[t] = a
        log_z = log_z + top
    return alpha, log_z + log_sum_exp(alpha[-1] + chain.end[:, None])  # (CR3)


def surprises(alpha: Array, chain: Chain, tags: Array, valid: Array | None) -> Array:
    """Return −log p (B,) of sequences of tags.

    Parameters
    ----------
    alpha : ndarray, shape (T, K, B)
        From `alphas`.
    chain : Chain
    tags : ndarray of int, shape (T, B)
        Past a row's length its last tag.
    valid : ndarray of bool, shape (T, B), optional
    """
    xp = array_namespace(alpha)
    T, K, B = alpha.shape
    arriving = xp.reshape(xp.take(chain.transitions, xp.reshape(tags[1:], (-1,)), axis=1), (K, T - 1, B))
    before = alpha[:-1].swapaxes(0, 1) + arriving
    costs = surprise(xp.concat([before, (alpha[-1] + chain.end[:, None])[:, None]], axis=1), tags)  # (CR4)
    if valid is not None:
        costs[:-1] = xp.where(valid[1:], costs[:-1], 0)
    return xp.sum(costs, axis=0)  # (CR5)


def last_marginal(alpha: Array, chain: Chain) -> Array:
    """Return p_ℓ (K, B): how likely each tag is at a row's last step."""
    return softmax(alpha[-1] + chain.end[:, None])  # (CR4), (CR7)


def marginals(alpha: Array, chain: Chain, p: Array, valid: Array | None) -> Iterator[tuple[int, Array, Array | None]]:
    """Walk back from the last step: yield t, p_t (K, B) and q_t (K, K, B), which step 0 has not.

    Parameters
    ----------
    alpha : ndarray, shape (T, K, B)
        From `alphas`.
    chain : Chain
    p : ndarray, shape (K, B)
        `last_marginal`; all that follows is linear in it.
    valid : ndarray of bool, shape (T, B), optional
        Past a row's length p_t is p_ℓ, and q_t zero.
    """
    xp = array_namespace(alpha)
    for t in range(alpha.shape[0] - 1, 0, -1):
        w = softmax(alpha[t - 1][:, None, :] + chain.transitions[:, :, None])  # (CR4)
        q = w * p  # (CR7)
        if valid is not None:
            q = xp.where(valid[t], q, 0)
        yield t, p, q
        before = xp.sum(q, axis=1)  # (CR7)
        p = before if valid is None else xp.where(valid[t], before, p)
    yield 0, p, None


def real(a: Array) -> Array:
    """Return the real part, on which alone branches are taken."""
    xp = array_namespace(a)
    return xp.real(a) if xp.isdtype(a.dtype, "complex floating") else a


def largest(a: Array) -> Array:
    """Return the largest real part along the first axis; 0 where all is −∞, so that it can be subtracted."""
    xp = array_namespace(a)
    top = xp.max(real(a), axis=0)
    return xp.where(top > -xp.inf, top, 0)


def log_sum_exp(a: Array) -> Array:
    """Return log Σ exp(a) over the first axis, without overflow; −∞ where all is −∞."""
    xp = array_namespace(a)
    top = largest(a)
    return top + xp.log(xp.sum(xp.exp(a - top), axis=0))


def softmax(a: Array) -> Array:
    """Return probabilities over the first axis, without overflow; zeros where all is −∞."""
    xp = array_namespace(a)
    e = xp.exp(a - largest(a))
    total = xp.sum(e, axis=0)
    return e / xp.where(real(total) > 0, total, 1)


def surprise(a: Array, k: Array) -> Array:
    """Return −log softmax(a)(k) over the first axis; it keeps its relative accuracy, however near to 0 it is."""
    xp = array_namespace(a)
    top = xp.argmax(real(a), axis=0)
    difference = a - xp.take_along_axis(a, top[None], axis=0)
    ones = xp.reshape(xp.arange(a.shape[0]), (-1,) + (1,) * top.ndim) == top
    rest = xp.sum(xp.where(ones, 0, xp.exp(difference)), axis=0)  # beside the largest, which is 1
    return xp.log1p(rest) - xp.take_along_axis(difference, k[None], axis=0)[0]


def apart(p: Any, right: Array) -> Array:
    """Return p − Σp·[right]: a distribution, or several, less all of it at the right place, without cancelling.

    The sum runs over all axes but the last. Where no place is right, p comes back as it is.
    """
    xp = array_namespace(p)
    wrong = xp.where(right, 0, p)
    return xp.where(right, -xp.sum(wrong, axis=tuple(range(p.ndim - 1))), wrong)
