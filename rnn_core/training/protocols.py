"""What `fit` asks of a model, and no more: anything with these few names can be trained.

A model has

1. `parameters`: its arrays by name; `fit` writes into them and never puts others in their place.
2. `frozen`: the names out of them that don't train.
3. `config`: what it was built with, in types that JSON has; a checkpoint is told apart by it.
4. `loss_and_gradients`: the loss of a batch and ∂L/∂parameter for each name in `needs`, fresh arrays. Where it has an
   argument `rows`, `fit` sets it: a gradient that is zero outside a few rows may then be a `RowGradient`. Where it has
   an argument `ready`, several processes that train together set it: a callable, which is given gradients by name and
   their count as soon as they are final, so that they can travel while the rest is computed.
5. `evaluate`: the loss alone, as a sum over the targets, and how many of them were right.

Its data are a `Source`, of which `rnn_core.data.source` says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from kernels.contract import Array

from ..data.batches import Batch


class Step(Protocol):
    """What one pass forward and back gives."""

    @property
    def loss(self) -> float:
        """Mean over the targets of the batch."""

    @property
    def gradients(self) -> Mapping[str, Any]:
        """∂L/∂parameter by name: arrays, or `RowGradient` where few rows are not zero."""

    @property
    def state(self) -> Any:
        """The state after the batch: an array, a tuple of arrays, or None. Gradients don't pass through it."""

    @property
    def count(self) -> float:
        """How many targets the mean is over, or the sum of their weights."""


class Evaluation(Protocol):
    """What one pass forward gives."""

    @property
    def loss(self) -> float:
        """Sum over the targets of the batch."""

    @property
    def count(self) -> float:
        """How many targets the sum is over, or the sum of their weights."""

    @property
    def correct(self) -> float | None:
        """How many of them were right, or the sum of their weights; None where there is no right and wrong."""

    @property
    def state(self) -> Any:
        """The state after the batch."""


class Trainable(Protocol):
    """A model that `fit` can train."""

    parameters: dict[str, Array]
    frozen: frozenset[str]
    config: dict[str, Any]

    def loss_and_gradients(self, batch: Batch, *, state: Any, needs: Any, rng: Any) -> Step:
        """Run a batch forward and back, dropout drawn from `rng`, from `state` (None: zeros)."""

    def evaluate(self, batch: Batch, *, state: Any) -> Evaluation:
        """Run a batch forward without dropout."""
