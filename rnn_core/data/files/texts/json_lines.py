"""JSON Lines: an object a line, with a text and a label."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....foreign import check_text, shown
from ..json_rows import keys_of, objects_in, text_under
from ..labels import Row
from ..lines import Unread, at, named, remark
from .labelled import Labelled


def from_json_lines(where: str, path: Path, columns: Labelled, encoding: str) -> Iterator[Row]:
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
        key, *label_keys = keys_of(where, place, row, columns, ("label",) if columns.allow_unlabelled else ())
        text = text_under(where, place, row, str(key), "text")
        name = None
        for label_key in label_keys:
            label = None if label_key is None else row[label_key]
            labelled |= label_key is not None
            name = columns.label_in(where, place, _name(where, place, columns.wanted["label"], label))
            if name is not None and type(spelled.setdefault(name, label)) is not type(label):
                mixed.setdefault(name, (spelled[name], label))
        yield text, name, f"line {number}"
        last = place, row
    if last is not None and not labelled:  # a row may lack the key, but the file must have it somewhere
        keys_of(where, *last, columns)
    for name, (one, other) in list(mixed.items())[:3]:
        remark(
            where,
            f"{named(path)} has the labels {shown(one)} and {shown(other)}, which are one class, {shown(name, 40)}",
        )


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
