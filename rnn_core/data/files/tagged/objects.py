"""JSON Lines: an object a sentence, with a list of words and a list of tags."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ....foreign import check_text, shown
from ..json_rows import objects_in
from ..lines import Unread, at
from ..tables import place_of
from .columns import ALIKE, Wanted
from .sentences import Word, checked_word


def words_of_objects(
    where: str, path: Path, encoding: str, wanted: Wanted, *, keep: bool, unknown: bool
) -> Iterator[Word | None]:
    """Yield the words of each object, and None behind them.

    Raises
    ------
    Unread
        A key is missing, or what stands under it is no list of words or tags, as many of the one as of the other.
    """
    for line, found in objects_in(where, path, encoding):
        tokens = _list(where, path, line, found, "token", wanted.token)
        tags = _list(where, path, line, found, "tag", wanted.tag) if wanted.tagged else [None] * len(tokens)
        if len(tags) != len(tokens):
            raise ValueError(
                f"{where}: {at(path, line)} must have as many tags as tokens, got {len(tags)} for {len(tokens)}"
            )
        for token, tag in zip(tokens, tags, strict=True):
            text = _text(where, path, line, token, "token")
            name = _tag(where, path, line, tag) if wanted.tagged else None
            yield Word(line, *checked_word(where, path, line, text, name, keep=keep, unknown=unknown))
        yield None


def _list(where: str, path: Path, line: int, found: dict[str, Any], option: str, given: str | None) -> list[Any]:
    """Return the list under a key."""
    key = key_of(found, option, given)
    if key is None:
        what = shown(given, 40) if given else f"of {option}s, such as '{option}s'"
        raise Unread(
            f"{where}: {at(path, line)} must have one key {what}, got {shown(', '.join(found), 100)[1:-1] or 'none'}",
            f"{{{option}}} names it",
        )
    value = found[key]
    if not isinstance(value, list):
        raise Unread(
            f"{where}: {at(path, line)} must have a list of {option}s under {shown(key, 40)}, got {shown(value)}",
            f"{{{option}}} names the key",
        )
    return value


def key_of(found: dict[str, Any], option: str, given: str | None) -> str | None:
    """Return the key of tokens or of tags, as it is spelled; None where there isn't just one."""
    names = list(found)
    places = {place_of(name, names) for name in ([given] if given else ALIKE[option])} - {None}
    return names[next(iter(places))] if len(places) == 1 else None  # type: ignore[index]  # None is taken out


def _text(where: str, path: Path, line: int, value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where}: {at(path, line)} must have strings for {what}s, got {shown(value)}")
    return check_text(where, at(path, line), value)


def _tag(where: str, path: Path, line: int, value: Any) -> str:
    """Return a tag as a name; None and null are none."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**18 else _text(where, path, line, value, "tag")
    return _text(where, path, line, value, "tag")
