"""Lines of a text file, with their numbers, and errors that name them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Place = str | os.PathLike[str]


def existing(where: str, path: Place) -> Path:
    """Return `path`, if there is such a file or folder."""
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(f"{where}: path must be an existing file or folder, got {str(path)!r}")
    return found


def numbered(where: str, path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) without the line's end; the first is 1.

    Raises
    ------
    ValueError
        A line is not in this encoding; or the file holds nothing.
    OSError
        It can't be read.
    """
    number = 0
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.decode(encoding).rstrip("\r\n")
                yield number, line.removeprefix("\ufeff") if number == 1 else line
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: {at(path, number)} must be {encoding}, got byte 0x{error.object[error.start]:02x} at position "
            f"{error.start}; name its encoding, as encoding='latin-1'"
        ) from error
    except OSError as error:
        raise type(error)(f"{where}: {str(path)!r} can't be read: {error.strerror or error}") from error
    if not number:
        raise empty(where, path)


def at(path: Path, line: int) -> str:
    """Return a place in words."""
    return f"{str(path)!r}, line {line},"


def empty(where: str, path: Path, what: str = "a line") -> ValueError:
    """Return the error of a file in which there is nothing."""
    return ValueError(f"{where}: {str(path)!r} must hold at least {what}, got none")


def class_folders(where: str, folder: Path, suffixes: tuple[str, ...]) -> list[tuple[str, list[Path]]]:
    """Return the classes of a folder, its subfolders by name, each with its files of some kinds.

    Raises
    ------
    ValueError
        There is no subfolder with such a file.
    """
    found: list[tuple[str, list[Path]]] = []
    for child in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        files = sorted(file for file in child.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        if files:
            found.append((child.name, files))
    if not found:
        raise ValueError(
            f"{where}: {str(folder)!r} must have a subfolder for each class, with files {', '.join(suffixes)} in it, "
            "got none"
        )
    return found


def number_in(where: str, path: Path, line: int, text: Any, what: str) -> float:
    """Return a text as a float, if it is one; NaN and infinity are none."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{where}: {at(path, line)} must have a number for {what}, got {str(text)[:40]!r}") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{where}: {at(path, line)} must have a finite number for {what}, got {text!r}")
    return value
