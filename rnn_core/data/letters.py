"""`spelled`: words as their letters, for a model that reads words letter by letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..foreign import shown
from ..layers.checks import positive_int
from .sequences import pad_sequences, sequence_lengths
from .text import Tokenizer


def spelled(rows: Sequence[Any], letters: Tokenizer, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the letters of words: what ``front={"kind": "letters", …}`` reads.

    Parameters
    ----------
    rows : sequence of N sequences of str
        The words of each row.
    letters : Tokenizer
        Of level "char", with a padding slot, fitted; best with an `oov`, as unknown letters are left out without.
    most : int, optional
        W: of longer words the rest is left out. By default the longest one's length.

    Returns
    -------
    words : ndarray of int32, shape (N, T, W)
        0 behind the letters of each word, and past each row's length.
    lengths : ndarray of int64, shape (N,)

    Raises
    ------
    ValueError
        There are no rows or one is empty, a word has no letter that is known, or `most` is below 1.
    TypeError
        A word is no string, or this is no such Tokenizer.

    Examples
    --------
    >>> letters = Tokenizer("char", oov="?").fit("abc")
    >>> words, lengths = spelled([["ab", "c"], ["bad"]], letters)
    >>> words.tolist(), lengths.tolist()
    ([[[2, 3, 0], [4, 0, 0]], [[3, 2, 1], [0, 0, 0]]], [2, 1])
    """
    if not isinstance(letters, Tokenizer):
        raise TypeError(f"spelled: letters must be a Tokenizer, got {type(letters).__name__}")
    if letters.level != "char" or not letters.padding:
        raise ValueError(
            "spelled: letters must be a Tokenizer of level 'char' with a padding slot, got level "
            f"{letters.level!r} and padding={letters.padding}"
        )
    W = None if most is None else positive_int("spelled", "most", most)
    lengths = sequence_lengths(rows)
    found: dict[str, np.ndarray] = {}
    for k, row in enumerate(rows):
        for word in row:
            if not isinstance(word, str):
                raise TypeError(f"spelled: words must be strings, got {shown(word)} in row {k}")
            if word in found:
                continue
            ids = letters.encode(word)[:W]
            if len(ids) == 0:
                raise ValueError(
                    f"spelled: words must have a letter that is known, got {shown(word)} in row {k}; a Tokenizer with "
                    "oov has an id for all others"
                )
            found[word] = ids
    padded = dict(zip(found, pad_sequences(list(found.values()), W, padding="post"), strict=True))
    return pad_sequences([[padded[word] for word in row] for row in rows], padding="post"), lengths
