"""What stood beside weights in earlier versions, read as if it were of today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..foreign import parse_json
from ..schema import check_value

TRANSFER = "transfer"
"""The key under which ``rnn-core transfer`` wrote, before every model could have something beside it."""

READING = ("kind", "vocabulary", "max_steps", "frame", "rate", "missing")
"""Entries of its encoding that say how files are read."""


def from_transfer(header: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what ``rnn-core transfer`` wrote beside a network, as `beside.py` would have; None if it didn't.

    Raises
    ------
    ValueError
        It did, and an entry is missing or of another type.
    """
    try:
        found = parse_json("its header", TRANSFER, header.get(TRANSFER, ""), unique=True)
    except ValueError:
        return None  # somebody's own string of that name
    if not isinstance(found, dict) or not {"version", "encoding"} <= set(found):
        return None
    place = f"{TRANSFER}, encoding"
    check_value(place, dict[str, Any], found["encoding"])
    encoding: dict[str, Any] = found["encoding"]
    for entry in ("kind", "mean", "scale"):
        if entry not in encoding:
            raise ValueError(f"{place} must hold {entry}, got none")
    mean, scale = encoding["mean"], encoding["scale"]
    return {
        "version": found["version"],
        "tokenizer": encoding.get("tokenizer"),
        "classes": found.get("classes"),
        "scaling": {"mean": mean, "scale": scale} if mean or scale else None,
        "task": "classify",
        "reading": {name: encoding[name] for name in READING if encoding.get(name) is not None},
        "record": {name: found[name] for name in ("method", "metric", "scores") if name in found},
    }
