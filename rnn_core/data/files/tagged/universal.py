"""CoNLL-U: ten columns, comments, tokens of several words, and empty nodes.

References
----------
Universal Dependencies, "CoNLL-U format", https://universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....foreign import shown
from ..lines import at
from .rows import Row

NAMES = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
"""The columns."""

TOKEN, TAG = "FORM", "UPOS"
"""Those that are read where none are named."""

MISSING = "_"
"""What stands for a value that is not there."""

IDS = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9})|\.(?P<empty>\d{1,9}))?")


def words_alone(where: str, path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows of words: without tokens of several, and without empty nodes, which nobody wrote.

    Raises
    ------
    ValueError
        An ID is none.
    """
    for line, row in rows:
        if row is not None:
            _, last, empty = _id(where, path, line, row[0])
            if last is not None or empty:
                continue
        yield line, row


def tokens_whole(where: str, path: Path, rows: Iterator[Row], tag: int | None) -> Iterator[Row]:
    """Yield the rows of tokens as they are written: one of several words has their tags, joined by ``+``.

    Raises
    ------
    ValueError
        An ID is none, or words of a token are missing.
    """
    whole: list[str] | None = None
    tags: list[str] = []
    begun = upto = 0
    for line, row in rows:
        first, last, empty = (0, None, False) if row is None else _id(where, path, line, row[0])
        if empty:
            continue
        if row is not None and last is not None and whole is None:
            whole, tags, begun, upto = row, [], line, last
            continue
        if whole is None:
            yield line, row
            continue
        if row is None or last is not None:
            raise _unfinished(where, path, begun, whole)
        tags.append("" if tag is None else row[tag])
        if first >= upto:
            if tag is not None:
                whole = [*whole[:tag], "+".join(tags), *whole[tag + 1 :]]
            yield begun, whole
            whole = None
    if whole is not None:
        raise _unfinished(where, path, begun, whole)


def _id(where: str, path: Path, line: int, text: str) -> tuple[int, int | None, bool]:
    """Return a word's number, that of the last word of a token of several, and whether it is an empty node."""
    found = IDS.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{where}: {at(path, line)} must begin with an ID, such as 1, 1-2 or 1.1, got {shown(text, 40)}; a file of "
            "other columns is no .conllu"
        )
    return int(found["first"]), int(found["last"]) if found["last"] else None, found["empty"] is not None


def _unfinished(where: str, path: Path, line: int, row: list[str]) -> ValueError:
    return ValueError(
        f"{where}: {at(path, line)} must be followed by the words of token {shown(row[0], 40)}, got fewer; mend it, or "
        "take multiword='parts'"
    )
