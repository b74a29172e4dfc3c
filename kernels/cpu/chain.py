"""The linear chain in numba: the forward algorithm, marginals and their sums, and the best path, a row after another.

The equations are those of `rnn_core.layers.crf`, by the same numbers. What makes it fast is that (CR2) needs no
exponential for each pair of tags: with E(i, j) = exp(A(i, j) − c(j)) and c(j) the largest A(i, j),

    log Σ_i exp(α(i) + A(i, j)) = log Σ_i e(i) E(i, j) + c(j),    e = exp(α),

and α is measured from its largest, so that the largest e is 1. What vanishes in that sum is smaller than its rounding,
unless the sum itself is tiny: then that one number is computed from logarithms. Likewise (CR4) and (CR7),

    q(i, j) = e(i) E(i, j) r(j),    r(j) = p(j) / Σ_i e(i) E(i, j),

so that a step adds the product of two vectors, and E is multiplied once, at the end.

Arrays are (B, T, K) and C-contiguous. `tiny` is the smallest sum that is taken as it is, in the arrays' dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .running.compiled import helper

TINY = {"float32": np.float32(1e-20), "float64": np.float64(1e-280)}
"""The least sum whose relative error is that of its largest terms: what has vanished is 1e-18 of it at most."""


def potentials(A: Any) -> tuple[Any, Any]:
    """Return E (K, K) and c (K,); where a whole column is ruled out c is 0."""
    c = A.max(axis=0)
    c[np.isneginf(c)] = 0
    return np.exp(A - c), c


@helper
def log_sum(alpha, A, j):
    """Return log Σ_i exp(α(i) + A(i, j)), from logarithms."""
    top = -np.inf
    for i in range(alpha.shape[0]):
        top = max(top, alpha[i] + A[i, j])
    if top == -np.inf:
        return top
    total = 0.0
    for i in range(alpha.shape[0]):
        total += np.exp(alpha[i] + A[i, j] - top)
    return top + np.log(total)


@helper
def forward(z, A, E, c, start, end, lengths, tiny, alpha, log_z):
    """Fill α (B, T, K), measured from its largest, up to each row's length, and log Z (B,)."""
    B, T, K = z.shape
    sums = np.empty(K, z.dtype)
    for b in range(B):
        total = 0.0
        for t in range(lengths[b]):
            here = alpha[b, t]
            if t == 0:
                for j in range(K):
                    here[j] = start[j] + z[b, 0, j]  # (CR2)
            else:
                before = alpha[b, t - 1]
                sums[:] = 0
                for i in range(K):
                    e = np.exp(before[i])
                    for j in range(K):
                        sums[j] += e * E[i, j]
                for j in range(K):
                    if sums[j] >= tiny:
                        here[j] = z[b, t, j] + (np.log(sums[j]) + c[j])  # (CR2)
                    else:
                        here[j] = z[b, t, j] + log_sum(before, A, j)  # (CR2)
            top = here[0]
            for j in range(1, K):
                top = max(top, here[j])
            if top > -np.inf:
                for j in range(K):
                    here[j] -= top
                total += top
        last, best = alpha[b, lengths[b] - 1], -np.inf
        for j in range(K):
            best = max(best, last[j] + end[j])
        if best == -np.inf:
            log_z[b] = best
            continue
        rest = 0.0
        for j in range(K):
            rest += np.exp(last[j] + end[j] - best)
        log_z[b] = total + best + np.log(rest)  # (CR3)


@helper
def surprise(a, k):
    """Return −log softmax(a)(k), accurate where it is near 0."""
    top = 0
    for i in range(1, a.shape[0]):
        if a[i] > a[top]:
            top = i
    rest = 0.0
    for i in range(a.shape[0]):
        if i != top:
            rest += np.exp(a[i] - a[top])
    return np.log1p(rest) - (a[k] - a[top])  # (CR4)


@helper
def costs(alpha, A, end, tags, lengths, cost):
    """Fill −log p (B,) of sequences of tags (B, T)."""
    K = alpha.shape[2]
    a = np.empty(K, alpha.dtype)
    for b in range(alpha.shape[0]):
        n, total = lengths[b], 0.0
        for t in range(1, n):
            for i in range(K):
                a[i] = alpha[b, t - 1, i] + A[i, tags[b, t]]
            total += surprise(a, tags[b, t - 1])
        for i in range(K):
            a[i] = alpha[b, n - 1, i] + end[i]
        cost[b] = total + surprise(a, tags[b, n - 1])  # (CR5)


