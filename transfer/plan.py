"""`Plan`: how a model is to be adapted, written down before there is a model.

Rules choose parameters by pattern (see `transfer.groups`). A rate takes the place of the optimizer's (X6). An anchor of
strength α pulls a parameter back to where it started, θ_s, by a penalty summed over all its numbers, not their mean::

    ½ α Σ (θ − θ_s)²        (U1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

import numpy as np

from kernels.contract import Array
from rnn_core.layers.base import Layer
from rnn_core.models import Model
from rnn_core.training.updates import Updates

from .groups import Patterns, by_pattern, checked_model, listed
from .table import table
from .values import arrays_of, checked_value


@dataclass(frozen=True)
class Plan:
    """Which parameters stay, how fast the others move, and what holds them back. It can't be changed.

    Parameters
    ----------
    frozen : str or iterable of str
        Patterns of parameters that don't train, beside those that the model itself has frozen.
    rates : mapping of str to float
        A learning rate for each pattern; a parameter without one has the optimizer's.
    anchors : mapping of str to float
        A strength α for each pattern; a parameter without one is free.

    Raises
    ------
    ValueError
        A rate is not above 0, or a strength not at least 0 and finite.
    TypeError
        A pattern is not a string, or a rate or a strength not a number.

    Examples
    --------
    >>> plan = Plan(frozen=["embedding"], rates={"rnn.*": 1e-4}, anchors={"rnn.*": 0.01})

    ``fit(model, ..., updates=plan.resolve(model))`` obeys it.

    Notes
    -----
    Two rules of a plan that claim one parameter must agree: the same rate twice is one rate, two rates are an
    error, and so is a rate or an anchor for what the plan freezes. What the model itself has frozen is another
    matter: it stays frozen and its rules rest, so that one plan serves while group after group is unfrozen.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.2:
    a rate for each layer. X. Li, Y. Grandvalet, F. Davoine, "Explicit inductive bias for transfer learning with
    convolutional networks", ICML 2018, equation 2: the anchor (L²-SP).
    """

    frozen: Patterns = ()
    rates: Mapping[str, float] = field(default_factory=dict, hash=False)
    anchors: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        fixed = {
            "frozen": listed("Plan", "frozen", self.frozen),
            "rates": _numbers("rates", self.rates, above=True),
            "anchors": _numbers("anchors", self.anchors, above=False),
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[type[Plan], tuple[Any, ...]]:
        return Plan, (self.frozen, dict(self.rates), dict(self.anchors))  # a read-only mapping can't be pickled

    def __repr__(self) -> str:
        return f"Plan(frozen={self.frozen}, rates={dict(self.rates)}, anchors={dict(self.anchors)})"

    def resolve(self, model: Model, reference: Layer | Mapping[str, Any] | None = None) -> Updates:
        """Return what `fit` needs to know about this model's parameters.

        Parameters
        ----------
        model : Model
        reference : Model or mapping of str to array, optional
            The values θ_s that anchored parameters are held to, by the model's names; the model's present values by
            default. They are copied.

        Returns
        -------
        updates : Updates
            For each name: whether it trains, its rate, its anchor.

        Raises
        ------
        ValueError
            A pattern matches nothing, two rules disagree, nothing is left to train, or a reference is missing, has
            another shape or is not finite.
        TypeError
            This is not a model, or a reference can't be represented in its parameter's dtype.
        """
        checked_model("Plan.resolve", model)
        names, matches = by_pattern("Plan.resolve", "frozen", model, self.frozen)
        frozen = {name: pattern for pattern, found in matches.items() for name in found}
        rates = _claimed(model, "rates", self.rates, frozen)  # (X6)
        anchors = _claimed(model, "anchors", self.anchors, frozen)
        trainable = tuple(name for name in names if name not in frozen and name not in model.frozen)
        if not trainable:
            raise ValueError(
                f"Plan.resolve: a parameter must be left to train, got all {len(names)} frozen; "
                f"the model has frozen {len(model.frozen)}, the plan {', '.join(self.frozen) or 'none'}"
            )
        values = arrays_of("Plan.resolve", "reference", model if reference is None else reference)
        return Updates(
            trainable,
            {name: rates[name] for name in trainable if name in rates},
            {
                name: (anchors[name], _copied(name, values, model.parameters[name]))
                for name in trainable
                if anchors.get(name)  # strength 0 is no anchor, to the last bit
            },
        )

    def describe(self, model: Model) -> str:
        """Return a table of what this plan means for a model: each parameter's numbers, rate and anchor.

        Errors are those of `resolve`.
        """
        updates = self.resolve(model)
        rows = []
        for name, array in model.parameters.items():
            if name in updates.trainable:
                rate = f"{updates.rates[name]:g}" if name in updates.rates else "the optimizer's"
                anchor = f"{updates.anchors[name][0]:g}" if name in updates.anchors else ""
                rows.append((name, f"{array.size:,}", rate, anchor))
            else:
                rows.append((name, f"{array.size:,}", "frozen", ""))
        training = sum(model.parameters[name].size for name in updates.trainable)
        total = sum(array.size for array in model.parameters.values())
        text = table(("parameter", "numbers", "rate", "anchor"), rows, right=("numbers", "rate", "anchor"))
        return f"{text}\n{training:,} of {total:,} numbers train ({training / total:.1%})"

    def __str__(self) -> str:
        rows = [("frozen", pattern, "") for pattern in self.frozen]
        rows += [("rate", pattern, f"{rate:g}") for pattern, rate in self.rates.items()]
        rows += [("anchor", pattern, f"{strength:g}") for pattern, strength in self.anchors.items()]
        if not rows:
            return "Plan: every parameter trains, at the optimizer's rate"
        return table(("rule", "pattern", "value"), rows, right=("value",))


def _numbers(argument: str, rules: Any, above: bool) -> Mapping[str, float]:
    """Return rules as a read-only mapping, if they give a number above 0, or of at least 0, for each pattern."""
    if not isinstance(rules, Mapping):
        raise TypeError(f"Plan: {argument} must be a mapping of patterns to numbers, got {type(rules).__name__}")
    listed("Plan", argument, rules)
    for pattern, value in rules.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"Plan: {argument}[{pattern!r}] must be a number, got {value!r}")
        if above and not (isfinite(value) and value > 0):
            raise ValueError(
                f"Plan: {argument}[{pattern!r}] must be above 0 and finite, got {value}; frozen=[{pattern!r}] stops it"
            )
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"Plan: {argument}[{pattern!r}] must be at least 0 and finite, got {value}")
    return MappingProxyType({pattern: float(value) for pattern, value in rules.items()})


def _claimed(
    model: Model, argument: str, rules: Mapping[str, float], frozen: Mapping[str, str]
) -> dict[str, float]:
    """Return the one number that rules give to each parameter they match."""
    claims: dict[str, str] = {}
    _, matches = by_pattern("Plan.resolve", argument, model, rules)
    for pattern, names in matches.items():
        for name in names:
            if name in frozen:
                raise ValueError(
                    f"Plan.resolve: rules for a parameter must agree, got frozen {frozen[name]!r} and "
                    f"{argument} {pattern!r} for {name}; narrow one of the patterns"
                )
            other = claims.setdefault(name, pattern)
            if rules[other] != rules[pattern]:
                raise ValueError(
                    f"Plan.resolve: rules for a parameter must agree, got {argument} {other!r}: {rules[other]:g} and "
                    f"{pattern!r}: {rules[pattern]:g} for {name}; narrow one of the patterns"
                )
    return {name: rules[pattern] for name, pattern in claims.items()}


def _copied(name: str, values: Mapping[str, Any], parameter: Array) -> Array:
    """Return a copy of the values that a parameter is held to, in its shape and dtype."""
    if name not in values:
        raise ValueError(f"Plan.resolve: reference must have every anchored parameter, got none for {name}")
    value = checked_value("Plan.resolve", f"reference[{name!r}]", values[name], parameter)
    if tuple(value.shape) != tuple(parameter.shape):
        raise ValueError(
            f"Plan.resolve: reference[{name!r}] must have shape {tuple(parameter.shape)}, got {tuple(value.shape)}"
        )
    home = parameter.copy()
    home[...] = value
    return home
