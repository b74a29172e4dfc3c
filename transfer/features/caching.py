"""Features of a frozen core, computed once: `cached_features` keeps them, and `HeadOf` is what is left to train.

::

    p   = pool(core(x))             once for each example, as the core does not change
    z   = W_v (m ⊙ p) + b_v         in every step; W_v and b_v alone train

A language model has no pooling: each step of a row has features of its own, and its own target.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, Self, overload

import numpy as np

from kernels.contract import Array
from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.data import Batch, Examples, TextStream
from rnn_core.layers.checks import check_finite, check_needs
from rnn_core.layers.dropout import mask_generator
from rnn_core.layers.live import LiveParameters
from rnn_core.models.base import Evaluation, Step

WithCore = LanguageModel | SequenceClassifier
"""The models that have a core: below it perhaps an embedding, above it a head."""


@overload
def cached_features(model: WithCore, examples: Examples) -> Examples: ...
@overload
def cached_features(model: LanguageModel, examples: TextStream) -> TextStream: ...
def cached_features(model: WithCore, examples: Examples | TextStream) -> Examples | TextStream:
    """Return the examples with a model's features in place of their inputs, for `fit` to train its `HeadOf` on.

    Training ``HeadOf(model)`` on them gives the same numbers as training `model` on the examples with all below its
    head frozen: the same batches, lengths, weights and dropout masks. The core is not run again.

    Parameters
    ----------
    model : LanguageModel or SequenceClassifier
        Has no dropout below the head, because that would draw other features in every step.
    examples : Examples or, for a language model, TextStream
        Are not changed; targets and weights are shared, not copied.

    Returns
    -------
    features : Examples or TextStream
        Of the same batches in the same order. Inputs are the pooled vectors of a classifier, shape (N, F), or the
        hidden states of a language model, (N, T, H), in memory as a whole; of a stream's B rows they are
        (B, steps of an epoch, H), its state carried from batch to batch.

    Raises
    ------
    ValueError
        The model has dropout below its head or a parameter that is NaN or infinite, or does not fit the examples.
    TypeError
        An argument is of another kind.

    See Also
    --------
    HeadOf : what to train on them.

    Notes
    -----
    They are those of the core as it is now. Whoever changes it afterwards has to compute them again.
    """
    where = "cached_features"
    model = model_with_core(where, model)
    _check_dropout(where, model)
    if isinstance(examples, TextStream) and isinstance(model, LanguageModel):
        return _cached_stream(where, model, examples)
    if not isinstance(examples, Examples):
        raise TypeError(
            f"{where}: examples must be Examples or, for a LanguageModel, a TextStream, got {type(examples).__name__} "
            f"for a {type(model).__name__}"
        )
    features = []
    for start in range(0, examples.inputs.shape[0], examples.batch_size):
        rows = slice(start, start + examples.batch_size)
        lengths = None if examples.lengths is None else examples.lengths[rows]
        h, _ = hidden_states(where, model, examples.inputs[rows], lengths)
        features.append(model.pooling(h, lengths) if isinstance(model, SequenceClassifier) else h)
    cached = copy(examples)
    cached.inputs = model.namespace.concat(features, axis=0)
    if isinstance(model, SequenceClassifier):
        cached.lengths = None  # the pooled vectors have no steps
    return cached


class HeadOf:
    """The top of a model, as something that `fit` can train on `cached_features`.

    It has no parameters of its own: what it trains are the model's, so that the model is trained when it is. The
    model is also what predicts and what is to be saved.

    Parameters
    ----------
    model : LanguageModel or SequenceClassifier
        Has no dropout below the head.

    Raises
    ------
    ValueError
        The model has dropout below its head, or a parameter that is NaN or infinite.
    TypeError
        This is no such model.

    Attributes
    ----------
    parameters : dict of str to ndarray
        ``head.weight`` and ``head.bias``; of tied weights the bias alone, as the weight is the embedding's.
    config : dict
        The model's.
    """

    def __init__(self, model: WithCore) -> None:
        self.model = model_with_core("HeadOf", model)
        _check_dropout("HeadOf", model)
        head = {name: array for name, array in model.parameters.items() if name.startswith("head.")}
        self.parameters = LiveParameters("HeadOf.parameters", head)
        self.config = model.config

    @property
    def frozen(self) -> frozenset[str]:
        """What the model has frozen of its head."""
        return self.model.frozen.intersection(self.parameters)

    def loss_and_gradients(
        self,
        batch: Batch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the loss of a batch of features and its gradients, as the model would of the inputs themselves.

        Parameters and errors are those of `Model.loss_and_gradients`; no state is carried, as the features hold it.
        """
        where = "HeadOf.loss_and_gradients"
        wanted = set(self.parameters).difference(self.frozen) if needs is None else needs
        wanted = check_needs(where, wanted, self.parameters)
        rng = mask_generator(rng, self.model.dropout.p, where)
        p, _ = self.model.dropout.forward(self._features(where, batch), rng=rng)
        loss, _, count, gradients = self.model._learn(where, batch, p, wanted)  # (X39)
        return Step(loss, gradients, None, count)

    def evaluate(self, batch: Batch, *, state: Any = None) -> Evaluation:
        """Return the summed loss of a batch of features and how many targets were predicted right; dropout is off.

        Parameters and errors are those of `Model.evaluate`.
        """
        where = "HeadOf.evaluate"
        return self.model._evaluated(where, batch, self._features(where, batch))

    def astype(self, dtype: Any, backend: str | None = None) -> Self:
        """Return the top of the model's twin; see `Model.astype`."""
        return type(self)(self.model.astype(dtype, backend))

    def _features(self, where: str, batch: Batch) -> Array:
        """Return the features of a batch, if that is what it holds."""
        axes = ("B", "T") if isinstance(self.model, LanguageModel) else ("B",)
        shape, dtype, F = tuple(batch.inputs.shape), batch.inputs.dtype, self.model.head.in_features
        if len(shape) != len(axes) + 1 or shape[-1] != F or dtype != self.model.dtype:
            raise ValueError(
                f"{where}: inputs must be features, {self.model.dtype} of shape ({', '.join(axes)}, {F}), got {dtype} "
                f"of shape {shape}; cached_features computes them"
            )
        return batch.inputs


