"""`TextFiles`: texts in many files, plain or gzipped, of which a megabyte at a time is in memory."""

from __future__ import annotations

import codecs
import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...foreign import check_text, one_line, shown
from ..files.folders import files_in
from ..files.lines import WHOLE, Place, check_encoding, misread, named
from ..stored.unchanged import Seen

HERE = "TextFiles"

KINDS = (".txt", ".gz")
"""Files of a folder that are read."""

PIECE = 1 << 20
"""Bytes that are read at a time."""

LONGEST = 1 << 26
"""Bytes of a line, at most: a line is never cut."""

ENDS = re.compile(r"\r+(\n|$)")


class TextFiles:
    r"""Texts in files, read as often as they are gone through, some lines at a time.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files, folders of ``.txt`` and ``.gz``, or patterns such as ``"corpus/*.txt.gz"``. What a folder or pattern
        has is read in the order of the names. A file whose name ends in ``.gz`` is unpacked.
    encoding : str

    Attributes
    ----------
    paths : tuple of str
    seen : tuple of Seen
        What each was when it was first looked at.
    bytes : int
        As they lie on the disk.

    Raises
    ------
    ValueError
        A pattern or folder has no file, or the encoding is none; while reading: bytes are in another encoding, a line
        has more than 64 MiB, a gzipped file is damaged or cut short, or a file has changed. File and line are named.
    FileNotFoundError
        There is no such file.
    OSError
        One can't be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for name, text in (("a", "One\\nTwo\\n"), ("b", "Three\\n")):
    ...         _ = Path(folder, f"{name}.txt").write_text(text)
    ...     print(repr("".join(TextFiles(f"{folder}/*.txt"))))
    'One\\nTwo\\nThree'
    """

    def __init__(self, paths: Place | Iterable[Place], *, encoding: str = "utf-8") -> None:
        check_encoding(HERE, encoding)
        self.encoding = encoding
        wanted = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        if not wanted:
            raise ValueError(f"{HERE}: paths must name at least one file, got none")
        self.paths = tuple(file for path in wanted for file in _files(path))
        self.seen = tuple(Seen.of(os.stat(path)) for path in self.paths)
        self.bytes = sum(seen.size for seen in self.seen)

    def __len__(self) -> int:
        """The number of files."""
        return len(self.paths)

    def __repr__(self) -> str:
        return f"TextFiles({len(self)} files, {self.bytes:,} bytes)"

    def __iter__(self) -> Iterator[str]:
        """Yield pieces that make, one behind the other, all texts: a line's end between two lines and two files.

        A piece ends where a line does, so that its tokens are those of the whole.
        """
        between = ""
        for number in range(len(self)):
            for _, text in self.pieces(number):
                yield between + text
                between = "\n"

    def pieces(self, number: int) -> Iterator[tuple[int, str]]:
        """Yield some lines of one file, without the last one's end, and the number of the first, from 1 on."""
        path, seen = self.paths[number], self.seen[number]
        whole = codecs.lookup(self.encoding).name in WHOLE
        for line, raw in _lines_of(path, seen):
            try:
                text = raw.decode(self.encoding)
            except UnicodeDecodeError as error:
                at = line + raw.count(b"\n", 0, error.start)
                raise misread(HERE, f"{named(path)}, line {at},", self.encoding, error) from error
            if not whole:
                check_text(HERE, f"{named(path)}, from line {line} on,", text)
            text = text.removeprefix("\ufeff") if line == 1 else text
            yield line, (ENDS.sub(r"\1", text) if "\r" in text else text).removesuffix("\n")

    def lines(self) -> Iterator[tuple[str, int, str]]:
        """Yield each line with its file and its number."""
        for number, path in enumerate(self.paths):
            for first, text in self.pieces(number):
                for k, line in enumerate(text.split("\n"), first):
                    yield path, k, line


def _files(path: Place) -> list[str]:
    """Return the files that a name, a folder or a pattern stands for."""
    text = os.fspath(path)
    if os.path.isdir(text):
        return [str(file) for file in files_in(HERE, Path(text), KINDS)]
    if os.path.exists(text):
        return [text]
    if not glob.has_magic(text):
        raise FileNotFoundError(f"{HERE}: paths must be existing files, folders or patterns, got {named(text)}")
    found = sorted(file for file in glob.glob(text, recursive=True) if os.path.isfile(file))
    if not found:
        raise ValueError(f"{HERE}: the pattern {shown(text)} must fit at least one file, got none")
    return found


def _lines_of(path: str, seen: Seen) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines of a file, about a megabyte at a time, and the number of the first."""
    line = 1
    try:
        with open(path, "rb") as plain:
            seen.check(HERE, path, os.fstat(plain.fileno()))
            file: Any = gzip.GzipFile(fileobj=plain) if path.endswith(".gz") else plain
            rest = b""
            while some := file.read(PIECE):
                end = some.rfind(b"\n") + 1
                if end:
                    yield line, rest + some[:end]
                    line += some.count(b"\n")
                    rest = some[end:]
                else:
                    rest += some
                if len(rest) > LONGEST:
                    raise ValueError(
                        f"{HERE}: {named(path)}, line {line}, must have at most {LONGEST:,} bytes, got more; break it "
                        "into lines"
                    )
            if rest:
                yield line, rest
            seen.check(HERE, path, os.fstat(plain.fileno()))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{HERE}: {named(path)} must be a whole gzipped file, got a damaged one or a part of one, behind line "
            f"{line - 1} ({one_line(error, 60)}); fetch or pack it again"
        ) from error
    except OSError as error:
        raise type(error)(f"{HERE}: {named(path)} can't be read: {error.strerror or one_line(error)}") from error
