"""`OneLoss`: a model whose one head is trained by one loss; and `SingleHead`, one on the trunk.

A new model says what its targets are, and no more.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.checks import check_array, check_needs
from ..layers.home import move
from ..layers.layout import describe
from ..layers.linear import Linear
from ..layers.mixing.gates import sigmoid
from ..layers.passes import Ready
from ..training.losses import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError
from ..training.losses.head import head_loss, head_score, kernels_of
from .base import Evaluation, Model, Step, named, ready_with, softmax
from .inputs import total, total_of
from .trunk import Branch, Tape, Trunk


class OneLoss(Model):
    """A model whose one head, called "head", is trained by one loss. Subclasses set `loss` and have `_targets`.

    With `SoftmaxCrossEntropy` the logits are the head's outputs, one a class. With `BinaryCrossEntropy` the head has
    one output, a sigmoid, and the logits have no axis for it. With another loss a subclass has its own `_logits` and
    `_score`, because numbers are neither right nor wrong.
    """

    carries: bool

    @property
    @abstractmethod
    def head(self) -> Linear:
        """The affine map on top."""

    @property
    @abstractmethod
    def _inputs(self) -> tuple[str, ...]:
        """What may have a gradient and is no parameter."""

    @abstractmethod
    def _features(self, where: str, x: Any, state: Any, lengths: Any) -> tuple[Array, Any]:
        """Return what the head reads, p, and the final state; without a tape and without dropout."""

    @abstractmethod
    def _features_and_tape(
        self, where: str, x: Any, state: Any, lengths: Any, rng: np.random.Generator | int | None
    ) -> tuple[Array, Any, Any]:
        """Return what the head reads, p, the final state, and a tape without the head's; dropout is on."""

    @abstractmethod
    def _needed_of_head(self, needs: frozenset[str]) -> set[str]:
        """Return what of `needs` belongs to the head, and "x" if anything below it is needed."""

    @abstractmethod
    def _backward_features(
        self, tape: Any, dp: Array | None, grads: dict[str, Array], needs: frozenset[str], ready: Ready | None
    ) -> dict[str, Array]:
        """Return ∂L/∂parameter from ∂L/∂p and the gradients of what is above, as far as needed.

        `ready` is given gradients, those of what is above too, as soon as they are final.
        """

    @abstractmethod
    def _backward(
        self, tape: Any, dz: Array, dstate: Any, needs: frozenset[str]
    ) -> tuple[Array | None, Any, dict[str, Array]]:
        """Return ∂L/∂x, ∂L/∂state0 and ∂L/∂parameter from ∂L/∂z and ∂L/∂state, as far as needed, None otherwise."""

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x, where it is features, states, where they are carried, and parameters."""
        return (*self._inputs, *self.parameters)

    @property
    def _sigmoid(self) -> bool:
        """Whether the answer is yes or no."""
        return isinstance(self.loss, BinaryCrossEntropy)

    @property
    def _flat(self) -> bool:
        """Whether the answer is one number, which then has no axis of its own."""
        return self._sigmoid

    @abstractmethod
    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        """Return a batch's targets, a valid one in the padding, and how much each counts; where they were.

        Of `logits` the shape and the home tell something, the numbers don't: they may be zeros in their place.
        """

    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
        rows: bool = False,
        ready: Callable[[Mapping[str, Array], float], None] | None = None,
    ) -> Step:
        """Return the mean loss of a batch, its gradients and the final state; see `Model.loss_and_gradients`.

        With `rows`, which is how `fit` asks, a gradient that is zero outside a few rows may be a `RowGradient`.
        """
        name = type(self).__name__
        names = (*self._inputs, *self.parameters)
        wanted = check_needs(f"{name}.backward", self._trainable(needs), names)
        state = state if self.carries else None
        p, state, tape = self._features_and_tape(f"{name}.forward", batch.inputs, state, batch.lengths, rng)
        loss, dp, count, above = self._learn(f"{name}.loss_and_gradients", batch, p, wanted)
        gradients = self._backward_features(tape, dp, above, wanted, ready_with(ready, count))
        return Step(loss, self._in_order(gradients, rows), state if self.carries else None, count)

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the summed loss of a batch and how many targets were predicted right; see `Model.evaluate`."""
        name, state = type(self).__name__, state if self.carries else None
        p, state = self._features(f"{name}.__call__", batch.inputs, state, batch.lengths)
        return self._evaluated(f"{name}.evaluate", batch, p, state if self.carries else None)

    def _evaluated(self, where: str, batch: Batch, p: Array, state: Any = None) -> Evaluation:
        """Return the summed loss of what the head says of p, and how much of it is right."""
        if (kernels := self._one_pass(p)) is not None:
            targets, weights = self._targets(where, batch, self._shaped_as_logits(p))
            found = head_score(kernels, self.head, p, targets, weights)
            if found is not None:
                count = total(weights, targets.shape)
                return Evaluation(found[0] * count, count, total_of(found[1], weights), state)
        return self._score(where, batch, self.head(p), state)

    def _learn(
        self, where: str, batch: Batch, p: Array, needs: frozenset[str]
    ) -> tuple[float, Array | None, float, dict[str, Array]]:
        """Return the mean loss, ∂L/∂p, how many targets it is a mean of, and the gradients of the head and above it.

        Head and loss are one pass where that is possible; see `rnn_core.training.losses.head`.
        """
        of_head = self._needed_of_head(needs)
        if (kernels := self._one_pass(p)) is not None:
            targets, weights = self._targets(where, batch, self._shaped_as_logits(p))
            found = head_loss(kernels, self.head, p, targets, weights, of_head)
            if found is not None:
                return found.loss, found.dp, total(weights, targets.shape), named("head", found.gradients)
        z, tape = self.head.forward(p)
        loss, dz, count, above = self._above(where, batch, z, needs)
        dp, gradients = self.head.backward(tape, dz, of_head)
        return loss.item(), dp, count, named("head", gradients) | above

    def _one_pass(self, p: Array) -> Any:
        """Return what makes head and loss one pass: where the loss is softmax cross-entropy, and its backend can."""
        return kernels_of(self.head, p) if type(self.loss) is SoftmaxCrossEntropy else None

    def _shaped_as_logits(self, p: Array) -> Array:
        """Return zeros of the shape of logits, which take no memory: targets are held against them."""
        xp = array_namespace(p)
        return xp.broadcast_to(xp.zeros((), dtype=p.dtype), (*p.shape[:-1], self.head.out_features))

    def _above(
        self, where: str, batch: Batch, z: Array, needs: frozenset[str]
    ) -> tuple[Array, Array, float, dict[str, Array]]:
        """Return what `_loss` does, and the gradients of parameters that stand above the head, where there are any."""
        return *self._loss(where, batch, z), {}

    def _loss(self, where: str, batch: Batch, z: Array) -> tuple[Array, Array, float]:
        """Return the mean loss of what the head says, ∂L/∂z, and how many targets it is a mean of."""
        logits = self._logits(z)
        targets, weights = self._targets(where, batch, logits)
        loss, tape = self.loss.forward(logits, targets, weights)
        dlogits = self.loss.backward(tape)
        return loss, array_namespace(z).reshape(dlogits, z.shape), total(weights, targets.shape)

    def _score(self, where: str, batch: Batch, z: Array, state: Any = None) -> Evaluation:
        """Return the summed loss of what the head says, and how much of it is right."""
        logits = self._logits(z)
        targets, weights = self._targets(where, batch, logits)
        loss, _ = self.loss.forward(logits, targets, weights)
        count = total(weights, targets.shape)
        right = move(targets > 0.5 if self._sigmoid else targets, array_namespace(logits))
        return Evaluation(loss.item() * count, count, total_of(self._decide(logits) == right, weights), state)

    def _logits(self, z: Array) -> Array:
        """Drop the axis of the classes, or of the numbers, where there is but one."""
        return z[..., 0] if self._flat else z

    def _decide(self, logits: Array) -> Array:
        """Return the likeliest class; for one sigmoid whether it says yes."""
        if isinstance(self.loss, SquaredError):
            raise TypeError(
                f"{type(self).__name__}: loss must be of classes, for what is right to be counted, got SquaredError; "
                "override _logits and _score"
            )
        return logits > 0 if self._sigmoid else array_namespace(logits).argmax(logits, axis=-1)

    def _classes(self, logits: Array) -> Array:
        """Return the likeliest class as a number; for one sigmoid 1 or 0."""
        xp = array_namespace(logits)
        return xp.astype(self._decide(logits), xp.int64)

    def _probabilities(self, logits: Array) -> Array:
        """Return the probability of each class; for one sigmoid that of yes."""
        return sigmoid(logits) if self._sigmoid else softmax(logits)

    def _from_logits(
        self, where: str, place: str, tape: Any, dlogits: Any, dstate: Any, needs: Iterable[str] | None
    ) -> tuple[Array | None, Any, dict[str, Array]]:
        """Check what `backward` was given, and return what `_backward` makes of it, in the order of the parameters.

        `place` says which value of `forward` the tape is.
        """
        if type(getattr(tape, "owner", None)) is not type(self):
            raise TypeError(f"{where}: tape must be the {place} value of forward, got {describe(tape)}")
        needs = check_needs(where, needs, self.gradient_names)
        z_shape = (*tape.head.x.shape[:-1], self.head.out_features)
        shape, why = z_shape[:-1] if self._flat else z_shape, "it is shaped as logits"
        dlogits = check_array(where, "dlogits", dlogits, shape, self.dtype, why=why, xp=self.namespace)
        dz = array_namespace(dlogits).reshape(dlogits, z_shape)
        dx, dstate0, grads = self._backward(tape, dz, dstate, needs)
        return dx, dstate0, self._in_order(grads)


class SingleHead(Trunk, OneLoss):
    """A trunk with one head, called "head". Subclasses call `_build`, set `loss`, and say what `_targets` are."""

    @property
    def head(self) -> Linear:
        """The affine map on top."""
        return self._branch.head

    @property
    def _branch(self) -> Branch:
        return self.branches["head"]

    def _features(self, where: str, x: Any, state: Any, lengths: Any) -> tuple[Array, Any]:
        return self._infer_below(where, self._branch, x, state, lengths)

    def _features_and_tape(
        self, where: str, x: Any, state: Any, lengths: Any, rng: np.random.Generator | int | None
    ) -> tuple[Array, Any, Tape]:
        return self._forward_below(where, self._branch, x, state, lengths, rng)

    def _needed_of_head(self, needs: frozenset[str]) -> set[str]:
        return self._head_needs(self._branch, needs)

    def _backward_features(
        self, tape: Tape, dp: Array | None, grads: dict[str, Array], needs: frozenset[str], ready: Ready | None
    ) -> dict[str, Array]:
        return self._backward_below(tape, dp, grads, None, needs, ready)[2]
