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


def check_encoding(where: str, encoding: Any) -> None:
    """Raise if this is no encoding in which lines can be told apart before they are decoded."""
    what, way_out = "one that ends a line with one byte, as utf-8 and latin-1 do", "; save the file as UTF-8"
    try:
        if b"\n".decode(encoding) == "\n":
            return
    except UnicodeDecodeError:
        pass
    except (LookupError, TypeError):
        what, way_out = "the name of one that Python has", ""
    raise ValueError(f"{where}: encoding must be {what}, got {encoding!r}{way_out}")


def misread(where: str, place: str, encoding: str, error: UnicodeDecodeError) -> ValueError:
    """Return the error of bytes that are in another encoding."""
    way_out = "name its encoding, latin-1 for instance"
    if error.start == 0 and error.object[:2] in (b"\xff\xfe", b"\xfe\xff"):
        way_out = "it looks like UTF-16, so save it as UTF-8"
    return ValueError(
        f"{where}: {place} must be {encoding}, got byte 0x{error.object[error.start]:02x} at position {error.start}; "
        f"{way_out}"
    )


def numbered(where: str, path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) without the line's end; the first is 1.

    Raises
    ------
    ValueError
        A line is not in this encoding; or the file holds nothing.
    OSError
        It can't be read.
    """
    check_encoding(where, encoding)
    number = 0
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                line = raw.decode(encoding).rstrip("\r\n")
                yield number, line.removeprefix("\ufeff") if number == 1 else line
    except UnicodeDecodeError as error:
        raise misread(where, at(path, number), encoding, error) from error
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


def files_in(where: str, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of some kinds in a folder and below it, by name.

    Raises
    ------
    ValueError
        There is none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
    if not files:
        raise ValueError(f"{where}: {str(folder)!r} must hold files {', '.join(suffixes)}, got none")
    return files


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
