"""Squared error.

::

    ℓ_n = (z_n − t_n)²                             (Q1)   without a factor ½
"""

from __future__ import annotations

from kernels.contract import Array

from ...layers.home import move
from .mean import ElementTape, check_elements, element_backward, weighted_mean


class SquaredError:
    """Mean of squares over all elements, without a factor ½: (Q1)."""

    def forward(self, outputs: Array, targets: Array, weights: Array | None = None) -> tuple[Array, ElementTape]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        outputs : ndarray, any shape
            float32 or float64 (or complex128).
        targets : ndarray, shape of outputs
        weights : ndarray, shape of outputs or the first axes of it, optional
            How much each element counts, at least 0. An integer weight counts as that many copies.

        Returns
        -------
        loss : scalar of the outputs' dtype
            Weighted mean over the elements.
        tape : ElementTape
            For `backward`, any number of times.

        Raises
        ------
        ValueError
            A shape does not fit, a weight is negative, all are zero, or a value is NaN or infinite; the message
            says where.
        TypeError
            Outputs are not floating point.
        """
        where = "SquaredError.forward"
        xp, t = check_elements(where, "outputs", outputs, targets)
        difference = outputs - move(t, xp)
        losses = difference * difference  # (Q1)
        loss, dlosses = weighted_mean(where, xp, losses, outputs.shape, weights)  # (M1)
        return loss, ElementTape(2 * difference, dlosses)  # (Q1′)

    def backward(self, tape: ElementTape) -> Array:
        """Return ∂L/∂outputs, shape of outputs: dz_n = 2 (z_n − t_n)·dℓ_n."""
        return element_backward(tape)  # (Q1′), (M1′)
