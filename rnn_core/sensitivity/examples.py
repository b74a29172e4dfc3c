"""Gradients of single examples: one after another, their norms, and their sum with each clipped.

::

    g_b = ∇L_b(θ)                                    of example b as a batch of one
    Σ_b min(1, C / ‖g_b‖) g_b                        (J11)   clipped per example

Two ways lead there. Together: one walk back through the whole batch tells all norms (walk.py), and the ordinary
backward of a loss in which example b counts min(1, C/‖g_b‖) gives (J11), in the memory of one batch. One by one: each
example is a batch of one, in the memory of one example and of two gradients; that takes any model.

References
----------
M. Abadi, A. Chu, I. Goodfellow, H. B. McMahan, I. Mironov, K. Talwar, L. Zhang, "Deep learning with differential
privacy", arXiv:1607.00133v2 (2016): algorithm 1. Here is what it clips; noise and the account of what it spends are the
caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..data.batches import Batch
from ..foreign import shown
from ..layers.base import generator
from ..layers.checks import check_needs
from ..layers.embedding import dense
from ..models.base import Step
from ..training.clipping import clipping_factor
from .rows import check_batch, row_of_state, scaled, some_rows, weighed
from .stepping import check_has
from .walk import walked, why_not

METHODS = ("together", "one by one")


class ClippedGradients(NamedTuple):
    """What `clipped_gradients` finds.

    Attributes
    ----------
    gradients : dict of str to ndarray
        The sum over the examples, each gradient clipped: (J11). Divide it by `count` for a mean.
    norms : ndarray, shape (B,)
        ‖g_b‖ before clipping.
    loss : float
        Mean over the examples of the loss of each.
    count : int
        B.
    """

    gradients: dict[str, Array]
    norms: np.ndarray
    loss: float
    count: int  # type: ignore[assignment]  # a tuple's method of this name is of no use here


def per_example_gradients(
    model: Any,
    batch: Batch,
    *,
    needs: Iterable[str] | None = None,
    state: Any = None,
    rng: np.random.Generator | int | None = None,
) -> Iterator[Step]:
    """Yield the loss and the gradients of each example of a batch, as a batch of one: any model's.

    Parameters
    ----------
    model : Model, or anything with `parameters` and `loss_and_gradients`
    batch : Batch
        Its rows are the examples.
    needs : set of str, optional
        Parameters whose gradients are wanted; all that are not frozen by default.
    state : ndarray or tuple, optional
        Initial state of a model that carries one, a row for each example.
    rng : Generator or int, optional
        Draws the dropout masks, others for each example.

    Yields
    ------
    Step
        Of one example after another. Of an example whose weights are all 0, zeros.

    Raises
    ------
    TypeError
        The model has not what is needed, or `batch` is no Batch.
    ValueError
        A name is unknown, or weights are not as many as examples; or as the model's `loss_and_gradients`.
    """
    return _one_by_one(*_checked("per_example_gradients", model, batch, needs), state, rng)


def example_gradient_norms(
    model: Any,
    batch: Batch,
    *,
    needs: Iterable[str] | None = None,
    state: Any = None,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
) -> np.ndarray:
    """Return the norm of each example's gradient, over all parameters that are asked for.

    Parameters
    ----------
    model, batch, needs, state, rng
        As `per_example_gradients`; but together all examples' masks are those that `loss_and_gradients` draws.
    method : {"together", "one by one"}, optional
        "together" is one walk back for all, where it can be: the models of one head on the trunk with RNN, LSTM or GRU
        on the host, and tokens or features that come as they are. "one by one" takes any model. By default the first
        where it can be.

    Returns
    -------
    norms : ndarray of float64, shape (B,)
        ‖g_b‖, with g_b the gradient of example b as a batch of one. 0 where an example's weights are all 0.

    Raises
    ------
    ValueError
        The method is unknown, or can't be with this model; or as `per_example_gradients`.
    TypeError
        As `per_example_gradients`.
    """
    where = "example_gradient_norms"
    model, batch, needs = _checked(where, model, batch, needs)
    if _together(where, model, method):
        return _finite(where, np.sqrt(walked(model, batch, needs, state, rng).squares))
    steps = _one_by_one(model, batch, needs, state, rng)
    return np.array([clipping_factor(step.gradients, np.inf)[1] for step in steps])


def clipped_gradients(
    model: Any,
    batch: Batch,
    max_norm: float,
    *,
    needs: Iterable[str] | None = None,
    state: Any = None,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
) -> ClippedGradients:
    """Return the sum of the examples' gradients, each scaled so that it is no longer than `max_norm`: (J11).

    Parameters
    ----------
    model, batch, needs, state, rng, method
        As `example_gradient_norms`.
    max_norm : float
        C, above 0; infinity clips nothing.

    Returns
    -------
    ClippedGradients
        The sum, and each example's norm before clipping.

    Raises
    ------
    ValueError
        `max_norm` is not above 0; or as `example_gradient_norms`.
    TypeError
        `max_norm` is no number; or as `example_gradient_norms`.

    Notes
    -----
    Differentially private training adds noise to this sum and keeps an account of what has been spent. Neither is done
    here: **no accountant is included**, and without one nothing is private. Bounds hold to rounding.
    """
    where = "clipped_gradients"
    if isinstance(max_norm, bool) or not isinstance(max_norm, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: max_norm must be a number, got {shown(max_norm)}")
    if not max_norm > 0:
        raise ValueError(f"{where}: max_norm must be above 0, got {max_norm}")
    model, batch, needs = _checked(where, model, batch, needs)
    if _together(where, model, method):
        return _clipped_together(where, model, batch, float(max_norm), needs, state, rng)
    gradients: dict[str, Array] = {}
    norms, losses = [], []
    for step in _one_by_one(model, batch, needs, state, rng):
        factor, norm = clipping_factor(step.gradients, max_norm)
        norms.append(norm)
        losses.append(step.loss)
        for name, g in step.gradients.items():
            part = factor * g
            gradients[name] = gradients[name] + part if name in gradients else part  # (J11)
    return ClippedGradients(gradients, np.array(norms), float(np.mean(losses)), len(norms))


def _clipped_together(
    where: str, model: Any, batch: Batch, max_norm: float, needs: frozenset[str], state: Any, rng: Any
) -> ClippedGradients:
    """Return the same from one walk back for the norms, and one for the sum."""
    seed = int(generator(rng, where).integers(2**63))  # one for both, so that both draw the same masks
    found = walked(model, batch, needs, state, seed)
    norms = _finite(where, np.sqrt(found.squares))
    clip = max_norm / np.maximum(norms, max_norm) if max_norm < np.inf else np.ones(len(norms))
    # The batch's loss is a mean over targets, in which example b has a share as large as its count.
    factors = clip / np.where(found.counts > 0, found.counts, 1)
    if not found.counts.any():
        zeros = {name: np.zeros_like(array) for name, array in model.parameters.items() if name in needs}
        return ClippedGradients(zeros, norms, 0.0, len(norms))
    step = model.loss_and_gradients(scaled(batch, factors), state=state, needs=needs, rng=seed)
    gradients = {name: step.count * g for name, g in step.gradients.items()}  # (J11)
    return ClippedGradients(gradients, norms, found.loss / len(norms), len(norms))


def _checked(where: str, model: Any, batch: Any, needs: Iterable[str] | None) -> tuple[Any, Batch, frozenset[str]]:
    """Return the model, a batch whose weights are written down, and the names of the parameters that are wanted."""
    check_has(where, "model", model, "parameters", "loss_and_gradients")
    check_batch(where, batch)
    if needs is None:
        needs = set(model.parameters).difference(getattr(model, "frozen", ()))
    return model, weighed(where, batch), check_needs(where, needs, model.parameters)


def _together(where: str, model: Any, method: Any) -> bool:
    """Return whether one walk back is to tell all norms."""
    if method is not None and method not in METHODS:
        raise ValueError(f"{where}: method must be {' or '.join(map(repr, METHODS))}, got {shown(method)}")
    reason = why_not(model)
    if method == "together" and reason:
        raise ValueError(f"{where}: method must be 'one by one', as {reason}, got 'together'; or leave it out")
    return not reason and method != "one by one"


def _one_by_one(model: Any, batch: Batch, needs: frozenset[str], state: Any, rng: Any) -> Iterator[Step]:
    seeds = generator(rng).integers(2**63, size=batch.inputs.shape[0])
    weights: Array = batch.weights
    for b, seed in enumerate(seeds):
        if not weights[b].any():
            yield Step(0.0, _zeros(model.parameters, needs), None, 0)
            continue
        row, its = some_rows(batch, slice(b, b + 1)), row_of_state(state, b)
        step = model.loss_and_gradients(row, state=its, needs=needs, rng=int(seed))
        yield Step(step.loss, {name: dense(g) for name, g in step.gradients.items()}, step.state, step.count)


def _zeros(parameters: Mapping[str, Array], needs: frozenset[str]) -> dict[str, Array]:
    return {name: array_namespace(a).zeros_like(a) for name, a in parameters.items() if name in needs}


def _finite(where: str, norms: np.ndarray) -> np.ndarray:
    """Return norms, if all are numbers."""
    if not np.isfinite(norms).all():
        b = int(np.argmin(np.isfinite(norms)))
        raise ValueError(
            f"{where}: gradients must be finite, got a norm of {norms[b]} for example {b}; look for an overflow in the "
            "loss"
        )
    return norms
