"""Word vectors as embeddings: word2vec's text and binary files, and GloVe's."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .lines import Place, at, check_encoding, empty, existing, misread, number_in


class WordVectors(NamedTuple):
    """Words and their vectors.

    Attributes
    ----------
    index : dict of str to int
        The row of each word.
    vectors : ndarray, shape (V, D), float32
    """

    index: dict[str, int]  # type: ignore[assignment]  # a tuple's method of this name is of no use here
    vectors: np.ndarray

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


def read_vectors(path: Place, *, words: Iterable[str] | None = None, encoding: str = "utf-8") -> WordVectors:
    """Read word vectors.

    Parameters
    ----------
    path : path
        Text: a word and its numbers a line, with a first line of two counts (word2vec) or without (GloVe). Binary:
        word2vec's ``.bin``.
    words : iterable of str, optional
        Keep these alone: files of millions of words fit into memory then.
    encoding : str
        Of the words.

    Returns
    -------
    WordVectors

    Raises
    ------
    ValueError
        A line is broken, a number missing or not finite, a word there twice (file and line are named), or no word
        is left.
    FileNotFoundError
        There is no such file.
    """
    where, place = "read_vectors", existing("read_vectors", path)
    check_encoding(where, encoding)
    if isinstance(words, str):
        raise TypeError(f"{where}: words must be an iterable of words, got the single string {words!r}")
    wanted = None if words is None else frozenset(words)
    reader = _from_binary if place.suffix.lower() == ".bin" else _from_text
    index, rows = reader(where, place, wanted, encoding)
    if not rows:
        raise empty(where, place, "one of the words" if wanted is not None else "a word")
    return WordVectors(index, np.array(rows, np.float32))


def _from_text(
    where: str, path: Path, wanted: frozenset[str] | None, encoding: str
) -> tuple[dict[str, int], list[np.ndarray]]:
    index: dict[str, int] = {}
    rows: list[np.ndarray] = []
    size = 0
    with open(path, "rb") as file:
        for line, raw in enumerate(file, 1):
            parts = raw.rstrip(b"\r\n ").split(b" ")
            if line == 1 and len(parts) == 2 and all(part.isdigit() for part in parts):
                size = int(parts[1])
                continue
            if parts == [b""]:
                continue
            size = size or len(parts) - 1
            # GloVe has words with blanks in them: the numbers are the last `size` parts.
            if size < 1 or len(parts) <= size:
                raise ValueError(
                    f"{where}: {at(path, line)} must have a word and {max(size, 1)} numbers, got {len(parts)} parts"
                )
            try:
                word = b" ".join(parts[:-size]).decode(encoding)
            except UnicodeDecodeError as error:
                raise misread(where, at(path, line), encoding, error) from error
            if wanted is not None and word not in wanted:
                continue
            numbers = [number_in(where, path, line, part.decode("latin-1"), word) for part in parts[-size:]]
            _add(where, path, f"line {line}", index, rows, word, np.array(numbers, np.float32))
    return index, rows


def _from_binary(
    where: str, path: Path, wanted: frozenset[str] | None, encoding: str
) -> tuple[dict[str, int], list[np.ndarray]]:
    index: dict[str, int] = {}
    rows: list[np.ndarray] = []
    with open(path, "rb") as file:
        head = file.readline(64).split()
        if len(head) != 2 or not all(part.isdigit() for part in head):
            raise ValueError(f"{where}: {at(path, 1)} must have the numbers of words and of columns, got {head!r:.60}")
        count, size = map(int, head)
        for k in range(count):
            letters = bytearray()
            while (byte := file.read(1)) not in (b" ", b""):
                if byte != b"\n":
                    letters += byte
            data = file.read(4 * size)
            if len(data) < 4 * size:
                raise ValueError(f"{where}: {str(path)!r} must hold {count} words, got {k}: it is cut short")
            try:
                word = letters.decode(encoding)
            except UnicodeDecodeError as error:
                raise misread(where, f"word {k} of {str(path)!r}", encoding, error) from error
            if wanted is None or word in wanted:
                vector = np.frombuffer(data, "<f4")
                if not np.isfinite(vector).all():
                    raise ValueError(f"{where}: {str(path)!r} must have finite numbers, got others for {word!r}")
                _add(where, path, f"word {k}", index, rows, word, vector)
    return index, rows


def _add(
    where: str, path: Path, place: str, index: dict[str, int], rows: list[np.ndarray], word: str, vector: np.ndarray
) -> None:
    if word in index:
        raise ValueError(f"{where}: {str(path)!r}, {place}, must have each word once, got {word!r} again")
    index[word] = len(rows)
    rows.append(vector)
