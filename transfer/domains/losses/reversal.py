"""The reversal of a gradient: what is above learns to tell the domains apart, what is below to make it fail.

::

    R(x) = x,   dx = −λ dR                         (DA8)
    λ(p) = 2 / (1 + exp(−γ p)) − 1                 (DA9)   p from 0 to 1 over the training

The loss above the reversal is made small by its own parameters φ and large by all that lies below, θ: the backward is
not the derivative of the forward, but −λ times it. With λ from 0 on, the features are not yet pulled about by a critic
that has learned nothing.

References
----------
Y. Ganin, V. Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015, arXiv:1409.7495v2: the layer in
section 3, the schedule, with γ = 10, in section 4.
"""

from __future__ import annotations

from math import tanh

from kernels.contract import Array


def reverse(x: Array) -> Array:
    """Return x."""
    return x  # (DA8)


def reverse_backward(dx: Array, strength: float) -> Array:
    """Return −λ times the gradient."""
    return -strength * dx  # (DA8′)


def reversal_strength(progress: float, steepness: float = 10.0) -> float:
    """Return λ for the share of the training that is over.

    Parameters
    ----------
    progress : float
        p, from 0 to 1.
    steepness : float
        γ, above 0; infinity reverses in full from the first step on.

    Raises
    ------
    ValueError
        A number is out of range.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"reversal_strength: progress must be from 0 to 1, got {progress}")
    if not steepness > 0:
        raise ValueError(f"reversal_strength: steepness must be above 0, got {steepness}")
    if steepness == float("inf"):
        return 1.0
    return tanh(steepness * progress / 2)  # (DA9): 2 / (1 + e^{−a}) − 1 = tanh(a/2), without the difference
