"""The settings of a layer, each checked to be what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..foreign import shown
from .weights import CantRead


def size(key: str, value: Any) -> int:
    """Return a size of a configuration."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 40:
        raise CantRead(f"{key} must be a size, at least 1, got {shown(value)}")
    return value


def flag(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """Return a setting that is true or false."""
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise CantRead(f"{key} must be true or false, got {shown(value)}")
    return value


def must_be(config: Mapping[str, Any], key: str, only: bool) -> None:
    """Refuse a setting that is not as layers of ours have it."""
    if flag(config, key, only) != only:
        raise CantRead(f"{key} must be {str(only).lower()}, got {str(not only).lower()}{INSTEAD.get(key, '')}")


INSTEAD = {
    "stateful": "; a chain hands states out, and takes them as state0",
    "return_state": "; a chain hands states out by itself",
}
"""What takes the place of a setting that isn't read."""


def sequences_of(config: Mapping[str, Any]) -> bool:
    """Return whether a layer says something at every step."""
    return flag(config, "return_sequences", False)


def function_of(config: Mapping[str, Any], key: str, default: str | None, known: tuple[str, ...]) -> str:
    """Return the name of a function, if it is one that layers of ours have."""
    value = config.get(key, default)
    value = "linear" if value is None else value
    if isinstance(value, str) and value in known:
        return value
    got = shown(value)
    if isinstance(value, dict):  # a function of the user's, or a lambda with its code, which stays where it is
        got = f"one of a class of its own, {shown(value.get('registered_name') or value.get('class_name'))}"
    raise CantRead(f"{key} must be {' or '.join(known)}, as layers of ours have it, got {got}")


def dtype_of(config: Mapping[str, Any]) -> str | None:
    """Return the dtype that a layer computes in."""
    value = config.get("dtype")
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner.get("name") if isinstance(inner, dict) else value
    if value is not None and value not in ("float32", "float64"):
        raise CantRead(f"its dtype policy must be float32 or float64, got {shown(value)}; set it in Keras, and save")
    return value
