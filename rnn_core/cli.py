"""The command line: ``rnn-core COMMAND …``.

A command is anything that meets `Command`. Those of this package are in `rnn_core.commands`; others are found by the
entry-point group ``rnn_core.commands`` (setup.cfg), so that what is built on rnn_core adds its own without being
imported from here.

Exit codes: 0 done; 1 a check failed; 2 the input or the surroundings are wrong, said in one line; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from . import __version__
from .commands import backends, evaluate, generate, gradcheck, predict, reply, trace, train
from .foreign import one_line
from .written import prepare

LONGEST = 2000
"""Characters of an error that are printed: those of this package are far shorter, those of others may not be."""

GROUP = "rnn_core.commands"


class Command(Protocol):
    """What a subcommand provides."""

    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the subcommand's arguments to its parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit code. What the user can mend is raised as a one-line error."""


class Subparser(argparse.ArgumentParser):
    """A subcommand's parser, which asks for its arguments only if it is the one that is called.

    Attributes
    ----------
    command : Command
        Set once; None when its arguments have been added.
    """

    command: Command | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See `argparse`."""
        if self.command is not None:
            command, self.command = self.command, None
            command.add_arguments(self)
        return super().parse_known_args(args, namespace)


def commands() -> dict[str, Command]:
    """Return every subcommand by name: this package's and those found by entry point."""
    found: dict[str, Command] = {
        "train": train, "predict": predict.command, "evaluate": evaluate.command, "generate": generate.command,
        "reply": reply, "gradcheck": gradcheck, "trace": trace.command, "backends": backends,
    }  # fmt: skip
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found:  # of an older installation, most likely
            continue
        try:
            found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:  # another package's command is no reason to lose these
            reason = f"the command {entry.name!r} of {entry.value} can't be loaded: {one_line(error)}"
            print(f"rnn-core: {reason}", file=sys.stderr)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        prepare(stream)  # an old code page may lack ∂, and a file's name may be no text
    parser = argparse.ArgumentParser(
        prog="rnn-core", description="Recurrent networks written out by hand: checked, trained, transferred."
    )
    parser.add_argument("--version", action="version", version=f"rnn_core {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error came from")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Subparser)
    known = commands()
    for name, command in known.items():
        parsers.add_parser(name, help=command.help, description=command.help).command = command
    args = parser.parse_args(argv)
    if args.command is None:  # nothing was done, which is no success to whoever calls this from a script
        parser.print_help(sys.stderr)
        return 2
    try:
        return known[args.command].run(args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"rnn-core {args.command}: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except (ValueError, TypeError, RuntimeError, OSError, MemoryError) as error:
        if args.traceback:
            raise
        said = "; ".join([one_line(error, LONGEST), *(one_line(note) for note in getattr(error, "__notes__", ()))])
        if isinstance(error, MemoryError):  # which seldom has a message of its own
            said = f"there must be memory enough, got {said}; take less at once"
        print(f"rnn-core {args.command}: error: {said}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
