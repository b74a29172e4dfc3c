"""The command line: ``rnn-core COMMAND …``.

A command is anything that meets `Command`. Those of this package are in `rnn_core.commands`; others are found by the
entry-point group ``rnn_core.commands`` (setup.cfg), so that what is built on rnn_core adds its own without being
imported from here.

Exit codes: 0 done; 1 a check failed; 2 the input or the surroundings are wrong, said in one line; 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Protocol

from . import __version__
from .commands import backends, gradcheck

GROUP = "rnn_core.commands"


class Command(Protocol):
    """What a subcommand provides."""

    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the subcommand's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit code. What the user can mend is raised as a one-line error."""


def commands() -> dict[str, Command]:
    """Return every subcommand by name: this package's and those found by entry point."""
    found: dict[str, Command] = {"gradcheck": gradcheck, "backends": backends}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:  # another package's command is no reason to lose these
            print(f"rnn-core: the command {entry.name!r} of {entry.value} can't be loaded: {error}", file=sys.stderr)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old code page may lack ∂; a table with a ? is better than none
    parser = argparse.ArgumentParser(
        prog="rnn-core", description="Recurrent networks written out by hand: checked, trained, transferred."
    )
    parser.add_argument("--version", action="version", version=f"rnn_core {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    known = commands()
    for name, command in known.items():
        subparser = parsers.add_parser(name, help=command.help, description=command.help)
        command.add_arguments(subparser)
    args = parser.parse_args(argv)
    try:
        return known[args.command].run(args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"rnn-core {args.command}: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        if args.traceback:
            raise
        print(f"rnn-core {args.command}: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
