"""`DomainAdapted`: a classifier or tagger that learns its task from one domain while it comes to see two as one.

::

    L = L_task(source) + L_task(few) + w L_domain(features and logits of source and target)      (DA21)
    dθ = dθ_task + w (J_sᵀ df_s + J_tᵀ df_t)                                                     (DA21′)

f are features, what the head reads; J_s and J_t are how they depend on θ. What df is, the loss says: behind a reversed
gradient it is not the derivative of L_domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import asdict
from typing import Any, NamedTuple, Self

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core import SequenceClassifier, SequenceTagger
from rnn_core.data import Batch
from rnn_core.layers.checks import check_lengths, check_needs, check_seed
from rnn_core.layers.dropout import mask_generator
from rnn_core.models.base import Evaluation, Model, Step, named
from rnn_core.models.inputs import valid_steps
from rnn_core.weights.beside import parts_of, put_beside
from rnn_core.weights.loading import class_named

from ..instances.rows import number
from ..parameters.groups import checked_model
from .batches import DomainBatch
from .losses.loss import DomainLoss, Pull, Seen, checked_loss

CRITIC = "domain"
"""What the layers of a loss are called among the model's: ``domain.hidden.weight``."""


class _Side(NamedTuple):
    """What the network makes of the rows of one domain."""

    p: Array  # what the head reads: (B, F) or (B, T, F)
    valid: Array | None  # (B, T), which steps there are; None where each row of p is one
    tape: Any

    @property
    def rows(self) -> Array:
        """Every sequence, or every valid step of every sequence, as a row of features (n, F)."""
        return self.p if self.valid is None else self.p[self.valid]

    def spread(self, rows: Array) -> Array:
        """Return rows where they came from, and 0 in the padding."""
        if self.valid is None:
            return rows
        whole = array_namespace(rows).zeros_like(self.p)
        whole[self.valid] = rows
        return whole


