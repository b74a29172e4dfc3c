"""A bar for many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..comparing.runs import Run


@contextmanager
def runs_shown(console: Console, label: str) -> Iterator[Callable[[Run, int, int], None]]:
    """Yield what `compare` calls after each run: a bar in a terminal, four lines elsewhere."""
    if not console.is_terminal:

        def line(run: Run, done: int, total: int) -> None:
            if done * 4 // total > (done - 1) * 4 // total:
                console.print(f"{label}: {done} of {total} runs")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda run, done, total: progress.update(task, completed=done, total=total)
