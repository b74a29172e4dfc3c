"""The rows of a file of word vectors: lines of text, or records of bytes; which are kept, and which are counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...foreign import shown
from .lines import at, misread, named, number_in
from .vector_files import UNPACKED, Opened, is_number

LETTERS = 4096
"""Bytes of a word in a binary file beyond which it is none."""


@dataclass
class Kept:
    """The words that are kept, and how many are not.

    Attributes
    ----------
    where : str
        The function to name in errors.
    path : Path
    wanted : frozenset of str, optional
        The only words to keep.
    encoding : str
    strict : bool
        Whether a word that is there twice is an error.
    """

    where: str
    path: Path
    wanted: frozenset[str] | None
    encoding: str
    strict: bool
    index: dict[str, int] = field(default_factory=dict)
    rows: list[np.ndarray] = field(default_factory=list)
    twice: int = 0
    foreign: int = 0
    doubtful: int = 0
    nameless: int = 0
    first_twice: str = ""
    first_foreign: str = ""
    first_doubtful: str = ""
    more: str = ""

    def word(self, letters: bytes, place: str) -> str | None:
        """Return a word, or None where it isn't kept.

        Raises
        ------
        ValueError
            It is in another encoding though all words are wanted; or there twice, if that is an error.
        """
        try:
            word = letters.decode(self.encoding)
        except UnicodeDecodeError as error:
            if self.wanted is None:
                raise misread(self.where, f"{named(self.path)}, {place},", self.encoding, error) from error
            self.foreign += 1
            self.first_foreign = self.first_foreign or f"{shown(letters, 40)} in {place}"
            return None
        if not word:
            self.nameless += 1
            return None
        if self.wanted is not None and word not in self.wanted:
            return None
        if word in self.index:
            if self.strict:
                raise ValueError(
                    f"{self.where}: {named(self.path)}, {place}, must have each word once, got {shown(word)} "
                    'again; duplicates="first" takes the first'
                )
            self.twice += 1
            self.first_twice = self.first_twice or f"{shown(word, 40)} in {place}"
            return None
        return word

    def add(self, word: str, vector: np.ndarray) -> None:
        """Keep a word."""
        self.index[word] = len(self.rows)
        self.rows.append(vector)

    def faults(self) -> list[str]:
        """Return what was left out, in words."""
        found = []
        if self.twice:
            found.append(f"words that are there again: {self.twice:,} ({self.first_twice}); the first counts")
        if self.foreign:
            found.append(
                f"words that are not {self.encoding}, left out: {self.foreign:,} ({self.first_foreign}); if they are "
                "many, name the encoding"
            )
        if self.doubtful:
            found.append(
                "lines with a number too many, or a word that ends in one, left out: "
                f"{self.doubtful:,} ({self.first_doubtful})"
            )
        if self.nameless:
            found.append(f"rows without a word, left out: {self.nameless:,}")
        return [*found, self.more] if self.more else found


def read_lines(kept: Kept, source: Opened) -> None:
    """Read text: a word and its numbers a line.

    Raises
    ------
    ValueError
        A line has fewer numbers than it must, or more; a number is not finite or too large; or there are fewer words
        than the first line claims.
    """
    words, size = source.counts or (None, 0)
    total, found, line = 0, 0, 0 if words is None else 1  # the line of counts was read
    while raw := source.line():
        line += 1
        total += len(raw)
        if source.most is not None and total > source.most:
            raise ValueError(
                f"{kept.where}: {source.shown} must be word vectors, got what unpacks to over {UNPACKED} times its size"
            )
        raw = raw.rstrip()
        if not raw:
            continue
        size = size or len(raw.split()) - 1
        found += 1
        letters: bytes | None = raw.partition(b" ")[0]
        parts = None  # not taken apart before it is known that they are wanted
        if not size or not letters or raw.count(b" ") != size or b"  " in raw or b"\t" in raw:
            letters, parts = _taken_apart(kept, raw, size, line)
        word = None if letters is None else kept.word(letters, f"line {line}")
        if word is not None:
            kept.add(word, _numbers(kept, line, word, parts or raw.split(b" ")[1:]))
    if words is not None and found < words:
        raise ValueError(
            f"{kept.where}: {source.shown} must hold the {words:,} words that its first line claims, got {found:,}: it "
            "is cut short"
        )
    if words is not None and found > words:
        kept.more = f"it holds {found:,} words, {found - words:,} more than its first line claims; all were read"


def _taken_apart(kept: Kept, raw: bytes, size: int, line: int) -> tuple[bytes | None, list[bytes]]:
    """Return the word and the numbers of a line with a tab, or with other blanks than one before each number.

    GloVe has words with blanks in them, so the numbers are the last `size` parts. A word with blanks that ends in a
    number may be a line with a number too many: it is None, and counted, or an error where all words are wanted.
    """
    fields = raw.rsplit(None, size)
    if size and len(fields) == size and raw[:1].isspace() and all(map(is_number, fields)):
        return b"", fields
    if size < 1 or len(fields) <= size:
        raise ValueError(
            f"{kept.where}: {at(kept.path, line)} must have a word and {max(size, 1)} numbers, got {len(raw.split())} "
            f"parts, {shown(raw, 40)}"
        )
    before = fields[0].split()
    if len(before) > 1 and is_number(before[-1]):
        if kept.wanted is None:
            raise ValueError(
                f"{kept.where}: {at(kept.path, line)} must have a word and {size} numbers, got {shown(raw, 40)}, which "
                "has more, or a word that ends in a number; choose the words that you need, and it is left out"
            )
        kept.doubtful += 1
        kept.first_doubtful = kept.first_doubtful or f"{shown(fields[0], 40)} in line {line}"
        return None, []
    return fields[0].strip(), fields[1:]


def _numbers(kept: Kept, line: int, word: str, parts: list[bytes]) -> np.ndarray:
    """Return the numbers of a line, float32."""
    try:
        values = np.array(list(map(float, parts)))
    except ValueError:
        values = np.array([np.nan])
    if not np.isfinite(values).all() or b"_" in b"".join(parts):  # Python takes 1_000
        part = next(part for part in parts if not is_number(part)).decode("latin-1")
        number_in(kept.where, kept.path, line, part, shown(word, 40))
        raise ValueError(f"{kept.where}: {at(kept.path, line)} must have a number for {shown(word, 40)}, got {part!r}")
    with np.errstate(over="ignore"):
        vector = values.astype(np.float32)
    if not np.isfinite(vector).all():
        part = parts[int(np.argmin(np.isfinite(vector)))].decode()
        raise ValueError(
            f"{kept.where}: {at(kept.path, line)} must have numbers that float32 holds for {shown(word, 40)}, got "
            f"{shown(part)}"
        )
    return vector


def read_records(kept: Kept, source: Opened) -> None:
    """Read word2vec's binary format: a word, a blank, and the bytes of its numbers.

    Raises
    ------
    ValueError
        It ends before its last word, or a number that is wanted is not finite.
    """
    file, (count, size) = source.file, source.counts or (0, 0)
    for k in range(count):
        letters = bytearray()
        while (byte := file.read(1)) not in (b" ", b""):
            letters += byte
            if len(letters) > LETTERS:
                raise ValueError(
                    f"{kept.where}: {source.shown} must have a blank behind each word, got none within {LETTERS:,} "
                    f"bytes behind word {k}: it is damaged, or no file of word vectors"
                )
        data = file.read(4 * size)
        if len(data) < 4 * size:
            raise ValueError(f"{kept.where}: {source.shown} must hold {count:,} words, got {k:,}: it is cut short")
        word = kept.word(bytes(letters.lstrip(b"\n")), f"word {k}")
        if word is not None:
            vector = np.frombuffer(data, "<f4")
            if not np.isfinite(vector).all():
                raise ValueError(
                    f"{kept.where}: {source.shown} must have finite numbers, got others for {shown(word)}, word {k}"
                )
            kept.add(word, vector.astype(np.float32))
    rest = file.peek(LETTERS).strip()
    if rest:
        kept.more = "it goes on behind the last word that its first line claims; the rest was not read"
