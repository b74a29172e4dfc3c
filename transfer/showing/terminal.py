"""What the terminal sees: headings, a bar for many runs, and how long each part took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rnn_core.written import printable

from ..comparing.runs import Run

WIDTH = 110
"""Of a line where no terminal says how wide it is."""


def new_console() -> Console:
    """Return the console that everything is printed on."""
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def say(console: Console, value: object) -> None:
    """Print text as it is, a table's lines unfolded, and nothing that moves the cursor."""
    console.print(printable(str(value)), markup=False, soft_wrap=True)


class Parts:
    """The parts of a run, and the seconds that each has taken."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self.current = "starting"

    @contextmanager
    def part(self, name: str, heading: str) -> Iterator[None]:
        """Print the heading of a part, and measure it."""
        self.current = name
        self.console.rule(f"[bold]{heading}")
        began = perf_counter()
        yield
        self.seconds[name] = round(perf_counter() - began, 1)
        self.console.print(f"[dim]{name}: {self.seconds[name]} s[/]\n")

    def plain(self, value: object) -> None:
        """Print as `say` does."""
        say(self.console, value)


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
