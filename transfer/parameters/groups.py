"""Parameter groups, and the patterns that choose parameters by name.

A pattern is the name of a group, or a glob that fits a parameter's whole name: ``rnn.l0`` is a group,
``rnn.*_l0`` the same parameters by name. ``*`` stands for any characters, the dot included, ``?`` for one,
``[ab]`` for one of these; capitals count.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from rnn_core.layers.base import Layer
from rnn_core.models import Model

from .values import check_float

Patterns = str | Iterable[str]
"""One pattern, or several."""


def parameter_groups(model: Layer) -> dict[str, tuple[str, ...]]:
    """Return the names of a model's parameters by group, from the input upwards.

    Parameters
    ----------
    model : Model or layer

    Returns
    -------
    groups : dict of str to tuple of str
        For a language model: embedding, rnn.l0, rnn.l1, …, head. Every parameter is in one group. A simple layer
        is one group with no name.

    Raises
    ------
    ValueError
        The model is of a class of one's own that has a parameter in two groups.
    TypeError
        This is neither a model nor a layer.
    """
    return dict(checked_layer("parameter_groups", "model", model).groups)


def select(model: Layer | Iterable[str], patterns: Patterns) -> tuple[str, ...]:
    """Return the parameters that patterns choose.

    Parameters
    ----------
    model : Model, layer or iterable of str
        What has the parameters, or their names alone; then there are no groups.
    patterns : str or iterable of str
        See the module's description.

    Returns
    -------
    names : tuple of str
        Each once, in the model's order.

    Raises
    ------
    ValueError
        A pattern matches nothing; the message lists the names there are.
    TypeError
        A pattern is not a string.
    """
    return chosen("select", "patterns", model, patterns)


def chosen(where: str, argument: str, model: Layer | Iterable[str], patterns: Patterns) -> tuple[str, ...]:
    """Do what `select` does, on behalf of the function `where` and its argument."""
    names, matches = by_pattern(where, argument, model, patterns)
    union = {name for found in matches.values() for name in found}
    return tuple(name for name in names if name in union)


def by_pattern(
    where: str, argument: str, model: Layer | Iterable[str], patterns: Patterns
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the names there are, and for each pattern the names that it matches."""
    names, groups = _names(where, model)
    matches = {}
    for pattern in listed(where, argument, patterns):
        found = groups.get(pattern) or tuple(name for name in names if fnmatchcase(name, pattern))
        if not found:
            raise ValueError(
                f"{where}: {argument} must match a parameter, got {pattern!r}; {hint(pattern, names, groups)}"
            )
        matches[pattern] = found
    return names, matches


def hint(missed: str, names: Iterable[str], groups: Iterable[str] = ()) -> str:
    """Return the end of an error: what was perhaps meant by `missed`, and the names there are."""
    names, groups = tuple(names), tuple(groups)
    if any(name.startswith(f"{missed}.") for name in names):
        near = [f"{missed}.*"]
    else:
        near = get_close_matches(missed, [*groups, *names], n=1)
    there = f"there are {', '.join(names) or 'none'}"
    if any(groups):
        there += f", in the groups {', '.join(groups)}"
    return f"did you mean {near[0]!r}? {there}" if near else there


def checked_layer(where: str, argument: str, model: Any) -> Layer:
    """Return `model`, if it is a model or a layer."""
    if not isinstance(model, Layer):
        raise TypeError(f"{where}: {argument} must be a model or a layer, got {type(model).__name__}")
    _groups(where, model)
    return model


def checked_model(where: str, model: Any) -> Model:
    """Return `model`, if it is one that can train: a layer alone keeps no account of what is frozen."""
    if not isinstance(model, Model):
        raise TypeError(f"{where}: model must be a Model, such as LanguageModel, got {type(model).__name__}")
    check_float(where, "model", model)
    _groups(where, model)
    return model


def listed(where: str, argument: str, patterns: Patterns) -> tuple[str, ...]:
    """Return patterns as a tuple; one string is one pattern, and not a pattern for each of its letters."""
    if not isinstance(patterns, Iterable):
        raise TypeError(f"{where}: {argument} must be a string or several, got {type(patterns).__name__} {patterns!r}")
    several = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    for pattern in several:
        if not isinstance(pattern, str):
            raise TypeError(f"{where}: {argument} must be strings, got {type(pattern).__name__} {pattern!r}")
    return several


def _groups(where: str, model: Layer) -> dict[str, tuple[str, ...]]:
    """Return a model's groups, if no parameter is in two of them: the class may be the user's own."""
    groups, owners = model.groups, dict[str, str]()
    for group, names in groups.items():
        for name in names:
            if owners.setdefault(name, group) != group:
                raise ValueError(
                    f"{where}: a parameter must be in one group, got {name} in {owners[name]!r} and {group!r}; mend "
                    f"{type(model).__name__}.groups"
                )
    return groups


def _names(where: str, model: Layer | Iterable[str]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    if isinstance(model, Layer):
        return tuple(model.parameters), _groups(where, model)
    return listed("select", "names", model), {}