class DomainAdapted(Model):
    """A model that trains on labelled rows of a source and unlabelled rows of a target at once.

    Parameters
    ----------
    model : SequenceClassifier or SequenceTagger
        What learns, in its own arrays: nothing has to be copied back. Of a classifier the pooled states are the
        features, of a tagger those of each step.
    loss : DomainLoss
        What source and target are to have in common. It reads the logits of a softmax; those of one sigmoid are given
        as 0 and z, and of a CRF features alone are read.
    weight : float
        w, at least 0; at 0 the target's rows are not even run.
    seed : int
        Draws the layers of the loss, if it has any.

    Attributes
    ----------
    model : Model
    own : dict of str to Linear
        The loss's layers.

    Raises
    ------
    ValueError
        The weight is out of range, or the loss reads logits and the model has a CRF.
    TypeError
        The model or the loss is of another kind.

    Notes
    -----
    Parameters: the model's, by their own names, so that a `Plan` for the model is one for this; and
    ``domain.layer.parameter`` of the loss. `SideBySide` makes the batches. A batch with fewer rows of a domain than the
    loss wants trains on the task alone.
    """

    def __init__(
        self,
        model: SequenceClassifier | SequenceTagger | Mapping[str, Any],
        loss: DomainLoss | Mapping[str, Any],
        *,
        weight: float = 1.0,
        seed: int = 0,
    ) -> None:
        where = "DomainAdapted"
        self.model: Any = _built(model) if isinstance(model, Mapping) else checked_model(where, model)
        if not isinstance(self.model, SequenceClassifier | SequenceTagger):
            raise TypeError(
                f"{where}: model must be a SequenceClassifier or a SequenceTagger, got {type(self.model).__name__}"
            )
        self.domain_loss = loss_of(loss) if isinstance(loss, Mapping) else checked_loss(where, loss)
        self.weight = number(where, "weight", weight, 0)
        if self.reads_logits and getattr(self.model, "crf", None) is not None:
            raise ValueError(
                f"{where}: loss must read features alone with a CRF, whose emissions are no probabilities, got "
                f"{self.domain_loss}; MMD, DeepCORAL and DomainAdversarial do"
            )
        head = self.model.head
        self.own = self.domain_loss.layers(
            head.in_features, max(2, head.out_features), backend=head.config["backend"], dtype=self.model.dtype,
            seed=check_seed(where, seed),
        )  # fmt: skip
        self.loss = self.model.loss
        self._arrange(seed)

    def _arrange(self, seed: int) -> None:
        """List the parameters of model and loss, and what builds them."""
        self._compose({**self.model.layers, **{f"{CRITIC}.{name}": layer for name, layer in self.own.items()}})
        self.frozen = self.model.frozen
        loss: Any = self.domain_loss  # a dataclass
        self.config = {
            "model": {"class": type(self.model).__name__, **self.model.config},
            "loss": {"kind": type(loss).__name__, **asdict(loss)},
            "weight": self.weight,
            "seed": seed,
        }

    @property
    def reads_logits(self) -> bool:
        """Whether the loss asks what the head says."""
        return any(name.endswith("_logits") for name in self.domain_loss.reads)

    @property
    def dtype(self) -> np.dtype:
        """The model's."""
        return np.dtype(self.model.dtype)

    def loss_and_gradients(
        self,
        batch: Any,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the loss of a batch and its gradients; see `Model.loss_and_gradients`.

        The batch is a `DomainBatch`; the count is that of the source's targets. The loss is what (DA21) says; gradients
        of what lies below a reversal are not its derivatives.
        """
        where = "DomainAdapted.loss_and_gradients"
        batch = _checked(where, batch)
        needs = check_needs(where, self._trainable(needs), self.parameters)
        mine = needs.intersection(self.model.parameters)
        rng = mask_generator(rng, self.model.dropout.p, where)
        source = self._side(batch.source.inputs, batch.source.lengths, rng)
        loss, dp, count, above = self.model._learn(where, batch.source, source.p, mine)
        pulled, found = self._domain(source, batch, mine, rng)
        dp = _sum(dp, pulled.dp_source)
        gradients = self._walk(source, dp, _added(above, pulled.of_head_source), mine)  # (DA21′)
        if pulled.target is not None:
            gradients = _added(
                gradients, self._walk(pulled.target, pulled.dp_target, pulled.of_head_target, mine)
            )  # (DA21′)
        gradients = _added(gradients, {name: d for name, d in pulled.own.items() if name in needs})
        if batch.few is not None:
            few = self.model.loss_and_gradients(batch.few, needs=mine, rng=rng)
            loss, gradients = loss + few.loss, _added(gradients, few.gradients)
        for name in needs.difference(gradients):
            gradients[name] = array_namespace(self.parameters[name]).zeros_like(self.parameters[name])
        return Step(loss + self.weight * found, self._in_order(gradients), None, count)  # (DA21)

    def evaluate(self, batch: Any, *, state: Any = None) -> Evaluation:
        """Return how the model does on labelled rows: a `Batch`, or the source's of a `DomainBatch`."""
        return self.model.evaluate(batch.source if isinstance(batch, DomainBatch) else batch)

    def domain_value(self, batch: DomainBatch, rng: np.random.Generator | int | None = None) -> Array:
        """Return L_domain of a batch, unweighted, as the array that it is: what a gradient check differentiates."""
        where = "DomainAdapted.domain_value"
        batch = _checked(where, batch)
        rng = mask_generator(rng, self.model.dropout.p, where)
        source = self._side(batch.source.inputs, batch.source.lengths, rng)
        target = self._side(batch.target.inputs, batch.target.lengths, rng)
        seen, _ = self._seen(source, target)
        return self.domain_loss.forward(seen, self.own, batch.progress)[0]

    def astype(self, dtype: Any, backend: str | None = None, precision: str | None = None) -> Self:
        """Return the same with a model and layers of its own, their numbers converted; see `Model.astype`."""
        twin = copy(self)
        twin.model = self.model.astype(dtype, backend, precision)
        twin.own = {name: layer.astype(dtype, twin.model.head.config["backend"]) for name, layer in self.own.items()}
        twin.__dict__.pop("_parameters", None)
        twin._arrange(self.config["seed"])
        put_beside(twin, parts_of(self))
        return twin

    def _side(self, inputs: Any, lengths: Any, rng: Any) -> _Side:
        """Run rows of one domain as far as the head."""
        where = "DomainAdapted.forward"
        p, _, tape = self.model._features_and_tape(where, inputs, None, lengths, rng)
        if p.ndim == 2:
            return _Side(p, None, tape)
        lengths = check_lengths(where, lengths, p.shape[1], p.shape[0])
        xp = array_namespace(p)
        steps = np.full(p.shape[0], p.shape[1]) if lengths is None else lengths
        return _Side(p, valid_steps(xp, steps, p.shape[1]), tape)

    def _seen(self, source: _Side, target: _Side) -> tuple[Seen, dict[str, Any]]:
        """Return what the loss reads of both domains, and the head's tapes."""
        seen, tapes = Seen(source.rows, target.rows), {}
        for name in ("source", "target"):
            if f"{name}_logits" in self.domain_loss.reads:
                z, tapes[name] = self.model.head.forward(getattr(seen, name))
                seen = seen._replace(**{f"{name}_logits": _two(z)})
        return seen, tapes

    def _domain(self, source: _Side, batch: DomainBatch, mine: frozenset[str], rng: Any) -> tuple[_Pulled, float]:
        """Return what the domains' loss pulls at, times its weight, and the loss."""
        if self.weight == 0:
            return _Pulled(), 0.0
        target = self._side(batch.target.inputs, batch.target.lengths, rng)
        if min(source.rows.shape[0], target.rows.shape[0]) < self.domain_loss.fewest:
            return _Pulled(), 0.0
        seen, tapes = self._seen(source, target)
        loss, tape = self.domain_loss.forward(seen, self.own, batch.progress)
        pull = self.domain_loss.backward(tape)
        there = self._pull(source, "source", pull, tapes, mine)
        here = self._pull(target, "target", pull, tapes, mine)
        own = {f"{CRITIC}.{name}": self.weight * d for name, d in pull.parameters.items()}
        return _Pulled(*there, *here, target, own), loss.item()

    def _pull(
        self, side: _Side, name: str, pull: Pull, tapes: Mapping[str, Any], mine: frozenset[str]
    ) -> tuple[Array | None, dict[str, Array]]:
        """Return w ∂L_domain/∂p of one domain, and the head's gradients."""
        of_head, gradients = self.model._needed_of_head(mine), dict[str, Array]()
        df, dz = getattr(pull, name), getattr(pull, f"{name}_logits")
        if dz is not None:
            dz = dz[:, 1:] if self.model.head.out_features == 1 else dz  # the other logit is a constant 0
            through_head, found = self.model.head.backward(tapes[name], self.weight * dz, of_head)
            gradients = named("head", found)
            df = through_head if df is None else _sum(through_head, self.weight * df)
        elif df is not None:
            df = self.weight * df
        return None if df is None or "x" not in of_head else side.spread(df), gradients

    def _walk(
        self, side: _Side, dp: Array | None, above: Mapping[str, Array], mine: frozenset[str]
    ) -> dict[str, Array]:
        """Return the gradients of all that lies below the head, beside those of the head and above."""
        if dp is None:
            return dict(above)
        gradients: dict[str, Array] = self.model._backward_features(side.tape, dp, dict(above), mine, None)
        return self._in_order(gradients)


class _Pulled(NamedTuple):
    """What a domains' loss pulls at, times its weight."""

    dp_source: Array | None = None
    of_head_source: Mapping[str, Array] = {}
    dp_target: Array | None = None
    of_head_target: Mapping[str, Array] = {}
    target: _Side | None = None
    own: Mapping[str, Array] = {}


def loss_of(told: Mapping[str, Any]) -> DomainLoss:
    """Return a loss by its kind and what it is made with, as a config tells it."""
    options = dict(told)
    kind = options.pop("kind", None)
    kinds = {known.__name__: known for known in DomainLoss.__subclasses__()}
    if kind not in kinds:
        raise ValueError(f"DomainAdapted: loss must be of a kind out of {', '.join(kinds)}, got {kind!r}")
    return kinds[kind](**options)


def _built(told: Mapping[str, Any]) -> Any:
    options = dict(told)
    return class_named(options.pop("class"))(**options)


def _checked(where: str, batch: Any) -> DomainBatch:
    if not isinstance(batch, DomainBatch) or not isinstance(batch.source, Batch):
        raise TypeError(
            f"{where}: batch must be a DomainBatch, a Batch of the source and Unlabelled rows of the target, got "
            f"{type(batch).__name__}; SideBySide makes them"
        )
    return batch


def _two(z: Array) -> Array:
    """Return logits of at least two classes: of one sigmoid 0 and z."""
    xp = array_namespace(z)
    return xp.concat([0 * z, z], axis=1) if z.shape[1] == 1 else z


def _sum(a: Array | None, b: Array | None) -> Array | None:
    """Return a + b, where None is 0."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _added(a: Mapping[str, Array], b: Mapping[str, Array]) -> dict[str, Array]:
    """Return gradients of which those with one name are added."""
    return {**a, **{name: a[name] + d if name in a else d for name, d in b.items()}}
