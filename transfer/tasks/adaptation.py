"""Adapting to a task by a few steps, and the second derivatives that meet whoever looks back through them.

::

    θ_{k+1} = θ_k − α ∇L_k(θ_k)         (X44)   a step on each batch of a task's support, from θ_0 = θ
    H v = Im ∇L(θ + i·δ·v) / δ          (X45)   H the second derivatives of L at θ

In (X45) the hand-written gradient itself runs on complex numbers, backpropagation through time included; it is (J2) of
`rnn_core.sensitivity`. Nothing is subtracted, so δ can be so small that the product is exact to rounding.

References
----------
B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994) 147-160.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kernels.contract import Array
from rnn_core.data import Batch
from rnn_core.layers.base import generator
from rnn_core.layers.checks import check_needs
from rnn_core.sensitivity.curvature import hessian_times
from rnn_core.training import Optimizer


def adapt(
    model: Any,
    support: Sequence[Batch],
    optimizer: Optimizer,
    *,
    needs: Iterable[str] | None = None,
    rng: np.random.Generator | int | None = None,
) -> list[float]:
    """Take a step on each batch: what a learned start is for.

    Parameters
    ----------
    model : Model, or anything with `parameters` and `loss_and_gradients`
        Changed in place.
    support : sequence of Batch
        One for each step; ``[batch] * 5`` takes five steps on the same.
    optimizer : Optimizer
        Begins anew; ``SGD(α)`` is (X44).
    needs : set of str, optional
        What moves; all that is not frozen by default.
    rng : Generator or int, optional
        Draws the dropout masks.

    Returns
    -------
    losses : list of float
        Each before its step.

    Raises
    ------
    TypeError
        The model has not what is needed, or this is no optimizer.
    ValueError
        A name in `needs` is unknown; or as the model's `loss_and_gradients`.
    """
    checked_learner("adapt", model)
    check_optimizer("adapt", optimizer)
    names = moving("adapt", model, needs)
    parameters = {name: model.parameters[name] for name in names}
    state = optimizer.init(parameters)
    losses = []
    for batch, seed in zip(support, pass_seeds(rng, len(support)), strict=True):
        step = model.loss_and_gradients(batch, state=None, needs=names, rng=seed)
        optimizer.update(parameters, step.gradients, state)  # (X44)
        losses.append(step.loss)
    return losses


def hessian_vector_product(
    model: Any, batch: Batch, vector: Mapping[str, Array], *, rng: np.random.Generator | int | None = None
) -> dict[str, Array]:
    """Return H v, where H holds the second derivatives of the loss of a batch at the model's parameters: (X45).

    Parameters
    ----------
    model : Model, or anything with `parameters`, `loss_and_gradients` and `astype`
        ``astype(np.complex128)`` must return a twin that computes on complex numbers, as rnn_core's models do.
    batch : Batch
    vector : mapping of str to ndarray
        v: an array for each parameter that H is about, of its shape. Other parameters are constants.
    rng : Generator or int, optional
        Draws the dropout masks.

    Returns
    -------
    product : dict of str to ndarray
        Named, shaped and typed as `vector`.

    Raises
    ------
    TypeError
        The model can't be run on complex numbers.
    ValueError
        A name is unknown, or a shape is not the parameter's; or as the model's `loss_and_gradients`.

    Notes
    -----
    It is `rnn_core.hvp`, which has more to say.
    """
    where = "hessian_vector_product"
    checked_learner(where, model, complex_step=True)
    return hessian_times(where, model, batch, vector, rng=rng)  # (X45)


def checked_learner(where: str, model: Any, complex_step: bool = False) -> None:
    """Raise if a model has not what is asked of it here."""
    wanted = ["parameters", "loss_and_gradients", *(["astype"] if complex_step else [])]
    if missing := [name for name in wanted if not hasattr(model, name)]:
        way_out = "; first_order=True does without astype" if missing == ["astype"] and where == "MAML" else ""
        raise TypeError(f"{where}: model must have {' and '.join(missing)}, got {type(model).__name__}{way_out}")


def check_optimizer(where: str, optimizer: Any) -> None:
    """Raise if this is none."""
    if not isinstance(optimizer, Optimizer):
        name = "inner" if where == "Reptile" else "optimizer"
        raise TypeError(f"{where}: {name} must be an optimizer, such as SGD(0.01), got {type(optimizer).__name__}")


def moving(where: str, model: Any, needs: Iterable[str] | None) -> list[str]:
    """Return what moves, in the model's order."""
    if needs is None:
        needs = set(model.parameters).difference(getattr(model, "frozen", ()))
    needs = check_needs(where, needs, model.parameters)
    return [name for name in model.parameters if name in needs]


def pass_seeds(rng: np.random.Generator | int | None, count: int) -> list[int]:
    """Return a seed for each pass: the same masks can then be drawn again for its Hessian."""
    return [int(seed) for seed in generator(rng, "adapt").integers(1 << 32, size=count)]


def dense(gradient: Any) -> Array:
    """Return a gradient as one array, also where only its rows that are not zero are given."""
    return gradient.to_dense() if hasattr(gradient, "to_dense") else gradient
