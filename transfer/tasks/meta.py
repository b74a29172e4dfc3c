"""Learning to learn: parameters from which a few steps on a new task lead far. Reptile, and MAML of both orders.

::

    θ_{k+1} = θ_k − α ∇L_k(θ_k)                        (X44)   K steps on a task's support, from θ_0 = θ
    θ ← θ − ε (θ − θ_K)                                (X46)   Reptile; the way back θ − θ_K is a mean over tasks
    v_K = ∇L_q(θ_K),  v_k = v_{k+1} − α H_k v_{k+1}    (X47)   MAML: ∂L_q(θ_K)/∂θ = v_0; first order takes v_K for it

L_q is the loss of a task's query, and H_k has the second derivatives of L_k at θ_k; see `transfer.tasks.adaptation`.

References
----------
.. [1] A. Nichol, J. Achiam, J. Schulman, "On first-order meta-learning algorithms", arXiv:1803.02999v3.
.. [2] C. Finn, P. Abbeel, S. Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", ICML 2017.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import Array
from rnn_core.data import Batch
from rnn_core.layers.base import generator
from rnn_core.models.base import Evaluation, Step
from rnn_core.training import SGD, Optimizer

from .adaptation import adapt, check_optimizer, checked_learner, dense, hessian_vector_product, moving, pass_seeds
from .episodes import Episode, Task


class Adapted(NamedTuple):
    """What one task says of the parameters that it began from."""

    loss: float
    gradients: dict[str, Array]
    count: float  # type: ignore[assignment]  # a tuple's method of this name is of no use here


class MetaLearner(ABC):
    """What the methods share: a model for `fit` whose batches are episodes.

    Its parameters are the inner model's own. An episode's tasks each begin from them, and leave them as they were.

    Attributes
    ----------
    model : Model, or anything with `parameters` and `loss_and_gradients`
        What learns. Whatever it has frozen neither adapts nor trains.
    parameters : dict of str to ndarray
        The inner model's arrays by name.
    config : dict
        What a checkpoint is told apart by.
    """

    def __init__(self, model: Any, **settings: Any) -> None:
        checked_learner(type(self).__name__, model)
        self.model = model
        self.parameters: dict[str, Array] = model.parameters
        self.config = {"model": type(model).__name__, **getattr(model, "config", {}), **settings}

    @property
    def frozen(self) -> frozenset[str]:
        """What the inner model has frozen."""
        return getattr(self.model, "frozen", frozenset())

    @frozen.setter
    def frozen(self, names: frozenset[str]) -> None:
        self.model.frozen = names

    def loss_and_gradients(
        self,
        batch: Any,
        *,
        state: Any = None,
        needs: Iterable[str] | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Step:
        """Return the loss of an episode and the method's gradient, each a mean over its tasks.

        Parameters
        ----------
        batch : Episode
        state : None
            There is none.
        needs : set of str, optional
            What adapts and trains; all that is not frozen by default. The rest is constant.
        rng : Generator or int, optional
            Draws the dropout masks.

        Raises
        ------
        TypeError
            The batch is no episode.
        ValueError
            A task lacks what the method wants; or as the model's own.
        """
        where = f"{type(self).__name__}.loss_and_gradients"
        names, rng = moving(where, self.model, needs), generator(rng, where)
        tasks = _tasks(where, batch)
        share = 1 / len(tasks)
        loss, count = 0.0, 0.0
        gradients: dict[str, Array] = {}
        for task in tasks:
            with _put_back(self.parameters, names) as start:
                found = self._task(where, task, start, rng)
            loss += share * found.loss
            count += found.count
            for name, gradient in found.gradients.items():
                part = gradient if share == 1 else share * gradient
                gradients[name] = gradients[name] + part if name in gradients else part
        return Step(loss, {name: gradients[name] for name in names}, None, count)

    def evaluate(self, batch: Any, *, state: Any = None) -> Evaluation:
        """Return the loss of the queries after adapting, summed over their targets, and how many were right.

        Dropout masks, while adapting, are the same in every call.
        """
        where = f"{type(self).__name__}.evaluate"
        names = moving(where, self.model, None)
        loss, count, correct = 0.0, 0.0, 0.0
        for task in _tasks(where, batch):
            with _put_back(self.parameters, names):
                adapt(self.model, task.support, self._inner(), needs=names, rng=0)
                found = self.model.evaluate(_query(where, task), state=None)
            loss, count, correct = loss + found.loss, count + found.count, correct + found.correct
        return Evaluation(loss, count, correct, None)

    @abstractmethod
    def _inner(self) -> Optimizer:
        """Return what adapts to a task."""

    @abstractmethod
    def _task(self, where: str, task: Task, start: dict[str, Array], rng: np.random.Generator) -> Adapted:
        """Return what one task says of `start`, what moves as it is now; it may be left anyhow."""


class Reptile(MetaLearner):
    """Moves the parameters towards where training on a task leads: (X46).

    Parameters
    ----------
    model : Model, or anything with `parameters` and `loss_and_gradients`
    inner : Optimizer
        Adapts to a task, and begins anew with each; ``SGD(α)`` is (X44).

    Notes
    -----
    Its gradient is θ − θ_K, the way back; ``fit(..., optimizer=SGD(ε))`` makes (X46) of it. The loss is the mean over
    the steps on the support, each before its step. Queries are not used, but to evaluate.
    """

    def __init__(self, model: Any, inner: Optimizer) -> None:
        check_optimizer("Reptile", inner)
        super().__init__(model, inner=repr(inner))
        self.inner = inner

    def _inner(self) -> Optimizer:
        return self.inner

    def _task(self, where: str, task: Task, start: dict[str, Array], rng: np.random.Generator) -> Adapted:
        losses = adapt(self.model, task.support, self.inner, needs=start, rng=rng)
        way_back = {name: array - self.parameters[name] for name, array in start.items()}  # (X46)
        return Adapted(sum(losses) / len(losses), way_back, len(losses))


class MAML(MetaLearner):
    """Follows the gradient of the loss after adapting, through the adaptation itself: (X47).

    Parameters
    ----------
    model : Model, or anything with `parameters`, `loss_and_gradients` and, for the second order, `astype`
    rate : float
        α of (X44), above 0.
    first_order : bool
        Leave the Hessians out: take the gradient where adapting has led. Each Hessian costs a gradient on complex
        numbers, several real ones on a fast backend.

    Raises
    ------
    TypeError, ValueError
        The model has not what is needed, or the rate is not a number above 0.
    """

    def __init__(self, model: Any, rate: float, *, first_order: bool = False) -> None:
        super().__init__(model, rate=rate, first_order=first_order)
        if isinstance(rate, bool) or not isinstance(rate, int | float | np.integer | np.floating):
            raise TypeError(f"MAML: rate must be a number, got {rate!r}")
        if not (isfinite(rate) and rate > 0):
            raise ValueError(f"MAML: rate must be above 0 and finite, got {rate}")
        if not first_order:
            checked_learner("MAML", model, complex_step=True)
        self.rate, self.first_order = float(rate), bool(first_order)

    def _inner(self) -> Optimizer:
        return SGD(self.rate)

    def _task(self, where: str, task: Task, start: dict[str, Array], rng: np.random.Generator) -> Adapted:
        query, names = _query(where, task), list(start)
        *seeds, query_seed = pass_seeds(rng, len(task.support) + 1)
        path = []
        for batch, seed in zip(task.support, seeds, strict=True):
            path.append({name: self.parameters[name].copy() for name in names} if not self.first_order else {})
            step = self.model.loss_and_gradients(batch, state=None, needs=names, rng=seed)
            self._inner().update(self.parameters, step.gradients, {})  # (X44)
        end = self.model.loss_and_gradients(query, state=None, needs=names, rng=query_seed)
        v = {name: dense(end.gradients[name]) for name in names}  # (X47) v_K
        if not self.first_order:
            for point, batch, seed in zip(path[::-1], task.support[::-1], seeds[::-1], strict=True):
                for name in names:
                    self.parameters[name][...] = point[name]
                product = hessian_vector_product(self.model, batch, v, rng=seed)
                v = {name: v[name] - self.rate * product[name] for name in names}  # (X47)
        return Adapted(end.loss, v, end.count)


def _tasks(where: str, episode: Any) -> tuple[Task, ...]:
    if not isinstance(episode, Episode):
        raise TypeError(f"{where}: batch must be an Episode, got {type(episode).__name__}; Tasks makes them")
    for task in episode.tasks:
        if not task.support:
            raise ValueError(f"{where}: support must have a batch for each step, got none")
    return episode.tasks


def _query(where: str, task: Task) -> Batch:
    if task.query is None:
        raise ValueError(f"{where}: task must have a query, got None; Task(support, query) has one")
    return task.query


@contextmanager
def _put_back(parameters: Mapping[str, Array], names: list[str]) -> Iterator[dict[str, Array]]:
    """Yield copies of parameters, and leave these as they were, whatever happens."""
    kept = {name: parameters[name].copy() for name in names}
    try:
        yield kept
    finally:
        for name, array in kept.items():
            parameters[name][...] = array
