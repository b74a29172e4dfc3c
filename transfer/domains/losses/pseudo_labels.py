"""Pseudo-labels: what the network is sure of is taken for true, once its confidence has been calibrated.

::

    q_i = max_k softmax(z_i / T)_k,   y_i = argmax_k z_ik       (DA19)
    L = 1/m Σ_i [q_i ≥ τ] ℓ(z_i, y_i)                           (DA20)   ℓ of (S1)

T comes from `calibrate`, on rows of the source that nothing was trained on. Rows that the network is not sure of count
0, and in m: the fewer are sure, the less the loss weighs. Labels and choice are constants to the gradient.

References
----------
D.-H. Lee, "Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks", ICML 2013
workshop, equation 15. C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from kernels.contract import Array
from rnn_core.training import SoftmaxCrossEntropy
from rnn_core.training.losses.mean import real_part

from ...instances.rows import number
from .classes import probabilities
from .loss import NO_LAYERS, DomainLoss, Layers, Pull, Seen


class _Tape(NamedTuple):
    loss: Any  # None where no row is sure
    share: float
    zeros: Array


@dataclass(frozen=True)
class PseudoLabels(DomainLoss):
    """Cross-entropy with the network's own answers, where it is sure of them.

    Parameters
    ----------
    temperature : float
        T, above 0: what calibration has found.
    threshold : float
        τ, at least 0 and at most 1.
    """

    temperature: float = 1.0
    threshold: float = 0.95
    reads: ClassVar[tuple[str, ...]] = ("target_logits",)

    def __post_init__(self) -> None:
        number("PseudoLabels", "temperature", self.temperature, 0, above=True)
        if number("PseudoLabels", "threshold", self.threshold, 0) > 1:
            raise ValueError(f"PseudoLabels: threshold must be at most 1, got {self.threshold}")

    def forward(self, seen: Seen, layers: Layers = NO_LAYERS, progress: float = 1.0) -> tuple[Array, Any]:
        """Return the loss, and a tape; see `DomainLoss.forward`."""
        xp, (z,) = self.read(seen)
        labels = xp.argmax(real_part(xp, z), axis=1)  # (DA19)
        q = xp.max(real_part(xp, probabilities(z, self.temperature).p), axis=1)  # (DA19)
        sure = q >= self.threshold
        count = int(xp.sum(xp.astype(sure, xp.int64)))
        share = count / z.shape[0]
        if not count:
            return 0 * xp.sum(z), _Tape(None, share, 0 * z)
        loss, tape = SoftmaxCrossEntropy().forward(z, labels, sure)
        return share * loss, _Tape(tape, share, 0 * z)  # (DA20)

    def backward(self, tape: Any) -> Pull:
        """Return ∂L/∂target_logits."""
        if tape.loss is None:
            return Pull(target_logits=tape.zeros)
        return Pull(target_logits=tape.share * SoftmaxCrossEntropy().backward(tape.loss))  # (DA20′)
