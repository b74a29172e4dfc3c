"""A model and a batch as a problem: the loss that `fit` makes small, dropout, weights and penalties included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..layers.embedding import dense
from ..layers.home import to_host
from ..training.updates import Updates, add_penalties, resolve
from .places import parameter_axes
from .problem import Problem, Twin
from .twins import hold_paddings, on_host


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
        converted, state = on_host(batch, dtype), on_host(state0, dtype)

        def run() -> dict[str, np.ndarray]:
            hold_paddings(model, other)
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
