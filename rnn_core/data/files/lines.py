"""What all readers share: lines with their numbers, and errors and remarks that name them."""

from __future__ import annotations

import codecs
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...foreign import check_text, named, shown

Place = str | os.PathLike[str]

WHOLE = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "cp1250", "cp1251", "utf-8-sig"})
"""Encodings that give no half characters."""


class FileWarning(UserWarning):
    """What was left out, or read in one of two ways that are possible."""


class Unread(ValueError):
    """A file that can't be read as it was asked for, where an option may help.

    Parameters
    ----------
    said : str
        What is wrong.
    way_out : str
        What helps, with the options' names in braces: ``"{separator} names it"``.
    """

    def __init__(self, said: str, way_out: str) -> None:
        super().__init__(said, way_out)
        self.said, self.way_out = said, way_out

    def __str__(self) -> str:
        return self.spelled(lambda option: option)

    def spelled(self, spell: Callable[[str], str]) -> str:
        """Return the message with the options spelled as a command spells them."""
        parts = self.way_out.replace("}", "{").split("{")
        return f"{self.said}; {''.join(spell(part) if k % 2 else part for k, part in enumerate(parts))}"


def remark(where: str, message: str) -> None:
    """Warn of what was left out, or read in one of two ways: the commands count these among their notes."""
    warnings.warn(f"{where}: {message}", FileWarning, stacklevel=3)


def existing(where: str, path: Place) -> Path:
    """Return `path`, if there is such a file or folder."""
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"{where}: path must be an existing file or folder, got {named(path)}")
    return found


def check_encoding(where: str, encoding: Any) -> None:
    """Raise if this is no encoding in which lines can be told apart before they are decoded."""
    what, way_out = "one that ends a line with one byte, as utf-8 and latin-1 do", "; save the file as UTF-8"
    try:
        if b"\n".decode(encoding) == "\n":
            return
    except UnicodeError:
        pass
    except (LookupError, TypeError, ValueError):
        what, way_out = "the name of one that Python has", ""
    raise ValueError(f"{where}: encoding must be {what}, got {shown(encoding)}{way_out}")


def misread(where: str, place: str, encoding: str, error: UnicodeDecodeError) -> ValueError:
    """Return the error of bytes that are in another encoding."""
    way_out = "name its encoding, latin-1 for instance"
    if error.start == 0 and error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
        way_out = "it looks like UTF-16, so save it as UTF-8"
    return ValueError(
        f"{where}: {place} must be {encoding}, got byte 0x{error.object[error.start]:02x} at position {error.start}; "
        f"{way_out}"
    )


def numbered(where: str, path: Path, encoding: str, *, blank: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (number, line) without the line's end; the first is 1.

    With `blank`, a file that holds nothing is one without lines instead of an error.

    Raises
    ------
    ValueError
        A line is not in this encoding; or the file holds nothing.
    OSError
        It can't be read.
    """
    check_encoding(where, encoding)
    number, whole = 0, codecs.lookup(encoding).name in WHOLE
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.decode(encoding).rstrip("\r\n")
                if not whole:
                    check_text(where, at(path, number), line)
                yield number, line.removeprefix("\ufeff") if number == 1 else line
    except UnicodeDecodeError as error:
        raise misread(where, at(path, number), encoding, error) from error
    except OSError as error:
        raise type(error)(f"{where}: {named(path)} can't be read: {error.strerror or error}") from error
    if not number and not blank:
        raise empty(where, path)


def at(path: Path, line: int) -> str:
    """Return a place in words."""
    return f"{named(path)}, line {line},"


def empty(where: str, path: Path, what: str = "a line") -> ValueError:
    """Return the error of a file in which there is nothing."""
    return ValueError(f"{where}: {named(path)} must hold at least {what}, got none")


def number_in(where: str, path: Path, line: int, text: Any, what: str) -> float:
    """Return a text as a float, if it is one; NaN and infinity are none."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(
            f"{where}: {at(path, line)} must have a number for {what}, got {shown(str(text), 40)}"
        ) from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{where}: {at(path, line)} must have a finite number for {what}, got {shown(text, 40)}")
    return value
