"""Minimum class confusion: rows of the target should not hesitate between the same two classes.

::

    w_i = m (1 + e^{−H_i}) / Σ_j (1 + e^{−H_j})            (DA15)   sure rows count more
    C_kl = Σ_i p_ik w_i p_il                               (DA16)   p at temperature T, (DA1)
    L = 1/K Σ_{k≠l} C_kl / Σ_j C_kj                        (DA17)

w is a constant to the gradient. No source is needed, and no critic.

References
----------
Y. Jin, X. Wang, M. Long, J. Wang, "Minimum class confusion for versatile domain adaptation", ECCV 2020,
arXiv:1912.03699v3, equations 2 to 6, with T = 2.5 for most of their data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from kernels.contract import Array
from rnn_core.training.losses.mean import real_part

from ...instances.rows import number
from .classes import Probabilities, entropy, probabilities, probabilities_backward
from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen


class _Tape(NamedTuple):
    found: Probabilities
    w: Array  # (m,)
    sums: Array  # (K, 1), Σ_j C_kj, where it isn't 0
    off: Array  # (K, 1), the row's part of K·L
    apart: Array  # (K, K), 1 off the diagonal
    xp: Any


@dataclass(frozen=True)
class ClassConfusion(DomainLoss):
    """The share of a class's correlation that it has with other classes, on the target's rows.

    Parameters
    ----------
    temperature : float
        T, above 0.
    """

    temperature: float = 2.5
    reads: ClassVar[tuple[str, ...]] = ("target_logits",)

    def __post_init__(self) -> None:
        number("ClassConfusion", "temperature", self.temperature, 0, above=True)

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the confusion, and a tape; see `DomainLoss.forward`."""
        xp, (z,) = self.read(seen)
        found, K = probabilities(z, self.temperature), z.shape[1]
        sure = 1 + xp.exp(-real_part(xp, entropy(found)))
        w = sure * (z.shape[0] / xp.sum(sure))  # (DA15)
        C = found.p.T @ (w[:, None] * found.p)  # (DA16)
        apart = 1 - xp.eye(K, dtype=real_part(xp, z).dtype)
        sums = xp.sum(C, axis=1, keepdims=True)
        sums = xp.where(real_part(xp, sums) > 0, sums, 1)  # of a class whose probabilities have all underflowed
        off = xp.sum(C * apart, axis=1, keepdims=True) / sums
        return xp.sum(off) / K, _Tape(found, w, sums, off, apart, xp)  # (DA17)

    def backward(self, tape: Any) -> Pull:
        """Return ∂L/∂target_logits."""
        found, w, sums, off, apart, xp = tape
        dC = (apart - off) / (sums * apart.shape[0])  # (DA17′)
        dp = w[:, None] * (found.p @ (dC + dC.T))  # (DA16′)
        return Pull(target_logits=probabilities_backward(found, dp))  # (DA1′)
