"""Saliency: which time steps of a sequence made the network say what it said?

With z the logit that is asked about and e_t the core's input at step t (features, or the embedding of a token)::

    a_t = ‖∂z/∂e_t‖                                                "gradient"               (X29)
    a_t = e_t · ∂z/∂e_t                                            "gradient×input"         (X30)
    a_t = (e_t − e′_t) · ∫₀¹ ∂z/∂e_t (e′ + s (e − e′)) ds          "integrated gradients"   (X31)
    Σ_t a_t = z(e) − z(e′)                                         completeness of (X31)   (X32)

e′ is the baseline, a sequence that says nothing. The gradients are those of the hand-written backward; dropout is off.

References
----------
.. [1] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks: visualising image classification
   models and saliency maps", arXiv:1312.6034v2 (2014).
.. [2] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, equation 1 and
   proposition 1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.layers.checks import as_array, check_finite, check_range
from rnn_core.layers.home import move, to_host
from rnn_core.layers.pooling import Pooling
from rnn_core.models import LanguageModel, Model, SequenceClassifier
from rnn_core.models.inputs import valid_steps

NODES = 16
"""Of Gauss and Legendre's rule, in each piece of the way from the baseline."""

MOST_PIECES = 256
"""Where halving pieces ends, whatever is still missing: `Saliency.gap` tells."""

METHODS = ("gradient", "gradient×input", "integrated gradients")
"""Every way of asking, equations (X29) to (X31)."""


@dataclass(frozen=True)
class Saliency:
    """How much each time step had to do with a logit. All arrays are NumPy's.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    values : ndarray, shape (B, T)
        a_t of each row: at least 0 for "gradient", otherwise of either sign. Zero in the padding.
    logits : ndarray, shape (B,)
        z of each row.
    targets : ndarray of int, shape (B,)
        Which logit z is.
    lengths : ndarray of int, shape (B,)
    change : ndarray, shape (B,), or None
        z − z(e′), for "integrated gradients" alone.
    """

    method: str
    values: np.ndarray
    logits: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    change: np.ndarray | None = None

    @property
    def gap(self) -> float:
        """How far the sums are from the change that they explain, equation (X32), in the worst row.

        Raises
        ------
        ValueError
            The method promises no such sum.
        """
        if self.change is None:
            raise ValueError(f"Saliency.gap: method must be 'integrated gradients', got {self.method!r}")
        return float(abs(self.values.sum(axis=1) - self.change).max())  # (X32)


