"""The tables in the form that docs/performance.md has."""

from __future__ import annotations

from pathlib import Path

from rnn_core.atomic import write_atomically

from .tables import Data, Table, machine_lines, summary_table, tables


def write(path: Path, data: Data) -> None:
    """Write every table."""
    write_atomically(path, text(data).encode(), where="benchmarks --markdown")


def text(data: Data) -> str:
    """Return every table, and the summary."""
    parts = [in_markdown(table) for table in tables(data)]
    if data["summary"]:
        parts.append(in_markdown(summary_table(data)))
    return "\n".join([*parts, "\n".join(machine_lines(data)) + "\n"])


def in_markdown(table: Table) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(line)} |\n" for line in (table.head, *table.body)]
    return "".join([lines[0], "|" + "---|" * len(table.head) + "\n", *lines[1:]])
