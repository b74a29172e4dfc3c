"""Layer normalisation of one row's units, and its backward, as the variants share it.

::

    u = v − mean(v)                    (LN1)
    s = √(mean(u ⊙ u) + ε)             (LN2)
    v̂ = u / s                          (LN3)

The mean is over the units of a row, so v̂ has mean 0 and, but for ε, variance 1, in each row and step by itself. Gains
and shifts are the cell's.

References
----------
.. [1] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", arXiv:1607.06450v1 (2016): equations (15) and (16) of
   its supplementary material, where there is no ε.
"""

from __future__ import annotations

from typing import Any

from ...cell import mean, sqrt


def centred(v: Any) -> Any:
    """Return u, a row without its mean."""
    return v - mean(v)  # (LN1)


def deviation(u: Any, eps: Any) -> Any:
    """Return s, the standard deviation of a row that is centred, and the same for all of its units."""
    return sqrt(mean(u * u) + eps)  # (LN2)


def normalised(u: Any, s: Any) -> Any:
    """Return v̂."""
    return u / s  # (LN3)


def normalised_backward(dv_hat: Any, v_hat: Any, s: Any) -> Any:
    """Return dv from ∂L/∂v̂, through (LN3), (LN2) and (LN1) at once."""
    return (dv_hat - mean(dv_hat) - v_hat * mean(dv_hat * v_hat)) / s  # (LN1′), (LN2′), (LN3′)
