"""Options on files, which ``transfer`` and ``predict`` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""What parts a table's cells, as it is typed."""

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
SERIES = (".txt", ".ts", ".arff", "")
"""Files that may have labels and are no tables: those of series."""

OPTIONS = ("text", "label", "source_text", "source_label", "separator", "no_header", "keep_missing_labels")
"""What is about tables alone."""


MISSING = ("refuse", "drop", "interpolate", "mask")
"""What can be done about numbers that are missing in series."""


def add_table_options(add: Callable[..., Any]) -> None:
    """Add what can be said of every table."""
    add("--text", metavar="COLUMN", help="of a table (text)")
    add("--label", metavar="COLUMN", help="of a table (label)")
    separators = [*SEPARATORS, *SEPARATORS.values()]
    add("--separator", choices=separators, metavar="NAME", help=f"of a table's cells: {', '.join(SEPARATORS)}")
    add("--no-header", action="store_true", help="tables have no line of names: --text 1 --label 2, say")
    add("--keep-missing-labels", action="store_true", help="labels such as NA, nan and None are classes")


def table_options(args: argparse.Namespace, source: bool = False) -> dict[str, Any]:
    """Return these options as `How` takes them, if they were given: those of the source, or those of the others."""
    found: dict[str, Any] = {"keep_missing_labels": True} if args.keep_missing_labels else {}
    for name in ("text", "label"):
        if value := (getattr(args, f"source_{name}") if source else None) or getattr(args, name):
            found[name] = value
    if args.separator:
        found["separator"] = SEPARATORS.get(args.separator, args.separator)
    if args.no_header:  # names lead to a line of names all the same: on the side that has one, if the other has none
        found["header"] = any(not found.get(name, "1").isdecimal() for name in ("text", "label"))
    return found


def check_table_options(args: argparse.Namespace, paths: Iterable[str | None]) -> None:
    """Raise ValueError for an option on tables where no path is one, and for columns with names without any."""
    columns = [value for name in OPTIONS[:4] if (value := getattr(args, name, None))]
    if args.no_header and columns and not any(value.isdecimal() for value in columns):
        raise ValueError(
            f"--no-header must go with the numbers of columns, --text 1 --label 2, got {columns[0][:40]!r}"
        )
    given = [path for path in paths if path is not None]
    labelled = any(Path(path).is_dir() or Path(path).suffix.lower() in SERIES for path in given)
    if any(Path(path).suffix.lower() in TABLES and not Path(path).is_dir() for path in given):
        return
    for name in OPTIONS:
        if getattr(args, name, None) and not (labelled and name == "keep_missing_labels"):
            raise ValueError(
                f"--{name.replace('_', '-')} must be left out where there is no table ({', '.join(TABLES)}), got "
                f"{' and '.join(Path(path).name[-40:] for path in given)}"
            )
