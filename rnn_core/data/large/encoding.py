"""`encode_files`: texts of any size into one file of token ids, from which training reads what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import numpy as np

from ...atomic import written
from ...layers.checks import flag
from ..files.lines import Place, named, remark
from ..stored import FileArray, RaggedFile
from ..text import Tokenizer
from .text_files import TextFiles

HERE = "encode_files"

HEADER = 128
"""Bytes of a ``.npy`` file before its numbers."""

EVERY = 1 << 20
"""Offsets that are written at a time."""


@overload
def encode_files(
    path: Place, texts: TextFiles | Place | Iterable[Place], tokenizer: Tokenizer, *, rows: Literal[False] = False
) -> FileArray: ...
@overload
def encode_files(
    path: Place, texts: TextFiles | Place | Iterable[Place], tokenizer: Tokenizer, *, rows: Literal[True]
) -> RaggedFile: ...
def encode_files(
    path: Place, texts: TextFiles | Place | Iterable[Place], tokenizer: Tokenizer, *, rows: bool = False
) -> FileArray | RaggedFile:
    """Write the token ids of texts into a file, in the smallest integers that hold the vocabulary.

    Texts are read some lines at a time, so memory does not grow with them. The file is there whole or not at all: a
    call that is broken off leaves what was there before.

    Parameters
    ----------
    path : path
        Ends in ``.npy``; ``numpy.load(path, mmap_mode="r")`` reads it, too.
    texts : TextFiles, path, or sequence of paths
        Files, folders or patterns: see `TextFiles`.
    tokenizer : Tokenizer
        Fitted: ``Tokenizer("word").fit(TextFiles("corpus/*.txt"))`` reads some lines at a time, too.
    rows : bool
        Let each line stand for itself, blank ones left out, instead of all texts for one long one. Where each row
        begins stands in a second file, which ends in ``.offsets.npy`` and is written first.

    Returns
    -------
    FileArray, shape (N,), or with `rows` RaggedFile
        For `TextStream`, and for `BlockExamples`.

    Raises
    ------
    ValueError
        The name doesn't end so, or there is no token; and as `TextFiles`, file and line named.
    TypeError
        `tokenizer` is none.
    RuntimeError
        It has not been fitted.
    OSError
        A file can't be read or written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.txt").write_text("to be or not to be")
    ...     tokenizer = Tokenizer("word").fit(TextFiles(f"{folder}/*.txt"))
    ...     tokens = encode_files(f"{folder}/ids.npy", f"{folder}/*.txt", tokenizer)
    ...     print(tokens.dtype, tokens[:])
    uint8 [1 2 3 4 1 2]
    """
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"{HERE}: tokenizer must be a Tokenizer, got {type(tokenizer).__name__}")
    place = Path(path)
    if place.suffix != ".npy":
        raise ValueError(f"{HERE}: path must end in .npy, got {named(place)}")
    texts = texts if isinstance(texts, TextFiles) else TextFiles(texts)
    dtype, encode = smallest(len(tokenizer)), encoder(tokenizer)
    if not flag(HERE, "rows", rows):
        _write(place, dtype, (encode(text) for text in texts))
        return FileArray(place)
    offsets = place.with_suffix(".offsets.npy")
    lengths = Lengths(encode, texts)
    with written(place, where=HERE) as file:
        _fill(file, place, dtype, lengths)
        _write(offsets, np.dtype(np.int64), lengths.offsets())
    if lengths.lost:
        remark(HERE, f"{lengths.lost:,} lines left out, of tokens that the vocabulary doesn't have")
    return RaggedFile(FileArray(place), FileArray(offsets))


def smallest(size: int) -> np.dtype:
    """Return the smallest dtype that holds the ids of a vocabulary."""
    return np.dtype(np.min_scalar_type(max(size - 1, 0)))


def encoder(tokenizer: Tokenizer) -> Callable[[str], np.ndarray]:
    """Return what `tokenizer.encode` does; of characters a table does it many times as fast.

    It is for pieces that end where a line does: no token reaches over it.
    """
    if tokenizer.level != "char":
        return tokenizer.encode
    index = tokenizer.index
    unknown = -1 if tokenizer.oov is None else index[tokenizer.oov]
    table = np.full(0x110000, unknown, np.int32)
    for token, number in index.items():
        if len(token) == 1:
            table[ord(token)] = number

    ascii_ids = bytes(table[:256].astype(np.uint8)) if len(tokenizer) <= 256 and unknown >= 0 else None

    def encode(text: str) -> np.ndarray:
        text = text.lower() if tokenizer.lower else text
        if ascii_ids is not None and text.isascii():
            return np.frombuffer(text.encode("ascii").translate(ascii_ids), np.uint8)
        ids = table[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)]
        return ids if unknown >= 0 else ids[ids >= 0]

    return encode


class Lengths:
    """Yields the ids of lines, one behind the other, and keeps how many each has.

    Parameters
    ----------
    encode : callable
    texts : TextFiles
    """

    def __init__(self, encode: Callable[[str], np.ndarray], texts: TextFiles) -> None:
        self.encode, self.texts = encode, texts
        self.lost = 0
        self._lengths: list[np.ndarray] = []

    def __iter__(self) -> Iterator[np.ndarray]:
        for number in range(len(self.texts)):
            for _, text in self.texts.pieces(number):
                rows = [self.encode(line) for line in text.split("\n") if line.strip()]
                lengths = np.array([len(row) for row in rows if len(row)], np.int64)
                self.lost += len(rows) - len(lengths)
                if len(lengths):
                    self._lengths.append(lengths.astype(np.uint32))  # of a line, which is never longer
                    yield np.concatenate(rows)

    def offsets(self) -> Iterator[np.ndarray]:
        """Yield where each row begins, and at last where the last one ends."""
        total = 0
        yield np.zeros(1, np.int64)
        for lengths in self._lengths:
            ends = total + np.cumsum(lengths, dtype=np.int64)
            yield ends
            total = int(ends[-1])


def _write(path: Path, dtype: np.dtype, pieces: Iterable[np.ndarray]) -> None:
    with written(path, where=HERE) as file:
        _fill(file, path, dtype, pieces)


def _fill(file: BinaryIO, path: Path, dtype: np.dtype, pieces: Iterable[np.ndarray]) -> None:
    """Write arrays, one behind the other, as one ``.npy``; how long it is, is known in the end."""
    count = 0
    file.write(bytes(HEADER))
    for piece in pieces:
        file.write(np.ascontiguousarray(piece, dtype).data)
        count += len(piece)
    if not count:
        raise ValueError(
            f"{HERE}: texts must hold at least one token that the vocabulary has, got none for {named(path)}"
        )
    said: dict[str, Any] = {"descr": dtype.str, "fortran_order": False, "shape": (count,)}
    text = f"{said}".encode("ascii").ljust(HEADER - 11) + b"\n"
    file.seek(0)
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
