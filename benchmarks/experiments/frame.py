"""What an experiment is, and what it leaves behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transfer.comparing.runs import Run
from transfer.comparing.verdicts import Comparison
from transfer.spreading.spread import Workers

Progress = Callable[[str], None]
"""Shows a line while an experiment runs."""


@dataclass(frozen=True)
class Claim:
    """Something that should come out, and what did."""

    text: str
    holds: bool
    found: str

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'DOES NOT HOLD'}: {self.text}; found {self.found}"


@dataclass(frozen=True)
class Outcome:
    """What an experiment found.

    Attributes
    ----------
    protocol : dict
        Tasks, seeds, budget and rates, in words and numbers.
    results : dict
        Every score, the paired intervals and the verdicts, such as `transfer.Comparison.as_dict` has them. JSON must
        be able to hold it, so what is not finite is None.
    table : str
        For a terminal.
    claims : tuple of Claim
    markdown : str
        The same table for a page, where it isn't what every comparison has: `markdown_table` sets one.
    """

    protocol: dict[str, Any]
    results: dict[str, Any]
    table: str
    claims: tuple[Claim, ...] = ()
    markdown: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return all but the terminal's table, for JSON; the page's only where there is one of its own."""
        return {
            "protocol": self.protocol,
            "results": self.results,
            "claims": [asdict(claim) for claim in self.claims],
            **({"markdown": self.markdown} if self.markdown else {}),
        }

    def __str__(self) -> str:
        return "\n".join([self.table, *map(str, self.claims)])


@dataclass(frozen=True)
class Experiment:
    """An experiment, by the name that the command line has for it.

    Attributes
    ----------
    name, summary : str
    run : callable
        ``run(quick, workers, progress)`` returns an `Outcome`. A quick run takes a second or two, and may find
        anything; an experiment that has nothing to spread over processes is free to use one.
    packages : tuple of str
        What brings its data, by the names under which they are imported: they are looked for before anything runs.
    extra : str
        What brings them.
    """

    name: str
    summary: str
    run: Callable[[bool, Workers, Progress], Outcome]
    packages: tuple[str, ...] = ()
    extra: str = "data"

    @property
    def missing(self) -> str:
        """Why it can't be run here, with the way out, or an empty string if it can."""
        absent = [package for package in self.packages if find_spec(package) is None]
        way_out = f"pip install 'rnn_core[{self.extra}]'"
        return f"{' and '.join(absent)} must be installed: {way_out}" if absent else ""


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as a page has it; the first column is words."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@dataclass(frozen=True)
class Keeping:
    """A `Progress` of an experiment that keeps its runs.

    Attributes
    ----------
    show : callable
        Shows a line.
    folder : Path
    """

    show: Progress
    folder: Path

    def __call__(self, line: str) -> None:
        """Show a line."""
        self.show(line)


def watched(progress: Progress, part: str = "") -> dict[str, Any]:
    """Return what `transfer.compare` is given so that its runs are shown and, where the command says so, kept.

    Parameters
    ----------
    progress : callable
    part : str
        Which of an experiment's comparisons it is, if it has several.
    """

    def tell(run: Run, done: int, total: int) -> None:
        before = f"{part}, " if part else ""
        progress(f"{before}{done} of {total}: {run.arm}, size {run.size}, seed {run.seed}: {run.score:.4g}")

    def table(comparison: Comparison) -> None:
        count = len(comparison.seeds)
        if count > 1 and count & (count - 1) == 0:  # of 2, 4, 8 … seeds: a table is long
            progress(f"so far, of {count} seeds:\n{comparison}")

    found: dict[str, Any] = {"progress": tell, "so_far": table}
    if isinstance(progress, Keeping):
        found |= {"keep": progress.folder / f"runs {part}".strip(), "resume": "auto"}
    return found


@contextmanager
def folder_for(progress: Progress) -> Iterator[Path]:
    """Yield a folder for what is trained on the way: one that stays as long as runs are kept, or a temporary one."""
    if isinstance(progress, Keeping):
        folder = progress.folder / "on the way"
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
