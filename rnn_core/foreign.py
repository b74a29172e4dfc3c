"""What comes from outside, a file's content or its name: shown short, parsed within bounds, and never executed.

A file may be damaged, or made to do damage. Whoever reads one shows what came by `shown`, parses JSON by `parse_json`
and takes text by `check_text`, so that every fault ends in one short line that names the place.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import Any

SHOWN = 80
"""Characters of a foreign value that a message quotes at most."""

LONGEST_NAME = 160
"""Characters of a path that a message quotes, its end: there stands the file's name."""


def shown(value: Any, most: int = SHOWN) -> str:
    """Return a value as a message quotes it: on one line, shortened, and writable in any encoding."""
    if isinstance(value, str | bytes):
        text = repr(value[: most + 1])
    else:
        try:
            text = repr(value)
        except (RecursionError, ValueError):  # nested too deep, or an integer of too many digits
            text = f"<{type(value).__name__}>"
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def named(path: str | os.PathLike[str]) -> str:
    """Return a path as a message quotes it: its end, if it is long."""
    return _named(str(path))


@lru_cache(16)  # each row of a table may ask for its file's
def _named(text: str) -> str:
    found = ascii_where_needed(text)
    return found if len(found) <= LONGEST_NAME else f"'…{ascii_where_needed(text[-LONGEST_NAME // 2 :])[1:]}"


def ascii_where_needed(text: str) -> str:
    """Return a text in quotation marks, what can't be printed as its number."""
    return shown(text, 4 * len(text) + 8)


def one_line(message: object, most: int = 2 * SHOWN) -> str:
    """Return another library's words as a part of a message: on one line, and shortened."""
    text = " ".join(str(message).split()) or type(message).__name__
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def parse_json(where: str, place: str, text: str | bytes, *, unique: bool = False) -> Any:
    """Return what a JSON text says.

    Parameters
    ----------
    where, place : str
        The function and the place to name: ``f"{where}: {place} must be JSON, got …"``.
    text : str or bytes
    unique : bool
        Refuse an object that has a key twice, of which Python would take the last in silence.

    Raises
    ------
    ValueError
        It is no JSON, or nested deeper than Python parses.
    """
    try:
        return json.loads(text, object_pairs_hook=_once_each if unique else None)
    except RecursionError:
        raise ValueError(f"{where}: {place} must be JSON of a sensible depth, got {shown(text)}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {place} must be JSON, got {shown(text)} ({one_line(error)})") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dictionary, if no key comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {shown(next(key for key in keys if keys.count(key) > 1))} comes twice")
    return found


def check_text(where: str, place: str, text: str) -> str:
    r"""Return a text that can be written again: half a character, as ``"\ud83d"`` in JSON is, can't.

    Raises
    ------
    ValueError
        It holds a surrogate that is no character.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: {place} must be text, got half a character ({ascii(text[error.start])[1:-1]}) at position "
            f"{error.start}, which no file can hold; mend it where it was written"
        ) from None
    return text
