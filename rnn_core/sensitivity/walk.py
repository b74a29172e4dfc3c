"""The norms of all examples' gradients by one walk back through the whole batch, in the batch's own memory.

The head and the loss are asked example by example, each as a batch of one: so no array of all logits is made, and every
row of what goes on back is that example's own. Below the head one walk serves all.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ..data.batches import Batch
from ..layers.home import HOST
from ..layers.linear import Linear
from ..models.fronts.plain import Features, Tokens
from ..models.inputs import total
from ..models.single_head import OneLoss, SingleHead
from . import norms
from .recording import KNOWN, Recording
from .rows import one_row


class Walked(NamedTuple):
    """What a walk back tells of each example."""

    squares: np.ndarray  # (B,), ‖g_b‖²
    losses: np.ndarray  # (B,), of each as a batch of one; 0 where nothing counts
    counts: np.ndarray  # (B,), how many targets each is a mean of


def why_not(model: Any) -> str:
    """Return why a model's norms can't be found by one walk back; "" where they can."""
    if not isinstance(model, SingleHead) or type(model).loss_and_gradients is not OneLoss.loss_and_gradients:
        return f"{type(model).__name__} is no model of one head on the trunk"
    if type(model.head) is not Linear or type(model)._learn is not OneLoss._learn:
        return f"the head of {type(model).__name__} is one of its own"
    if type(model.front) not in (Features, Tokens):
        return f"{type(model.front).__name__} stands before the core"
    if model.rnn.cell not in KNOWN:
        return f"{model.rnn.cell!r} is a cell of its own"
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
    found, dp = Walked(np.zeros(B), np.zeros(B), np.zeros(B)), np.zeros_like(p)
    of_head = {name.removeprefix("head.") for name in wanted if name.startswith("head.")}
    of_head |= {"weight"} if tied else set()
    for b in range(B):
        asked = _ask(model, batch, b, p, wanted)
        if asked is not None:
            dp[b] = asked.dp
            found.losses[b], found.counts[b] = asked.loss, asked.count
            found.squares[b] = asked.above + _head_square(asked, p[b], of_head)
    front, of_core = shadow._core_needs(wanted)
    if of_core:
        dy = shadow.dropout.backward(tape.dropout_out, dp)
        if tape.branch.pooling is not None:
            dy = tape.branch.pooling.backward(tape.pooling, dy)
        de, _, _ = shadow.rnn.backward(tape.core.rnn, dy, None, of_core)
        found.squares[:] += core.squares
    if front:
        de = shadow.dropout.backward(tape.core.dropout_in, de)
        for b in range(B):
            tokens, de_b = _met(model, tape.core.front.tokens[b], de[b])
            found.squares[b] += norms.of_embedding(tokens, de_b)
            if tied and (asked := _ask(model, batch, b, p, wanted)) is not None:
                found.squares[b] += 2 * norms.between_tied(asked.dz, p[b], tokens, de_b)  # (J9)
    return found._replace(squares=np.maximum(found.squares, 0))


def _recorded(model: SingleHead, B: int) -> tuple[SingleHead, Recording]:
    """Return the model with its own arrays and a core that keeps what is asked for; the model itself is left alone."""
    shadow, rnn = copy.copy(model), copy.copy(model.rnn)
    shadow.rnn, rnn._core = rnn, Recording(model.rnn.cell, model.rnn._core, B)
    return shadow, rnn._core


class _Asked(NamedTuple):
    """What head and loss say of one example, as a batch of one."""

    loss: float
    count: float  # type: ignore[assignment]  # a tuple's method of this name is of no use here
    dz: np.ndarray  # (T, V), or (1, V) where a row has one answer
    dp: np.ndarray  # as a row of p
    above: float  # ‖g‖² of parameters above the head


def _ask(model: SingleHead, batch: Batch, b: int, p: np.ndarray, wanted: frozenset[str]) -> _Asked | None:
    """Return what head and loss say of example b; None where nothing of it counts."""
    where, row = f"{type(model).__name__}.loss_and_gradients", one_row(batch, b)
    z, tape = model.head.forward(p[b : b + 1])
    targets, weights = model._targets(where, row, model._logits(z))
    if total(weights, targets.shape) == 0:
        return None
    loss, dz, count, above = model._above(where, row, z, wanted)
    dp: Any
    dp, _ = model.head.backward(tape, dz, {"x"})
    square = sum(float((np.asarray(g, np.float64) ** 2).sum()) for g in above.values())
    return _Asked(loss.item(), count, dz.reshape(-1, dz.shape[-1]), dp[0], square)


def _head_square(asked: _Asked, p: np.ndarray, needs: set[str]) -> float:
    """Return ‖g‖² of the head, as far as needed."""
    p = p.reshape(-1, p.shape[-1])
    one = np.ones((len(p), 1), p.dtype)
    parts = [part for name, part in (("weight", p), ("bias", one)) if name in needs]
    return norms.of_product(asked.dz, np.concatenate(parts, axis=1)) if parts else 0.0


def _met(model: SingleHead, tokens: np.ndarray, de: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an example's tokens with ∂L/∂e of each, without the padding's, which is a constant."""
    padding, tokens = model.embedding.padding_idx if model.embedding else None, np.asarray(tokens, np.int64)
    if padding is None:
        return tokens, de
    kept = tokens != padding
    return tokens[kept], de[kept]
