"""Models that answer with logits for each row or step, and carry no state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...layers.home import move, to_host
from ...models import (
    BidirectionalLanguageModel,
    ConvClassifier,
    Forecaster,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
)
from ..places import parameter_axes, sequence_axes
from ..problem import Problem, Twin
from .dispatch import Point, problem_of
from .values import copies, hold_padding


@problem_of.register(SequenceClassifier)
@problem_of.register(SequenceRegressor)
@problem_of.register(SequenceTagger)
@problem_of.register(Forecaster)
def _classifier(model: SequenceClassifier | SequenceRegressor | SequenceTagger | Forecaster, point: Point) -> Problem:
    x, home, lengths, rng = np.asarray(to_host(point.x)), model.namespace, point.lengths, point.rng
    _, tape = model.forward(move(x, home), lengths, rng=rng)
    inputs = {"x": x} if x.dtype == model.dtype else {}
    parameters = [name for name in model.gradient_names if name in model.parameters]

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        values = copies(inputs, dtype) | {name: other.parameters[name] for name in parameters}

        def run() -> dict[str, np.ndarray]:
            if model.embedding is not None and other.embedding is not None:
                hold_padding(model.embedding, other.embedding)
            return {"logits": other.forward(values.get("x", x), lengths, rng=rng)[0]}

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dx, grads = model.backward(tape, move(upstreams["logits"], home))
        return ({} if dx is None else {"x": dx}) | grads

    both_ways = model.rnn.directions == 2
    sequence = sequence_axes(x.ndim, batch_first=True, both_ways=both_ways, lengths=to_host(lengths))
    return Problem(type(model).__name__, model.dtype, twin, gradients, {"x": sequence, **parameter_axes(model)})


@problem_of.register(ConvClassifier)
def _images(model: ConvClassifier, point: Point) -> Problem:
    x, home, rng = np.asarray(to_host(point.x)), model.namespace, point.rng
    _, tape = model.forward(move(x, home), rng=rng)

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        values = copies({"x": x}, dtype) | other.parameters
        return values, lambda: {"logits": other.forward(values["x"], rng=rng)[0]}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dx, grads = model.backward(tape, move(upstreams["logits"], home))
        return {"x": dx, **grads}

    return Problem(type(model).__name__, model.dtype, twin, gradients, parameter_axes(model))


@problem_of.register(BidirectionalLanguageModel)
def _bidirectional(model: BidirectionalLanguageModel, point: Point) -> Problem:
    tokens, home, lengths, rng = to_host(point.x), model.namespace, point.lengths, point.rng
    logits, tape = model.forward(tokens, lengths, rng=rng)
    names = ("forward logits", "backward logits")

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        return dict(other.parameters), lambda: dict(zip(names, other.forward(tokens, lengths, rng=rng)[0], strict=True))

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        nothing = np.zeros(logits[0].shape, model.dtype)
        return model.backward(tape, [move(upstreams.get(name, nothing), home) for name in names])

    sequence = sequence_axes(3, batch_first=True, both_ways=False, lengths=to_host(lengths))
    return Problem(
        type(model).__name__, model.dtype, twin, gradients, {**dict.fromkeys(names, sequence), **parameter_axes(model)}
    )
