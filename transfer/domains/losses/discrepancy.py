"""Maximum mean discrepancy: the squared distance between the means of two domains in the space of a kernel.

::

    k(x, y) = 1/U Σ_u exp(−‖x − y‖² / (2 c_u σ²))                                     (DA3)
    L = 1/n² Σ_ij k(s_i, s_j) + 1/m² Σ_ij k(t_i, t_j) − 2/(nm) Σ_ij k(s_i, t_j)       (DA4)   biased
    L = 1/(n(n−1)) Σ_{i≠j} k(s_i, s_j) + 1/(m(m−1)) Σ_{i≠j} … − 2/(nm) Σ_ij k(s_i, t_j)  (DA5)   unbiased

σ² is the median of the squared distances between all rows of both domains. It is measured anew in each batch, and is a
constant to the gradient: what is learned is to bring the domains together on the scale there is, and not to change it.

References
----------
A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola, "A kernel two-sample test", JMLR 13 (2012) 723-773,
equation 3 and lemma 6. M. Long, Y. Cao, J. Wang, M. Jordan, "Learning transferable features with deep adaptation
networks", ICML 2015: several kernels, in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from kernels.contract import Array
from rnn_core.layers.checks import flag
from rnn_core.training.losses.mean import real_part

from ...instances.rows import number
from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen

AT_ONCE = 1 << 21
"""Differences of single features that are held at a time."""


class _Tape(NamedTuple):
    x: Array  # (n + m, F), source before target, measured from their mean
    pulls: Array  # (n + m, n + m), ∂L/∂‖x_i − x_j‖², symmetric
    n: int
    xp: Any


@dataclass(frozen=True)
class MMD(DomainLoss):
    """Maximum mean discrepancy with several Gaussian kernels.

    Parameters
    ----------
    factors : tuple of float
        c_u: the kernels' variances as multiples of σ².
    bandwidth : float, optional
        σ; without it the root of the median squared distance in the batch.
    unbiased : bool
        Leave out the distance of each row to itself: the expectation is then that of all data, and 0 where the domains
        are one; a batch's value may be below 0. Wants two rows of each domain.
    """

    factors: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    bandwidth: float | None = None
    unbiased: bool = False
    reads: ClassVar[tuple[str, ...]] = ("source", "target")

    def __post_init__(self) -> None:
        if not self.factors:
            raise ValueError("MMD: factors must be one or more, got none")
        object.__setattr__(self, "factors", tuple(number("MMD", "factors", c, 0, above=True) for c in self.factors))
        if self.bandwidth is not None:
            number("MMD", "bandwidth", self.bandwidth, 0, above=True)
        flag("MMD", "unbiased", self.unbiased)

    @property
    def fewest(self) -> int:
        """Two, if a row's distance to itself doesn't count."""
        return 2 if self.unbiased else 1

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the discrepancy, and a tape; see `DomainLoss.forward`."""
        xp, (source, target) = self.read(seen)
        n, x = source.shape[0], xp.concat([source, target])
        x = x - xp.sum(x, axis=0) / x.shape[0]  # distances stay; what is far from 0 would round them in the backward
        d = squared_distances(xp, x)
        variance = median(xp, d) if self.bandwidth is None else self.bandwidth**2
        k, slope = 0 * d, 0 * d
        for c in self.factors:
            e = xp.exp(-d / (2 * c * variance)) / len(self.factors)
            k = k + e  # (DA3)
            slope = slope - e / (2 * c * variance)  # (DA3′)
        within_source = within(xp, k[:n, :n], self.unbiased)
        within_target = within(xp, k[n:, n:], self.unbiased)
        loss = within_source + within_target - 2 * xp.mean(k[:n, n:])  # (DA4), (DA5)
        return loss, _Tape(x, slope * shares(xp, n, x.shape[0] - n, self.unbiased, real_part(xp, x).dtype), n, xp)

    def backward(self, tape: Any) -> Pull:
        """Return ∂L/∂source and ∂L/∂target: dx_i = 4 Σ_j a_ij k′_ij (x_i − x_j)."""
        x, pulls, n, xp = tape
        dx = 4 * (xp.sum(pulls, axis=1)[:, None] * x - pulls @ x)  # (DA3′)
        return Pull(dx[:n], dx[n:])


def within(xp: Any, k: Array, unbiased: bool) -> Array:
    """Return the mean of a domain's own kernel, with or without its diagonal."""
    n = k.shape[0]
    if not unbiased:
        return xp.mean(k)  # (DA4)
    return (xp.sum(k) - xp.sum(xp.linalg.diagonal(k))) / (n * (n - 1))  # (DA5)


def shares(xp: Any, n: int, m: int, unbiased: bool, dtype: Any) -> Array:
    """Return a_ij = ∂L/∂k_ij of all pairs, (n + m, n + m)."""
    own = [1 / (rows * (rows - 1)) if unbiased else 1 / rows**2 for rows in (n, m)]
    is_source = xp.arange(n + m) < n
    both = is_source[:, None] & is_source[None, :]
    neither = ~(is_source[:, None] | is_source[None, :])
    # The diagonal's share is left in: its distances are 0 whatever the rows are, and pull at nothing.
    return xp.astype(xp.where(both, own[0], xp.where(neither, own[1], -1 / (n * m))), dtype)  # (DA4′), (DA5′)


def squared_distances(xp: Any, x: Array) -> Array:
    """Return ‖x_i − x_j‖² of all pairs, (N, N), from differences: products would cancel where rows are alike."""
    step = max(1, AT_ONCE // max(1, x.shape[0] * x.shape[1]))
    parts = []
    for begin in range(0, x.shape[0], step):
        difference = x[begin : begin + step, None, :] - x[None, :, :]
        parts.append(xp.sum(difference * difference, axis=2))
    return xp.concat(parts)


def median(xp: Any, d: Array) -> float:
    """Return the median of the distances between different rows; of two in the middle the larger.

    Where it is 0, since most rows are the same, the mean takes its place, and 1 where all are.
    """
    places = xp.arange(d.shape[0])
    pairs = xp.sort(real_part(xp, d)[places[:, None] < places[None, :]])
    found = float(pairs[pairs.shape[0] // 2])
    return found or float(xp.mean(pairs)) or 1.0
