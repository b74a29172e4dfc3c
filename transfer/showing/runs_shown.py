"""A bar for many runs, and the table of those that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ..comparing.runs import Run
from ..comparing.verdicts import Comparison


class Shown(NamedTuple):
    """What `compare` calls, by the names of its arguments."""

    progress: Callable[[Run, int, int], None]
    so_far: Callable[[Comparison], None]


@contextmanager
def runs_shown(console: Console, label: str) -> Iterator[Shown]:
    """Yield what `compare` calls while it runs: in a terminal a bar and below it the table of the seeds that are whole.

    Elsewhere four lines, and at the half a table, if two seeds or more are whole by then.
    """
    if not console.is_terminal:
        yield _lines(console, label)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, TimeRemainingColumn(), console=console)
    task = bar.add_task(label, total=None)
    with Live(bar, console=console, transient=True) as live:
        yield Shown(
            lambda run, done, total: bar.update(task, completed=done, total=total),
            lambda comparison: live.update(Group(bar, Text(_said(comparison))), refresh=True),
        )


def _lines(console: Console, label: str) -> Shown:
    """Return what tells the same to a file."""
    tables: list[Comparison] = []

    def line(run: Run, done: int, total: int) -> None:
        if (quarter := done * 4 // total) > (done - 1) * 4 // total:
            console.print(f"{label}: {done} of {total} runs")
            if quarter == 2 and tables and len(tables[-1].seeds) > 1:
                console.print(_said(tables[-1]), markup=False, highlight=False, soft_wrap=True)

    return Shown(line, tables.append)


def _said(comparison: Comparison) -> str:
    return f"so far, of {len(comparison.seeds)} seed{'' if len(comparison.seeds) == 1 else 's'}:\n{comparison}"
