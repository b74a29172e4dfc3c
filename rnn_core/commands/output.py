"""Where predictions go, a table on the terminal, CSV or JSON Lines; and what standard input holds."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..atomic import check_writable, write_atomically
from ..written import json_bytes, printable

FORMATS = (".csv", ".jsonl")
"""What can be written."""

SHOWN = 40
"""Rows that a table on the terminal has; a file gets all."""

STDIN = "standard-input"
"""What errors call what came from there, before its ending."""


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add what can be said of where predictions go."""
    add = parser.add_argument
    add("--out", metavar="FILE", help=f"write all of them here: {' or '.join(FORMATS)}")
    add("--format", choices=("table", "csv", "jsonl"), help="of what is printed, where there is no --out (table)")
    held = ".txt (a text or a sentence a line), .csv, .tsv, .jsonl, .ts, .conll"
    add("--stdin-as", metavar="ENDING", help=f"what standard input holds: {held}")


class Out:
    """Where predictions go.

    Parameters
    ----------
    args : Namespace
        With `out` and `format`.
    others : sequence of str
        Files that are read, and must stay as they are.

    Raises
    ------
    ValueError
        The two exclude each other, or the file is none that can be written.
    OSError
        It can't be written to.
    """

    def __init__(self, args: argparse.Namespace, others: Sequence[str]) -> None:
        from ..showing.terminal import new_console, say

        self.path = None if args.out is None else Path(args.out)
        self.format = args.format
        out = self.path
        if out is not None and (out.suffix.lower() not in FORMATS or not out.parent.is_dir()):
            raise ValueError(f"--out must be a file {' or '.join(FORMATS)} in a folder that exists, got {str(out)!r}")
        if out is not None and args.format is not None:
            raise ValueError("--format must be left out with --out, whose ending says it")
        if out is not None:
            check_writable(out, where="--out")
            if out.exists() and any(out.samefile(path) for path in others if Path(path).exists()):
                raise ValueError(f"--out must be another file than MODEL and PATH, got {str(out)!r}")
        self._console, self._say = new_console(), say

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write or print all rows."""
        if self.path is not None:
            write_atomically(self.path, as_file(rows, self.path.suffix.lower()), where="--out")
            many = "" if len(rows) == 1 else "s"
            self.say(f"written to {self.path}: {len(rows):,} row{many}")
        elif self.format in ("csv", "jsonl"):
            text = as_file(rows, f".{self.format}").decode()
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            self.say(as_table(rows))

    def say(self, line: object) -> None:
        """Say something about them: beside the predictions, where a program may read these."""
        if self.path is None and self.format in ("csv", "jsonl"):
            print(printable(str(line)), file=sys.stderr)
        else:
            self._say(self._console, line)


def as_file(rows: Sequence[dict[str, Any]], suffix: str) -> bytes:
    """Return rows as CSV or JSON Lines."""
    if suffix == ".jsonl":
        return b"".join(json_bytes(row, indent=None) for row in rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = _names(rows)
    writer.writerow([printable(name) for name in names])
    for row in rows:
        cells = (row.get(name) for name in names)
        writer.writerow([printable(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue().encode()


def as_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the first rows as a table in plain text."""
    from ..showing.table import table

    names = _names(rows)
    numbers = [name for name in names if all(isinstance(row.get(name), int | float) for row in rows)]
    lines = [[_cell(name, row.get(name)) for name in names] for row in rows[:SHOWN]]
    text = table(names, lines, right=numbers)
    more = len(rows) - SHOWN
    return text if more <= 0 else f"{text}\nand {more:,} more; --out writes them all"


def _names(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}" if name.startswith("probability") else f"{value:.6g}"
    return str(value)


@contextmanager
def stdin_as_file(args: argparse.Namespace) -> Iterator[str]:
    """Yield the path of what is to be read: the file that was named, or one that holds what came from standard input.

    Raises
    ------
    ValueError
        The ending is none, or it was given without need.
    """
    suffix = args.stdin_as
    args.typed = args.file == "-" and suffix in (None, ".txt", "txt")  # a task may read that otherwise than a file
    if args.file != "-":
        if suffix is not None:
            raise ValueError("--stdin-as must go with - for PATH, by which standard input is read")
        yield args.file
        return
    suffix = suffix or ".txt"
    suffix = suffix if suffix.startswith(".") else f".{suffix}"
    if not suffix[1:].isalnum():
        raise ValueError(f"--stdin-as must be a file's ending, .csv for instance, got {suffix[:40]!r}")
    with TemporaryDirectory() as folder:
        path = Path(folder, f"{STDIN}{suffix}")
        path.write_bytes(sys.stdin.buffer.read())
        try:
            yield str(path)
        except (ValueError, OSError) as error:  # which names a folder that nobody has heard of
            said = str(error).replace(str(path), f"{STDIN}{suffix}")
            raise type(error)(said) from error
