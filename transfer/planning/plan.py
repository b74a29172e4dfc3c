"""`Plan`: how a model is to be adapted, written down before there is a model.

Rules choose parameters by pattern (see `transfer.parameters.groups`). A rate takes the place of the optimizer's (X6).
An anchor of strength α pulls a parameter back to where it started, θ_s. A decay of strength β pulls one towards 0 that
is new and has no θ_s. Both are penalties summed over all numbers, not their mean::

    ½ α Σ (θ − θ_s)²        (U1)
    ½ β Σ θ²                (X11)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import isfinite
from types import MappingProxyType
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.data.source import Source
from rnn_core.layers.base import Layer
from rnn_core.models import Model
from rnn_core.showing.table import table
from rnn_core.training.schedules import Schedule
from rnn_core.training.updates import Updates

from ..parameters.groups import Patterns, by_pattern, checked_model, listed
from ..parameters.values import arrays_of, checked_value
from .freezing import Unfreezing
from .stages import Stage, stages_of


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
    decays : mapping of str to float
        A strength β for each pattern: for what has no source, such as a new head. A parameter has an anchor, a decay
        or neither.
    unfreezing : Unfreezing, optional
        Train the top group first, and the others one by one. Without it all train from the first step.
    schedule : callable, optional
        From the number of steps in the run to a schedule: `SlantedTriangular`, `OneCycle`, `Cosine`; for options
        ``functools.partial(SlantedTriangular, peak=0.2)``.

    Raises
    ------
    ValueError
        A rate is not above 0, or a strength not at least 0 and finite.
    TypeError
        A pattern is not a string, a rate or a strength not a number, or the schedule one that has its steps already.

    Examples
    --------
    >>> plan = Plan(frozen=["embedding"], rates={"rnn.*": 1e-4}, anchors={"rnn.*": 0.01})

    ``fit(model, ..., updates=plan.resolve(model))`` obeys it, and so does ``fit_plan(model, ..., plan)``, which can
    also do what changes on the way: the unfreezing and the schedule.

    Notes
    -----
    Two rules of a plan that claim one parameter must agree: the same rate twice is one rate, two rates are an
    error, and so is a rate or an anchor for what the plan freezes. What the model itself has frozen is another
    matter: it stays frozen and its rules rest, so that one plan serves while group after group is unfrozen.

    References
    ----------
    J. Howard, S. Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.2:
    a rate for each layer. X. Li, Y. Grandvalet, F. Davoine, "Explicit inductive bias for transfer learning with
    convolutional networks", ICML 2018, equations 2 and 3: the anchor (L²-SP), and the decay of what is new.
    """

    frozen: Patterns = ()
    rates: Mapping[str, float] = field(default_factory=dict, hash=False)
    anchors: Mapping[str, float] = field(default_factory=dict, hash=False)
    decays: Mapping[str, float] = field(default_factory=dict, hash=False)
    unfreezing: Unfreezing | None = None
    schedule: Callable[[int], Callable[[int], float]] | None = None

    def __post_init__(self) -> None:
        fixed = {
            "frozen": listed("Plan", "frozen", self.frozen),
            "rates": _numbers("rates", self.rates, above=True),
            "anchors": _numbers("anchors", self.anchors, above=False),
            "decays": _numbers("decays", self.decays, above=False),
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.unfreezing, Unfreezing | None):
            raise TypeError(f"Plan: unfreezing must be an Unfreezing or None, got {self.unfreezing!r}")
        if isinstance(self.schedule, Schedule) or not (self.schedule is None or callable(self.schedule)):
            raise TypeError(
                "Plan: schedule must make a schedule from the number of steps, as the class SlantedTriangular does, "
                f"got {self.schedule!r}; for options take functools.partial"
            )

    def __reduce__(self) -> tuple[type[Plan], tuple[Any, ...]]:
        values = (getattr(self, f.name) for f in fields(self))  # a read-only mapping can't be pickled
        return Plan, tuple(dict(value) if isinstance(value, Mapping) else value for value in values)

    def __repr__(self) -> str:
        shown = [f"frozen={self.frozen}", f"rates={dict(self.rates)}", f"anchors={dict(self.anchors)}"]
        shown += [f"decays={dict(self.decays)}"] if self.decays else []
        shown += [f"unfreezing={self.unfreezing!r}"] if self.unfreezing else []
        shown += [f"schedule={_name(self.schedule)}"] if self.schedule else []
        return f"Plan({', '.join(shown)})"

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
            A pattern matches nothing, two rules disagree, nothing is left to train, a reference is missing, has
            another shape or is not finite, or the plan has an unfreezing or a schedule, which are for `fit_plan`.
        TypeError
            This is not a model, or a reference can't be represented in its parameter's dtype.
        """
        checked_model("Plan.resolve", model)
        if self.unfreezing or self.schedule:
            # Left out in silence, what is called gradual unfreezing would be plain fine-tuning.
            raise ValueError(
                "Plan.resolve: what changes during training can't be resolved, got "
                f"{'an unfreezing' if self.unfreezing else 'a schedule'}; train with fit_plan"
            )
        names, matches = by_pattern("Plan.resolve", "frozen", model, self.frozen)
        frozen = {name: pattern for pattern, found in matches.items() for name in found}
        rates = _claimed(model, "rates", self.rates, frozen)  # (X6)
        anchors = _claimed(model, "anchors", self.anchors, frozen)
        decays = _claimed(model, "decays", self.decays, frozen)
        if both := [name for name in anchors if name in decays]:
            raise ValueError(
                "Plan.resolve: rules for a parameter must agree, got an anchor and a decay for "
                f"{', '.join(both)}; narrow one of the patterns"
            )
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
            }
            | {name: (decays[name], _zeros(model.parameters[name])) for name in trainable if decays.get(name)},  # (X11)
        )

    def stages(
        self,
        model: Model,
        train: Source,
        epochs: int,
        reference: Layer | Mapping[str, Any] | None = None,
        *,
        where: str = "Plan.stages",
    ) -> list[Stage]:
        """Return what `fit` is given in each stage of the plan, unfreezing and schedule included; `fit_plan` runs them.

        Parameters
        ----------
        model, reference
            As for `resolve`, which is asked once, so that θ_s is the same in every stage.
        train : Source
            Training batches.
        epochs : int
            The whole budget, for all stages together.
        where : str
            What errors name.

        Raises
        ------
        ValueError, TypeError
            As `resolve`; or the stages don't fit into the epochs, or what makes the schedule returns none.
        """
        updates = replace(self, unfreezing=None, schedule=None).resolve(model, reference)
        return stages_of(where, model, train, updates, self.unfreezing, self.schedule, epochs)

    def describe(self, model: Model) -> str:
        """Return a table of what this plan means for a model: each parameter's numbers, rate and anchor.

        Errors are those of `resolve`.
        """
        updates = replace(self, unfreezing=None, schedule=None).resolve(model)
        decays = _claimed(model, "decays", self.decays, {})
        rows = []
        for name, array in model.parameters.items():
            if name in updates.trainable:
                rate = f"{updates.rates[name]:g}" if name in updates.rates else "the optimizer's"
                strength = f"{updates.anchors[name][0]:g}" if name in updates.anchors else ""
                anchor, decay = ("", strength) if name in decays else (strength, "")
                rows.append((name, f"{array.size:,}", rate, anchor, decay))
            else:
                rows.append((name, f"{array.size:,}", "frozen", "", ""))
        training = sum(model.parameters[name].size for name in updates.trainable)
        total = sum(array.size for array in model.parameters.values())
        headings = ("parameter", "numbers", "rate", "anchor", "decay")
        lines = [table(headings, rows, right=headings[1:])]
        lines += [f"{training:,} of {total:,} numbers train ({training / total:.1%})"]
        lines += [f"unfreezing: {self.unfreezing}"] if self.unfreezing else []
        lines += [f"schedule: {_name(self.schedule)}"] if self.schedule else []
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the rules as plain data, for JSON: the last three only where there are any, a schedule by its name."""
        rules = {"frozen": list(self.frozen), "rates": dict(self.rates), "anchors": dict(self.anchors)}
        more = {
            "decays": dict(self.decays),
            "unfreezing": self.unfreezing and asdict(self.unfreezing),
            "schedule": self.schedule and _name(self.schedule),
        }
        return rules | {name: value for name, value in more.items() if value}

    def __str__(self) -> str:
        rows = [("frozen", pattern, "") for pattern in self.frozen]
        rows += [("rate", pattern, f"{rate:g}") for pattern, rate in self.rates.items()]
        rows += [("anchor", pattern, f"{strength:g}") for pattern, strength in self.anchors.items()]
        rows += [("decay", pattern, f"{strength:g}") for pattern, strength in self.decays.items()]
        rows += [("unfreezing", "", str(self.unfreezing))] if self.unfreezing else []
        rows += [("schedule", "", _name(self.schedule))] if self.schedule else []
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


def _claimed(model: Model, argument: str, rules: Mapping[str, float], frozen: Mapping[str, str]) -> dict[str, float]:
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


def _zeros(parameter: Array) -> Array:
    return array_namespace(parameter).zeros_like(parameter)


def _name(schedule: Any) -> str:
    """Return what a schedule is called: a class or function by its name, anything else by its `repr`."""
    return schedule.__name__ if hasattr(schedule, "__name__") else repr(schedule)


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
