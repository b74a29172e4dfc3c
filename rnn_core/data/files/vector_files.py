"""What a file of word vectors is, told by its content, and what its first line claims, measured by its size."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...foreign import one_line, shown
from .lines import at, empty, named

BINARY = "word2vec's binary format"
COUNTED = "text with a first line of counts, as word2vec's"
PLAIN = "text without a first line of counts, as GloVe's"

LONGEST = 1 << 20
"""Bytes of a line, or of a word in a binary file, beyond which these are no word vectors."""

UNPACKED = 200
"""Times the size of a packed file that it may unpack to. Word vectors unpack to three times; a bomb to a thousand."""

LOOK = 1 << 16
"""Bytes that are looked at ahead."""

OTHERS = {
    b"PK\x03\x04": "a ZIP archive; unpack it, and name a file that is in it",
    b"BZh": "packed by bzip2; unpack it",
    b"\xfd7zXZ\x00": "packed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it, and name a file that is in it",
    b"\xba\x16\x4f\x2f": "a whole model of fastText; take its .vec, or write its vectors as text",
    b"\x80\x02": "a pickle, as gensim's, which is never read; write it by gensim's save_word2vec_format",
    b"\x80\x03": "a pickle, as gensim's, which is never read; write it by gensim's save_word2vec_format",
    b"\x80\x04": "a pickle, as gensim's, which is never read; write it by gensim's save_word2vec_format",
    b"\x80\x05": "a pickle, as gensim's, which is never read; write it by gensim's save_word2vec_format",
    b"\x93NUMPY": "an array of NumPy, which has no words; write words and numbers as text",
    b"\x89HDF": "an HDF5 file; write words and numbers as text",
    b"SQLite format 3": "an SQLite database; write words and numbers as text",
    b"\xff\xfe": "UTF-16; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
}
"""What a file may be instead, by its first bytes, and the way out."""


@dataclass
class Opened:
    """A file of word vectors, open at its first line.

    Attributes
    ----------
    where : str
        The function to name in errors.
    path : Path
    file : BufferedReader
        Unpacked.
    packed : bool
    most : int or None
        The bytes that there can be at most; None where that can't be known, as of a pipe.
    counts : tuple of int or None
        The words, and the numbers of each, that the first line claims, after `kind_of`.
    """

    where: str
    path: Path
    file: io.BufferedReader
    packed: bool
    most: int | None
    counts: tuple[int, int] | None = None

    @property
    def shown(self) -> str:
        """The path, quoted."""
        return named(self.path)

    def line(self) -> bytes:
        """Return the next line, b"" at the end.

        Raises
        ------
        ValueError
            It is too long for one.
        """
        line = self.file.readline(LONGEST + 1)
        if len(line) > LONGEST:
            raise ValueError(
                f"{self.where}: {self.shown} must have lines of a word and its numbers, got one of more than "
                f"{LONGEST:,} bytes: these are no word vectors"
            )
        return line


@contextmanager
def opened(where: str, path: Path) -> Iterator[Opened]:
    """Open a file, through gzip if it is packed so.

    Raises
    ------
    ValueError
        It holds nothing, or something that is known not to be word vectors.
    OSError
        It is a folder, can't be read, or is damaged where it is packed.
    """
    said = named(path)
    if path.is_dir():
        raise IsADirectoryError(f"{where}: path must be a file of word vectors, got the folder {said}")
    try:
        with io.BufferedReader(io.FileIO(path), LOOK) as raw:
            found = os.fstat(raw.fileno())
            size = found.st_size if stat.S_ISREG(found.st_mode) else None
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            most = None if size is None else size * (UNPACKED if packed else 1)
            file: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw), LOOK) if packed else raw
            _refuse_others(where, said, file)
            if file.peek(3)[:3] == b"\xef\xbb\xbf":
                file.read(3)  # a byte-order mark is no part of the first word
            if not file.peek(1):
                raise empty(where, path, "a word")
            yield Opened(where, path, file, packed, most)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"{where}: {said} can't be unpacked: {one_line(error)}; it is damaged or cut short") from error
    except OSError as error:
        raise type(error)(f"{where}: {said} can't be read: {error.strerror or one_line(error)}") from error


def _refuse_others(where: str, said: str, file: io.BufferedReader) -> None:
    """Raise ValueError for what is known by its first bytes."""
    head = file.peek(LOOK)
    other = next((what for magic, what in OTHERS.items() if head.startswith(magic)), None)
    if other is None and head[257:262] == b"ustar":
        other = "a tar archive; unpack it, and name a file that is in it"
    if other is None and head[8:10] == b'{"' and head[:1] != b"{":
        other = "a safetensors file, which has no words; write words and numbers as text"
    if other is not None:
        raise ValueError(f"{where}: {said} must be word vectors, text or word2vec's binary format, got {other}")


def kind_of(source: Opened) -> str:
    """Read the first line if it holds counts, and return what follows: `BINARY`, `COUNTED` or `PLAIN`.

    Raises
    ------
    ValueError
        The counts are more than the file can hold, or it is binary without any.
    """
    head = source.file.peek(LOOK)
    first, end, rest = head.partition(b"\n")
    parts = first.split()
    if not end or len(parts) != 2 or not all(part.isdigit() and len(part) < 20 for part in parts):
        if b"\0" in head:
            raise ValueError(
                f"{source.where}: {at(source.path, 1)} must have the numbers of words and of columns in a binary file, "
                f"got {shown(first)}"
            )
        return PLAIN
    words, size = map(int, parts)
    binary = _is_binary(rest, size, ".bin" in map(str.lower, source.path.suffixes))
    if words < 1 or size < 1:
        raise ValueError(
            f"{source.where}: {at(source.path, 1)} must claim at least a word and a number, got {words:,} words of "
            f"{size:,} numbers"
        )
    if 4 * size > LONGEST:
        raise ValueError(
            f"{source.where}: {at(source.path, 1)} must claim at most {LONGEST // 4:,} numbers a word, got {size:,}"
        )
    # A word has a letter and a blank, or an end of line; a number is four bytes, or in text a digit and a blank.
    least = words * (2 + (4 if binary else 2) * size) - 1
    if source.most is not None and least > source.most:
        what = "unpacks to at most" if source.packed else "has"
        raise ValueError(
            f"{source.where}: {source.shown} must hold the {words:,} words of {size:,} numbers that its first line "
            f"claims, which takes {least:,} bytes or more, and it {what} {source.most:,}: it is cut short, or no file "
            "of word vectors"
        )
    source.line()
    source.counts = words, size
    return BINARY if binary else COUNTED


def _is_binary(rest: bytes, size: int, named: bool) -> bool:
    """Return whether what follows the counts is binary: not a word and its numbers, and with bytes that no text has."""
    line = rest.lstrip(b"\r\n").partition(b"\n")[0]
    fields = line.rsplit(None, size) if 0 < size < LOOK else []
    if len(fields) > size and all(map(is_number, fields[1:])):
        return False
    if any(byte < 32 and byte not in b"\t\n\v\f\r" for byte in rest[:4096]):
        return True
    return named


def is_number(part: bytes) -> bool:
    """Return whether bytes are a number that is finite."""
    try:
        value = float(part)
    except ValueError:
        return False
    return value - value == 0 and b"_" not in part  # Python takes 1_000
