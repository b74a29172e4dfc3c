"""`Updates`: which parameters train, at what rate, and what holds them back.

A parameter may be anchored to where it came from. Its penalty is a sum over all elements, not a mean::

    L_s = ½ α Σ (θ − θ_s)²        (U1)
    dθ  = α (θ − θ_s)             (U1′)   added to the gradient of the loss

References
----------
.. [1] X. Li, Y. Grandvalet, F. Davoine, "Explicit inductive bias for transfer learning with convolutional networks",
   ICML 2018, equation 2 (L²-SP).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ..layers.checks import check_finite
from ..layers.embedding import dense
from ..layers.home import move, numbers
from .protocols import Trainable


class Updates(NamedTuple):
    """Plain data about the parameters of a model, by their names. `transfer.Plan` makes it from patterns.

    Attributes
    ----------
    trainable : tuple of str
        What trains; everything else stays as it is, bit by bit.
    rates : mapping of str to float
        Learning rates instead of the optimizer's `lr`; the schedule's factor applies to them too.
    anchors : mapping of str to (float, ndarray)
        Strength α and the values θ_s that the parameter is held to, of the parameter's shape: (U1).
    """

    trainable: tuple[str, ...]
    rates: Mapping[str, float] = MappingProxyType({})
    anchors: Mapping[str, tuple[float, Array]] = MappingProxyType({})


def resolve(where: str, model: Trainable, updates: Updates | None, lr: float) -> Updates:
    """Return the updates in full: names in the model's order, and a rate for each of them.

    Parameters
    ----------
    where : str
        The caller, for messages.
    model : Trainable
    updates : Updates or None
        None trains all that isn't frozen.
    lr : float
        The rate of a parameter that has none of its own.

    Raises
    ------
    ValueError
        Nothing trains; a name is unknown, or is frozen or does not train where it should; a rate or a strength is
        negative or not finite; an anchor has another shape than its parameter.
    TypeError
        A rate or a strength is not a number, or an anchor is of a dtype that its parameter can't hold.
    """
    every = model.parameters
    if updates is None:
        updates = Updates(tuple(name for name in every if name not in model.frozen))
        if not updates.trainable:
            raise ValueError(
                f"{where}: model must have a parameter that trains, got all {len(every)} frozen; "
                "unfreeze some of them (transfer.unfreeze)"
            )
    if not updates.trainable:
        raise ValueError(f"{where}: updates.trainable must name a parameter at least, got none of {_list(every)}")
    _check_names(where, "trainable", updates.trainable, every, "parameters")
    if frozen := [name for name in updates.trainable if name in model.frozen]:
        raise ValueError(
            f"{where}: updates.trainable must not name what the model has frozen, got {_list(frozen)}; unfreeze it "
            "(transfer.unfreeze), or leave it out"
        )
    trainable = tuple(name for name in every if name in set(updates.trainable))
    _check_names(where, "rates", updates.rates, trainable, "parameters that train")
    _check_names(where, "anchors", updates.anchors, trainable, "parameters that train")
    rates = {
        name: _number(where, f"rates[{name!r}]", updates.rates[name]) if name in updates.rates else float(lr)
        for name in trainable
    }
    anchors = {name: _anchor(where, name, *updates.anchors[name], every[name]) for name in updates.anchors}
    # A strength of 0 is left out: adding 0·(θ − θ_s) could turn −0 into 0.
    return Updates(trainable, rates, {name: anchor for name, anchor in anchors.items() if anchor[0]})


def add_penalties(
    anchors: Mapping[str, tuple[float, Array]], parameters: Mapping[str, Array], gradients: Mapping[str, Any]
) -> tuple[float, dict[str, Any]]:
    """Return the penalty of all anchors, and the gradients with its own added; nothing given is changed."""
    squares, gradients = [], dict(gradients)
    for name, (strength, home) in anchors.items():
        g = gradients[name]
        way = parameters[name] - home
        squares.append(array_namespace(way).sum(way * way))  # (U1)
        gradients[name] = dense(g) + strength * way  # (U1′)
    penalty = 0.0
    for (strength, _), square in zip(anchors.values(), numbers(squares), strict=True):
        penalty += 0.5 * strength * square  # (U1)
    return penalty, gradients


def _anchor(where: str, name: str, strength: Any, home: Any, parameter: Array) -> tuple[float, Array]:
    xp = array_namespace(parameter)
    home, place = move(home, xp), f"the anchor of {name}"
    if tuple(home.shape) != tuple(parameter.shape):
        raise ValueError(
            f"{where}: {place} must have shape {tuple(parameter.shape)}, as the parameter, got {tuple(home.shape)}"
        )
    if not np.can_cast(home.dtype, parameter.dtype, "safe"):
        raise TypeError(f"{where}: {place} must be {parameter.dtype} or narrower, got {home.dtype}; use astype")
    check_finite(where, place, home)
    # A copy: an anchor is often the very array that is about to train.
    return _number(where, f"anchors[{name!r}][0]", strength), xp.astype(home, parameter.dtype, copy=True)


def _number(where: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: updates.{name} must be a number, got {value!r}")
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{where}: updates.{name} must be at least 0 and finite, got {value}")
    return float(value)


def _check_names(where: str, field: str, given: Any, known: Iterable[str], what: str) -> None:
    if isinstance(given, str):
        raise TypeError(f"{where}: updates.{field} must hold names, got the single string {given!r}")
    if unknown := sorted(set(given).difference(known)):
        raise ValueError(f"{where}: updates.{field} must name {what}; got {_list(unknown)}; there are {_list(known)}")


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