@helper
def pairs_of_column(before, A, j, weight, pairs, p_before):
    """Add q(·, j) and its part of p at the step before, from logarithms."""
    top = log_sum(before, A, j)
    if top == -np.inf:
        return
    for i in range(before.shape[0]):
        q = np.exp(before[i] + A[i, j] - top) * weight  # (CR4), (CR7)
        pairs[i, j] += q
        p_before[i] += q


@helper
def step_back(before, A, E, tiny, p, e, r, outer, pairs, p_before):
    """Walk from p (K,) to the step before, adding q to `outer`, which wants E, and to `pairs`."""
    K = p.shape[0]
    r[:] = 0
    for i in range(K):
        e[i] = np.exp(before[i])
        for j in range(K):
            r[j] += e[i] * E[i, j]
    p_before[:] = 0
    for j in range(K):
        if p[j] == 0:
            r[j] = 0
        elif r[j] >= tiny:
            r[j] = p[j] / r[j]
        else:
            r[j] = 0
            pairs_of_column(before, A, j, p[j], pairs, p_before)
    for i in range(K):
        total = p_before[i]
        for j in range(K):
            outer[i, j] += e[i] * r[j]  # (CR7), without E
        for j in range(K):
            total += e[i] * E[i, j] * r[j]  # (CR7)
        p_before[i] = total


@helper
def backward(alpha, A, E, end, tags, lengths, dcost, sign, tiny, dz, outer, pairs, dend):
    """Add ∂L/∂z, ∂L/∂end and what makes ∂L/∂A: E·outer + pairs; `tags` of −1 leave out what is right.

    `sign` multiplies all of it: −1 for the paths that have the known tags, (CR6′).
    """
    K = alpha.shape[2]
    p, other, right = np.empty(K, alpha.dtype), np.empty(K, alpha.dtype), np.empty(K, alpha.dtype)
    e, r = np.empty(K, alpha.dtype), np.empty(K, alpha.dtype)
    for b in range(alpha.shape[0]):
        if dcost[b] == 0:
            continue
        n = lengths[b]
        best, total = -np.inf, 0.0
        for j in range(K):
            best = max(best, alpha[b, n - 1, j] + end[j])
        for j in range(K):
            p[j] = np.exp(alpha[b, n - 1, j] + end[j] - best)
            total += p[j]
        for j in range(K):
            p[j] *= dcost[b] * sign / total  # (CR4), (CR7)
        for t in range(n - 1, -1, -1):
            k, off = tags[b, t], 0.0
            for j in range(K):
                if j != k:
                    off += p[j]
                    dz[b, t, j] += p[j]  # (CR5′)
            if k >= 0:
                dz[b, t, k] -= off  # (CR5′)
            if t == n - 1:
                for j in range(K):
                    if j != k:
                        dend[j] += p[j]  # (CR5′)
                if k >= 0:
                    dend[k] -= off  # (CR5′)
            if t == 0:
                break
            if k < 0:
                step_back(alpha[b, t - 1], A, E, tiny, p, e, r, outer, pairs, other)
            else:
                i = tags[b, t - 1]
                kept, apart = outer[i, k], pairs[i, k]
                right[:] = pairs[:, k]
                step_back(alpha[b, t - 1], A, E, tiny, p, e, r, outer, pairs, other)
                for m in range(K):
                    if m != i:
                        off += e[m] * E[m, k] * r[k] + (pairs[m, k] - right[m])
                outer[i, k], pairs[i, k] = kept, apart - off  # (CR5′)
            p, other = other, p


@helper
def best_path(z, A, start, end, lengths, path, score):
    """Fill the best path (B, T), 0 past a row's length, and its score (B,)."""
    B, T, K = z.shape
    delta, new = np.empty(K, z.dtype), np.empty(K, z.dtype)
    back = np.empty((T, K), np.int64)
    for b in range(B):
        n, total = lengths[b], 0.0
        for j in range(K):
            delta[j] = start[j] + z[b, 0, j]  # (CR9)
        for t in range(1, n):
            top = delta[0]
            for j in range(1, K):
                top = max(top, delta[j])
            if top > -np.inf:
                total += top
                for j in range(K):
                    delta[j] -= top
            for j in range(K):
                new[j] = delta[0] + A[0, j]
                back[t, j] = 0
            for i in range(1, K):
                for j in range(K):
                    through = delta[i] + A[i, j]
                    if through > new[j]:
                        new[j], back[t, j] = through, i  # (CR9)
            for j in range(K):
                delta[j] = z[b, t, j] + new[j]
        last = 0
        for j in range(1, K):
            if delta[j] + end[j] > delta[last] + end[last]:
                last = j
        score[b] = total + (delta[last] + end[last])
        for t in range(T - 1, -1, -1):
            if t >= n:
                path[b, t] = 0
                continue
            path[b, t] = last  # (CR10)
            if t:
                last = back[t, last]  # (CR10)
