"""Word vectors as embeddings: word2vec's text and binary files, GloVe's and fastText's, packed by gzip or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...foreign import shown
from .lines import Place, check_encoding, empty, existing, named, remark
from .vector_files import BINARY, kind_of, opened
from .vector_rows import Kept, read_lines, read_records

DUPLICATES = ("first", "error")
"""What may become of a word that is there twice."""


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors. It unpacks into these two: ``index, vectors = read_vectors(path)``.

    Attributes
    ----------
    index : dict of str to int
        The row of each word.
    vectors : ndarray, shape (V, D), float32
    kind : str
        What the file was found to be by its content, in words.
    notes : tuple of str
        What was left out, and how often; where the file isn't what it says.
    """

    index: dict[str, int]
    vectors: np.ndarray
    kind: str = ""
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.index, self.vectors))

    def rows(self, tokens: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the vectors of some words, and which of them are known; the others have the mean of all.

        Parameters
        ----------
        tokens : iterable of str
            A `Tokenizer`'s tokens, say: an embedding's rows, in order.

        Returns
        -------
        rows : ndarray, shape (n, D), float32
        known : ndarray of bool, shape (n,)
        """
        places = np.array([self.index.get(token, -1) for token in tokens], np.int64)
        known = places >= 0
        rows = np.where(known[:, None], self.vectors[places], self.vectors.mean(axis=0))
        return rows.astype(np.float32), known


def read_vectors(
    path: Place, *, words: Iterable[str] | None = None, encoding: str = "utf-8", duplicates: str = "first"
) -> WordVectors:
    """Read word vectors. Whether they are text or binary, packed or not, is told by the file's content.

    Parameters
    ----------
    path : path
        Text: a word and its numbers a line, with a first line of two counts (word2vec, fastText's ``.vec``) or without
        (GloVe). Binary: word2vec's ``.bin``. Either may be packed by gzip.
    words : iterable of str, optional
        Keep these alone: files of millions of words fit into memory then, and a word that is not in this encoding is
        counted in the notes, where it is an error otherwise.
    encoding : str
        Of the words.
    duplicates : {"first", "error"}
        What becomes of a word that is there twice: the first counts, with a warning, or it is an error.

    Returns
    -------
    WordVectors

    Raises
    ------
    ValueError
        A line is broken, a number missing, not finite or beyond float32; the first line claims more than the file can
        hold, or more than it does; or no word is left. File and line are named.
    TypeError
        `words` is a single string.
    OSError
        There is no such file, or it can't be read.

    Warns
    -----
    FileWarning
        A word is there twice, the file goes on behind what its first line claims, or words were left out because they
        are in another encoding. The notes say the same.
    """
    where, place = "read_vectors", existing("read_vectors", path)
    check_encoding(where, encoding)
    if isinstance(words, str):
        raise TypeError(f"{where}: words must be an iterable of words, got the single string {shown(words)}")
    if duplicates not in DUPLICATES:
        raise ValueError(f"{where}: duplicates must be one of {', '.join(DUPLICATES)}, got {shown(duplicates)}")
    wanted = None if words is None else frozenset(words)
    kept = Kept(where, place, wanted, encoding, duplicates == "error")
    with opened(where, place) as source:
        kind = kind_of(source)
        (read_records if kind == BINARY else read_lines)(kept, source)
    faults = kept.faults()
    if not kept.rows:
        none = empty(where, place, "one of the words" if wanted is not None else "a word")
        raise ValueError("; ".join([str(none), *faults]))
    for fault in faults:
        remark(where, f"{named(place)}: {fault}")
    said = kind + (", packed by gzip" if source.packed else "")
    suffixes = place.suffixes[-2:-1] if source.packed else place.suffixes[-1:]
    unlike = (kind == BINARY) != (".bin" in map(str.lower, suffixes))
    notes = [f"read as {said}, whatever its name says"] if unlike else []
    return WordVectors(kept.index, np.array(kept.rows, np.float32), said, (*notes, *faults))
