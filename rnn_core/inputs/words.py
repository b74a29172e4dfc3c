"""Words that stand apart already, as in a file of tagged words: sentences, and a vocabulary with a token a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data import Tokenizer, pad_sequences, sequence_lengths, spelled
from ..data.files.lines import empty, existing, numbered
from ..data.files.tagged.columns import Wanted, names_all
from .encoding import OOV

SAME = 4
"""Lines with one number of words, from which on they are taken for rows of columns."""

MOST = 10_000
"""Words that are kept, unless told otherwise."""


@dataclass(frozen=True)
class Sentences:
    """Words, and their tags where they are known.

    Attributes
    ----------
    tokens : list of list of str
    tags : list of list of str or None, or None
    places : tuple of str
    notes : tuple of str
    """

    tokens: list[list[str]]
    tags: list[list[str | None]] | None
    places: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.tokens)

    @property
    def known(self) -> list[list[str | None]]:
        """Their tags, all None where none were read."""
        return [[None] * len(row) for row in self.tokens] if self.tags is None else self.tags

    def take(self, rows: np.ndarray) -> Sentences:
        """Return some of them."""
        tags = None if self.tags is None else [self.tags[k] for k in rows]
        return Sentences([self.tokens[k] for k in rows], tags, tuple(self.places[k] for k in rows))


LETTERS = 24
"""Of a word that is read by its letters: of longer ones the rest is left out."""


def vocabulary(rows: Iterable[Sequence[str]], most: int | None = None, *, lower: bool = True) -> Tokenizer:
    """Return a tokenizer of the words of some rows; 0 is padding, and 1 stands for unknown words.

    Parameters
    ----------
    rows : iterable of sequences of str
    most : int, optional
        Entries that are kept, the most frequent; by default the words that come twice at least, so that those that
        come once teach what an unknown one is, and 10,000 entries at most.
    lower : bool
        Read capital letters as small ones.
    """
    counts = Counter(_as_token(word, lower) for row in rows for word in row)
    if most is None:
        twice = sum(count > 1 for count in counts.values())
        most = min(2 + (twice or len(counts)), MOST)
    tokenizer = Tokenizer("word", num_words=max(3, most), lower=lower, filters="", oov=OOV)
    return tokenizer.fit(" ".join([word] * count) for word, count in counts.items())


def ids(tokenizer: Tokenizer, row: Sequence[str]) -> np.ndarray:
    """Return the id of each word of a row: as many as words."""
    index = tokenizer.index
    unknown = 0 if tokenizer.oov is None else index[tokenizer.oov]
    return np.array([index.get(_as_token(word, tokenizer.lower), unknown) for word in row], np.int64)


def alphabet(rows: Iterable[Sequence[str]]) -> Tokenizer:
    """Return a tokenizer of the letters of the words of some rows, capital ones apart."""
    return Tokenizer("char", lower=False, oov=OOV).fit(word for row in rows for word in row)


def encoded(tokenizer: Tokenizer, rows: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of words as a network reads them, and lengths (N,).

    They are ids (N, T) or, by the letters of an `alphabet`, (N, T, W), of at most 24 letters a word.
    """
    if tokenizer.level == "char":
        return spelled(rows, tokenizer, LETTERS)
    found = [ids(tokenizer, row) for row in rows]
    return pad_sequences(found, padding="post"), sequence_lengths(found)


def unknown_in(tokenizer: Tokenizer, rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the words of each row that are not known, or that have a letter which isn't."""
    index = tokenizer.index
    if tokenizer.level == "char":
        return [[word for word in row if not set(word) <= set(index)] for row in rows]
    return [[word for word in row if _as_token(word, tokenizer.lower) not in index] for row in rows]


def _as_token(word: str, lower: bool) -> str:
    """Return a word as a tokenizer has it, which parts words at blanks."""
    word = "_".join(word.split())
    return word.lower() if lower else word


def is_running_text(path: str, encoding: str, tags: Iterable[str]) -> bool:
    """Return whether a file has a sentence a line, and not a word a line with columns beside it.

    Columns show by a tab, a line that names them, one word on every line, a tag that is known at the end of every
    second line, or as many words on every line, from four lines on.

    Parameters
    ----------
    path : str
    encoding : str
    tags : iterable of str
        Those that are known. A mark such as ``.`` ends sentences, too, and says nothing.

    Raises
    ------
    ValueError
        It is in another encoding.
    OSError
        It can't be read.
    """
    place = existing("reading", path)
    if place.is_dir():
        return False
    telling = {tag for tag in tags if any(map(str.isalnum, tag))}
    lines = [line for _, line in numbered("reading", place, encoding)]
    rows = [row for line in lines if (row := line.split())]
    widths = {len(row) for row in rows}
    if any("\t" in line for line in lines) or widths <= {1} or names_all(rows[0], Wanted(None, None, None, True)):
        return False
    tagged = sum(row[-1] in telling for row in rows if len(row) > 1)
    return 2 * tagged < len(rows) and (len(widths) > 1 or len(rows) < SAME)


def sentences_a_line(path: str, encoding: str) -> Sentences:
    """Return the sentences of a text, one a line, whose words are parted by blanks; no tag is known.

    Raises
    ------
    ValueError
        There is no word in it, or it is in another encoding.
    """
    place = Path(path)
    lines = [(number, line.split()) for number, line in numbered("reading", place, encoding)]
    found = [(number, words) for number, words in lines if words]
    if not found:
        raise empty("reading", place, "a sentence")
    return Sentences([words for _, words in found], None, tuple(f"line {number}" for number, _ in found))
