"""Words that stand apart already, as in a file of tagged words: sentences, and a vocabulary with a token a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..data import Tokenizer
from .encoding import OOV

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


def _as_token(word: str, lower: bool) -> str:
    """Return a word as a tokenizer has it, which parts words at blanks."""
    word = "_".join(word.split())
    return word.lower() if lower else word
