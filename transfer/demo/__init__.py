"""``rnn-core demo``: gradients checked, two tasks learned and carried over to two others, a report with pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..spreading.spread import WORKERS_HELP, check_workers_option, workers_option


class Demo:
    """The subcommand, as `rnn_core.cli` wants it."""

    help = "check gradients, train on real data, transfer, and write a report with pictures (four minutes)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what can be chosen."""
        add = parser.add_argument
        add("--out", type=Path, metavar="DIR", help="where to write (runs/demo; with --quick runs/demo-quick)")
        add("--seeds", type=int, metavar="N", help="seeds for the digits (10); the characters get two fifths of it")
        add("--workers", type=workers_option, metavar="N", help=WORKERS_HELP)
        add("--quick", action="store_true", help="tiny: see in twenty seconds that all works; the numbers mean nothing")
        add("--resume", action="store_true", help="go on from an interrupted run's checkpoint")

    def run(self, args: argparse.Namespace) -> int:
        """Run the demonstration.

        Raises
        ------
        ValueError
            An option is out of range, or there is nothing to resume.
        OSError
            The folder can't be written to; nothing has been computed.
        RuntimeError
            A package of the extra ``report`` is missing.
        KeyboardInterrupt
            Ctrl-C; the message names the checkpoint.
        """
        # Imported here, so that `rnn-core --help` doesn't wait for it.
        from rnn_core.showing.surroundings import MOST_WORKERS, check_folder, check_packages, processors

        from .settings import QUICK, Settings, with_seeds

        if args.seeds is not None and args.seeds < 2:
            raise ValueError(f"--seeds must be at least 2, or there are no intervals, got {args.seeds}")
        check_workers_option(args.workers)
        folder = args.out or Path("runs/demo-quick" if args.quick else "runs/demo")
        check_packages()
        check_folder(folder)
        from .run import run

        settings = with_seeds(QUICK if args.quick else Settings(), args.seeds)
        workers = args.workers or min(processors(), MOST_WORKERS)
        return run(settings, folder, workers, args.resume, again=_words(args))


def _words(args: argparse.Namespace) -> list[str]:
    """Return the words that call this again, as far as they decide what is computed and where it goes."""
    words = ["rnn-core", "demo"] + ["--quick"] * args.quick
    for name, value in (("--out", args.out), ("--seeds", args.seeds)):
        if value is not None:
            words += [name, str(value)]
    return words


command = Demo()
"""What the entry point in setup.cfg names."""
