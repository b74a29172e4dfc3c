"""What every task of ``rnn-core transfer`` can be told: methods, training, the run; and what is checked of it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from rnn_core.commands.cells import check_cell
from rnn_core.data.files.lines import named
from rnn_core.tasks.options import flag, words
from rnn_core.tasks.task import Add

from ..spreading.spread import WORKERS_HELP, check_workers_option, workers_option
from .keeping import check_kept

RESULTS = ("report.html", "results.json", "model.safetensors")
"""Files that tell that a folder holds a run's results."""

POSITIVE = (
    "seeds", "workers", "sizes", "updates", "source_updates", "batch_size", "rate", "core_rate", "source_rate",
    "hidden_size", "layers", "embedding_size", "max_steps", "num_words", "frame", "sample_rate",
)  # fmt: skip
"""Options that must be above 0."""


def add_methods(add: Add, sizes: str) -> None:
    """Add what can be compared."""
    add("--methods", nargs="+", metavar="NAME", help="some of --list, or all; the usual ones without it")
    add("--list", action="store_true", help="list the methods, a line on each, and stop")
    add("--sizes", type=int, nargs="+", metavar="N", help=sizes)
    add("--seeds", type=int, metavar="N", help="repetitions, which the intervals come from (5)")
    add("--save", metavar="METHOD", help="whose network is saved (the best on held-out examples)")


def add_training(add: Add) -> None:
    """Add the budget."""
    add("--updates", type=int, metavar="N", help="on the target, of every method (128)")
    add("--source-updates", type=int, metavar="N", help="on the source (600)")
    add("--batch-size", type=int, metavar="N", help="(32)")
    add("--rate", type=float, help="learning rate of what is fresh (0.01)")
    add("--core-rate", type=float, metavar="RATE", help="of what was carried over (0.003)")
    add("--source-rate", type=float, metavar="RATE", help="on the source (0.01)")


def check_cell_of(args: argparse.Namespace, usual: str, hidden_size: int) -> None:
    """Look whether the cell that is asked for is there; a source model's is known when that has been read.

    Parameters and errors are those of `rnn_core.commands.cells.check_cell`.
    """
    if args.source_model is None:
        check_cell(args, usual, hidden_size)


def add_run(add: Add) -> None:
    """Add where and how it runs."""
    add("--out", metavar="DIR", help="where to write (runs/transfer)")
    add("--overwrite", action="store_true", help="over the results that are there")
    add("--resume", action="store_true", help="go on from the runs that one which was cut off has finished there")
    add("--workers", type=workers_option, metavar="N", help=WORKERS_HELP)
    add("--quick", action="store_true", help="tiny: see in ten seconds that all works; the numbers mean nothing")


def check_shared(args: argparse.Namespace) -> None:
    """Raise ValueError for options that are out of range or exclude one another, before anything is read."""
    if args.target is None:
        raise ValueError("--target must be given: the data to carry over to")
    if (args.source is None) == (args.source_model is None):
        got = "neither" if args.source is None else "both"
        raise ValueError(f"one of --source and --source-model must be given, got {got}")
    for name in ("source", "source_model", "target", "test", "vectors"):
        if (path := getattr(args, name, None)) is not None and not Path(path).exists():
            raise FileNotFoundError(f"{flag(name)} must be an existing file or folder, got {named(path)}")
    for name in POSITIVE:
        value = getattr(args, name, None)
        for number in value if isinstance(value, list) else [value]:
            if number is not None and not isinstance(number, str) and not 0 < number < float("inf"):
                raise ValueError(f"{flag(name)} must be above 0, got {number}")
    check_workers_option(args.workers)
    if args.seeds == 1:
        raise ValueError("--seeds must be at least 2, or there are no intervals, got 1")
    if args.test_share is not None and not 0 < args.test_share < 1:
        raise ValueError(f"--test-share must be between 0 and 1, got {args.test_share}")
    if args.test is not None and args.test_share is not None:
        raise ValueError("--test-share must be left out with --test, which is judged by")
    for name in ("source_text", "source_label", "source_task", "source_options", "source_updates", "source_rate"):
        if args.source_model is not None and getattr(args, name, None) is not None:
            raise ValueError(f"{flag(name)} must be left out with --source-model, which has learned already")
    for name in ("source_model", "vectors"):
        if (path := getattr(args, name, None)) is not None and Path(path).is_dir():
            raise IsADirectoryError(f"{flag(name)} must be a file, got the folder {named(path)}")
    folder = Path(args.out or "runs/transfer")
    if not args.overwrite and (found := [name for name in RESULTS if (folder / name).exists()]):
        raise ValueError(
            f"--out must be a folder without results, got {named(folder)} with {', '.join(found)}; name another, or "
            "--overwrite"
        )
    check_kept(folder, args.resume, args.overwrite)


def listing() -> int:
    """Print every method, a line on each."""
    from rnn_core.showing.table import table
    from rnn_core.showing.terminal import new_console

    from ..methods.catalogue import METHODS

    new_console().print(table(("method", "what it does"), METHODS.items()), markup=False, soft_wrap=True)
    return 0


def again(command: Sequence[str], args: argparse.Namespace) -> str:
    """Return the words that call a command again, all of it."""
    return shlex.join(words(command, args, ("command", "task", "traceback", "resume")))
