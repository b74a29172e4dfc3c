"""The norms of all examples' gradients by one walk back through the whole batch, in the batch's own memory.

Head and loss are asked some examples at a time: so no array of all logits is made. Weights give each of them the loss
that it has as a batch of one, and every row of what goes on back is that example's own. Below the head one walk serves
all.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..data.batches import Batch
from ..layers.home import HOST
from ..layers.linear import Linear
from ..models.fronts.plain import Features, Tokens
from ..models.single_head import SingleHead
from . import norms
from .recording import KNOWN, Recording
from .rows import scaled, some_rows

WAY = (
    "loss_and_gradients", "_learn", "_features_and_tape", "_forward_below", "_forward_core", "_backward_below",
    "_backward_core",
)  # fmt: skip
"""What of a model is gone along here, or in its place; one with another way has to be asked itself."""


class Walked(NamedTuple):
    """What a walk back tells of the examples."""

    squares: np.ndarray  # (B,), ‖g_b‖²
    counts: np.ndarray  # (B,), how many targets each is a mean of
    loss: float  # the sum of what each has as a batch of one; 0 where nothing counts


def why_not(model: Any) -> str:
    """Return why a model's norms can't be found by one walk back; "" where they can."""
    name = type(model).__name__
    if not isinstance(model, SingleHead):
        return f"{name} is no model of one head on the trunk"
    if own := [part for part in WAY if getattr(type(model), part) is not getattr(SingleHead, part)]:
        return f"{name} has {own[0]} of its own"
    if type(model.head) is not Linear:
        return f"the head of {name} is one of its own"
    if type(model.front) not in (Features, Tokens):
        return f"{type(model.front).__name__} stands before the core"
    if model.rnn.cell not in KNOWN:
        return f"{model.rnn.cell!r} is a cell of its own"
    if model.rnn.regularisers.config:
        return f"the core has {', '.join(model.rnn.regularisers.config)}"
    if model.precision != "float32":
        return f"products are in {model.precision}"
    return "" if model.namespace is HOST else "the arrays are on the GPU"


def walked(model: SingleHead, batch: Batch, wanted: frozenset[str], state: Any, rng: Any) -> Walked:
    """Return what a walk back tells of each example of a batch whose weights are written down.

    Parameters
    ----------
    wanted : frozenset of str
        Whose gradients count for the norms.
    """
    B = batch.inputs.shape[0]
    shadow, core = _recorded(model, B)
    where = f"{type(model).__name__}.forward"
    state = state if model.carries else None
    p, _, tape = shadow._features_and_tape(where, batch.inputs, state, batch.lengths, rng)
    tied = model.tied and "embedding.weight" in wanted
    squares, counts, loss, dp = np.zeros(B), np.zeros(B), 0.0, np.zeros_like(p)
    of_head = {name.removeprefix("head.") for name in wanted if name.startswith("head.")}
    of_head |= {"weight"} if tied else set()
    for rows in _groups(model, p, wanted):
        if (asked := _ask(model, batch, rows, p, wanted)) is not None:
            dp[rows], counts[rows], loss = asked.dp, asked.counts, loss + asked.loss
            squares[rows] = asked.above + _head_squares(asked.dz, p[rows], of_head, model.rnn.backend)
    front, of_core = shadow._core_needs(wanted)
    if of_core:
        dy = shadow.dropout.backward(tape.dropout_out, dp)
        if tape.branch.pooling is not None:
            dy = tape.branch.pooling.backward(tape.pooling, dy)
        de, _, _ = shadow.rnn.backward(tape.core.rnn, dy, None, of_core)
        squares += core.squares
    if front:
        de = shadow.dropout.backward(tape.core.dropout_in, de)
        met = [_met(model, *one) for one in zip(tape.core.front.tokens, de, strict=True)]
        squares += [norms.of_embedding(*one) for one in met]
    if tied:
        for rows in _groups(model, p, wanted):  # once more, as all logits at once are not kept
            if (asked := _ask(model, batch, rows, p, wanted)) is not None:
                uses = zip(asked.dz, p[rows], met[rows], strict=True)
                squares[rows] += [2 * norms.between_tied(dz, u, *one) for dz, u, one in uses]  # (J9)
    return Walked(np.maximum(squares, 0), counts, loss)


def _recorded(model: SingleHead, B: int) -> tuple[SingleHead, Recording]:
    """Return the model with its own arrays and a core that keeps what is asked for; the model itself is left alone."""
    shadow, rnn = copy.copy(model), copy.copy(model.rnn)
    shadow.rnn, rnn._core = rnn, Recording(model.rnn.cell, model.rnn._core, model.rnn.backend, B)
    return shadow, rnn._core


def _groups(model: SingleHead, p: np.ndarray, wanted: frozenset[str]) -> Iterator[slice]:
    """Yield the examples that head and loss are asked for at a time: few enough that their logits are no large array.

    A loss with parameters, whose gradients are sums over examples, is asked for one.
    """
    of_layers = ("head.", "rnn.", *(f"{part}." for part in model.front.layers))
    steps = p.shape[1] if p.ndim == 3 else 1
    each = steps * model.head.out_features if all(name.startswith(of_layers) for name in wanted) else norms.ROOM
    return norms.some_at_a_time(len(p), each)


class _Asked(NamedTuple):
    """What head and loss say of some examples, of each as a batch of one."""

    loss: float  # the sum
    counts: np.ndarray  # (R,)
    dz: np.ndarray  # (R, T, V), or (R, 1, V) where a row has one answer
    dp: np.ndarray  # as these rows of p
    above: float  # ‖g‖² of parameters above the head, of one


def _ask(model: SingleHead, batch: Batch, rows: slice, p: np.ndarray, wanted: frozenset[str]) -> _Asked | None:
    """Return what head and loss say of some examples; None where nothing of them counts."""
    where, some = f"{type(model).__name__}.loss_and_gradients", some_rows(batch, rows)
    z, tape = model.head.forward(p[rows])
    _, weights = model._targets(where, some, model._logits(z))
    counts = np.asarray(weights, np.float64).reshape(len(z), -1).sum(axis=1)
    if not counts.any():
        return None
    # The loss is a mean over targets. With these weights each example has the same share in it, whatever its count.
    some = scaled(some, 1 / np.where(counts > 0, counts, 1))
    loss, dz, count, above = model._above(where, some, z, wanted)
    dz = count * dz
    dp: Any
    dp, _ = model.head.backward(tape, dz, {"x"})
    square = sum(float((np.asarray(g, np.float64) ** 2).sum()) for g in above.values())
    return _Asked(count * loss.item(), counts, dz.reshape(len(z), -1, dz.shape[-1]), dp, square)


def _head_squares(dz: np.ndarray, p: np.ndarray, needs: set[str], backend: str) -> np.ndarray:
    """Return ‖g‖² of the head (R,), as far as needed."""
    p = p.reshape(len(p), -1, p.shape[-1]).swapaxes(0, 1)
    one = np.ones((*p.shape[:2], 1), p.dtype)
    parts = [part for name, part in (("weight", p), ("bias", one)) if name in needs]
    return norms.of_products(dz.swapaxes(0, 1), parts, backend) if parts else np.zeros(p.shape[1])


def _met(model: SingleHead, tokens: np.ndarray, de: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an example's tokens with ∂L/∂e of each, without the padding's, which is a constant."""
    padding, tokens = model.embedding.padding_idx if model.embedding else None, np.asarray(tokens, np.int64)
    if padding is None:
        return tokens, de
    kept = tokens != padding
    return tokens[kept], de[kept]
