"""Word vectors: word2vec's text and binary files, GloVe's, and packed ones."""

from __future__ import annotations

import numpy as np

from ..case import Case, one
from ..mutators.archives import packed

WORDS = ("the", "cat", "café", "of", "dog", "😀")
ROWS = np.round(np.random.default_rng(2).normal(size=(len(WORDS), 4)), 4).astype("<f4")
LINES = "".join(f"{word} {' '.join(map(str, row.tolist()))}\n" for word, row in zip(WORDS, ROWS, strict=True))
HEAD = f"{len(WORDS)} {ROWS.shape[1]}\n"


def text() -> list[Case]:
    """Return text, with a first line of counts and without."""
    glove = LINES.replace("of ", ". . . ")
    return [
        one("a.vec", HEAD + LINES),
        one("a.txt", LINES),
        one("a.txt", glove),
        one("a.vec", HEAD + LINES, words=["cat", "dog", "unheard"]),
        one("a.txt", LINES.replace("😀", "x").encode("latin-1"), encoding="latin-1"),
    ]


def binary() -> list[Case]:
    """Return word2vec's ``.bin``, with and without line ends between words."""
    head = HEAD.encode()
    body = [word.encode() + b" " + row.tobytes() for word, row in zip(WORDS, ROWS, strict=True)]
    return [
        one("a.bin", head + b"\n".join(body) + b"\n"),
        one("a.bin", head + b"".join(body)),
        one("a.bin", head + b"\n".join(body), words=["cat", "dog"]),
    ]


def gzipped() -> list[Case]:
    """Return text and binary, packed."""
    return [
        one("a.vec.gz", packed((HEAD + LINES).encode())),
        one("a.txt.gz", packed(LINES.encode())),
        one("a.bin.gz", packed(binary()[0].files["a.bin"])),
    ]
