"""Entropy minimisation: the network should be sure of the target's rows, so that its boundaries run where few lie.

::

    L = 1/m Σ_i H_i                                (DA18)   H of (DA2), at temperature 1

References
----------
Y. Grandvalet, Y. Bengio, "Semi-supervised learning by entropy minimization", NIPS 2004, equation 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from kernels.contract import Array

from .classes import entropy, entropy_backward, probabilities
from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen


@dataclass(frozen=True)
class EntropyMinimisation(DomainLoss):
    """The mean entropy of what the network says of the target's rows, in nats."""

    reads: ClassVar[tuple[str, ...]] = ("target_logits",)

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the mean entropy, and a tape; see `DomainLoss.forward`."""
        xp, (z,) = self.read(seen)
        found = probabilities(z)
        H = entropy(found)
        return xp.sum(H) / z.shape[0], (found, H)  # (DA18)

    def backward(self, tape: Any) -> Pull:
        """Return ∂L/∂target_logits."""
        found, H = tape
        return Pull(target_logits=entropy_backward(found, H, 1 / H.shape[0]))  # (DA18′)
