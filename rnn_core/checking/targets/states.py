"""What carries states: recurrent layers, and the language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...layers.home import move, to_host
from ...layers.stack import Recurrent
from ...models import LanguageModel
from ..places import Axes, parameter_axes, sequence_axes, state_axes
from ..problem import Problem, Twin
from .defined import apart
from .dispatch import Point, problem_of
from .values import copies, drawn, moved, named, unnamed


@problem_of.register(Recurrent)
def _recurrent(layer: Recurrent, point: Point) -> Problem:
    x, home = np.asarray(to_host(point.x)), layer.namespace
    lengths, rng, state0 = point.lengths, point.rng, point.state0
    if state0 is None:
        state0 = drawn(layer(move(x, home), None, lengths)[1], rng)
    state0, resets, reset_to = moved(state0, np), to_host(point.resets), point.reset_to
    if given := resets is not None and reset_to is not None and not isinstance(reset_to, str):
        reset_to = moved(reset_to, np)
    options = {"resets": resets, "reset_to": moved(reset_to, home) if given else reset_to}
    options = {name: value for name, value in options.items() if value is not None}
    options |= {"all_states": True} if point.all_states else {}
    tape = layer.forward(move(x, home), moved(state0, home), lengths, rng=rng, **options)[2]
    states, finals = [f"{s}0" for s in layer.spec.states], [f"{s}_T" for s in layer.spec.states]
    sequences = ["y", *(layer.spec.states[1:] if point.all_states else ())]
    backs = [f"reset_{s}" for s in layer.spec.states]
    state_dict = named(states, state0) | (named(backs, reset_to) if given else {})

    def twin(dtype: np.dtype) -> Twin:
        other = layer.astype(dtype, backend="numpy")
        values = copies({"x": x, **state_dict}, dtype) | other.parameters

        def run() -> dict[str, np.ndarray]:
            own = options | ({"reset_to": unnamed(backs, values)} if given else {})
            y, final, _ = other.forward(values["x"], unnamed(states, values), lengths, rng=rng, **own)
            return dict(zip(sequences, y if point.all_states else (y,), strict=True)) | named(finals, final)

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dy, dfinal = moved(upstreams.get("y"), home), moved(unnamed(finals, upstreams), home)
        others = [moved(upstreams.get(s), home) for s in sequences[1:]]
        # Only where there are some: a layer of one's own may know no such argument.
        upstream: dict[str, Any] = {"dstates": (None, *others)} if others else {}
        dx, dstate0, grads = layer.backward(tape, dy, dfinal, **upstream)
        return {"x": dx, **named(states, dstate0), **grads}

    sequence = sequence_axes(
        x.ndim, batch_first=layer.batch_first, both_ways=layer.directions == 2, lengths=to_host(lengths)
    )
    axes = dict.fromkeys(["x", *sequences], sequence) | _axes_of_states(layer, state_dict) | parameter_axes(layer)
    return Problem(type(layer).__name__, layer.dtype, twin, gradients, axes, apart(layer))


@problem_of.register(LanguageModel)
def _language_model(model: LanguageModel, point: Point) -> Problem:
    tokens, home = to_host(point.x), model.namespace
    lengths, rng, state0 = point.lengths, point.rng, point.state0
    if state0 is None:
        state0 = drawn(model(tokens, None, lengths)[1], rng)
    state0 = moved(state0, np)
    logits, _, tape = model.forward(tokens, moved(state0, home), lengths, rng=rng)
    spec = model.rnn.spec
    states, finals = [f"{s}0" for s in spec.states], [f"{s}_T" for s in spec.states]
    state_dict = named(states, state0)

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        values = copies(state_dict, dtype) | other.parameters

        def run() -> dict[str, np.ndarray]:
            logits, final, _ = other.forward(tokens, unnamed(states, values), lengths, rng=rng)
            return {"logits": logits, **named(finals, final)}

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        dlogits = move(upstreams.get("logits", np.zeros(logits.shape, model.dtype)), home)
        dstate0, grads = model.backward(tape, dlogits, moved(unnamed(finals, upstreams), home))
        return {**named(states, dstate0), **grads}

    sequence = sequence_axes(3, batch_first=True, both_ways=False, lengths=to_host(lengths))
    axes = {"logits": sequence, **_axes_of_states(model.rnn, state_dict), **parameter_axes(model)}
    return Problem(type(model).__name__, model.dtype, twin, gradients, axes, apart(model.rnn))


def _axes_of_states(layer: Recurrent, states: Mapping[str, Any]) -> dict[str, Axes]:
    return {name: state_axes(layer.num_layers, layer.directions, state.ndim) for name, state in states.items()}
