"""JSON Lines: an object a line, and the keys that are read of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...foreign import check_text, parse_json, shown
from .lines import Unread, at, numbered
from .tables import Columns, place_of


def values_in(where: str, path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    """Yield the number of each line that is not blank, and what its JSON says."""
    for number, line in numbered(where, path, encoding):
        if line.strip():
            yield number, parse_json(where, at(path, number), line, unique=True)


def objects_in(where: str, path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object)."""
    for number, row in values_in(where, path, encoding):
        if not isinstance(row, dict):
            raise ValueError(f"{where}: {at(path, number)} must be a JSON object, got {shown(row)}")
        yield number, row


def keys_of(
    where: str, place: str, row: dict[str, Any], columns: Columns, optional: tuple[str, ...] = ()
) -> list[str | None]:
    """Return the keys that are read, as they are spelled in this object; None for one that may lack and does.

    Raises
    ------
    Unread
        A key is missing whose option is not among the `optional` ones.
    """
    names = list(row)
    places = [names.index(key) if key in row else place_of(key, names) for key in columns.names]
    missing = [k is None and option not in optional for option, k in zip(columns.wanted, places, strict=True)]
    if any(missing):
        wanted = " and ".join(shown(key, 40) for key in columns.names)
        several = len(places) > 1
        raise Unread(
            f"{where}: {place} must have the key{'s' * several} {wanted}, got "
            f"{shown(', '.join(names), 100)[1:-1] or 'none'}",
            f"{columns.options} name{'s' * (not several)} {'them' if several else 'it'}",
        )
    return [None if k is None else names[k] for k in places]


def text_under(where: str, place: str, row: dict[str, Any], key: str, option: str) -> str:
    """Return the text under a key.

    Raises
    ------
    Unread
        There is no string.
    ValueError
        It holds half a character.
    """
    text = row[key]
    if not isinstance(text, str):
        raise Unread(
            f"{where}: {place} must have a string under {shown(key, 40)}, got {shown(text)}",
            f"{{{option}}} names the key",
        )
    return check_text(where, place, text)
