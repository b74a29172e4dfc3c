"""The chain through the kernels of the CPU: the functions of `likelihood` and `viterbi`, and what they return.

The equations are those of the files beside it, by the same numbers; the loops are `kernels.cpu.chain`'s, which is
imported when it is first wanted. Arrays are NumPy's, float32 or float64.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .chain import Chain
from .rows import Counted


class Tape(NamedTuple):
    """What `CRF.backward` needs. Opaque to the caller."""

    alpha: np.ndarray  # (B, T, K)
    chain: Chain
    E: np.ndarray  # (K, K)
    tags: np.ndarray  # (B, T); −1 where a row's tags are not all known
    clamped: np.ndarray | None  # (B, T, K), α of the paths that have the known tags
    dcosts: np.ndarray  # (B,), ∂L/∂(−log p)
    partial: np.ndarray | None  # (B,)
    lengths: np.ndarray  # (B,)


@cache
def _kernels() -> Any:
    from kernels.cpu import chain

    return chain


def forward(
    z: np.ndarray, chain: Chain, tags: np.ndarray, counted: Counted, valid: np.ndarray | None
) -> tuple[Any, np.ndarray, Tape]:
    """Return the loss, what each row costs (B,), 0 for one that counts nothing, and a tape; as `likelihood.forward`."""
    alpha, log_z, E, lengths = _alphas(z, chain, valid)
    tags, K = np.ascontiguousarray(tags.T), z.shape[1]
    costs = np.empty_like(log_z)
    _kernels().costs(alpha, chain.transitions, chain.end, tags, lengths, costs)  # (CR5)
    clamped = partial = None
    if counted.known is not None:
        possible: np.ndarray = np.equal(np.arange(K), tags[..., None]) | ~counted.known[..., None]
        masked = np.where(possible.transpose(1, 2, 0), z, -np.inf)
        clamped, log_clamped, _, _ = _alphas(masked.astype(z.dtype, copy=False), chain, valid)
        partial = np.asarray(~counted.known.all(axis=1))
        costs = np.where(partial, log_z - log_clamped, costs)  # (CR6)
        tags = np.where(partial[:, None], -1, tags)
    w = counted.rows.astype(z.dtype)
    costs = np.where(w > 0, costs, 0)
    loss = np.sum(w * costs) / counted.total  # (CR8)
    return loss, costs, Tape(alpha, chain, E, tags, clamped, w / counted.total, partial, lengths)  # (CR8′)


def backward(tape: Tape, needs: frozenset[str]) -> dict[str, Any]:
    """Return ∂L/∂z (T, K, B), as "emissions", and those of the potentials; as `likelihood.backward`."""
    alpha, chain, E, tags, clamped, dcosts, partial, lengths = tape
    dz, outer, pairs, dend = _sums(alpha, chain)
    options = chain.transitions, E, chain.end
    tiny, sign = _kernels().TINY[alpha.dtype.name], alpha.dtype.type(1)
    _kernels().backward(alpha, *options, tags, lengths, dcosts, sign, tiny, dz, outer, pairs, dend)  # (CR5′)
    transitions = E * outer + pairs
    if clamped is not None and partial is not None:
        dclamped, outer, pairs, dlast = _sums(alpha, chain)
        unknown, some = np.full_like(tags, -1), np.where(partial, dcosts, 0).astype(alpha.dtype)
        sums = dclamped, outer, pairs, dlast
        _kernels().backward(clamped, *options, unknown, lengths, some, -sign, tiny, *sums)  # (CR6′)
        dz, dend, transitions = dz + dclamped, dend + dlast, transitions + (E * outer + pairs)
    return {"emissions": dz.transpose(1, 2, 0), "transitions": transitions, "start": dz[:, 0].sum(axis=0), "end": dend}


def log_partition(z: np.ndarray, chain: Chain, valid: np.ndarray | None) -> np.ndarray:
    """Return log Z (B,)."""
    return _alphas(z, chain, valid)[1]


def all_marginals(z: np.ndarray, chain: Chain, valid: np.ndarray | None) -> np.ndarray:
    """Return p (T, K, B), zero past a row's length; as `likelihood.all_marginals`."""
    alpha, _, E, lengths = _alphas(z, chain, valid)
    p, outer, pairs, dend = _sums(alpha, chain)
    one = alpha.dtype.type(1)
    ones, unknown = np.ones(len(lengths), alpha.dtype), np.full(alpha.shape[:2], -1)
    tiny = _kernels().TINY[alpha.dtype.name]
    _kernels().backward(
        alpha, chain.transitions, E, chain.end, unknown, lengths, ones, one, tiny, p, outer, pairs, dend
    )  # (CR7)
    return p.transpose(1, 2, 0)


def best_paths(z: np.ndarray, chain: Chain, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the best path of each row (T, B), and its score (B,); as `viterbi.best_paths`."""
    rows, lengths = _rows(z, valid)
    path, score = np.empty(rows.shape[:2], np.int64), np.empty(len(rows), z.dtype)
    _kernels().best_path(rows, *chain, lengths, path, score)  # (CR9), (CR10)
    return path.T, score


def _rows(z: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return emissions (B, T, K), contiguous, and lengths."""
    T, _, B = z.shape
    lengths = np.full(B, T) if valid is None else valid.sum(axis=0)
    return np.ascontiguousarray(z.transpose(2, 0, 1)), lengths.astype(np.int64)


def _alphas(z: np.ndarray, chain: Chain, valid: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """Return α (B, T, K), log Z (B,), E (K, K) and lengths."""
    rows, lengths = _rows(z, valid)
    E, c = _kernels().potentials(chain.transitions)
    alpha, log_z = np.zeros_like(rows), np.empty(len(rows), z.dtype)
    A, start, end = chain
    _kernels().forward(rows, A, E, c, start, end, lengths, _kernels().TINY[z.dtype.name], alpha, log_z)  # (CR2), (CR3)
    return alpha, log_z, E, lengths


def _sums(alpha: np.ndarray, chain: Chain) -> tuple[np.ndarray, ...]:
    """Return room for ∂L/∂z, both parts of ∂L/∂A, and ∂L/∂end, all zero."""
    return np.zeros_like(alpha), *(np.zeros_like(a) for a in (chain.transitions, chain.transitions, chain.end))
