"""Softmax and binary cross-entropy, from logits.

::

    ℓ_n = log Σ_k exp(z_nk) − z_{n,t_n}            (S1)   softmax cross-entropy; t_n is a class
    ℓ_n = log(1 + exp(z_n)) − t_n z_n              (B1)   binary cross-entropy; t_n is a probability

The forms on the code's lines are those of the equations, rearranged so that no exponential overflows and no
difference cancels: both value and gradient keep their relative accuracy, also where a network is sure of itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from kernels.contract import Array

from ...layers.checks import as_found, check_finite, check_range, first
from ...layers.home import move, on_gpu
from .mean import ElementTape, check_elements, check_floating, element_backward, real_part, weighted_mean


class SoftmaxCrossEntropy:
    """Softmax and cross-entropy in one, from logits and classes: (S1)."""

    def forward(self, logits: Array, targets: Array, weights: Array | None = None) -> tuple[Array, SoftmaxTape]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        logits : ndarray, shape (..., V)
            float32 or float64 (or complex128).
        targets : ndarray of int, shape (...)
            The right classes, each at least 0 and below V.
        weights : ndarray, shape (...) or the first axes of it, optional
            How much each target counts, at least 0. An integer weight counts as that many copies.

        Returns
        -------
        loss : scalar of the logits' dtype
            Weighted mean over the targets, in nats.
        tape : SoftmaxTape
            For `backward`, any number of times.

        Raises
        ------
        ValueError
            A shape does not fit, a target is out of range, a weight is negative, all are zero, or a value is NaN
            or infinite; the message says where. A logit of −∞ rules a class out, and is allowed.
        TypeError
            Logits are not floating point, or targets not integers.
        """
        where = "SoftmaxCrossEntropy.forward"
        xp = array_namespace(logits)
        check_floating(where, xp, logits)
        targets = as_found(where, "targets", targets, xp)
        check_classes(where, targets, tuple(logits.shape))
        V = logits.shape[-1]
        z, t = xp.reshape(logits, (-1, V)), xp.reshape(move(targets, xp), (-1,))
        n = xp.arange(z.shape[0])
        top = xp.argmax(real_part(xp, z), axis=1)
        z_top = z[n, top]
        if not on_gpu(z_top) and not xp.all(xp.isfinite(z_top)):
            check_finite(where, "logits", logits)
        # With z measured from the largest, that one's exponential is 1; `rest` is what the others add to it.
        z = z - z_top[:, None]
        z_t = z[n, t]
        e = xp.exp(z, out=z)
        e[n, top] = 0
        rest = xp.sum(e, axis=1)
        e[n, top] = 1
        losses = xp.log1p(rest) - z_t  # (S1)
        loss, dlosses = weighted_mean(where, xp, losses, targets.shape, weights)  # (M1)
        return loss, SoftmaxTape(e, rest, top, t, dlosses, tuple(logits.shape))

    def backward(self, tape: SoftmaxTape) -> Array:
        """Return ∂L/∂logits, shape (..., V): dz_nk = (softmax(z_n)_k − [k = t_n])·dℓ_n."""
        e, rest, top, t, dlosses, shape = tape
        xp = array_namespace(e)
        n = xp.arange(e.shape[0])
        scale = dlosses / (1 + rest)  # (M1′)
        dz = e * scale[:, None]  # (S1′) off the target
        dz[n, t] = xp.where(t == top, -rest, e[n, t] - (1 + rest)) * scale  # (S1′) on it: softmax − 1
        return xp.reshape(dz, shape)


class BinaryCrossEntropy:
    """Sigmoid and cross-entropy in one, from logits and probabilities: (B1)."""

    def forward(self, logits: Array, targets: Array, weights: Array | None = None) -> tuple[Array, ElementTape]:
        """Return the loss, and a tape for `backward`.

        Parameters
        ----------
        logits : ndarray, any shape
            float32 or float64 (or complex128).
        targets : ndarray, shape of logits
            0 or 1 (any dtype), or a probability in between.
        weights : ndarray, shape of logits or the first axes of it, optional
            How much each target counts, at least 0. An integer weight counts as that many copies.

        Returns
        -------
        loss : scalar of the logits' dtype
            Weighted mean over the elements, in nats.
        tape : ElementTape
            For `backward`, any number of times.

        Raises
        ------
        ValueError
            A shape does not fit, a target is outside [0, 1], a weight is negative, all are zero, or a value is NaN
            or infinite; the message says where.
        TypeError
            Logits are not floating point.
        """
        where = "BinaryCrossEntropy.forward"
        xp, t = check_elements(where, "logits", logits, targets)
        possible = (t >= 0) & (t <= 1)
        if not possible.all():
            place = first(~possible)
            raise ValueError(f"{where}: targets must be in [0, 1], got {t[place]} at index {place}")
        t = move(t, xp)
        positive = real_part(xp, logits) >= 0
        e = xp.exp(xp.where(positive, -logits, logits))
        losses = xp.where(positive, (1 - t) * logits, -t * logits) + xp.log1p(e)  # (B1)
        loss, dlosses = weighted_mean(where, xp, losses, logits.shape, weights)  # (M1)
        larger, smaller = 1 / (1 + e), e / (1 + e)
        # σ(z) − t as a difference of products loses nothing where σ(z) is close to t.
        dz = (1 - t) * xp.where(positive, larger, smaller) - t * xp.where(positive, smaller, larger)  # (B1′)
        return loss, ElementTape(dz, dlosses)

    def backward(self, tape: ElementTape) -> Array:
        """Return ∂L/∂logits, shape of logits: dz_n = (σ(z_n) − t_n)·dℓ_n."""
        return element_backward(tape)  # (B1′), (M1′)


class SoftmaxTape(NamedTuple):
    """What `SoftmaxCrossEntropy.backward` needs. Opaque to the caller."""

    e: Array  # (N, V), exp(z_nk − max_k z_nk)
    rest: Array  # (N,), Σ_k e_nk without the largest, which is 1
    top: Array  # (N,), where the largest stands
    t: Array  # (N,), the targets
    dlosses: Any  # ∂L/∂ℓ_n: (N,), or one number for all
    shape: tuple[int, ...]


def check_classes(where: str, targets: Array, logits: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError if targets are no numbers of classes, one for each row of logits of this shape."""
    if not logits or tuple(targets.shape) != logits[:-1]:
        raise ValueError(
            f"{where}: targets must have shape {logits[:-1]}, the logits' without the last axis, "
            f"got {tuple(targets.shape)}"
        )
    if 0 in logits:
        raise ValueError(f"{where}: logits must hold at least one row and class, got shape {logits}")
    if not array_namespace(targets).isdtype(targets.dtype, "integral"):
        raise TypeError(f"{where}: targets must be integers, the numbers of the right classes, got {targets.dtype}")
    check_range(where, "targets", targets, logits[-1], f"the logits have {logits[-1]} classes")
