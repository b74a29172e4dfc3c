"""Labels as they stand in files: which are missing, in which order classes come, and which look alike."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...foreign import shown
from .lines import remark

Row = tuple[Any, str | None, str]
"""A text, its label if it has one, and its place."""

MISSING = frozenset({
    "nan", "NaN", "NAN", "-nan", "-NaN", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaT", "None", "NULL",
    "Null", "null", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN",
})  # fmt: skip
"""What pandas and others write where a value is missing, and pandas reads as missing."""


def is_missing(name: str, keep: bool) -> bool:
    """Return whether a label says that there is none; `keep` takes all but the empty one as they stand."""
    return not name or (name in MISSING and not keep)


def order(name: str) -> tuple[int, float, str]:
    """Return a key that sorts numbers by value, before words by the alphabet.

    No two names have one key, so the order doesn't depend on the order in which they come.
    """
    value: float
    try:
        value = int(name)
    except ValueError:
        try:
            value = float(name)
        except ValueError:
            return 1, 0, name
    return (0, value, name) if abs(value) < float("inf") else (1, 0, name)


def classes_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different names in their order."""
    return tuple(sorted(set(names), key=order))


def numbers_of(names: Sequence[str | None], classes: Sequence[str]) -> np.ndarray:
    """Return the number of each name's class; −1 where there is none."""
    number: dict[str | None, int] = {name: k for k, name in enumerate(classes)}
    return np.array([-1 if name is None else number[name] for name in names], np.int64)


def remark_on(where: str, place: str, classes: Iterable[str]) -> None:
    """Remark on classes that look like one."""
    alike: dict[Any, list[str]] = defaultdict(list)
    for name in classes:
        kind, value, _ = order(name)
        alike[unicodedata.normalize("NFC", name).casefold() if kind else value].append(name)
    found = [names for names in alike.values() if len(names) > 1]
    for names in found[:3]:
        several = ", ".join(shown(name, 40) for name in names[:4]) + "…" * (len(names) > 4)
        more = f" (and so on, {len(found):,} times)" if len(found) > 3 else ""
        remark(
            where,
            f"{place} has the labels {several}, which are different classes, as they are spelled; spell them alike if "
            f"they are one{more}",
        )
