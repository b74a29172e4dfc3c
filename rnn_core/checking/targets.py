"""Layers, models and losses taken apart, each into the `Problem` of its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..layers.embedding import Embedding, RowGradient
from ..layers.home import move, to_host
from ..layers.linear import Linear
from ..layers.stack import Recurrent
from ..models import LanguageModel, SequenceClassifier
from ..training.losses import BinaryCrossEntropy, SoftmaxCrossEntropy, SquaredError
from .places import Axes, Axis, parameter_axes, sequence_axes, state_axes
from .problem import Problem, Twin


def problem_of(target: Any, x: Any, *, state0: Any, lengths: Any, targets: Any, weights: Any, rng: int) -> Problem:
    """Return the problem of a layer, model or loss at x."""
    if isinstance(target, Problem):
        return target
    if isinstance(target, Recurrent):
        return _recurrent(target, x, state0, lengths, rng)
    if isinstance(target, LanguageModel):
        return _language_model(target, x, state0, lengths, rng)
    if isinstance(target, SequenceClassifier):
        return _classifier(target, x, lengths, rng)
    if isinstance(target, Linear):
        return _linear(target, x)
    if isinstance(target, Embedding):
        return _embedding(target, x)
    if not isinstance(target, SoftmaxCrossEntropy | BinaryCrossEntropy | SquaredError):
        raise TypeError(
            "gradcheck: target must be a recurrent layer, Linear, Embedding, a model, a loss or a Problem, "
            f"got {type(target).__name__}; wrap your own function in rnn_core.checking.Problem, and check a model of "
            "another kind with a batch"
        )
    return _loss(target, x, targets, weights)


def _recurrent(layer: Recurrent, x: Any, state0: Any, lengths: Any, rng: int) -> Problem:
    x, home = np.asarray(to_host(x)), layer.namespace
    if state0 is None:
        state0 = _drawn(layer(move(x, home), None, lengths)[1], rng)
    state0 = _moved(state0, np)
    tape = layer.forward(move(x, home), _moved(state0, home), lengths, rng=rng)[2]
    states = [f"{s}0" for s in layer.spec.states]
    finals = [f"{s}_T" for s in layer.spec.states]
    state_dict = _named(states, state0)

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")
        values = _copies({"x": x, **state_dict}, dtype) | other.parameters

        def run() -> dict[str, np.ndarray]:
            y, final, _ = other.forward(values["x"], _unnamed(states, values), lengths, rng=rng)
            return {"y": y, **_named(finals, final)}

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dy, dfinal = _moved(upstreams.get("y"), home), _moved(_unnamed(finals, upstreams), home)
        dx, dstate0, grads = layer.backward(tape, dy, dfinal)
        return {"x": dx, **_named(states, dstate0), **grads}

    sequence = sequence_axes(
        x.ndim, batch_first=layer.batch_first, both_ways=layer.directions == 2, lengths=to_host(lengths)
    )
    axes = {"x": sequence, "y": sequence, **_axes_of_states(layer, state_dict), **parameter_axes(layer)}
    return Problem(type(layer).__name__, layer.dtype, twin, gradients, axes)


def _language_model(model: LanguageModel, tokens: Any, state0: Any, lengths: Any, rng: int) -> Problem:
    tokens, home = to_host(tokens), model.namespace
    if state0 is None:
        state0 = _drawn(model(tokens, None, lengths)[1], rng)
    state0 = _moved(state0, np)
    logits, _, tape = model.forward(tokens, _moved(state0, home), lengths, rng=rng)
    spec = model.rnn.spec
    states, finals = [f"{s}0" for s in spec.states], [f"{s}_T" for s in spec.states]
    state_dict = _named(states, state0)

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        values = _copies(state_dict, dtype) | other.parameters

        def run() -> dict[str, np.ndarray]:
            logits, final, _ = other.forward(tokens, _unnamed(states, values), lengths, rng=rng)
            return {"logits": logits, **_named(finals, final)}

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dlogits = move(upstreams.get("logits", np.zeros(logits.shape, model.dtype)), home)
        dstate0, grads = model.backward(tape, dlogits, _moved(_unnamed(finals, upstreams), home))
        return {**_named(states, dstate0), **grads}

    sequence = sequence_axes(3, batch_first=True, both_ways=False, lengths=to_host(lengths))
    axes = {"logits": sequence, **_axes_of_states(model.rnn, state_dict), **parameter_axes(model)}
    return Problem(type(model).__name__, model.dtype, twin, gradients, axes)


def _classifier(model: SequenceClassifier, x: Any, lengths: Any, rng: int) -> Problem:
    x, home = np.asarray(to_host(x)), model.namespace
    _, tape = model.forward(move(x, home), lengths, rng=rng)
    inputs = {"x": x} if x.dtype == model.dtype else {}

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        values = _copies(inputs, dtype) | other.parameters

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


def _linear(layer: Linear, x: Any) -> Problem:
    x, home = to_host(x), layer.namespace
    _, tape = layer.forward(move(x, home))

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")
        values = _copies({"x": x}, dtype) | other.parameters
        return values, lambda: {"y": other(values["x"])}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dx, grads = layer.backward(tape, move(upstreams["y"], home))
        return {"x": dx, **grads}

    return Problem("Linear", layer.dtype, twin, gradients, parameter_axes(layer))


def _embedding(layer: Embedding, tokens: Any) -> Problem:
    tokens, home = to_host(tokens), layer.namespace
    _, tape = layer.forward(tokens)

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")

        def run() -> dict[str, np.ndarray]:
            hold_padding(layer, other)
            return {"y": other(tokens)}

        return other.parameters, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        (gradient,) = layer.backward(tape, move(upstreams["y"], home)).values()
        return {"weight": gradient.to_dense() if isinstance(gradient, RowGradient) else gradient}

    return Problem("Embedding", layer.dtype, twin, gradients, {"weight": (Axis("token"), Axis("column"))})


def _loss(loss: Any, logits: Any, targets: Any, weights: Any) -> Problem:
    logits = np.asarray(logits)
    _, tape = loss.forward(logits, targets, weights)

    def twin(dtype: np.dtype) -> Twin:
        values = _copies({"logits": logits}, dtype)
        return values, lambda: {"loss": np.asarray(loss.forward(values["logits"], targets, weights)[0])}

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"logits": upstreams["loss"] * loss.backward(tape)}

    return Problem(type(loss).__name__, logits.dtype, twin, gradients)


def _axes_of_states(layer: Recurrent, states: Mapping[str, Any]) -> dict[str, Axes]:
    return {name: state_axes(layer.num_layers, layer.directions, state.ndim) for name, state in states.items()}


def hold_padding(layer: Embedding, twin: Embedding) -> None:
    """Undo a change of the padding row: it is a constant by definition, so its gradient is zero."""
    if layer.padding_idx is not None:
        twin.parameters["weight"][layer.padding_idx] = to_host(layer.parameters["weight"][layer.padding_idx])


def _copies(arrays: Mapping[str, Any], dtype: np.dtype) -> dict[str, np.ndarray]:
    return {name: np.array(array, dtype) for name, array in arrays.items()}


def _named(names: list[str], state: Any) -> dict[str, Any]:
    """Take h or (h, c) apart, by name."""
    return dict(zip(names, (state,) if len(names) == 1 else state, strict=True))


def _unnamed(names: list[str], values: Mapping[str, Any]) -> Any:
    """Put h or (h, c) together; None where a name is absent."""
    found = tuple(values.get(name) for name in names)
    return found[0] if len(names) == 1 else found


def _moved(state: Any, xp: Any) -> Any:
    """Return h or (h, c) as arrays of a namespace; None stays None."""
    if isinstance(state, tuple | list):
        return tuple(_moved(s, xp) for s in state)
    return None if state is None else move(state, xp)


def _drawn(state: Any, rng: int) -> Any:
    """Return an initial state like this final one, but drawn: one of zeros would hide what the first step does."""
    draws = np.random.default_rng([rng, STATE])
    parts = state if isinstance(state, tuple) else (state,)
    drawn = tuple((0.5 * draws.standard_normal(part.shape)).astype(to_host(part).dtype) for part in parts)
    return drawn if isinstance(state, tuple) else drawn[0]


STATE = 2**31
"""The second word of the initial state's seed: upstream gradients and masks have none."""
