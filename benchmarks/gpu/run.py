"""``python -m benchmarks gpu``: check and measure ``backend="cuda"`` part by part, within a given time."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from . import sanitizer
from .device import reason
from .grid import SECTIONS
from .report import Findings, summary_table, write
from .supervise import Outcome, run_part


class Part(NamedTuple):
    """A part of the run."""

    share: float  # of the whole time, at most; the last has what is left
    shards: int = 1  # processes side by side: most of the time goes into compiling, which is the host's work


PARTS = {
    "environment": Part(0.12),
    "conformance": Part(0.26, shards=10),
    "training": Part(0.10),
    "sanitizer": Part(0.15),
    "compilation": Part(0.20, shards=12),
    "ways": Part(0.08),
    "benchmark": Part(1.0),
}
"""Every part, in the order in which they are run."""

EVERY = 5.0
"""Seconds between two writings of the files, while a part goes on."""


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments name; return 0 where all went well or there is no GPU, 1 otherwise, 2 without a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    names = [*PARTS, *SECTIONS]
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), metavar="FOLDER", help="for gpu.json and gpu.md")
    parser.add_argument("--minutes", type=float, default=7.0, help="after which no case is begun (7)")
    parser.add_argument("--quick", action="store_true", help="few cases and short times; ratios are rough")
    parser.add_argument(
        "--only", action="append", default=[], choices=names, metavar="SECTION",
        help=f"one part, and can be repeated: {', '.join(names)}",
    )  # fmt: skip
    parser.add_argument("--rehearse", action="store_true", help="try the code out on the host, without a GPU")
    args = parser.parse_args(argv)
    start = perf_counter()
    found = Findings(rehearsal=args.rehearse)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"benchmarks gpu: error: --out must name a folder that can be written to: {error}", file=sys.stderr)
        return 2
    found.reason = "" if args.rehearse else reason()
    if found.reason:
        write(args.out, found)
        print(f"no GPU here: {found.reason}; 0 cases run")
        return 0
    try:
        for name in PARTS:
            if chosen(name, args.only):
                _run(name, args, found, start)
                found.seconds = perf_counter() - start
                write(args.out, found)
        found.complete = not found.skipped and not any(part.not_run for part in found.parts.values())
    except KeyboardInterrupt:
        print("benchmarks gpu: interrupted", file=sys.stderr)
        return 130
    finally:
        found.seconds = perf_counter() - start
        write(args.out, found)
    if found.summary:
        print(summary_table(found.summary))
    print(f"{found.cases} cases run in {found.seconds:.0f} s: {args.out / 'gpu.md'}, {args.out / 'gpu.json'}")
    return 1 if found.failed else 0


def chosen(part: str, only: list[str]) -> bool:
    """Return whether a part is run; the environment always is: a number without its device's name is none."""
    timed = "benchmark" in only or any(name in SECTIONS for name in only)
    return not only or part in only or part == "environment" or (timed and part in ("compilation", "benchmark"))


def _run(name: str, args: argparse.Namespace, found: Findings, start: float) -> None:
    """Run a part, and tell on the terminal what comes of it."""
    left = 60 * args.minutes - (perf_counter() - start)
    seconds = min(left, 60 * args.minutes * PARTS[name].share)
    print(f"{name} ...", flush=True)
    if left <= 0:
        found.skipped.append(name)
    elif name == "sanitizer":
        if args.rehearse:
            return
        found.sanitizer = sanitizer.run(min(seconds, sanitizer.LIMIT))
        print(", ".join(f"{tool}: {told['verdict']}" for tool, told in found.sanitizer.items()), flush=True)
    else:
        options = ["--quick"] * args.quick + ["--rehearse"] * args.rehearse
        options += [word for section in args.only for word in ("--only", section)]
        teller = Teller(name, args.out, found)
        # A device may let in one process at a time.
        room = (os.cpu_count() or 1) - 2 if found.facts.get("compute_mode") == 0 else 1
        run_part(name, options, seconds, teller, max(1, min(PARTS[name].shards, room)))
        part = found.parts[name]
        counts = f"{len(part.results)} done, {len(part.failures)} failed, {len(part.not_run)} not run"
        print(f"{name}: {counts}, {part.seconds:.0f} s", flush=True)


class Teller:
    """Prints a line for what has just ended, and writes the files from time to time."""

    def __init__(self, name: str, folder: Path, found: Findings):
        self.name, self.folder, self.found = name, folder, found
        self.failures = self.results = 0
        self.written = perf_counter()

    def __call__(self, outcome: Outcome) -> None:
        self.found.parts[self.name] = outcome
        for one in outcome.failures[self.failures :]:
            print(f"FAILED {one['name']}: {one['message'].strip()[-300:]}", flush=True)
        if self.name == "benchmark":
            for row in outcome.results[self.results :]:
                print(line_of(row), flush=True)
        self.failures, self.results = len(outcome.failures), len(outcome.results)
        if perf_counter() - self.written > EVERY:
            self.written = perf_counter()
            write(self.folder, self.found)


def line_of(row: dict) -> str:
    """Return a row of the benchmark as a line of text."""
    if not row["agrees"]:
        return f"{row['name']}: DIFFERS in {row['differs_most']} by {row['difference']:.1e}, not timed"
    return (
        f"{row['name']}: ours {1e6 * row['ours']:.0f} µs, torch ÷ ours {row['ratio']:.2f}, "
        f"{1e6 * row['ours'] / row['T']:.2f} µs a step  {row['path']}"
    )
