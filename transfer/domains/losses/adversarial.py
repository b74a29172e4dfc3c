"""Domain-adversarial training: a critic learns which domain a row is of, and the features learn to keep it from that.

::

    d = w_2 · max(0, W_1 R(f) + b_1) + b_2         (DA10)   R reverses the gradient, (DA8)
    L = ½ Σ_i v_i log(1 + e^{−d_i}) + ½ Σ_j v_j log(1 + e^{d_j}),   Σ_i v_i = Σ_j v_j = 1      (DA11)

i runs over the source, j over the target. v = 1/n and 1/m, so that both domains count alike, however many rows they
have.

References
----------
Y. Ganin and others, "Domain-adversarial training of neural networks", JMLR 17 (2016) 59:1-35, equations 9 to 18.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.layers.checks import positive_int
from rnn_core.layers.linear import Linear
from rnn_core.training import BinaryCrossEntropy
from rnn_core.training.losses.mean import real_part

from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen
from .reversal import reversal_strength, reverse, reverse_backward

CRITIC = ("hidden", "output")
"""The layers of a critic, from below."""


class CriticTape(NamedTuple):
    """What the critic's backward needs."""

    layers: Layers
    hidden: Any
    positive: Array  # where the hidden units let through
    output: Any
    loss: Any
    strength: float


@dataclass(frozen=True)
class DomainAdversarial(DomainLoss):
    """A critic of the features, behind a reversed gradient.

    Parameters
    ----------
    hidden : int
        Units of the critic's one hidden layer.
    steepness : float
        γ: how fast the reversal's strength λ rises from 0 to 1; infinity for 1 at once.

    Notes
    -----
    What `backward` gives of the features is −λ ∂L/∂f; of the critic's parameters it is ∂L/∂φ.
    """

    hidden: int = 64
    steepness: float = 10.0
    reads: ClassVar[tuple[str, ...]] = ("source", "target")

    def __post_init__(self) -> None:
        positive_int(type(self).__name__, "hidden", self.hidden)
        reversal_strength(0.0, self.steepness)

    def layers(self, features: int, classes: int, **options: Any) -> dict[str, Linear]:
        """Return the critic's two layers."""
        return critic(features, self.hidden, **options)

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the critic's loss, and a tape; see `DomainLoss.forward`."""
        xp, (source, target) = self.read(seen)
        checked_critic("DomainAdversarial.forward", layers)
        n, m = source.shape[0], target.shape[0]
        v = balanced(xp, xp.ones(n), xp.ones(m))
        loss, tape = criticise(layers, xp.concat([source, target]), v, n, reversal_strength(progress, self.steepness))
        return loss, (tape, n)

    def backward(self, tape: Any) -> Pull:
        """Return −λ ∂L/∂source and −λ ∂L/∂target, and the critic's gradients."""
        tape, n = tape
        dx, parameters = criticise_backward(tape)
        return Pull(dx[:n], dx[n:], parameters=parameters)


def critic(width: int, hidden: int, *, seed: int | None = None, **options: Any) -> dict[str, Linear]:
    """Return fresh layers that tell domains apart by `width` numbers."""
    first, second = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))
    return {"hidden": Linear(width, hidden, seed=first, **options), "output": Linear(hidden, 1, seed=second, **options)}


def checked_critic(where: str, layers: Layers) -> None:
    """Raise if a critic's layers are not there."""
    if set(layers) != set(CRITIC):
        raise ValueError(
            f"{where}: layers must be the critic's, {' and '.join(CRITIC)}, got {', '.join(layers) or 'none'}; "
            "the loss's own layers() makes them"
        )


def balanced(xp: Any, source: Array, target: Array) -> Array:
    """Return weights of all rows, source before target: each domain's in their proportion, with a sum of ½."""
    return xp.concat([source / (2 * xp.sum(source)), target / (2 * xp.sum(target))])  # (DA11)


def criticise(layers: Layers, x: Array, v: Array, n: int, strength: float) -> tuple[Array, CriticTape]:
    """Return how badly a critic tells the first n rows (N, width) from the others, and a tape."""
    xp = array_namespace(x)
    a, hidden = layers["hidden"].forward(reverse(x))  # (DA8)
    positive = real_part(xp, a) > 0
    d, output = layers["output"].forward(xp.where(positive, a, 0))  # (DA10)
    of_source = xp.astype(xp.arange(x.shape[0]) < n, real_part(xp, x).dtype)
    loss, tape = BinaryCrossEntropy().forward(d[:, 0], of_source, v)  # (DA11)
    return loss, CriticTape(layers, hidden, positive, output, tape, strength)


def criticise_backward(tape: CriticTape) -> tuple[Array, Mapping[str, Array]]:
    """Return −λ ∂L/∂x and the gradients of the critic's parameters."""
    dd = BinaryCrossEntropy().backward(tape.loss)[:, None]  # (DA11′)
    da, of_output = tape.layers["output"].backward(tape.output, dd)  # (DA10′)
    da = da * tape.positive  # (DA10′)
    dx, of_hidden = tape.layers["hidden"].backward(tape.hidden, da)  # (DA10′)
    gradients = {f"hidden.{name}": gradient for name, gradient in of_hidden.items()}
    gradients |= {f"output.{name}": gradient for name, gradient in of_output.items()}
    return reverse_backward(dx, tape.strength), gradients  # (DA8′)
