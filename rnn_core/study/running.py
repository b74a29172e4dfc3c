"""Running a function statement by statement, before a visitor that sees, and may replace, every array of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, Protocol

import numpy as np

from .statements import RETURNED, Branch, Statement, statements


class Visitor(Protocol):
    """Who looks on while a step is gone through. Each of its functions returns the array to go on with."""

    def given(self, name: str, array: np.ndarray, origin: str) -> np.ndarray:
        """See what a step begins with."""

    def met(self, statement: Statement, name: str, array: np.ndarray) -> np.ndarray:
        """See what a statement has assigned to a name, or to a part of it: "a.i"."""

    def output(self, statement: Statement, name: str, array: Any, text: str, reads: tuple[str, ...]) -> Any:
        """See what a function returns under a name; it may be a variable's value, or no array."""

    def called(self, names: Mapping[str, str]) -> None:
        """Hear what a name stands for, here or in the function that comes next."""


def scope_of(function: FunctionType) -> dict[str, Any]:
    """Return the names that a function can see."""
    scope = dict(function.__globals__)
    scope.update(inspect.getclosurevars(function).nonlocals)
    return scope


def call(
    function: FunctionType, arguments: Mapping[str, Any], visitor: Visitor, names: Sequence[tuple[str, ...]] = ()
) -> Any:
    """Call a function statement by statement, and return what it returns.

    Parameters
    ----------
    names : sequence of tuple of str
        What each group that it returns, and each field of that, is called; of functions that return arrays, a name
        each. What has none is not shown to the visitor.
    """
    scope = scope_of(function) | dict(arguments)
    at = run(statements(function), scope, visitor)
    results = scope[RETURNED]
    if at is None or not names:
        return results
    bare = isinstance(results, tuple | list) and results and isinstance(results[0], np.ndarray) and () in names
    alone = bool(bare) or not isinstance(results, tuple | list) or hasattr(type(results), "_fields")
    groups: list[Any] = [results] if alone else list(results)
    for k, (group, own) in enumerate(zip(groups, names, strict=False)):
        texts = {name: (text, reads) for name, text, reads in (at.parts[k] if k < len(at.parts) else ())}
        if len(own) == 1 and isinstance(group, np.ndarray):
            groups[k] = visitor.output(at, own[0], group, at.text, at.reads)
        elif isinstance(group, tuple | list):
            fields = getattr(type(group), "_fields", [str(j) for j in range(len(group))])
            found = []
            for j, (field, name, value) in enumerate(zip(fields, own, group, strict=False)):
                text, reads = texts.get(field) or texts.get(str(j)) or (at.text, at.reads)
                found.append(visitor.output(at, name, value, text, reads) if name else value)
            groups[k] = type(group)(*found) if hasattr(group, "_fields") else type(group)(found)
    return groups[0] if alone else tuple(groups)


def execute(statement: Statement, scope: dict[str, Any]) -> None:
    """Run one statement of a function that is there already, in a scope."""
    exec(statement.code, scope)


def run(
    found: Sequence[Statement | Branch],
    scope: dict[str, Any],
    visitor: Visitor,
    *,
    until: str | None = None,
    after: str | None = None,
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Statement | None:
    """Run statements in a scope; return the `return` that was met.

    Parameters
    ----------
    until, after : str, optional
        Run those that come before, or after, the first that assigns to this name alone.
    labels : mapping, optional
        What the places of a list are called, by the list's name; what has no labels, (), is not shown.
    """
    names = [isinstance(one, Statement) and (until or after) in one.targets for one in found]
    if after is not None:
        found = found[names.index(True) + 1 :]
    elif until is not None:
        found = found[: names.index(True)]
    for one in found:
        if isinstance(one, Branch):
            body = one.body if eval(one.test, scope) else one.other  # a part of a function that is called
            if (at := run(body, scope, visitor, labels=labels)) is not None:
                return at
            continue
        before = {name: dict(arrays_in(name, scope.get(name), labels)) for name in one.targets}
        execute(one, scope)
        if RETURNED in one.targets:
            return one
        for name in one.targets:
            for part, array in list(arrays_in(name, scope[name], labels)):
                if array is not before[name].get(part):
                    put(scope, name, part, visitor.met(one, part, array), labels)
    return None


def arrays_in(name: str, value: Any, labels: Mapping[str, Sequence[str]] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield what a value holds of arrays, each by its name: "a", or "a.i" of a group."""
    if (labels or {}).get(name) == ():
        return
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, dict | tuple | list):
        for key, part in _items(name, value, labels):
            if isinstance(part, np.ndarray):
                yield f"{name}.{key}", part


def put(
    scope: dict[str, Any], name: str, part: str, array: np.ndarray, labels: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Put an array where `arrays_in` found one."""
    value = scope[name]
    if part == name:
        scope[name] = array
        return
    keys = [key for key, _ in _items(name, value, labels)]
    k = keys.index(part.partition(".")[2])
    if isinstance(value, dict):
        value[list(value)[k]] = array
    elif isinstance(value, list):
        value[k] = array
    else:
        rest = [*value[:k], array, *value[k + 1 :]]
        scope[name] = type(value)(*rest) if hasattr(value, "_fields") else tuple(rest)


def _items(name: str, value: Any, labels: Mapping[str, Sequence[str]] | None) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(str(key), part) for key, part in value.items()]
    fields = (labels or {}).get(name, getattr(type(value), "_fields", None))
    return [(str(key), part) for key, part in zip(range(len(value)) if fields is None else fields, value, strict=False)]
