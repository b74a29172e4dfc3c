"""`SharedMap`: one linear map T for several pairs of tasks, whose gradients add up.

::

    L  = Σ_k L_k(θ_s,k + T(θ_s,k))      (X18)
    dT = Σ_k ∂L_k/∂T                    (X18′)

k counts the tasks: each has its own source θ_s,k, the map is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any, Self

import numpy as np

from kernels.contract import Array
from rnn_core.layers.checks import check_needs
from rnn_core.layers.live import LiveParameters
from rnn_core.models import Model
from rnn_core.models.base import Evaluation, Step

from ..parameters.groups import Patterns
from ..tasks.mixture import TaskBatch
from .kinds import Map
from .linear import LinearMap


class SharedMap:
    """Several models, each with its own θ_s, under one and the same T; for `fit`, with a `Mixture` of
    ``sampling="together"``.

    Parameters
    ----------
    models : mapping of str to Model
        By the task's name. Mapped parameters must have the same names in all of them, and T's tensors the same shapes:
        vocabularies may differ under a `Square`.
    kinds, free, seed
        As `LinearMap` takes them.

    Attributes
    ----------
    maps : dict of str to LinearMap
        By task. Their tensors are the same arrays.
    parameters : dict of str to ndarray
        T's own, once; and for each task what is free: ``task.head.weight``.
    frozen : frozenset of str
        Names out of `parameters` that don't train. Empty at first.

    Raises
    ------
    ValueError
        There is no model, a task's name has a dot, or a T does not fit all models; and as `LinearMap`.
    TypeError
        The models are no mapping; and as `LinearMap`.
    """

    maps: dict[str, LinearMap]
    parameters: dict[str, Array]
    frozen: frozenset[str]
    config: dict[str, Any]

    def __init__(
        self, models: Mapping[str, Model], kinds: Mapping[str, Map], *, free: Patterns = (), seed: int = 0
    ) -> None:
        if not isinstance(models, Mapping):
            raise TypeError(f"SharedMap: models must be a mapping of tasks to models, got {type(models).__name__}")
        if not models or any(not isinstance(task, str) or "." in task for task in models):
            raise ValueError(
                f"SharedMap: models must have a name without a dot for each task, got {', '.join(map(repr, models))}"
            )
        self.maps = {task: LinearMap(model, kinds, free=free, seed=seed) for task, model in models.items()}
        task0, first = next(iter(self.maps.items()))
        shapes = _shapes(first)
        for task, linear in self.maps.items():
            for name in {**shapes, **_shapes(linear)}:
                ours, theirs = shapes.get(name), _shapes(linear).get(name)
                if ours != theirs:
                    raise ValueError(
                        f"SharedMap: T must have the same tensors for all models, got {name} of shape {ours} for "
                        f"{task0!r} and {theirs} for {task!r} (None: it is not there); narrow the patterns, or take "
                        "another kind of map"
                    )
        self.frozen = frozenset()
        self._share()

    def _share(self) -> None:
        """Let all maps have the tensors of the first, and list them once."""
        first = next(iter(self.maps.values()))
        for linear in self.maps.values():
            linear.tensors = first.tensors
            linear.list_parameters()
        # For each task, what its own `LinearMap` calls each of our parameters.
        self._names = {
            task: {(f"{task}.{name}" if name in linear.free else name): name for name in linear.parameters}
            for task, linear in self.maps.items()
        }
        shared = {
            ours: self.maps[task].parameters[own] for task, names in self._names.items() for ours, own in names.items()
        }
        self.parameters = LiveParameters("SharedMap.parameters", shared)
        self.config = {task: linear.config for task, linear in self.maps.items()}

    def loss_and_gradients(
        self,
        batch: TaskBatch,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the sum of the tasks' mean losses and its gradients; no state is carried from batch to batch.

        Raises
        ------
        ValueError
            The batch's tasks are not those of the map, a name in `needs` doesn't exist, or as
            `Model.loss_and_gradients`.
        """
        where = "SharedMap.loss_and_gradients"
        self._check_tasks(where, batch)
        if needs is None:
            needs = [name for name in self.parameters if name not in self.frozen]
        needs = check_needs(where, needs, tuple(self.parameters))
        rng = np.random.default_rng(rng)  # one for all, so that the tasks' dropout masks differ
        loss, count = 0.0, 0.0
        sums: dict[str, Array] = {}
        for task, linear in self.maps.items():
            own = {theirs: ours for ours, theirs in self._names[task].items() if ours in needs}
            step = linear.loss_and_gradients(batch.tasks[task], needs=own, rng=rng)
            loss, count = loss + step.loss, count + step.count  # (X18)
            for theirs, gradient in step.gradients.items():
                ours = own[theirs]
                sums[ours] = sums[ours] + gradient if ours in sums else gradient  # (X18′)
        return Step(loss, {name: sums[name] for name in self.parameters if name in sums}, None, count)

    def evaluate(self, batch: TaskBatch, *, state: Any = None) -> Evaluation:
        """Return the tasks' mean losses, summed, times the count; and how many targets were predicted right."""
        self._check_tasks("SharedMap.evaluate", batch)
        results = [linear.evaluate(batch.tasks[task]) for task, linear in self.maps.items()]
        count = sum(result.count for result in results)
        loss = sum(result.loss / result.count for result in results)  # (X18)
        return Evaluation(loss * count, count, sum(result.correct for result in results), None)

    def merge(self) -> dict[str, Model]:
        """Write each θ_t into its model, and return the models by task; see `LinearMap.merge`."""
        return {task: linear.merge() for task, linear in self.maps.items()}

    def astype(self, dtype: Any, backend: str | None = None) -> Self:
        """Return the same map, with models of its own, whose numbers are these, converted; see `Model.astype`."""
        twin = copy(self)
        twin.maps = {task: linear.astype(dtype, backend) for task, linear in self.maps.items()}
        twin._share()
        return twin

    def __str__(self) -> str:
        trains = sum(array.size for array in self.parameters.values())
        total = sum(array.size for linear in self.maps.values() for array in linear.model.parameters.values())
        first = next(iter(self.maps.values()))
        return (
            f"{first}\nT is shared by {', '.join(self.maps)}: {trains:,} numbers train instead of {total:,} "
            f"({trains / total:.1%})"
        )

    def _check_tasks(self, where: str, batch: Any) -> None:
        tasks = getattr(batch, "tasks", None)
        if not isinstance(tasks, Mapping) or set(tasks) != set(self.maps):
            got = ", ".join(tasks) if isinstance(tasks, Mapping) else type(batch).__name__
            raise ValueError(
                f"{where}: batch must have a batch for each of {', '.join(self.maps)}, got {got}; a Mixture with "
                "sampling='together' makes it"
            )


def _shapes(linear: LinearMap) -> dict[str, tuple[int, ...]]:
    """Return the shape of each of T's tensors."""
    return {f"{name}.{letter}": tuple(t.shape) for name, own in linear.tensors.items() for letter, t in own.items()}
