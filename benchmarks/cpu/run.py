"""The recurrent layers against torch's on the CPU: one process, equal threads, in turn, agreement first."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

from rnn_core import backends

from ..cases import SECTIONS, TIMED, Case, cases
from ..machine import Others, facts, require, threads
from ..sides import AGREEMENT, disagreement, ours, theirs
from ..timing import Pair, alternate
from . import accuracy, frozen, memory
from .limits import LEVELS, Limits
from .peers import onnx_side
from .reporting import markdown, picture
from .reporting.report import print_tables, write_json
from .rows import BUSY, Findings, Row
from .work import work

FULL = {"pairs": 9, "block": 0.03, "budget": 3.0}
QUICK = {"pairs": 2, "block": 0.005, "rest": 0.03}
"""How long `timing.alternate` takes."""

ATTEMPTS = 3
PATIENCE = 2.0
"""How often a disturbed time is taken, and seconds before the next attempt."""


def run(args: argparse.Namespace) -> int:
    """Measure every case, print the tables and write the files; return 1 if a result differs from torch's."""
    chosen = choose(args)
    torch = require("torch")
    if args.picture:
        require("matplotlib")
    backend = args.backend or backends.default()
    backends.get(backend)
    found = Findings(facts(torch, backend, args.threads))
    if (found.machine["load"] or 0) > 0.5:
        print(
            f"benchmarks cpu: this machine is busy (load {found.machine['load']}): ratios will be off",
            file=sys.stderr,
        )
    with threads(torch, args.threads):
        limits = Limits(args.threads, seconds=0.005 if args.quick else 0.02, repeats=5 if args.quick else 10)
        others = Others()
        try:
            _measure(found, chosen, torch, backend, limits, args.quick)
            found.complete = True
        except KeyboardInterrupt:
            print("benchmarks cpu: interrupted; what was measured until now follows", file=sys.stderr)
        found.machine["others"] = others.share()
        _settle(found, limits, args.quick)
    print_tables(found)
    if args.json:
        write_json(args.json, found)
    if args.markdown:
        markdown.write(args.markdown, found)
    if args.picture:
        picture.write(args.picture, found)
    if not found.complete:
        return 130
    return 0 if all(row.agrees for row in found.rows) else 1


def choose(args: argparse.Namespace) -> list[Case]:
    """Return the cases that the arguments name; refuse now what would otherwise fail after all the work."""
    if args.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {args.threads}")
    for option in ("json", "markdown", "picture"):
        path: Path | None = getattr(args, option)
        if path and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise OSError(f"--{option} must name a file in a folder that can be written to, got {path}")
    if unknown := [name for name in args.section or [] if name not in SECTIONS]:
        raise ValueError(f"--section must be one of {', '.join(SECTIONS)}, got {unknown[0]!r}")
    chosen = [case for case in cases(args.quick, args.section) if args.only is None or args.only in case.name]
    if not chosen:
        raise ValueError(f"--only must be part of a case's name, such as 'GRU training', got {args.only!r}")
    if args.picture and not any(case.section in TIMED for case in chosen):
        raise ValueError(f"--picture needs a section with times, one of {', '.join(TIMED)}")
    return chosen


def _settle(found: Findings, limits: Limits, quick: bool) -> None:
    """Measure the limits once more, at the end, and take the shares of the better."""
    if found.rows and not quick:
        for level in LEVELS:
            limits.rate(level * limits.threads)
        limits.again()
    found.rows = [row._replace(work=work(row.case, row.pair.ours, limits)) if row.pair else row for row in found.rows]
    found.limits = limits.as_dict()


def _measure(found: Findings, chosen: list[Case], torch: Any, backend: str, limits: Limits, quick: bool) -> None:
    """Measure case by case; what has been found so far is in `found` at any time."""
    timing = QUICK if quick else FULL
    packages = None
    if any(case.task == "inference" for case in chosen):
        packages, absent = onnx_side.find()
        found.machine["onnxruntime"] = packages[1].__version__ if packages else None
        if absent:
            print(absent, flush=True)
    for case in chosen:
        line: str
        if case.section in TIMED:
            found.rows.append(compare(case, torch, backend, limits, timing, packages))
            line = found.rows[-1].line()
        elif case.section == "frozen":
            found.frozen.append(frozen.measure(case, backend, **timing))
            line = found.frozen[-1].line()
        elif case.section == "memory":
            found.memory.append(memory.measure(torch, case, backend))
            line = found.memory[-1].line()
        else:
            found.accuracy.append(accuracy.measure(torch, case, backend))
            line = found.accuracy[-1].line()
        print(line, flush=True)


def compare(case: Case, torch: Any, backend: str, limits: Limits, timing: dict[str, Any], packages: Any) -> Row:
    """Check a case against torch's results, and time both sides if they agree: what is wrong is not worth timing."""
    mine, peer = ours(case, backend), theirs(torch, case)
    results = mine.results()
    difference = disagreement(results, peer.results())
    if not difference <= AGREEMENT[case.dtype]:  # nor is NaN agreement
        return Row(case, difference, agrees=False)
    pair, others = undisturbed(mine.call, peer.call, timing)
    third = None
    if packages and onnx_side.takes(case):
        other = onnx_side.side(packages, case, limits.threads)
        if disagreement(other.results(), results) <= AGREEMENT[case.dtype]:
            third = alternate(mine.call, other.call, **timing)
    return Row(case, difference, True, pair, work(case, pair.ours, limits), third, others)


def undisturbed(
    mine: Callable[[], object], peer: Callable[[], object], timing: dict[str, Any]
) -> tuple[Pair, float | None]:
    """Time two functions, again if other processes were busy meanwhile; return what these took of the cores, too.

    torch suffers far more than we do when a core is missing (its RNN took 250 ms instead of 0.2), so such a ratio
    would flatter us. A quick run does without, and says nothing of the others.
    """
    if timing is QUICK:
        return alternate(mine, peer, **timing), None
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(PATIENCE)
        others = Others()
        pair = alternate(mine, peer, **timing)
        share = others.share()
        if share is None or share <= BUSY:
            break
    return pair, share
