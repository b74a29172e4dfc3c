"""What a gate is: a number between 0 and 1, in an array's own namespace."""

from __future__ import annotations

from array_api_compat import array_namespace

from kernels.contract import Array


def sigmoid(a: Array) -> Array:
    """Return σ(a) = 1/(1 + e^{−a}), without overflow; complex numbers by the sign of their real part."""
    xp = array_namespace(a)
    positive = (xp.real(a) if xp.isdtype(a.dtype, "complex floating") else a) >= 0
    e = xp.exp(xp.where(positive, -a, a))
    return xp.where(positive, 1, e) / (1 + e)
