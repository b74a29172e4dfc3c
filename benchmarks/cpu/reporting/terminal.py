"""The tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Drawn

from .tables import Data, Table, machine_lines, summary_table, tables

WIDTH = 170
"""Columns of a table that goes into a file or a pipe."""


def print_tables(data: Data) -> None:
    """Print a table for each section that has rows, and the summary last."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for table in tables(data):
        console.print(drawn(table))
    for line in machine_lines(data):
        print(line)
    if data["summary"]:
        console.print(drawn(summary_table(data), title="Summary: geometric means and worst cases"))


def drawn(table: Table, title: str | None = None) -> Drawn:
    """Return a table as rich draws it."""
    result = Drawn(title=title)
    for place, heading in enumerate(table.head):
        result.add_column(heading, justify="right" if 0 < place < len(table.head) - 1 else "left")
    for line in table.body:
        result.add_row(*(entry.replace("**", "") for entry in line))
    return result
