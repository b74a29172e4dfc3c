"""s(x) = log(1 + eˣ), in operators that every backend has."""

from __future__ import annotations

from typing import Any

from ..cell import exp, log, maximum, minimum


def softplus(x: Any) -> Any:
    """Return log(1 + eˣ) = max(x, 0) + log(1 + e^{−|x|}), which never overflows; its derivative is σ(x)."""
    return maximum(x, 0) + log(1 + exp(minimum(x, -x)))
