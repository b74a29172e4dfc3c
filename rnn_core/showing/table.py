"""Tables as text."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from ..written import printable


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> str:
    """Return a table as plain text, as wide as it needs to be.

    Parameters
    ----------
    headings : sequence of str
    rows : iterable of sequences of str
        A cell for each heading.
    right : iterable of str
        The headings of the columns that are set flush right.
    """
    from rich.console import Console
    from rich.table import Table

    columns = set(right)
    grid = Table()
    for heading in headings:
        grid.add_column(heading, justify="right" if heading in columns else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*(printable(cell, keep="") for cell in row))
    console = Console(file=io.StringIO(), width=1000, highlight=False, markup=False, emoji=False)
    console.print(grid)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())
