"""The UCR archive's plain files: a line is a label and the numbers, parted by tabs, commas or blanks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....foreign import shown
from ..lines import at, numbered
from .cells import GAPS, Case, Content, numbers_in

EXPONENT = re.compile(r"[+-]?\d+(?:\.\d*)?e[+-]?\d{1,2}", re.IGNORECASE)
"""How the archive wrote its labels before 2018: ``1.0000000e+00``."""


def open_ucr(where: str, path: Path, encoding: str, labelled: bool) -> Content:
    """Return the content of a ``.tsv``, ``.csv`` or ``.txt``; the classes are nowhere declared."""
    return Content(None, 0, _cases(where, path, encoding, labelled))


def _cases(where: str, path: Path, encoding: str, labelled: bool) -> Iterator[Case]:
    separator: str | None = None
    for line, text in numbered(where, path, encoding):
        if not text.strip():
            continue
        separator = separator or _separator(path, text)
        cells = _parted(text, separator)
        label = cells.pop(0).strip() if labelled else None
        while cells and cells[-1].strip().lower() in GAPS:
            cells.pop()
        if not cells:
            wanted = f"a label, {NAMES[separator]} and numbers" if labelled else "numbers"
            raise ValueError(f"{where}: {at(path, line)} must have {wanted}, got {shown(text, 60)}")
        yield Case(numbers_in(where, path, line, cells)[:, None], label and _plain(label), line)


NAMES = {"\t": "a tab", ",": "a comma", " ": "a blank"}


def _separator(path: Path, text: str) -> str:
    """Return what parts the cells of a file, by its name, or by its first line."""
    by_name = {".tsv": "\t", ".csv": ","}.get(path.suffix.lower())
    return by_name or next((mark for mark in ",\t" if mark in text), " ")


def _parted(text: str, separator: str) -> list[str]:
    return text.split() if separator == " " else text.split(separator)


def _plain(label: str) -> str:
    """Return a whole number that is written with an exponent as one without."""
    if EXPONENT.fullmatch(label) and (value := float(label)).is_integer() and abs(value) < 2**53:
        return str(int(value))
    return label
