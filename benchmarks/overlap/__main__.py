"""``python -m benchmarks.overlap [--json [FILE]]``: how much of the network's time the backward hides.

A language model is trained by ranks of one thread on one host, whose messages are delayed as by a slow network: each
step's gradients once sent when the whole backward is done, once as soon as they are final. A row has the medians over
steps and turns: milliseconds in which the link was taken, the share of them that lay before the end of the last rank's
backward, and what a step takes either way. Both ways must have the same losses. The chart is one step of the last
case. The last table, on this host's own ways between processes, tells who moves messages on while something is
computed.
"""

from __future__ import annotations

import argparse
import os
import sys
from statistics import median
from typing import Any
from unittest import mock

import numpy as np

from ..commands import add_json, ended
from ..machine import cpu_name, processor, version_of
from ..parallel import output_of
from .progress import HOW, progress
from .timeline import chart, communication, hidden
from .work import WAYS, work

NAME = "benchmarks.overlap"

CASES = ((2, 64, 256, 32), (4, 64, 256, 32), (4, 32, 512, 32))
"""Layers, B, H and T."""

TARGET = 0.5
"""The least share that is wanted."""


def measured(case: tuple[int, int, int, int], given: argparse.Namespace) -> dict[str, Any]:
    """Return a row.

    Raises
    ------
    RuntimeError
        The job failed, or the losses of the two ways differ.
    """
    words = [sys.executable, "-m", NAME, "--work", *map(str, case)]
    words += ["--mbit", str(given.mbit), "--latency", str(given.latency), "--bucket", str(given.bucket)]
    found = output_of([*words, "--turns", str(given.turns)], given.ranks)
    steps: dict[str, list[Any]] = found["steps"]
    losses = {way: [step["loss"] for step in steps[way]] for way in WAYS}
    if losses["after"] != losses["early"]:
        raise RuntimeError(f"layers, B, H, T = {case}: losses must agree to the bit, got {losses}")
    took = {way: median(step["now"] - step["before"] for step in steps[way]) for way in WAYS}
    shares = [hidden(step) / communication(step) for step in steps["early"]]
    network = median(communication(step) for step in steps["early"])
    middle = sorted(range(len(shares)), key=shares.__getitem__)[len(shares) // 2]
    layers, B, H, T = case
    return {
        "layers": layers, "B": B, "H": H, "T": T, "ranks": given.ranks, "steps": len(shares),
        "communication": network, "hidden": median(shares), "low": min(shares), "high": max(shares),
        "waited_after": median(step["waited"] for step in steps["after"]),
        "waited_early": median(step["waited"] for step in steps["early"]),
        "after": took["after"], "early": took["early"], "step": steps["early"][middle],
        "buckets": found["buckets"]["early"],
    }  # fmt: skip


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Measure all cases, print a table and a chart."""
    facts = {
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # of others, before ours begins
        "cpu": cpu_name(), "processor": processor(), "cores": os.cpu_count(), "numpy": np.__version__,
        "mpi4py": version_of("mpi4py"), "openmpi": version_of("openmpi"), "turns": given.turns, "mbit": given.mbit,
        "latency_us": given.latency, "bucket": given.bucket,
    }  # fmt: skip
    print("| layers, B, H, T | network, ms | hidden | waited, after → early, ms | step, after → early, ms |")
    print("|---|---:|---:|---:|---:|")
    rows = []
    for case in CASES[:1] if given.quick else CASES:
        row = measured(case, given)
        rows.append(row)
        share = f"{100 * row['hidden']:.0f} % ({100 * row['low']:.0f}–{100 * row['high']:.0f})"
        waited = f"{1e3 * row['waited_after']:.0f} → {1e3 * row['waited_early']:.0f}"
        print(
            f"| {', '.join(map(str, case))} | {1e3 * row['communication']:.0f} | {share} | {waited} | "
            f"{1e3 * row['after']:.0f} → {1e3 * row['early']:.0f} |",
            flush=True,
        )
    worst = min(row["hidden"] for row in rows)
    print(f"\nAt least {100 * TARGET:.0f} % hidden: {'everywhere' if worst >= TARGET else 'not everywhere'}.\n")
    print(chart(rows[-1]["step"], rows[-1]["buckets"]))
    return {"facts": facts, "rows": rows, "progress": moved_on(given)}


def moved_on(given: argparse.Namespace) -> dict[str, Any]:
    """Measure who moves messages on, and print a table."""
    print("\n| moved on by | computed, ms | then waited, ms |\n|---|---:|---:|")
    ways = {"shared memory": "self,sm", "TCP": "self,tcp"}
    found = {}
    for name, ways_of_mpi in ways.items():
        words = [sys.executable, "-m", NAME, "--progress", "--turns", str(5 * given.turns)]
        with mock.patch.dict(os.environ, {"OMPI_MCA_btl": ways_of_mpi}):
            found[name] = output_of(words, given.ranks)
        for how in HOW:
            row = found[name][how]
            print(f"| {how} ({name}) | {1e3 * row['computed']:.0f} | {1e3 * row['waited']:.1f} |", flush=True)
        print(f"| nothing computed ({name}) | | {1e3 * found[name]['alone']['waited']:.1f} |", flush=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__.partition(":")[2].strip())
    parser.add_argument("--ranks", type=int, default=2, help="ranks of one thread each")
    parser.add_argument("--turns", type=int, default=3, help="runs of each way of a case")
    parser.add_argument("--mbit", type=float, default=1000, help="of the link, a second")
    parser.add_argument("--latency", type=float, default=100, help="of a message, in microseconds")
    parser.add_argument("--bucket", type=int, default=1 << 20, help="bytes, as MPI(bucket=…) has them")
    parser.add_argument("--quick", action="store_true", help="the first case alone")
    parser.add_argument("--progress", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=int, nargs=4, help=argparse.SUPPRESS)
    add_json(parser, "overlap")
    given = parser.parse_args(arguments)
    if given.work:
        work(given.work, given.mbit, given.latency, given.bucket, given.turns)
        return 0
    if given.progress:
        progress(given.turns)
        return 0
    if given.ranks < 2 or given.turns < 1 or given.mbit <= 0 or given.latency < 0:
        parser.error(
            f"--ranks must be at least 2, --turns at least 1, --mbit above 0 and --latency at least 0, got "
            f"{given.ranks}, {given.turns}, {given.mbit:g} and {given.latency:g}"
        )
    return ended(NAME, lambda: measure(given), given.json)


if __name__ == "__main__":
    sys.exit(main())
