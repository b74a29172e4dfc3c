"""Which front a model's arguments ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...foreign import shown
from ...layers.checks import positive_int
from ...layers.embedding import Embedding
from .convolutions import Frames, OverTime
from .front import Front
from .letters import Letters
from .mix import Mix
from .plain import Features, Tokens

FRONTS: dict[str, Callable[..., Front]] = {
    "frames": Frames,
    "letters": Letters,
    "mix": Mix,
    "over time": OverTime,
}
"""Those that ``front={"kind": …}`` names; each takes what stands beside the kind, and backend, dtype and seed."""


def front_of(
    name: str,
    *,
    hidden_size: int,
    input_size: Any = None,
    vocab_size: Any = None,
    embedding_size: Any = None,
    padding_idx: Any = None,
    front: Any = None,
    **made: Any,
) -> Front:
    """Return the front of a model, checked: one of `input_size`, `vocab_size` and `front` says which.

    `made` is how its layers are made: backend, dtype and seed. An embedding is as wide as the core without
    `embedding_size`.

    Raises
    ------
    ValueError, TypeError
        None or several of them are given, or what is given has no such value.
    """
    given = {"input_size": input_size, "vocab_size": vocab_size, "front": front}
    if sum(value is not None for value in given.values()) != 1:
        came = ", ".join(f"{key}={shown(value)}" for key, value in given.items() if value is not None or key != "front")
        also = ", or front" if FRONTS else ""
        raise ValueError(
            f"{name}: one of input_size (for features) and vocab_size (for tokens){also} must be given, got {came}"
        )
    if vocab_size is not None:
        positive_int(name, "vocab_size", vocab_size)
        width = hidden_size if embedding_size is None else positive_int(name, "embedding_size", embedding_size)
        return Tokens(Embedding(vocab_size, width, padding_idx, **made))
    if embedding_size is not None or padding_idx is not None:
        raise ValueError(
            f"{name}: embedding_size and padding_idx must be left out with "
            f"{'input_size' if front is None else 'front'}, got {embedding_size} and {padding_idx}; tokens are read "
            "with vocab_size"
        )
    if front is None:
        return Features(positive_int(name, "input_size", input_size))
    return _named(name, front, made)


def _named(name: str, front: Any, made: Mapping[str, Any]) -> Front:
    """Return the front that a mapping describes."""
    if not isinstance(front, Mapping) or "kind" not in front:
        raise TypeError(f"{name}: front must be a mapping with its kind, such as {{'kind': …}}, got {shown(front)}")
    options = dict(front)
    kind = options.pop("kind")
    if kind not in FRONTS:
        raise ValueError(
            f"{name}: the kind of front must be one of {', '.join(map(repr, FRONTS)) or 'none'}, got {shown(kind)}"
        )
    try:
        return FRONTS[kind](**options, **made)
    except TypeError as error:  # of an argument that is missing or unknown
        raise TypeError(f"{name}: front must be what {kind!r} is built from: {error}") from error
