"""Layers of one input, and losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...layers.attention import Attention
from ...layers.convolution.conv import Convolution
from ...layers.convolution.pointwise import ReLU
from ...layers.convolution.pools import GlobalAvgPool, Pool
from ...layers.crf import CRF
from ...layers.embedding import Embedding, dense
from ...layers.home import move, to_host
from ...layers.linear import Linear
from ...layers.mixing.highway import Highway
from ...layers.mixing.scalar_mix import ScalarMix
from ...training.losses import (
    BinaryCrossEntropy,
    GaussianLikelihood,
    QuantileLoss,
    SoftmaxCrossEntropy,
    SquaredError,
)
from ..places import Axis, parameter_axes
from ..problem import Problem, Twin
from .dispatch import Point, problem_of
from .values import copies, hold_padding


@problem_of.register(Convolution)
@problem_of.register(Linear)
@problem_of.register(ScalarMix)
@problem_of.register(Highway)
def _of_each_step(layer: Any, point: Point) -> Problem:
    x, home = to_host(point.x), layer.namespace
    _, tape = layer.forward(move(x, home))

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")
        values = copies({"x": x}, dtype) | other.parameters
        return values, lambda: {"y": other(values["x"])}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dx, grads = layer.backward(tape, move(upstreams["y"], home))
        return {"x": dx, **grads}

    return Problem(type(layer).__name__, layer.dtype, twin, gradients, parameter_axes(layer))


@problem_of.register(GlobalAvgPool)
@problem_of.register(Pool)
@problem_of.register(ReLU)
def _without_parameters(layer: Any, point: Point) -> Problem:
    x = np.asarray(to_host(point.x))
    _, tape = layer.forward(x)

    def twin(dtype: np.dtype) -> Twin:
        values = copies({"x": x}, dtype)
        return values, lambda: {"y": layer(values["x"])}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"x": layer.backward(tape, upstreams["y"])}

    return Problem(type(layer).__name__, x.dtype, twin, gradients)


@problem_of.register(Embedding)
def _embedding(layer: Embedding, point: Point) -> Problem:
    tokens, home = to_host(point.x), layer.namespace
    _, tape = layer.forward(tokens)

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")

        def run() -> dict[str, np.ndarray]:
            hold_padding(layer, other)
            return {"y": other(tokens)}

        return other.parameters, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        (gradient,) = layer.backward(tape, move(upstreams["y"], home)).values()
        return {"weight": dense(gradient)}

    return Problem("Embedding", layer.dtype, twin, gradients, {"weight": (Axis("token"), Axis("column"))})


@problem_of.register(CRF)
def _crf(layer: CRF, point: Point) -> Problem:
    emissions, home = np.asarray(to_host(point.x)), layer.namespace
    _, tape = layer.forward(move(emissions, home), point.targets, point.lengths, point.weights)

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")
        values = copies({"emissions": emissions}, dtype) | other.parameters

        def run() -> dict[str, np.ndarray]:
            loss, _ = other.forward(values["emissions"], to_host(point.targets), point.lengths, point.weights)
            return {"loss": np.asarray(loss)}

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        demissions, grads = layer.backward(tape)
        u = float(upstreams["loss"])
        return {name: u * to_host(gradient) for name, gradient in {"emissions": demissions, **grads}.items()}

    return Problem("CRF", layer.dtype, twin, gradients, parameter_axes(layer))


ALL = ("queries", "keys", "values")
"""What comes into an `Attention`."""


@problem_of.register(Attention)
def _attention(layer: Attention, point: Point) -> Problem:
    if not isinstance(point.x, tuple | list) or len(point.x) not in (2, 3):
        got = f"{len(point.x)} arrays" if isinstance(point.x, tuple | list) else type(point.x).__name__
        raise TypeError(
            f"gradcheck: x of an Attention must be (queries, keys) or (queries, keys, values), got {got}; who asks "
            "himself gives the same array twice"
        )
    home, lengths = layer.namespace, point.lengths
    inputs = {name: np.asarray(to_host(array)) for name, array in zip(ALL, point.x, strict=False)}
    queries, keys, own = (None if (array := inputs.get(name)) is None else move(array, home) for name in ALL)
    y, _, tape = layer.forward(queries, keys, own, lengths)

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")
        values = copies(inputs, dtype) | other.parameters

        def run() -> dict[str, np.ndarray]:
            found = other(values["queries"], values["keys"], values.get("values"), to_host(lengths))
            return dict(zip(("y", "weights"), found, strict=True))

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dy = upstreams.get("y", np.zeros(tuple(y.shape), layer.dtype))
        dweights = upstreams.get("weights")
        *found, grads = layer.backward(tape, move(dy, home), None if dweights is None else move(dweights, home))
        return {name: gradient for name, gradient in zip(ALL, found, strict=True) if gradient is not None} | grads

    return Problem("Attention", layer.dtype, twin, gradients, parameter_axes(layer))


@problem_of.register(SoftmaxCrossEntropy)
@problem_of.register(BinaryCrossEntropy)
@problem_of.register(SquaredError)
@problem_of.register(GaussianLikelihood)
@problem_of.register(QuantileLoss)
def _loss(loss: Any, point: Point) -> Problem:
    logits, targets, weights = np.asarray(point.x), point.targets, point.weights
    _, tape = loss.forward(logits, targets, weights)

    def twin(dtype: np.dtype) -> Twin:
        values = copies({"logits": logits}, dtype)
        return values, lambda: {"loss": np.asarray(loss.forward(values["logits"], targets, weights)[0])}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"logits": upstreams["loss"] * loss.backward(tape)}

    return Problem(type(loss).__name__, logits.dtype, twin, gradients)