def step_saliency(
    model: Model,
    x: Any,
    lengths: Any = None,
    *,
    target: Any = None,
    method: str = "integrated gradients",
    tolerance: float = 1e-6,
    baseline: Any = None,
) -> Saliency:
    """Return how much each time step had to do with one logit.

    Parameters
    ----------
    model : SequenceClassifier or LanguageModel
        In float64 for the last digits; the results have its dtype.
    x : ndarray, shape (B, T, I), or array of int, shape (B, T)
        Features or tokens, as the model takes them.
    lengths : array of int, shape (B,), optional
        Valid steps of each row.
    target : int or array of int, shape (B,), optional
        Whose logit: a class, 0 for one sigmoid; of a language model the token that would come next after a row's last
        valid step. By default the likeliest of each row.
    method : {"gradient", "gradient×input", "integrated gradients"}
        Equation (X29), (X30) or (X31).
    tolerance : float
        How far the sum may be from the change of the logit, equation (X32): pieces of the way are halved until it is
        nearer, or there are 256 of them, each a forward and a backward for every one of 16 nodes. In float32 rounding
        may leave more. `Saliency.gap` tells what is left.
    baseline : array, optional
        e′, of any shape that broadcasts to (B, T, I), with I the size of an embedding for tokens. Zeros by default.

    Returns
    -------
    saliency : Saliency

    Raises
    ------
    ValueError
        x or a length is not as the model wants it, there is no such class, token or method, the baseline has another
        shape or is not finite, or the tolerance is not above 0.
    TypeError
        The model is neither of the two, or something has another dtype.
    """
    where = "step_saliency"
    if not isinstance(model, SequenceClassifier | LanguageModel):
        raise TypeError(f"{where}: model must be a SequenceClassifier or a LanguageModel, got {type(model).__name__}")
    if method not in METHODS:
        raise ValueError(f"{where}: method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.floating):
        raise TypeError(f"{where}: tolerance must be a number, got {tolerance!r}")
    if not tolerance > 0:
        raise ValueError(f"{where}: tolerance must be above 0, got {tolerance}")
    network: SequenceClassifier | LanguageModel = _without_dropout(model)
    xp = network.namespace
    e, lengths = _core_inputs(where, network, x, lengths)
    full = np.full(e.shape[0], e.shape[1]) if lengths is None else lengths
    start = _baseline(where, network, baseline, e)
    if lengths is not None:  # what stands in the padding, NaN included, is nothing to multiply with
        valid = valid_steps(xp, lengths, e.shape[1])[..., None]
        e = xp.where(valid, e, 0)
    scores, _ = _scores(network, e, lengths, full)
    targets = _targets(where, target, scores)
    rows = np.arange(len(targets))

    def logits(at: Array) -> np.ndarray:
        """Return z at a place, on the host."""
        return to_host(_scores(network, at, lengths, full)[0])[rows, targets]

    def gradient(at: Array) -> Array:
        """Return ∂z/∂e at a place."""
        found, backward = _scores(network, at, lengths, full)
        one_hot = np.zeros(found.shape, network.dtype)
        one_hot[rows, targets] = 1
        return backward(move(one_hot, xp))

    z, change = logits(e), None
    if method == "integrated gradients":
        before = logits(start)
        values, change = _integrated(logits, gradient, start, e - start, before, z, tolerance), z - before
    elif method == "gradient":
        de = gradient(e)
        values = to_host(xp.sqrt(xp.sum(de * de, axis=-1)))  # (X29)
    else:
        values = to_host(xp.sum(e * gradient(e), axis=-1))  # (X30)
    return Saliency(method, values, z, targets, full, change)


class _Piece(NamedTuple):
    """A part of the way from the baseline, from share a to share b of it."""

    a: float
    b: float
    z_a: np.ndarray  # (B,)
    z_b: np.ndarray
    values: np.ndarray  # (B, T), the integral over this piece
    gap: float  # how far its sums are from z_b − z_a, in the worst row


def _integrated(
    logits: Callable[[Array], np.ndarray],
    gradient: Callable[[Array], Array],
    start: Array,
    way: Array,
    z_start: np.ndarray,
    z_end: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """Return the integral of (X31), (B, T).

    Completeness holds for every piece of the way, so each knows its own error. The worst is halved until all together
    are good enough: a trained network is flat on most of the way and steep at one place.
    """
    xp = array_namespace(way)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)  # for −1 … 1

    def piece(a: float, b: float, z_a: np.ndarray, z_b: np.ndarray) -> _Piece:
        total = xp.zeros_like(way)
        for node, weight in zip(nodes, weights, strict=True):
            at = a + (b - a) * (1 + float(node)) / 2
            total = total + (b - a) / 2 * float(weight) * gradient(start + at * way)
        values = to_host(xp.sum(way * total, axis=-1))  # (X31)
        return _Piece(a, b, z_a, z_b, values, float(abs(values.sum(axis=1) - (z_b - z_a)).max()))

    # What rounding leaves would be halved without end.
    enough = max(tolerance, 64 * float(np.finfo(z_end.dtype).eps) * max(abs(z_start).max(), abs(z_end).max()))
    pieces = [piece(0.0, 1.0, z_start, z_end)]
    while sum(p.gap for p in pieces) > enough and len(pieces) < MOST_PIECES:
        worst = pieces.pop(int(np.argmax([p.gap for p in pieces])))
        middle = (worst.a + worst.b) / 2
        z = logits(start + middle * way)
        pieces += [piece(worst.a, middle, worst.z_a, z), piece(middle, worst.b, z, worst.z_b)]
    values: np.ndarray = np.sum([p.values for p in pieces], axis=0)
    return values


def _scores(
    model: SequenceClassifier | LanguageModel, e: Array, lengths: np.ndarray | None, full: np.ndarray
) -> tuple[Array, Callable[[Array], Array]]:
    """Return the logits (B, C) of each row's end, and what takes ∂L/∂logits back to ∂L/∂e."""
    y, _, tape = model.rnn.forward(e, None, lengths)
    pooling = model.pooling if isinstance(model, SequenceClassifier) else Pooling("last", batch_first=True)
    pooled, pooling_tape = pooling.forward(y, full)
    logits, head_tape = model.head.forward(pooled)

    def backward(dlogits: Array) -> Array:
        dpooled, _ = model.head.backward(head_tape, dlogits, {"x"})
        de, _, _ = model.rnn.backward(tape, pooling.backward(pooling_tape, dpooled), needs={"x"})
        return de

    return logits, backward


def _without_dropout(model: Any) -> Any:
    """Return a model of the same arrays whose core keeps a tape and drops nothing."""
    twin = copy.copy(model)
    twin.rnn = model.rnn.undropped()
    return twin


def _core_inputs(
    where: str, model: SequenceClassifier | LanguageModel, x: Any, lengths: Any
) -> tuple[Array, np.ndarray | None]:
    """Return what the core reads, (B, T, I), and lengths; None where every row is full."""
    x, lengths = model.front.checked(where, x, lengths, model.namespace)
    return model.front(x, lengths), lengths


def _baseline(where: str, model: Model, baseline: Any, e: Array) -> Array:
    """Return e′, shaped as e."""
    xp = model.namespace
    if baseline is None:
        return xp.zeros_like(e)
    array = as_array(where, "baseline", baseline, xp)
    check_finite(where, "baseline", array)
    try:
        return xp.broadcast_to(xp.astype(array, e.dtype), e.shape)
    except ValueError:
        raise ValueError(
            f"{where}: baseline must have a shape that broadcasts to {tuple(e.shape)}, got {tuple(array.shape)}"
        ) from None


def _targets(where: str, target: Any, scores: Array) -> np.ndarray:
    """Return whose logit is asked for in each row, on the host."""
    B, C = scores.shape
    if target is None:
        return np.asarray(to_host(scores)).argmax(axis=1)
    targets = as_array(where, "target", to_host(target))
    if targets.dtype.kind not in "iu":
        raise TypeError(f"{where}: target must be an int or integers, got {targets.dtype}")
    if targets.shape not in ((), (B,)):
        raise ValueError(f"{where}: target must be one int or have shape ({B},), one for each row, got {targets.shape}")
    targets = np.broadcast_to(targets, (B,)).astype(np.int64)
    check_range(where, "target", targets, C, f"the model has {C} logit{'s' * (C > 1)}")
    return targets
