"""Options on files, which ``transfer`` and ``predict`` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..data.files.texts import TABLES

NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""What parts a table's cells, as it is typed."""

CELLS = (".csv", ".tsv")
"""Tables whose rows are cells, and have to be parted."""

SERIES = (".txt", ".ts", ".arff", "")
"""Files that may have labels and are no tables: those of series."""

HEEDED = {
    "text": TABLES, "label": TABLES, "source_text": TABLES, "source_label": TABLES,
    "separator": CELLS, "no_header": CELLS,
    "keep_missing_labels": (*TABLES, *SERIES),
}  # fmt: skip
"""The options on tables, and the files that heed them."""

COLUMNS = ("text", "label", "source_text", "source_label")


OPTIONS: dict[str, dict[str, Any]] = {
    "text": {"metavar": "COLUMN", "help": "of a table (text)"},
    "label": {"metavar": "COLUMN", "help": "of a table (label)"},
    "separator": {
        "choices": [*NAMED, *NAMED.values()], "metavar": "NAME", "help": f"of a table's cells: {', '.join(NAMED)}",
    },
    "no_header": {"action": "store_true", "help": "tables have no line of names: --text 1 --label 2, say"},
    "keep_missing_labels": {"action": "store_true", "help": "labels such as NA, nan and None are classes"},
}  # fmt: skip
"""The options on tables, as they are typed."""


def add_table_options(add: Callable[..., Any], *names: str) -> None:
    """Add what can be said of every table; or some of it, by the options' names."""
    for name in names or OPTIONS:
        add(f"--{name.replace('_', '-')}", **OPTIONS[name])


def table_options(args: argparse.Namespace, source: bool = False) -> dict[str, Any]:
    """Return these options as `How` takes them, if they were given: those of the source, or those of the others."""
    found: dict[str, Any] = {"keep_missing_labels": True} if getattr(args, "keep_missing_labels", False) else {}
    for name in ("text", "label"):
        if value := (getattr(args, f"source_{name}") if source else None) or getattr(args, name, None):
            found[name] = value
    if args.separator:
        found["separator"] = NAMED.get(args.separator, args.separator)
    if args.no_header:  # names lead to a line of names all the same: on the side that has one, if the other has none
        found["header"] = any(not found.get(name, "1").isdecimal() for name in ("text", "label"))
    return found


def check_table_options(args: argparse.Namespace, others: Iterable[str | None], source: str | None = None) -> None:
    """Raise ValueError for an option that no file heeds: neither the source nor the others, each by its own options."""
    columns = [value for name in COLUMNS if (value := getattr(args, name, None))]
    if args.no_header and columns and not any(value.isdecimal() for value in columns):
        raise ValueError(
            f"--no-header must go with the numbers of columns, --text 1 --label 2, got {columns[0][:40]!r}"
        )
    ours = [path for path in others if path is not None]
    theirs = [] if source is None else [source]
    for name, kinds in HEEDED.items():
        if not getattr(args, name, None):
            continue
        if name.startswith("source_"):
            concerned = theirs
        else:  # the source has its own where that is given
            concerned = ours if getattr(args, f"source_{name}", None) else [*ours, *theirs]
        if not any(_heeds(path, name, kinds) for path in concerned):
            endings = ", ".join(filter(None, kinds))
            raise ValueError(
                f"--{name.replace('_', '-')} must be left out where there is no table ({endings}), "
                f"got {' and '.join(Path(path).name[-40:] for path in concerned) or 'none'}"
            )


def _heeds(path: str, name: str, kinds: tuple[str, ...]) -> bool:
    place = Path(path)
    return name == "keep_missing_labels" if place.is_dir() else place.suffix.lower() in kinds
