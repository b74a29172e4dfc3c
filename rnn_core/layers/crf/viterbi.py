"""The best path: dynamic programming forwards, and back along what it chose.

::

    δ_1 = start + z_1,   δ_t(j) = z_t(j) + max_i (δ_{t−1}(i) + A(i, j)),   b_t(j) = the i at which it is     (CR9)
    y_ℓ = argmax_j (δ_ℓ(j) + end(j)),   y_{t−1} = b_t(y_t)                                                (CR10)

References
----------
A. J. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", IEEE
Transactions on Information Theory 13 (1967) 260-269.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from kernels.contract import Array

from .chain import Chain, largest


def best_paths(z: Array, chain: Chain, valid: Array | None) -> tuple[Array, Array]:
    """Return the best path of each row (T, B), and its score s(y) (B,); −∞ where there is no path at all.

    Of paths that are equally good one comes back, always the same. Past a row's length stands its last tag.

    Parameters
    ----------
    z : ndarray, shape (T, K, B)
        Real.
    chain : Chain
    valid : ndarray of bool, shape (T, B), optional
    """
    xp = array_namespace(z)
    T, K, _ = z.shape
    delta, score = chain.start[:, None] + z[0], 0  # (CR9)
    stay = xp.arange(K)[:, None]
    back = []
    for t in range(1, T):
        top = largest(delta)  # measured from the best, as α is: rounding doesn't grow with the steps
        delta, score = delta - top, score + top
        through = delta[:, None, :] + chain.transitions[:, :, None]
        best, b = z[t] + xp.max(through, axis=0), xp.argmax(through, axis=0)  # (CR9)
        if valid is not None:
            best, b = xp.where(valid[t], best, delta), xp.where(valid[t], b, stay)
        delta = best
        back.append(b)
    ending = delta + chain.end[:, None]
    score = score + xp.max(ending, axis=0)
    path = [xp.argmax(ending, axis=0)]  # (CR10)
    for b in reversed(back):
        path.append(xp.take_along_axis(b, path[-1][None], axis=0)[0])  # (CR10)
    return xp.stack(path[::-1]), score
