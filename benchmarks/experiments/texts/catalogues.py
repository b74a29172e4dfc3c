"""Messages in two languages: the gettext catalogues that Django ships, and the parts that they are split into."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC = 0x950412DE
"""The first word of a compiled catalogue, by whose order of bytes the others are read."""

CONTEXT = "\x04"
"""What parts a message from the context that tells it from another of the same words."""

PARTS = ("test", "validation", "train", "train", "train", "train", "train", "train", "train", "train")
"""The part of each tenth: by the message alone, so that it is the same in every language and in every release."""

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}")
"""What a program puts something in place of."""


class Message(NamedTuple):
    """A message and its translation.

    Attributes
    ----------
    source, target : str
    key : str
        What the messages have in common that stay in one part: they differ in case, in signs, in a plural's s.
    """

    source: str
    target: str
    key: str

    @property
    def part(self) -> str:
        """The part it belongs to."""
        return part_of(self.key)


def part_of(key: str) -> str:
    """Return the part of whatever has this key, by its hash."""
    return PARTS[int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % len(PARTS)]


def catalogues(language: str) -> list[Path]:
    """Return the compiled catalogues of a language, in the order of their names.

    Raises
    ------
    RuntimeError
        Django has no such language.
    """
    import django

    found = sorted(Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES/*.mo"))
    if not found:
        raise RuntimeError(f"translation: Django must have catalogues of the language {language!r}, got none")
    return found


def messages(language: str) -> list[Message]:
    """Return all messages of a language, each English text once, with the first translation that there is.

    A plural is a message of its own, with its English and its own translation, where the language has two forms: they
    belong to one key, and so to one part.
    """
    found: dict[str, Message] = {}
    for path in catalogues(language):
        for source, target in entries(path.read_bytes()):
            sources, targets = source.rpartition(CONTEXT)[2].split("\0"), target.split("\0")
            pairs = list(zip(sources, targets, strict=True)) if len(sources) == len(targets) else []
            for text, translation in pairs:
                if text.strip() and translation.strip():
                    found.setdefault(text, Message(text, translation, key_of(sources[0])))
    return list(found.values())


def key_of(text: str) -> str:
    """Return what near duplicates have in common: small letters and numbers, without a plural's s."""
    words = re.findall(r"[^\W_]+", PLACEHOLDER.sub(" ", text).casefold())
    return " ".join(word.removesuffix("s") for word in words)


def entries(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield each message of a compiled catalogue and its translation, as they stand; plural forms are parted by NUL.

    The header, which is the translation of nothing, is left out. gettext's own reader keeps no message's plural.

    Raises
    ------
    ValueError
        This is no such file.
    """
    try:
        order = "<" if struct.unpack_from("<I", data)[0] == MAGIC else ">"
        magic, _, count, sources, targets = struct.unpack_from(f"{order}5I", data)
        if magic != MAGIC:
            raise ValueError("entries: data must be a compiled catalogue, got something else")
        for k in range(count):
            pair = []
            for table in (sources, targets):
                length, start = struct.unpack_from(f"{order}2I", data, table + 8 * k)
                pair.append(data[start : start + length].decode("utf-8"))
            if pair[0]:
                yield pair[0], pair[1]
    except struct.error as error:
        raise ValueError(f"entries: data must be a whole catalogue, got {len(data):,} bytes: {error}") from error


SIGNS = "①②③④⑤⑥⑦⑧⑨"
"""What stands for the placeholders of a message while it is translated, one after another."""


def masked(text: str, table: dict[str, str]) -> str:
    """Return a text with its placeholders as signs, and put into `table` what each stands for.

    Given the table of the message, its translation has the same sign for the same placeholder, in whatever order. What
    is beyond the signs stays as it is.
    """

    def sign(found: re.Match[str]) -> str:
        if found[0] not in table and len(table) < len(SIGNS):
            table[found[0]] = SIGNS[len(table)]
        return table.get(found[0], found[0])

    return PLACEHOLDER.sub(sign, text)


def unmasked(text: str, table: dict[str, str]) -> str:
    """Return a text with its signs as the placeholders that they stand for."""
    for placeholder, sign in table.items():
        text = text.replace(sign, placeholder)
    return text


def placeholders(text: str) -> list[str]:
    """Return the placeholders of a text, in alphabetical order: a translation must have the same ones."""
    return sorted(PLACEHOLDER.findall(text))
