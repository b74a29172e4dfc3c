"""What the terminal sees: headings, text as it is, and how long each part took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console

from ..written import printable

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
