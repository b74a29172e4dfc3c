"""JSON Lines: an object a line, with a text and a label."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....foreign import check_text, parse_json, shown
from ..labels import Row
from ..lines import Unread, at, named, numbered, remark
from .tables import Columns, place_of


def from_json_lines(where: str, path: Path, columns: Columns, encoding: str) -> Iterator[Row]:
    """Yield the rows of a file of JSON Lines.

    Raises
    ------
    Unread
        A key is missing, or a label.
    ValueError
        A line is no object of JSON, or holds what can't be written again.
    """
    spelled: dict[str, Any] = {}
    mixed: dict[str, tuple[Any, Any]] = {}
    labelled, last = columns.label is None, None
    for number, row in objects_in(where, path, encoding):
        place = at(path, number)
        key, label_key = _keys(where, place, row, columns)
        text = row[key]
        if not isinstance(text, str):
            raise Unread(
                f"{where}: {place} must have a string under {shown(columns.text, 40)}, got {shown(text)}",
                "{text} names the key",
            )
        check_text(where, place, text)
        name = None
        if columns.label is not None:
            label = None if label_key is None else row[label_key]
            labelled |= label_key is not None
            name = columns.label_in(where, place, _name(where, place, columns.label, label))
            if name is not None and type(spelled.setdefault(name, label)) is not type(label):
                mixed.setdefault(name, (spelled[name], label))
        yield text, name, f"line {number}"
        last = place, row
    if last is not None and not labelled:  # a row may lack the key, but the file must have it somewhere
        _keys(where, *last, replace(columns, allow_unlabelled=False))
    for name, (one, other) in list(mixed.items())[:3]:
        remark(
            where,
            f"{named(path)} has the labels {shown(one)} and {shown(other)}, which are one class, {shown(name, 40)}",
        )


def objects_in(where: str, path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object)."""
    for number, line in numbered(where, path, encoding):
        if not line.strip():
            continue
        row = parse_json(where, at(path, number), line, unique=True)
        if not isinstance(row, dict):
            raise ValueError(f"{where}: {at(path, number)} must be a JSON object, got {shown(row)}")
        yield number, row


def _keys(where: str, place: str, row: dict[str, Any], columns: Columns) -> tuple[str, str | None]:
    """Return the keys of text and label, as they are spelled in this object; None where it has or needs no label."""
    names = list(row)
    places = [names.index(key) if key in row else place_of(key, names) for key in columns.wanted]
    if columns.allow_unlabelled and places[-1] is None and columns.label is not None and places[0] is not None:
        return names[places[0]], None
    found = [names[k] for k in places if k is not None]
    if len(found) < len(places):
        wanted = " and ".join(shown(key, 40) for key in columns.wanted)
        raise Unread(
            f"{where}: {place} must have the key{'s' * (len(places) > 1)} {wanted}, got "
            f"{shown(', '.join(names), 100)[1:-1] or 'none'}",
            f"{columns.options} name{'s' * (len(places) == 1)} {'them' if len(places) > 1 else 'it'}",
        )
    return found[0], found[1] if len(found) > 1 else None


def _name(where: str, place: str, key: str, label: Any) -> str:
    """Return a label as the name of a class; "" for null, "nan" for NaN."""
    if label is None or (isinstance(label, float) and math.isnan(label)):
        return "" if label is None else "nan"
    if isinstance(label, dict | list) or label in (math.inf, -math.inf):
        raise Unread(
            f"{where}: {place} must have a label under {shown(key, 40)}, got {shown(label)}",
            "{label} names another key",
        )
    return check_text(where, place, str(label))