def model_with_core(where: str, model: Any) -> WithCore:
    """Return `model`, if it has a core, and a head for one task, and no parameter is NaN or infinite."""
    if not isinstance(model, WithCore):
        raise TypeError(f"{where}: model must be a LanguageModel or a SequenceClassifier, got {type(model).__name__}")
    for name, array in model.parameters.items():
        check_finite(where, name, array)
    return model


def hidden_states(where: str, model: WithCore, inputs: Array, lengths: Any, state: Any = None) -> tuple[Array, Any]:
    """Return what the core of a model makes of features or tokens, (B, T, F), and its state; dropout is off."""
    y, state, _ = model._hidden(where, inputs, state, lengths)
    return y, state


def _cached_stream(where: str, model: LanguageModel, stream: TextStream) -> TextStream:
    """Return a stream of features; every epoch has the same batches, and begins at zero."""
    features, state = [], None
    for index in range(len(stream)):
        h, state = hidden_states(where, model, stream.batch(0, index).inputs, None, state)
        features.append(h)
    cached = copy(stream)
    cached.inputs = model.namespace.concat(features, axis=1)
    return cached


def _check_dropout(where: str, model: WithCore) -> None:
    """Raise if units are dropped before or within the core. Above it they still are, anew in every step."""
    if masks := model.rnn.regularisers.config:
        given = ", ".join(f"{name}={p}" for name, p in masks.items())
        raise ValueError(
            f"{where}: model must have a core without masks, got {given}: the features would differ in every step; "
            "build one without, and give it this one's state_dict()"
        )
    if model.dropout.p and (model.front.layers or model.rnn.num_layers > 1):
        below = (
            f"{' and '.join(model.front.layers)} below the core"
            if model.front.layers
            else f"{model.rnn.num_layers} layers"
        )
        raise ValueError(
            f"{where}: model must have no dropout below its head, got dropout={model.dropout.p} with {below}: the "
            "features would differ in every step; build one with dropout=0, and give it this one's state_dict()"
        )
