"""``python -m benchmarks.torch_modules [--quick] [--json [FILE]]``: torch's recurrent modules and ours in their place.

Five programs (programs.py) are trained twice from the same seed, with torch's own modules and with those that
`rnn_core.torch.accelerate` makes of them. First the losses of fifty steps in float32 must agree. Then whole steps,
forward, loss, backward and Adam, are timed in turns, with rests (timing.py), in float32 and float64, on one thread
and on two. Then single modules over a grid, forward and backward.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from statistics import geometric_mean
from typing import Any

from rnn_core.atomic import write_atomically
from rnn_core.written import json_bytes

from ..commands import add_json, ended
from ..machine import Others, facts, require, threads
from ..sides import AGREEMENT, disagreement
from ..timing import alternate

NAME = "benchmarks.torch_modules"

TARGETS = {"LSTM float32": 1.2, "GRU, RNN, float64, packed, projected": 2.0}
"""The least geometric mean of torch ÷ ours by group; no program is to be slower than with torch's own."""

CURVE = 1e-4
"""Largest difference of two losses of the same step in float32, relative to them."""

STEPS = 50
"""Of a curve."""

Row = dict[str, Any]


def group(cell: str, dtype: str, other: bool) -> str:
    """Return whose target is a row's; `other`, where it is packed or projected."""
    return list(TARGETS)[cell != "LSTM" or dtype != "float32" or other]


def program_rows(torch: Any, count: int, quick: bool, only: str, **options: float) -> Iterator[Row]:
    """Yield a row for each program and dtype.

    Raises
    ------
    RuntimeError
        The losses of the two sides differ.
    """
    from rnn_core.torch import accelerate

    from .programs import Training, programs

    for dtype in ("float32", "float64"):
        for program in programs(quick):
            if only not in f"{program.name} {program.cell} {dtype}":
                continue
            mine, theirs = (Training(program, getattr(torch, dtype), change) for change in (accelerate, None))
            pairs = list(zip(mine.curve(STEPS), theirs.curve(STEPS), strict=True))
            apart = max(abs(a - b) / abs(b) if a == a else float("inf") for a, b in pairs)
            if apart > CURVE:
                raise RuntimeError(f"{program.name} {dtype}: losses must agree to {CURVE:g}, but differ by {apart:.1e}")
            pair = alternate(mine.step, theirs.step, **options)
            yield {
                "program": program.name, "cell": program.cell, "packed": program.packed, "dtype": dtype,
                "threads": count, "group": group(program.cell, dtype, program.packed),
                "losses": [pairs[0][0], pairs[-1][0]], "difference": apart, **pair._asdict(),
            }  # fmt: skip


def module_rows(count: int, quick: bool, only: str, **options: float) -> Iterator[Row]:
    """Yield a row for each single module.

    Raises
    ------
    RuntimeError
        The numbers of the two sides differ.
    """
    from .modules import cases, sides

    for case in cases(quick):
        if only not in str(case):
            continue
        mine, theirs = sides(case)
        apart = disagreement(mine.results(), theirs.results())
        if not apart <= AGREEMENT[case.dtype]:
            raise RuntimeError(f"{case}: numbers must agree, but differ by {apart:.1e}")
        pair = alternate(mine, theirs, **options)
        kind = group(case.cell, case.dtype, case.packed or case.proj_size > 0)
        yield {**case._asdict(), "name": str(case), "threads": count, "group": kind, **pair._asdict()}


PROGRAM_HEAD = (
    "| step of training | threads | ours, ms | torch, ms | torch ÷ ours | losses, first → 50th | apart |",
    "|---|---:|---:|---:|---:|---:|---:|",
)
MODULE_HEAD = ("| forward and backward | threads | ours, ms | torch, ms | torch ÷ ours |", "|---|---:|---:|---:|---:|")


def program_line(row: Row) -> str:
    """Return a program's row as a line of Markdown."""
    name = f"{row['program']}, {row['cell']}{', packed' if row['packed'] else ''}, {row['dtype']}"
    first, last = row["losses"]
    return f"| {name} | {_times(row)} | {first:.3f} → {last:.3f} | {row['difference']:.0e} |"


def module_line(row: Row) -> str:
    """Return a single module's row as a line of Markdown."""
    return f"| {row['name']} | {_times(row)} |"


def _times(row: Row) -> str:
    times = f"{1e3 * row['ours']:.3g} | {1e3 * row['theirs']:.3g}"
    return f"{row['threads']} | {times} | {row['ratio']:.2f} ({row['low']:.2f}–{row['high']:.2f})"


def summary(programs: list[Row], modules: list[Row]) -> Iterator[str]:
    """Yield the lines of a table of geometric means and worst cases, by group."""
    yield "| torch ÷ ours, geometric mean (worst) | programs | single modules | wanted of programs |"
    yield "|---|---:|---:|---:|"
    for kind, least in TARGETS.items():
        found = []
        for rows in (programs, modules):
            ratios = [row["ratio"] for row in rows if row["group"] == kind]
            found.append(f"{geometric_mean(ratios):.2f} ({min(ratios):.2f})" if ratios else "–")
        yield f"| {kind} | {' | '.join(found)} | ≥ {least:g} (1) |"


def measure(args: argparse.Namespace, torch: Any) -> dict[str, Any]:
    """Time everything, print it as it comes, and return it as plain data."""
    options: dict[str, float] = (
        {"pairs": 2, "block": 0.002, "rest": 0.0} if args.quick else {"pairs": 11, "block": 0.25, "budget": args.budget}
    )
    counts = args.threads or sorted({1, min(2, os.cpu_count() or 1)})
    others, machine = Others(), facts(torch, "cpu", max(counts))
    print(f"{machine['cpu']} ({machine['processor']}), load {machine['load']} before, torch {torch.__version__}\n")
    programs: list[Row] = []
    modules: list[Row] = []

    def found() -> dict[str, Any]:
        shares = {"others": others.share(), "targets": TARGETS}
        return {"machine": machine, **shares, "programs": programs, "modules": modules}

    for head, rows, make, line in (
        (PROGRAM_HEAD, programs, lambda n: program_rows(torch, n, args.quick, args.only, **options), program_line),
        (MODULE_HEAD, modules, lambda n: module_rows(n, args.quick, args.only, **options), module_line),
    ):
        print(*head, sep="\n")
        for count in counts:
            with threads(torch, count):
                for row in make(count):
                    rows.append(row)
                    print(line(row), flush=True)
                    if args.json:  # a run that is cut keeps its rows
                        write_atomically(args.json, json_bytes(found()), where=f"{NAME} --json")
        print()
    print(*summary(programs, modules), sep="\n")
    whole = found()
    print("" if whole["others"] is None else f"\nother programs had {whole['others']:.1%} of the cores")
    return whole


def main(argv: list[str] | None = None) -> int:
    """Print tables of medians; return 0, 1 if results disagree, or 2 where torch is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_modules", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, short times; ratios are rough")
    parser.add_argument("--only", default="", metavar="TEXT", help="what has this in its name: 'tagger', 'GRU float64'")
    parser.add_argument(
        "--threads", type=int, action="append", metavar="N", help="for either side, can be repeated (1 and 2)"
    )
    parser.add_argument(
        "--budget", type=float, default=8.0, metavar="SECONDS", help="after which a row has its fewest blocks (8)"
    )
    add_json(parser, "torch")
    args = parser.parse_args(argv)
    return ended(NAME, lambda: measure(args, require("torch")), args.json)


if __name__ == "__main__":
    sys.exit(main())
