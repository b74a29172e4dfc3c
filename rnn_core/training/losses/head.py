"""Softmax cross-entropy of what a head says, from what the head reads: in one pass, where its backend has that.

::

    z = W p + b                                    (F1)
    L = Σ_n w_n (log Σ_k exp(z_nk) − z_{n,t_n}) / Σ_n w_n      (S1), (M1)

The logits of a language model, (B·T, V), are by far the largest array of its step. Here a block of rows is turned into
losses and gradients at a time. Elsewhere, and for what is small, `Linear` and `SoftmaxCrossEntropy` do the same in
turn.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ... import backends
from ...layers.home import HOST, move
from ...layers.linear import Linear
from .cross_entropy import SoftmaxCrossEntropy, check_classes
from .mean import counts

SMALL = 1 << 16
"""Terms of a product, rows · numbers · classes, below which the layers in turn are as fast: NumPy's products then stay
on one thread, and nothing needs to be compiled."""

LOSS = SoftmaxCrossEntropy()


class HeadLoss(NamedTuple):
    """The loss of what a head says, and its gradients."""

    loss: float
    dp: Array | None  # of what it reads
    gradients: dict[str, Array]  # of its parameters


class _Rows(NamedTuple):
    """What the head reads, row by row, and what is asked of each row."""

    p: np.ndarray  # (N, K)
    targets: np.ndarray  # (N,)
    w: np.ndarray | None  # (N,), None where all count alike
    total: float  # of the weights
    counting: np.ndarray | None  # which rows of all; None where all count
    turned: bool  # the second axis of p comes first


def learned(
    head: Linear, p: Array, targets: Array, weights: Array | None, needs: set[str], share: float = 1.0
) -> HeadLoss:
    """Return the loss of what `head` says of p, and the gradients of `share` times it, in whichever way there is.

    Parameters and errors are `head_loss`'s, and `SoftmaxCrossEntropy.forward`'s.
    """
    if (kernels := kernels_of(head, p)) is not None:
        found = head_loss(kernels, head, p, targets, weights, needs, share)
        if found is not None:
            return found
    z, tape = head.forward(p)
    loss, loss_tape = LOSS.forward(z, targets, weights)  # (S1), (M1)
    dp, grads = head.backward(tape, share * LOSS.backward(loss_tape), needs)  # what follows is linear in this
    return HeadLoss(loss.item(), dp, grads)


def scored(head: Linear, p: Array, targets: Array, weights: Array | None) -> tuple[float, Array]:
    """Return the loss of what `head` says of p, and which targets (...) are what it says, in whichever way there is."""
    if (kernels := kernels_of(head, p)) is not None:
        found = head_score(kernels, head, p, targets, weights)
        if found is not None:
            return found
    z = head(p)
    loss, _ = LOSS.forward(z, targets, weights)
    xp = array_namespace(z)
    return loss.item(), xp.argmax(z, axis=-1) == move(targets, xp)


def head_loss(
    kernels: Any, head: Linear, p: Array, targets: Array, weights: Array | None, needs: set[str], share: float = 1.0
) -> HeadLoss | None:
    """Return what `head` and `SoftmaxCrossEntropy` make of p (..., K), forward and back.

    None stands for a loss that is not finite: the layers in turn then say where that comes from.

    Parameters
    ----------
    kernels : SoftmaxHead
        From `kernels_of`.
    targets : ndarray of int, shape (...)
    weights : ndarray, shape (...) or the first axes of it, or None
    needs : set of str
        Out of "x", "weight", "bias": what is wanted; the rest is not computed.
    share : float
        What the gradients are to be multiplied by, where this loss is one of several.

    Raises
    ------
    ValueError, TypeError
        As `SoftmaxCrossEntropy.forward`, for targets and weights.
    """
    rows, (W, b) = _rows(head, p, targets, weights), _parameters(head)
    dtype, N = p.dtype, len(rows.p)
    dlosses = np.full(N, share / N, dtype) if rows.w is None else (share * rows.w / rows.total).astype(dtype)  # (M1′)
    losses, dp, dW, db = kernels.gradients(rows.p, W, b, rows.targets, dlosses, frozenset(needs))
    loss = _mean(losses, rows)
    if not np.isfinite(loss):
        return None
    grads = {name: gradient for name, gradient in (("weight", dW), ("bias", db)) if gradient is not None}
    return HeadLoss(loss, None if dp is None else _spread(dp, rows, p.shape), grads)


def head_score(
    kernels: Any, head: Linear, p: Array, targets: Array, weights: Array | None
) -> tuple[float, Array] | None:
    """Return the loss, and which targets (...) that count are what the head says; otherwise as `head_loss`."""
    rows = _rows(head, p, targets, weights)
    losses, right = kernels.losses(rows.p, *_parameters(head), rows.targets)
    loss = _mean(losses, rows)
    if not np.isfinite(loss):
        return None
    return loss, _spread(right[:, None], rows, (*p.shape[:-1], 1))[..., 0]


def kernels_of(head: Linear, p: Array) -> Any:
    """Return what makes one pass of head and loss; None where no backend has it, and where p is small."""
    if type(head) is not Linear:  # one with a product of its own
        return None
    W = head.parameters["weight"]
    if head.namespace is not HOST or p.dtype != W.dtype or p.dtype not in (np.float32, np.float64):
        return None
    if p.size * len(W) < SMALL:
        return None
    backend = backends.get(head.config["backend"] or backends.default())
    return backend.softmax_head(head.precision) if hasattr(backend, "softmax_head") else None


def _parameters(head: Linear) -> tuple[np.ndarray, np.ndarray | None]:
    return head.parameters["weight"], head.parameters.get("bias")


def _rows(head: Linear, p: Array, targets: Any, weights: Array | None) -> _Rows:
    """Return rows that count, in the order in which p lies in memory; targets and weights are checked."""
    where, shape = "SoftmaxCrossEntropy.forward", p.shape[:-1]
    targets = np.asarray(targets)
    check_classes(where, targets, (*shape, head.out_features))
    w, total = counts(where, HOST, p.dtype, shape, weights)
    turned = p.ndim == 3 and not p.flags.c_contiguous and p.swapaxes(0, 1).flags.c_contiguous
    if turned:
        p, targets = p.swapaxes(0, 1), targets.swapaxes(0, 1)
        w = None if w is None else w.reshape(shape).swapaxes(0, 1).reshape(-1)
    p, targets, counting = p.reshape(-1, p.shape[-1]), targets.reshape(-1), None
    if w is not None and not w.all():
        counting = np.flatnonzero(w)
        p, targets, w = p[counting], targets[counting], w[counting]
    return _Rows(p, targets, w, total, counting, turned)


def _mean(losses: np.ndarray, rows: _Rows) -> float:
    return float(losses.sum() / len(losses) if rows.w is None else (rows.w * losses).sum() / rows.total)  # (M1)


def _spread(found: np.ndarray, rows: _Rows, shape: tuple[int, ...]) -> np.ndarray:
    """Return what was found for each row in the order of p, and zeros for a row that counts nothing."""
    if rows.counting is not None:
        whole = np.zeros((prod(shape[:-1]), shape[-1]), found.dtype)
        whole[rows.counting] = found
        found = whole
    return found.reshape(shape[1], shape[0], shape[2]).swapaxes(0, 1) if rows.turned else found.reshape(shape)
