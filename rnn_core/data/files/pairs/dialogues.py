"""Dialogues: JSON Lines with a list of turns each, or a table's prompts and replies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ....foreign import check_text, shown
from ..json_rows import values_in
from ..lines import Place, Unread, at, empty, existing, numbered
from ..tables import Columns, place_of
from .pairs import Row, rows_of

TURNS = ("turns", "dialogue", "dialog", "messages", "conversation", "conversations", "utterances")
"""Keys under which people keep the turns of a dialogue."""

TEXT = ("text", "content", "utterance", "value")
"""Keys under which they keep what is said in a turn."""

SPEAKER = ("speaker", "role", "from")
"""Keys under which they keep who says it."""


class Dialogue(NamedTuple):
    """What was said, one turn after another.

    Attributes
    ----------
    turns : tuple of str
        None is blank.
    speakers : tuple of str or None
        Who said each; None where the file doesn't say.
    place : str
        Where it stands: its line (the last, if it has several).
    """

    turns: tuple[str, ...]
    speakers: tuple[str | None, ...]
    place: str


def read_dialogues(
    path: Place,
    *,
    turns: str | None = None,
    text: str | None = None,
    speaker: str | None = None,
    prompt: str = "prompt",
    reply: str | None = "reply",
    encoding: str = "utf-8",
    separator: str | None = None,
    header: bool = True,
) -> list[Dialogue]:
    """Read dialogues.

    Parameters
    ----------
    path : path
        JSON Lines, ``.jsonl``: each line a list of turns, or an object with such a list. A turn is a string, or an
        object with its text and, if it says so, its speaker. Objects with a prompt and a reply are dialogues of two
        turns, and so are the rows of a table, ``.csv`` or ``.tsv``.
    turns : str, optional
        The key of the list. By default turns, dialogue, messages, conversation and the like, where just one is there.
    text, speaker : str, optional
        The keys in a turn. By default text, content, utterance or value, and speaker, role or from.
    prompt, reply : str
        Columns of a table, or keys. Case and blanks around them don't matter where just one column is meant. With
        ``reply=None`` a prompt is a dialogue of one turn that is still to be answered, and so is a line of a ``.txt``.
    encoding, separator, header
        As `read_texts` has them.

    Returns
    -------
    list of Dialogue
        As they stand in the file; those of a single turn, too.

    Raises
    ------
    ValueError
        A file is empty, a turn is blank or none, a key or column is missing (file and line are named), or the encoding
        is another.
    FileNotFoundError
        There is no such file.
    """
    where, place = "read_dialogues", existing("read_dialogues", path)
    wanted = {"prompt": str(prompt)} | ({} if reply is None else {"reply": str(reply)})
    columns = Columns(wanted, separator, header)
    keys = tuple(None if key is None else str(key) for key in (turns, text, speaker))
    if place.suffix.lower() in (".jsonl", ".ndjson") and _holds_turns(where, place, keys[0], encoding):
        found = list(_of_turns(where, place, keys, encoding))
    else:
        lines = place.suffix.lower() == ".txt" and reply is None
        rows = _of_lines(where, place, encoding) if lines else rows_of(where, place, columns, encoding)
        found = [Dialogue(tuple(turns), (None,) * len(turns), line) for turns, line in rows]
    if not found:
        raise empty(where, place, "a dialogue")
    return found


def _of_lines(where: str, path: Path, encoding: str) -> Iterator[Row]:
    return (([line], f"line {number}") for number, line in numbered(where, path, encoding) if line.strip())


def _holds_turns(where: str, path: Path, key: str | None, encoding: str) -> bool:
    """Return whether the first line holds a list of turns, or is asked to, and no prompt and reply."""
    for _, value in values_in(where, path, encoding):
        return key is not None or not isinstance(value, dict) or bool(_keys(value, None, TURNS))
    return False


def _of_turns(where: str, path: Path, keys: tuple[str | None, ...], encoding: str) -> Iterator[Dialogue]:
    for line, value in values_in(where, path, encoding):
        place = at(path, line)
        rows = value
        if isinstance(value, dict):
            rows = value[_the(where, place, value, keys[0], TURNS, "turns")]
        if not isinstance(rows, list) or not rows:
            raise Unread(
                f"{where}: {place} must have a list of turns, got {shown(rows)}",
                "{turns} names the key under which it stands",
            )
        found = [_turn(where, f"{place} turn {k},", turn, keys) for k, turn in enumerate(rows, 1)]
        texts, speakers = zip(*found, strict=True)
        yield Dialogue(texts, speakers, f"line {line}")


def _turn(where: str, place: str, turn: Any, keys: tuple[str | None, ...]) -> tuple[str, str | None]:
    """Return what is said in a turn, and by whom."""
    said, speaker = turn, None
    if isinstance(turn, dict):
        said = turn[_the(where, place, turn, keys[1], TEXT, "text")]
        if keys[2] is not None or _keys(turn, None, SPEAKER):
            speaker = turn[_the(where, place, turn, keys[2], SPEAKER, "speaker")]
            if speaker is not None and not isinstance(speaker, str | int):
                raise Unread(
                    f"{where}: {place} must have a name for its speaker, got {shown(speaker)}",
                    "{speaker} names another key",
                )
            speaker = None if speaker is None else check_text(where, place, str(speaker)).strip() or None
    if not isinstance(said, str):
        raise Unread(f"{where}: {place} must be a string, got {shown(said)}", "{text} names the key of what is said")
    if not said.strip():
        raise ValueError(f"{where}: {place} must say something, got {shown(said)}; leave the turn out")
    return check_text(where, place, said), speaker


def _the(where: str, place: str, row: dict[str, Any], key: str | None, usual: tuple[str, ...], option: str) -> str:
    """Return the one key that is meant, as it is spelled in an object."""
    found = _keys(row, key, usual)
    if len(found) == 1:
        return found[0]
    wanted = f"the key {shown(key, 40)}" if key is not None else f"one of the keys {', '.join(usual)}"
    got = ", ".join(found or row) or "none"
    raise Unread(f"{where}: {place} must have {wanted}, got {shown(got, 100)[1:-1]}", f"{{{option}}} names it")


def _keys(row: dict[str, Any], key: str | None, usual: tuple[str, ...]) -> list[str]:
    """Return the keys of an object that a name may mean, or the usual ones."""
    names = list(row)
    if key is not None:
        place = names.index(key) if key in row else place_of(key, names)
        return [] if place is None else [names[place]]
    return [name for name in names if name.strip().casefold() in usual]
