"""What a model says of a batch, apart from its loss: ∂L/∂z of each output z, and the way back from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array

from ..data.batches import Batch
from ..models import BidirectionalLanguageModel
from ..models.contextual.halves import questions
from ..models.seq2seq import Seq2Seq
from ..models.single_head import OneLoss
from ..training.losses.head import LOSS


class Said(NamedTuple):
    """Outputs, seen from the loss.

    Attributes
    ----------
    doutputs : dict of str to ndarray
        ∂L/∂z of each output, by names of its own. A parameter of the loss itself is an output, too.
    backward : callable
        ``backward(w)``, with an array for each output, returns Jᵀ w by the names of parameters, as far as needed.
    """

    doutputs: Mapping[str, Array]
    backward: Callable[[Mapping[str, Array]], Mapping[str, Array]]


@singledispatch
def said(model: Any, batch: Any, state: Any, needs: frozenset[str], rng: Any) -> Said:
    """Return what a model says of a batch, with dropout on.

    Other kinds of models are registered beside their classes: ``@said.register``.

    Parameters
    ----------
    model : Model
        Of a kind that is registered.
    batch, state, needs, rng
        As `loss_and_gradients` takes them.
    """
    raise TypeError(f"said: model must be of a kind that is registered, got {type(model).__name__}")


@said.register
def _of_one_loss(model: OneLoss, batch: Batch, state: Any, needs: frozenset[str], rng: Any) -> Said:
    name, state = type(model).__name__, state if model.carries else None
    p, _, tape = model._features_and_tape(f"{name}.forward", batch.inputs, state, batch.lengths, rng)
    z, head = model.head.forward(p)
    _, dz, _, above = model._above(f"{name}.loss_and_gradients", batch, z, needs)

    def backward(w: Mapping[str, Array]) -> dict[str, Array]:
        grads = model._backward(tape._replace(head=head), w["z"], None, needs)[2]
        return grads | {name: w[name] for name in above}  # parameters above the head: their J is I

    return Said({"z": dz, **above}, backward)


@said.register
def _of_what_writes(model: Seq2Seq, batch: Batch, state: Any, needs: frozenset[str], rng: Any) -> Said:
    z, _, tape = model.forward(batch.inputs, batch.targets, batch.lengths, rng=rng)
    targets, weights = model._targets("Seq2Seq.loss_and_gradients", batch)
    _, loss = model.loss.forward(z, targets, weights)
    return Said({"z": model.loss.backward(loss)}, lambda w: model.backward(tape, w["z"], needs)[1])


@said.register
def _of_two_halves(
    model: BidirectionalLanguageModel, batch: Batch, state: Any, needs: frozenset[str], rng: Any
) -> Said:
    logits, tape = model.forward(batch.inputs, batch.lengths, rng=rng)
    where = f"{type(model).__name__}.loss_and_gradients"
    asked = questions(where, batch, tuple(logits[0].shape[:2]), model.namespace)
    count, found = sum(one.count for one in asked), {}
    for name, z, (targets, weights, its) in zip(("forward", "backward"), logits, asked, strict=True):
        # Each half counts as much as it has targets.
        found[name] = its / count * LOSS.backward(LOSS.forward(z, targets, weights)[1]) if its else np.zeros_like(z)
    return Said(found, lambda w: model.backward(tape, (w["forward"], w["backward"]), needs))
