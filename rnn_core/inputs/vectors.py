"""Word vectors that somebody else has trained, for an embedding to begin with."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data import Tokenizer
from ..data.files import FileWarning, read_vectors
from ..data.files.lines import named
from ..models import Model


@dataclass(frozen=True, eq=False)
class KnownWords:
    """The words of a vocabulary that have a vector.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Their tokens.
    vectors : ndarray, shape (n, D), float32
    kind : str
        What the file was read as.
    notes : tuple of str
        What was read, how many words were found there, and what was left out.
    """

    rows: np.ndarray
    vectors: np.ndarray
    kind: str
    notes: tuple[str, ...]

    def size_for(self, asked: int | None) -> int:
        """Return the numbers of a word, D.

        Raises
        ------
        ValueError
            An embedding of another size is asked for.
        """
        size = int(self.vectors.shape[1])
        if asked not in (None, size):
            raise ValueError(f"--embedding-size must be left out with --vectors, of {size} numbers a word, got {asked}")
        return size

    def into(self, model: Model) -> None:
        """Put the vectors into a model's embedding; the other words keep what was drawn."""
        model.parameters["embedding.weight"][self.rows] = self.vectors


def check_vectors(args: argparse.Namespace) -> None:
    """Raise, before anything is read, for a file of vectors that is not there, or an option without one.

    Raises
    ------
    ValueError, OSError
    """
    path = getattr(args, "vectors", None)
    if path is None:
        if getattr(args, "vectors_encoding", None) is not None:
            raise ValueError("--vectors-encoding must be left out without --vectors, whose words it is about")
        return
    if not Path(path).exists():
        raise FileNotFoundError(f"--vectors must be an existing file, got {named(path)}")
    if Path(path).is_dir():
        raise IsADirectoryError(f"--vectors must be a file, got the folder {named(path)}")


def known_words(path: str, tokenizer: Tokenizer | None, encoding: str) -> KnownWords:
    """Return the vectors of a vocabulary's words.

    Raises
    ------
    ValueError
        The vocabulary is none of words, or the file is broken or has none of them.
    OSError
        It can't be read.
    """
    if tokenizer is None or tokenizer.level != "word":
        raise ValueError("--vectors must go with words, got other inputs; is it --level word?")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FileWarning)  # the notes say the same
        found = read_vectors(path, words=tokenizer.tokens, encoding=encoding)
    vectors, known = found.rows(tokenizer.tokens)
    rows = np.flatnonzero(known)
    said = (
        f"{len(rows):,} of {len(tokenizer):,} words of the vocabulary begin with a vector of {vectors.shape[1]} "
        f"numbers, the others as drawn; {named(path)} was read as {found.kind}"
    )
    return KnownWords(rows, vectors[rows], found.kind, tuple(f"--vectors: {note}" for note in (said, *found.notes)))
