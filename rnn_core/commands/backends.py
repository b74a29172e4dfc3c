"""`rnn-core backends`: where the recurrent core can run on this machine, and why not elsewhere."""

from __future__ import annotations

import argparse

from .. import backends

help = "list the backends, the default, and why one is missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This command has none."""


def run(args: argparse.Namespace) -> int:
    """Print a line for each backend."""
    default = backends.default()
    for name, reason in backends.status().items():
        found = "default" if name == default else "available"
        print(f"{name:<6} {f'not available: {reason}' if reason else found}")
    return 0
