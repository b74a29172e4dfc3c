"""Conditional adversarial training: the critic sees what the features are together with what the network says of them.

::

    h_i = f_i ⊗ p_i                                (DA12)   all products f_ia p_ik, or, where these are many,
    h_i = (f_i A) ⊙ (p_i B) / √D                   (DA13)   A and B drawn once, of standard normal numbers
    v_i ∝ 1 + e^{−H(p_i)}                          (DA14)   rows that the network is sure of count more

h takes the place of f in (DA10) and (DA11).

References
----------
M. Long, Z. Cao, J. Wang, M. Jordan, "Conditional adversarial domain adaptation", NeurIPS 2018, arXiv:1705.10667v4,
equations 4 to 8. The gradient flows back through f and p alike; v is a constant to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kernels.contract import Array
from rnn_core.layers.checks import flag, positive_int
from rnn_core.layers.linear import Linear
from rnn_core.training.losses.mean import real_part

from .adversarial import balanced, checked_critic, critic, criticise, criticise_backward
from .classes import Probabilities, entropy, probabilities, probabilities_backward
from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen
from .reversal import reversal_strength

MOST_PRODUCTS = 4096
"""F·K up to which the critic sees all products; the paper's bound."""

DRAWN = 1024
"""D, where they are more."""


class _Tape(NamedTuple):
    f: Array
    found: Probabilities
    drawn: tuple[Array, Array] | None  # A and B; None where all products are taken
    critic: Any
    n: int
    xp: Any


@dataclass(frozen=True)
class ConditionalAdversarial(DomainLoss):
    """CDAN: a critic of features and answers, behind a reversed gradient.

    Parameters
    ----------
    hidden : int
        Units of the critic's one hidden layer.
    steepness : float
        γ, as of `DomainAdversarial`.
    entropy : bool
        Let sure rows count more (CDAN+E).
    dimensions : int, optional
        D of the drawn form. Without it all products are taken up to 4096, and 1024 drawn ones beyond.
    seed : int
        Draws A and B.
    """

    hidden: int = 64
    steepness: float = 10.0
    entropy: bool = True
    dimensions: int | None = None
    seed: int = 0
    reads: ClassVar[tuple[str, ...]] = ("source", "target", "source_logits", "target_logits")

    def __post_init__(self) -> None:
        where = "ConditionalAdversarial"
        positive_int(where, "hidden", self.hidden)
        reversal_strength(0.0, self.steepness)
        flag(where, "entropy", self.entropy)
        if self.dimensions is not None:
            positive_int(where, "dimensions", self.dimensions)

    def width(self, features: int, classes: int) -> int:
        """Return how many numbers the critic sees of a row."""
        if self.dimensions is not None:
            return self.dimensions
        return features * classes if features * classes <= MOST_PRODUCTS else DRAWN

    def layers(self, features: int, classes: int, **options: Any) -> dict[str, Linear]:
        """Return the critic's two layers."""
        return critic(self.width(features, classes), self.hidden, **options)

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the critic's loss, and a tape; see `DomainLoss.forward`."""
        xp, (source, target, z_source, z_target) = self.read(seen)
        checked_critic("ConditionalAdversarial.forward", layers)
        n, f = source.shape[0], xp.concat([source, target])
        found = probabilities(xp.concat([z_source, z_target]))
        drawn = self._drawn(xp, f, found.p)
        if drawn is None:
            h = xp.reshape(f[:, :, None] * found.p[:, None, :], (f.shape[0], -1))  # (DA12)
        else:
            h = (f @ drawn[0]) * (found.p @ drawn[1]) / sqrt(drawn[0].shape[1])  # (DA13)
        sure = xp.ones(f.shape[0])
        if self.entropy:
            sure = 1 + xp.exp(-real_part(xp, entropy(found)))  # (DA14)
        strength = reversal_strength(progress, self.steepness)
        loss, tape = criticise(layers, h, balanced(xp, sure[:n], sure[n:]), n, strength)
        return loss, _Tape(f, found, drawn, tape, n, xp)

    def backward(self, tape: Any) -> Pull:
        """Return −λ ∂L/∂ all that was read, and the critic's gradients."""
        f, found, drawn, critic_tape, n, xp = tape
        dh, parameters = criticise_backward(critic_tape)
        if drawn is None:
            dh = xp.reshape(dh, (*f.shape, -1))
            df = xp.sum(dh * found.p[:, None, :], axis=2)  # (DA12′)
            dp = xp.sum(dh * f[:, :, None], axis=1)  # (DA12′)
        else:
            A, B = drawn
            dh = dh / sqrt(A.shape[1])
            df = (dh * (found.p @ B)) @ A.T  # (DA13′)
            dp = (dh * (f @ A)) @ B.T  # (DA13′)
        dz = probabilities_backward(found, dp)  # (DA1′)
        return Pull(df[:n], df[n:], dz[:n], dz[n:], parameters)

    def _drawn(self, xp: Any, f: Array, p: Array) -> tuple[Array, Array] | None:
        F, K = f.shape[1], p.shape[1]
        if self.dimensions is None and F * K <= MOST_PRODUCTS:
            return None
        A, B = _matrices(F, K, self.width(F, K), self.seed)
        return xp.asarray(A, dtype=f.dtype), xp.asarray(B, dtype=f.dtype)


@lru_cache(maxsize=8)
def _matrices(F: int, K: int, D: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((F, D)), rng.standard_normal((K, D))
