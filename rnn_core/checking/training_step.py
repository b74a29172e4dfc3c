"""A model and a batch as a problem: the loss that `fit` makes small, dropout, weights and penalties included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..data.batches import Batch
from ..layers.embedding import dense
from ..layers.home import to_host
from ..training.updates import Updates, add_penalties, resolve
from .places import parameter_axes
from .problem import Problem, Twin
from .targets import hold_padding


def training_step(model: Any, batch: Any, *, state0: Any, updates: Updates | None, rng: int) -> Problem:
    """Return the problem of a model's loss on a batch and, apart from it, of the penalty of its anchors."""
    wanted = ("parameters", "loss_and_gradients", "astype")
    if missing := [name for name in wanted if not hasattr(model, name)]:
        raise TypeError(
            f"gradcheck: target must have {' and '.join(missing)} to be checked with a batch, "
            f"got {type(model).__name__}; wrap your own function in rnn_core.checking.Problem"
        )
    plan = Updates(tuple(model.parameters)) if updates is None else resolve("gradcheck", model, updates, lr=1.0)
    parameters = {name: model.parameters[name] for name in plan.trainable}
    zeros = {name: array_namespace(array).zeros_like(array) for name, array in parameters.items()}
    penalty, pull = add_penalties(plan.anchors, parameters, zeros)
    if plan.anchors and not penalty:
        raise ValueError(
            "gradcheck: updates must hold a parameter to other values than it has, got anchors that pull nowhere, "
            "where every gradient is 0; give Plan.resolve another reference"
        )

    def twin(dtype: np.dtype) -> Twin:
        other = model.astype(dtype, backend="numpy")
        values = {name: other.parameters[name] for name in parameters}
        converted, state = _on_host(batch, dtype), _on_host(state0, dtype)

        def run() -> dict[str, np.ndarray]:
            if getattr(other, "embedding", None) is not None:
                hold_padding(model.embedding, other.embedding)
            step = other.loss_and_gradients(converted, state=state, needs=(), rng=rng)
            outputs = {"loss": np.asarray(step.loss)}
            if plan.anchors:
                ways = {name: values[name] - to_host(home) for name, (_, home) in plan.anchors.items()}
                halves = (0.5 * alpha * (ways[name] ** 2).sum() for name, (alpha, _) in plan.anchors.items())
                outputs["penalty"] = np.asarray(sum(halves))
            return outputs

        return values, run

    def gradients(upstreams: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        of_loss, of_penalty = (float(upstreams.get(output, 0.0)) for output in ("loss", "penalty"))
        found = model.loss_and_gradients(batch, state=state0, needs=plan.trainable, rng=rng).gradients
        whole = {name: dense(g) for name, g in found.items()}
        return {name: of_loss * whole[name] + of_penalty * pull[name] for name in parameters}

    first = next(iter(model.parameters.values()))
    return Problem(type(model).__name__, np.dtype(first.dtype), twin, gradients, parameter_axes(model))


def _on_host(value: Any, dtype: np.dtype) -> Any:
    """Return a state, or a batch of one task or of several, whose features, not its targets, are converted."""
    if isinstance(value, Batch):
        return Batch(_on_host(value.inputs, dtype), *map(to_host, value[1:4]))
    if isinstance(value, Mapping):
        return {name: _on_host(part, dtype) for name, part in value.items()}
    if isinstance(value, tuple):
        parts = [_on_host(part, dtype) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _on_host(getattr(value, field.name), dtype) for field in fields(value)})
    array = to_host(value)
    return array.astype(dtype) if getattr(array, "dtype", None) in (np.float32, np.float64) else array
