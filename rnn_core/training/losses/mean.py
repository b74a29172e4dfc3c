"""What every loss ends in: the weighted mean, and the checks of what it is given.

::

    L = Σ_n w_n ℓ_n / Σ_n w_n                      (M1)   the weighted mean; w_n = 1 without weights
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array

from ...layers.checks import as_found, check_activations, first
from ...layers.home import move


class ElementTape(NamedTuple):
    """What the backward of an elementwise loss needs. Opaque to the caller."""

    dz: Array  # ∂ℓ_n/∂z_n
    dlosses: Any  # ∂L/∂ℓ_n: flat, or one number for all


def element_backward(tape: ElementTape) -> Array:
    """Return ∂L/∂z of a loss whose elements don't depend on each other."""
    xp = array_namespace(tape.dz)
    dlosses = tape.dlosses
    return tape.dz * (dlosses if isinstance(dlosses, float) else xp.reshape(dlosses, tape.dz.shape))


def weighted_mean(
    where: str, xp: Any, losses: Array, shape: tuple[int, ...], weights: Array | None
) -> tuple[Array, Any]:
    """Return L and ∂L/∂ℓ_n (flat, or one number for all), for losses that have `shape` where the user sees them."""
    losses = xp.reshape(losses, (-1,))
    w, total = counts(where, xp, real_part(xp, losses).dtype, shape, weights)
    if w is None:
        return xp.sum(losses) / total, 1 / total  # (M1), (M1′)
    # Where the weight is 0 the loss may be infinite, and counts nothing.
    return xp.sum(w * xp.where(w > 0, losses, 0)) / total, w / total  # (M1), (M1′)


def counts(
    where: str, xp: Any, dtype: Any, shape: tuple[int, ...], weights: Array | None
) -> tuple[Array | None, Any]:
    """Return how much each target counts (flat, where the losses are; None where all count alike), and the sum."""
    if weights is None:
        return None, prod(shape)
    weights = as_found(where, "weights", weights, xp)
    axes, shape = weights.ndim, tuple(shape)
    if tuple(weights.shape) != shape[:axes]:
        raise ValueError(
            f"{where}: weights must have shape {shape} or its first axes, got {tuple(weights.shape)}; "
            "one weight for each target, or for each row of targets"
        )
    possible = (weights >= 0) & (weights < xp.inf)
    if not possible.all():
        place = first(~possible)
        raise ValueError(f"{where}: weights must be finite and at least 0, got {weights[place]} at index {place}")
    there = array_namespace(weights)
    w = there.astype(weights, dtype)
    w = there.reshape(there.broadcast_to(there.reshape(w, shape[:axes] + (1,) * (len(shape) - axes)), shape), (-1,))
    total = there.sum(w)
    if total == 0:
        raise ValueError(f"{where}: weights must not all be zero; leave this batch out")
    return move(w, xp), total


def check_floating(where: str, xp: Any, z: Array, name: str = "logits") -> None:
    """Raise TypeError if these are no floating-point numbers."""
    if not xp.isdtype(z.dtype, ("real floating", "complex floating")):
        raise TypeError(f"{where}: {name} must be floating point, got {z.dtype}")


def check_elements(where: str, name: str, z: Array, targets: Array) -> tuple[Any, Array]:
    """Return the namespace, and the targets, where they are, as real numbers of the precision of z."""
    xp = array_namespace(z)
    check_floating(where, xp, z, name)
    targets = as_found(where, "targets", targets, xp)
    there = array_namespace(targets)
    if tuple(targets.shape) != tuple(z.shape):
        raise ValueError(
            f"{where}: targets must have shape {tuple(z.shape)}, as the {name}, got {tuple(targets.shape)}"
        )
    if 0 in z.shape:
        raise ValueError(f"{where}: {name} must hold at least one number, got shape {tuple(z.shape)}")
    if there.isdtype(targets.dtype, "complex floating"):
        raise TypeError(f"{where}: targets must be real, got {targets.dtype}")
    targets = there.astype(targets, real_part(xp, z).dtype)
    check_activations(where, name, z)
    check_activations(where, "targets", targets)
    return xp, targets


def real_part(xp: Any, z: Array) -> Array:
    """Return the real part, which alone may decide a branch."""
    return xp.real(z) if xp.isdtype(z.dtype, "complex floating") else z
