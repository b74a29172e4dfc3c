"""Probabilities of classes, and how sure they are; forward above backward.

::

    p_ik = exp(z_ik / T) / Σ_j exp(z_ij / T)       (DA1)   softmax at temperature T
    H_i  = −Σ_k p_ik log p_ik                      (DA2)   entropy of a row

log p comes from the logits and not from p, so that p log p is 0 and no NaN where p has underflowed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.training.losses.mean import real_part


class Probabilities(NamedTuple):
    """What logits say of the classes."""

    p: Array  # (N, K)
    log_p: Array  # (N, K)
    temperature: float


def probabilities(z: Array, temperature: float = 1.0) -> Probabilities:
    """Return probabilities of classes from logits (N, K)."""
    xp = array_namespace(z)
    z = z / temperature
    top = xp.argmax(real_part(xp, z), axis=1)
    z = z - z[xp.arange(z.shape[0]), top][:, None]  # no exponential overflows
    log_p = z - xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
    return Probabilities(xp.exp(log_p), log_p, temperature)  # (DA1)


def probabilities_backward(found: Probabilities, dp: Array) -> Array:
    """Return ∂L/∂z from ∂L/∂p: dz_ik = p_ik (dp_ik − Σ_j p_ij dp_ij) / T."""
    xp, p = array_namespace(dp), found.p
    return p * (dp - xp.sum(p * dp, axis=1, keepdims=True)) / found.temperature  # (DA1′)


def entropy(found: Probabilities) -> Array:
    """Return H of each row, (N,)."""
    return -array_namespace(found.p).sum(found.p * found.log_p, axis=1)  # (DA2)


def entropy_backward(found: Probabilities, H: Array, dH: Any) -> Array:
    """Return ∂L/∂z from ∂L/∂H: dz_ik = −p_ik (log p_ik + H_i) dH_i / T."""
    return -found.p * (found.log_p + H[:, None]) * dH / found.temperature  # (DA2′)
