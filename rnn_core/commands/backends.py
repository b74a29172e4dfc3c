"""`rnn-core backends`: where the recurrent core can run on this machine, and why not elsewhere."""

from __future__ import annotations

import argparse

from .. import backends
from ..foreign import one_line

LONGEST = 400
"""Characters of a reason that are printed: it may be another package's."""

help = "list the backends, the default, why one is missing, and what the CPU's kernels have chosen for this processor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has none."""


def run(args: argparse.Namespace) -> int:
    """Print a line for each backend."""
    default = backends.default()
    for name, reason in backends.status().items():
        found = "default" if name == default else "available"
        print(f"{name:<6} {f'not available: {one_line(reason, LONGEST)}' if reason else found}")
        if not reason and (about := backends.about(name)):
            print(f"{'':<6} {about}")
    return 0
