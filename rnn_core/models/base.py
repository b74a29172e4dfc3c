"""What every model is: layers with dotted names, a loss, and two questions a training loop asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..layers.base import Layer
from ..layers.embedding import dense
from ..layers.passes import Ready
from ..layers.quantized import is_quantized, quantized_shell, sizes
from ..weights.beside import Described, parts_of, put_beside


class Step(NamedTuple):
    """What one training batch gives.

    Attributes
    ----------
    loss : float
        Weighted mean over the batch's targets, in nats.
    gradients : dict of str to ndarray
        ∂loss/∂parameter for each wanted parameter.
    state : ndarray, tuple or None
        State after the last step, for a batch that goes on where this one stops; None if the model carries none.
    count : int or float
        How many targets the loss is a mean of: their number or, if the batch has weights, the sum of these.
    """

    loss: float
    gradients: dict[str, Array]
    state: Any
    count: float  # type: ignore[assignment]  # a tuple's method of this name is of no use here


class Evaluation(NamedTuple):
    """What one batch adds to an evaluation. Divide the sums of several batches by the sum of their counts.

    Attributes
    ----------
    loss : float
        Weighted sum over the batch's targets, in nats.
    count : int or float
        As `Step.count`.
    correct : int, float or None
        How much of `count` was predicted right; None where targets are numbers, which are neither right nor wrong.
    state : ndarray, tuple or None
        As `Step.state`.
    """

    loss: float
    count: float  # type: ignore[assignment]  # a tuple's method of this name is of no use here
    correct: Any  # a float, or None
    state: Any


class Model(Layer, Described, ABC):
    """A small composition of layers. Subclasses set `config` and `loss`, and call `_compose`.

    Its ``parameters`` are every layer's, as ``layer.parameter``; an array that two layers share stands under its first
    name.

    Attributes
    ----------
    layers : dict of str to Layer
        The layers that have parameters, from the input upwards: embedding, rnn, head.
    frozen : frozenset of str
        Parameters that do not train: `loss_and_gradients` leaves them out unless asked. Empty at first.
    loss : SoftmaxCrossEntropy or BinaryCrossEntropy
        What training makes small.
    tokenizer, target_tokenizer, classes, scaling, target_scaling, task, reading, record
        What `save` has put beside the weights for whoever uses them, as `load` gives it back; None where nobody has
        said.
    """

    layers: dict[str, Layer]
    frozen: frozenset[str]
    loss: Any

    def _compose(self, layers: dict[str, Layer]) -> None:
        self.layers = layers
        self.frozen = frozenset()
        parameters: dict[str, Array] = {}
        seen: set[int] = set()
        for part, layer in layers.items():
            for name, array in layer.parameters.items():
                if id(array) not in seen:
                    parameters[f"{part}.{name}"] = array
                    seen.add(id(array))
        self.parameters = parameters

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Parameter names by group, from the input upwards: embedding, rnn.l0, rnn.l1, …, head."""
        return {
            f"{part}.{group}" if group else part: tuple(
                name for own in names if (name := f"{part}.{own}") in self.parameters
            )
            for part, layer in self.layers.items()
            for group, names in layer.groups.items()
        }

    @property
    def precision(self) -> str:
        """In what core and heads multiply: "float32" stands for the model's own dtype; "bfloat16", or "int8"."""
        return "int8" if is_quantized(self) else str(self.config.get("precision", "float32"))

    @property
    def gate_blocks(self) -> dict[str, int]:
        """Into how many gate blocks the first axis of a parameter falls; 1 where it is not a gate's."""
        return {
            name: blocks
            for part, layer in self.layers.items()
            for own, blocks in layer.gate_blocks.items()
            if (name := f"{part}.{own}") in self.parameters
        }

    @property
    def column_blocks(self) -> dict[str, int]:
        """Into how many blocks, a direction each, the second axis of a parameter falls, by name.

        Only of those that read something else than the layer before them in `layers`.
        """
        return {}

    @property
    def vocabulary_parameters(self) -> tuple[str, ...]:
        """The parameters whose first axis is the vocabulary: one row a token."""
        return ()

    @abstractmethod
    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the loss of a batch and its gradients; dropout is on.

        A model may have two more arguments. With `rows` a gradient may be a `RowGradient`. `ready` is a callable: it is
        given gradients by name, not to be changed, as soon as they are final, the topmost layer's first and none twice,
        and with them `Step.count`. What it has not been given is final when the call returns.

        Parameters
        ----------
        batch : Batch
            Inputs, targets and, if there are any, lengths and weights. `carry` is the caller's matter: whoever wants
            the state carried on passes it. A model on the GPU takes tokens, targets, lengths and weights from the host,
            a small transfer a batch; features must be on the GPU.
        state : ndarray or tuple, optional
            Initial state, from an earlier `Step` or `Evaluation`. Zeros without it.
        needs : set of str, optional
            Parameters whose gradients are wanted; all that are not frozen by default. What is left out is not
            computed, and the walk back stops at the lowest layer that something wanted depends on.
        rng : Generator or int, optional
            Draws the dropout masks, and nothing else does: the same int, the same masks.

        Raises
        ------
        ValueError, TypeError
            As the model's `forward` and its loss; and for a name in `needs` that doesn't exist.
        """

    @abstractmethod
    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the loss of a batch and how many of its targets were predicted right; dropout is off.

        Parameters and errors are those of `loss_and_gradients`.
        """

    def astype(self, dtype: Any, backend: str | None = None, precision: str | None = None) -> Self:
        """Return a model of the same shape whose parameters are these, converted; what is frozen stays frozen, and what
        stands beside them does so here.

        Parameters and errors are those of `Layer.astype`.
        """
        if precision is not None and is_quantized(self):
            raise TypeError(
                f"{type(self).__name__}.astype: precision must be left out, as weights are int8, got {precision!r}"
            )
        twin = super().astype(dtype, backend, precision)
        twin.frozen = self.frozen
        put_beside(twin, parts_of(self))
        return twin

    def _shell(self, config: Mapping[str, Any]) -> Self:
        shell = super()._shell(config)
        return quantized_shell(shell) if is_quantized(self) else shell

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sizes(self)})" if is_quantized(self) else super().__repr__()

    def _trainable(self, needs: Iterable[str] | None) -> Iterable[str]:
        """Return `needs` or, for None, what is not frozen."""
        return [name for name in self.parameters if name not in self.frozen] if needs is None else needs

    def _in_order(self, gradients: Mapping[str, Array], rows: bool = False) -> dict[str, Array]:
        """Return gradients in the order of the parameters: arrays; with `rows` a `RowGradient` stays one."""
        return {
            name: gradients[name] if rows else dense(gradients[name]) for name in self.parameters if name in gradients
        }


def seeds(seed: int | None, count: int) -> list[int]:
    """Return independent seeds for the layers of a model."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count)]


def needed(needs: frozenset[str], part: str) -> set[str]:
    """Return the names in `needs` that belong to a layer, as the layer itself calls them."""
    return {name.removeprefix(f"{part}.") for name in needs if name.startswith(f"{part}.")}


def named(part: str, gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Return a layer's gradients as the model calls them."""
    return {f"{part}.{name}": gradient for name, gradient in gradients.items()}


def ready_with(ready: Callable[[Mapping[str, Array], float], None] | None, count: float) -> Ready | None:
    """Return what is given gradients alone, and says how many targets they are of; None for None."""
    return None if ready is None else lambda gradients: ready(gradients, count)


def ready_of(part: str, ready: Ready | None) -> Ready | None:
    """Return what is given a layer's gradients, and passes them on as the model calls them; None for None."""
    return None if ready is None else lambda gradients: ready(named(part, gradients))


def softmax(logits: Array) -> Array:
    """Return probabilities over the last axis, without overflow."""
    xp = array_namespace(logits)
    e = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)
