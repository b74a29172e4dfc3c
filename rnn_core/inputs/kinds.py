"""Of what kind the examples in a file or folder are, as its name and its first line tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import isfinite, nan
from pathlib import Path

from ..data.files.folders import is_junk
from ..data.files.lines import existing, named, numbered
from ..data.files.sounds import SOUNDS
from ..data.files.texts import TABLES
from .how import How

MOST_FRACTIONS = 10
"""Labels that are different fractions, from which on they are no classes, most likely."""

HERE = "reading"
"""What errors name, behind the name of the command."""

USUAL = {".tsv": "\t", ".csv": ","}
"""What parts the cells of files that hold texts or series."""

WORDS = 1000
"""Words of a text that are looked at."""

NUMERIC = 0.9
"""Share of numbers among them from which on a text is taken for a file of series."""

SHORTEST = 3
"""Numbers behind a word that are taken for a series: with fewer, the line may be a text and its class."""


def kind_of(path: str, how: How) -> str:
    """Return the kind of what a path leads to.

    Raises
    ------
    ValueError
        Its name doesn't tell.
    FileNotFoundError
        There is nothing there.
    """
    place = existing(HERE, path)
    suffix = place.suffix.lower()
    if place.is_dir():
        return how.kind if how.kind in ("text", "waveforms") else _kind_of_folder(place)
    if suffix in USUAL:  # a table of texts, or a file of the UCR archive
        told = how.kind in ("text", "series") and not (how.predicting and suffix == ".csv")
        return str(how.kind) if told else _kind_of_table(place, how)
    if suffix in (".txt", "") and how.kind == "series":  # the UCR archive before 2018
        return "series"
    kinds = {".txt": "text", ".npz": "ids", **dict.fromkeys(TABLES, "text"), **dict.fromkeys(SOUNDS, "waveforms")}
    kinds |= {".ts": "series", ".arff": "series"}
    if suffix not in kinds:
        hint = "; a saved model is for --source-model, or predict's MODEL" if suffix == ".safetensors" else ""
        hint = hint or ("; --kind series, if it is a file of the UCR archive" if suffix == "" else "")
        raise ValueError(
            f"{named(path)} must be a folder or one of {', '.join(sorted(kinds))}, whose names tell what they hold"
            f"{hint}"
        )
    return kinds[suffix]


def share_of_numbers(texts: list[str]) -> float:
    """Return how many of the first words of some texts are numbers, from 0 to 1."""
    words = list(islice((word for text in texts for word in text[:100_000].replace(",", " ").split()), WORDS))
    return sum(map(is_number, words)) / max(len(words), 1)


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def number_of(text: str) -> float:
    """Return the finite number that a text is, or NaN."""
    found = float(text) if is_number(text) else nan
    return found if isfinite(found) else nan


def are_numbers(classes: Sequence[str]) -> bool:
    """Return whether labels are numbers that are no classes: fractions among them, and many that differ."""
    if len(classes) <= MOST_FRACTIONS:
        return False
    numbers = [number_of(name) for name in classes]
    return all(map(isfinite, numbers)) and any(number % 1 for number in numbers)


def _kind_of_table(table: Path, how: How) -> str:
    """Return "series" where numbers follow a label, "text" for a table with columns of texts and labels."""
    line = next((line for _, line in numbered(HERE, table, how.encoding) if line.strip()), "")
    first, *others = line.split(USUAL[table.suffix.lower()])
    if not how.header or how.separator or not all(is_number(cell) or cell.strip() in ("", "?") for cell in others):
        return "text"
    if is_number(first):
        return "series"
    return "series" if len(others) >= SHORTEST else "text"


def _kind_of_folder(folder: Path) -> str:
    found = {file.suffix.lower() for file in folder.rglob("*") if not is_junk(file.name) and file.is_file()}
    sounds = bool(found & set(SOUNDS))
    if (".txt" in found) == sounds:
        got = "both; name one, --kind text or waveforms" if sounds else "neither; is it the right folder?"
        raise ValueError(f"{named(folder)} must hold .txt files or {', '.join(SOUNDS)} files, got {got}")
    return "waveforms" if sounds else "text"
