"""What a file says of a constructor's arguments, held against the constructor: names, types and ranges.

The annotations are the schema, so that it can't part from the class. Known are int, float, str, bool, None, their
unions, and lists, tuples and dictionaries of them; what else an annotation says, the constructor has to check.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from .foreign import shown

LARGEST = 2**63 - 1
"""The largest integer that a file may name: no size and no count lies beyond."""

_WORDS = {int: "an int of 64 bits", float: "a number", str: "a string", bool: "true or false", NoneType: "null"}


def check_arguments(
    place: str, kind: Callable[..., Any], found: Any, *, without: Collection[str] = (), whole: bool = False
) -> dict[str, Any]:
    """Return a JSON object, if its entries are what a constructor takes.

    Parameters
    ----------
    place : str
        What to call the object in errors.
    kind : class
        Whose constructor it is for.
    found : Any
        What `parse_json` returned.
    without : collection of str
        Arguments that are not a file's to choose.
    whole : bool
        Those that have a default may not be missing either.

    Raises
    ------
    ValueError
        It is no object, an entry is missing, unknown or not a file's to choose, or a value is of another type.
    """
    if not isinstance(found, dict):
        raise ValueError(f"{place} must be a JSON object, got {shown(found)}")
    parameters = inspect.signature(kind).parameters.values()
    known = {one.name: one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters)
    name = getattr(kind, "__name__", "it")
    for key in found:
        if key in without:
            raise ValueError(f"{place} must leave out {key}, which a file doesn't choose, got {shown(found[key])}")
        if key not in known and not anything:
            raise ValueError(f"{place} must hold what {name} takes, got {shown(key)}")
    for key, parameter in known.items():
        if key not in found and (whole or parameter.default is parameter.empty):
            raise ValueError(f"{place} must hold {key}, which {name} takes, got none")
    types = _annotations(kind)
    for key, value in found.items():
        if key not in known or value is not known[key].default:  # `size: int = None` means None, too
            check_value(f"{place}: {shown_key(key)}", types.get(key, Any), value)
    return found


def check_value(place: str, expected: Any, value: Any) -> None:
    """Raise ValueError if a value from JSON is not of an annotation's type."""
    if not _is(expected, value):
        raise ValueError(f"{place} must be {_named(expected)}, got {shown(value)}")


def shown_key(key: str) -> str:
    """Return a key as a message names it: as it is, where it is a plain name."""
    return key if key.isidentifier() and len(key) <= 40 else shown(key, 40)


def _annotations(kind: Any) -> dict[str, Any]:
    """Return the types that a constructor's annotations name; none where they can't be looked up."""
    try:
        return get_type_hints(kind.__init__ if inspect.isclass(kind) else kind)
    except (AttributeError, NameError, SyntaxError, TypeError):  # a user's own class may annotate as it likes
        return {}


def _is(expected: Any, value: Any) -> bool:
    """Return whether a value from JSON is of an annotation's type; of one that isn't known here any value is."""
    origin, inner = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return any(_is(one, value) for one in inner)
    if expected in (str, bool, NoneType):
        return isinstance(value, expected)
    if expected is float and isinstance(value, float):
        return True  # NaN and infinity, which Python's JSON has: whether they make sense, the constructor knows
    if expected in (int, float):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    if origin is list or (origin is tuple and inner[1:] == (Ellipsis,)):
        return isinstance(value, list) and all(_is(inner[0], one) for one in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(_is(inner[1], one) for one in value.values())
    return True


def _named(expected: Any) -> str:
    """Return a type in words."""
    origin, inner = get_origin(expected), get_args(expected)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_named(one) for one in inner))
    if origin in (list, tuple) and inner:
        return f"a list, each of it {_named(inner[0])}"
    if origin in (dict, Mapping) and inner:
        return "an object" if inner[1] is Any else f"an object, each entry {_named(inner[1])}"
    return _WORDS.get(expected, "an object")
