"""What the commands that measure share: a file for what they find, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnn_core.atomic import write_atomically
from rnn_core.written import json_bytes

from .machine import processor

RESULTS = Path(__file__).parent / "results"


def add_json(parser: argparse.ArgumentParser, name: str) -> None:
    """Add ``--json [FILE]``, by default the results' file of this processor."""
    file = RESULTS / f"{name}-{processor()}.json"
    parser.add_argument(
        "--json", type=Path, metavar="FILE", nargs="?", const=file,
        help=f"write machine and every row here too; without FILE into benchmarks/results/{file.name}",
    )  # fmt: skip


def ended(where: str, measure: Callable[[], dict[str, Any]], path: Path | None) -> int:
    """Measure and write; return 0, 1 if results disagree, or 2 where something is missing."""
    try:
        found = measure()
        if path:
            write_atomically(path, json_bytes(found), where=f"{where} --json")
    except RuntimeError as error:
        print(f"{where}: error: {error}", file=sys.stderr)
        return 1 if "must agree" in str(error) else 2
    return 0
