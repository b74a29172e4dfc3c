"""`Tagged`: sentences and their tags; and how rows become sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ....foreign import shown
from ..labels import is_missing
from ..lines import Unread, at, named, remark


class Tagged(NamedTuple):
    """Sequences of tokens, and a tag for each token.

    Attributes
    ----------
    tokens : list of list of str
        The words of each sentence; none is empty.
    tags : list of list of str or None, or None
        As many as tokens; None where one is unknown, which must be allowed. None if no tags were asked for.
    places : tuple of str
        Where each sentence stands: its lines.
    """

    tokens: list[list[str]]
    tags: list[list[str | None]] | None
    places: tuple[str, ...]


class Word(NamedTuple):
    """What a row says.

    Attributes
    ----------
    line : int
        The last one, if it has several.
    token : str
    tag : str, optional
        None where none is read.
    sentence : str
        What a column of sentences says; "" where there is none.
    """

    line: int
    token: str
    tag: str | None
    sentence: str = ""


LONG = 1000
"""Words, from which on a file of a single sentence is remarked on."""


def sentences_of(words: Iterable[Word | None]) -> Iterator[list[Word]]:
    """Yield the words of each sentence; None ends one, and so does another name of a sentence."""
    here: list[Word] = []
    name = ""
    for word in words:
        if here and (word is None or (word.sentence and word.sentence != name)):
            yield here
            here, name = [], ""
        if word is not None:
            here.append(word)
            name = word.sentence or name
    if here:
        yield here


def gathered(where: str, path: Path, words: Iterable[Word | None], tagged: bool) -> Tagged:
    """Return sentences of words.

    Warns
    -----
    FileWarning
        The whole file is a single long sentence.
    """
    tokens, tags, places = [], [], []
    for sentence in sentences_of(words):
        first, last = sentence[0].line, sentence[-1].line
        tokens.append([word.token for word in sentence])
        tags.append([word.tag for word in sentence])
        places.append(f"line {first}" if first == last else f"lines {first} to {last}")
    if len(tokens) == 1 and len(tokens[0]) >= LONG:
        remark(
            where,
            f"{named(path)} has one sequence of {len(tokens[0]):,} steps; blank lines part sequences, or a column that "
            "names them",
        )
    return Tagged(tokens, tags if tagged else None, tuple(places))


def checked_word(
    where: str, path: Path, line: int, token: str, tag: str | None, *, keep: bool, unknown: bool, missing: str = ""
) -> tuple[str, str | None]:
    """Return a token and its tag without blanks around them; the tag is None where it is not known, and need not be.

    Parameters
    ----------
    keep : bool
        Take tags such as ``NA`` as they stand.
    unknown : bool
        Let a token have no tag.
    missing : str
        What stands for none, besides nothing at all.

    Raises
    ------
    Unread
        There is no token, or a tag is missing.
    """
    token = token.strip()
    if not token:
        raise Unread(f"{where}: {at(path, line)} must have a token, got a blank one", "{token} names another column")
    if tag is None:
        return token, None
    tag = tag.strip()
    if tag != missing and not is_missing(tag, keep):
        return token, tag
    if unknown:
        return token, None
    said = f"{where}: {at(path, line)} must have a tag for {shown(token, 40)}, got "
    if tag in ("", missing):
        raise Unread(
            f"{said}{shown(tag) if tag else 'none'}",
            "{tag} names another column, {allow_untagged} lets tokens have none",
        )
    raise Unread(f"{said}{shown(tag)}, as pandas writes a missing one", "if it is a tag, say so: {keep_missing_labels}")
