"""Deep CORAL: the distance between the covariances of two domains, as a loss.

::

    C = Xᵀ X / (n − 1)   of centred rows X               (DA6)
    L = ‖C_s − C_t‖² / (4 F²)                            (DA7)

`transfer.instances.alignment.coral` makes them equal by a map of features that stay; here the features learn.

References
----------
B. Sun, K. Saenko, "Deep CORAL: correlation alignment for deep domain adaptation", ECCV 2016 workshops,
arXiv:1607.01719v1, equations 1 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from kernels.contract import Array

from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen


class _Tape(NamedTuple):
    rows: tuple[Array, Array]  # centred, of source and target
    difference: Array  # (F, F), C_s − C_t


@dataclass(frozen=True)
class DeepCORAL(DomainLoss):
    """Squared distance of the covariances, over 4F². Means may differ as they like."""

    reads: ClassVar[tuple[str, ...]] = ("source", "target")

    @property
    def fewest(self) -> int:
        """Two: one row has no covariance."""
        return 2

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the distance, and a tape; see `DomainLoss.forward`."""
        xp, found = self.read(seen)
        source, target = (x - xp.sum(x, axis=0) / x.shape[0] for x in found)
        difference = covariance(source) - covariance(target)
        loss = xp.sum(difference * difference) / (4 * source.shape[1] ** 2)  # (DA7)
        return loss, _Tape((source, target), difference)

    def backward(self, tape: Any) -> Pull:
        """Return ∂L/∂source and ∂L/∂target."""
        (source, target), difference = tape
        dC = difference / (2 * source.shape[1] ** 2)  # (DA7′)
        return Pull(covariance_backward(source, dC), covariance_backward(target, -dC))


def covariance(centred: Array) -> Array:
    """Return the covariance (F, F) of centred rows (n, F)."""
    return centred.T @ centred / (centred.shape[0] - 1)  # (DA6)


def covariance_backward(centred: Array, dC: Array) -> Array:
    """Return ∂L/∂x of the rows before they were centred, from a symmetric ∂L/∂C.

    Nothing has to be done for the mean: centred rows add up to 0, and so do these.
    """
    return 2 * (centred @ dC) / (centred.shape[0] - 1)  # (DA6′)
