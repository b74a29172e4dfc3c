"""The benchmark on the CPU: one process, equal threads, in turn, agreement first. What fails costs its own case."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from rnn_core import backends

from ..cases import TIMED
from ..machine import Others, facts, require, threads
from .findings import Findings, write_json
from .limits import LEVELS, Limits
from .peers import onnx_side
from .reporting import markdown, picture, terminal
from .sections import SECTIONS
from .setting import Setting

Chosen = dict[str, list[Any]]
"""Cases by section."""


def run(args: argparse.Namespace) -> int:
    """Measure every case, print the tables and write the files; return 1 if a case failed or differs from torch's."""
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
    if reason := onnx_side.find()[1]:
        print(reason, flush=True)
    others, begin = Others(), perf_counter()
    try:
        for name, cases in chosen.items():
            count = SECTIONS[name].threads or args.threads
            with threads(torch, count):
                setting = Setting(torch, backend, count, _limits(found, count, args.quick), args.quick)
                _measure(found, name, cases, setting)
            if args.json:
                write_json(args.json, found.data())  # an hour later something else may end the run
        found.complete = True
    except KeyboardInterrupt:
        print("benchmarks cpu: interrupted; what was measured until now follows", file=sys.stderr)
    found.machine |= {"others": others.share(), "minutes": round((perf_counter() - begin) / 60, 1)}
    _settle(found, args.quick)
    return _report(args, found)


def choose(args: argparse.Namespace) -> Chosen:
    """Return the cases that the arguments name; refuse now what would otherwise fail after all the work."""
    if args.threads < 1:
        raise ValueError(f"--threads must be at least 1, got {args.threads}")
    for option in ("json", "markdown", "picture"):
        path: Path | None = getattr(args, option)
        if path and (path.is_dir() or not os.access(path.parent, os.W_OK)):
            raise OSError(f"--{option} must name a file in a folder that can be written to, got {path}")
    if unknown := [name for name in args.section or [] if name not in SECTIONS]:
        raise ValueError(f"--section must be one of {', '.join(SECTIONS)}, got {unknown[0]!r}")
    chosen: Chosen = {}
    for name, section in SECTIONS.items():
        if not args.section or name in args.section:
            cases = [case for case in section.cases(args.quick) if args.only is None or args.only in case.name]
            chosen |= {name: cases} if cases else {}
    if not chosen and args.only is None:
        raise RuntimeError(f"--section {' '.join(args.section)} has no case: {onnx_side.find()[1]}")
    if not chosen:
        raise ValueError(f"--only must be part of a case's name, such as 'GRU training', got {args.only!r}")
    if args.picture and not any(name in TIMED for name in chosen):
        raise ValueError(f"--picture needs a section with times, one of {', '.join(TIMED)}")
    return chosen


def _limits(found: Findings, count: int, quick: bool) -> Limits:
    """Return the machine's limits with so many threads."""
    if count not in found.limits:
        found.limits[count] = Limits(count, seconds=0.005 if quick else 0.02, repeats=5 if quick else 10)
    return found.limits[count]


def _measure(found: Findings, name: str, cases: list[Any], setting: Setting) -> None:
    """Measure case by case; what has been found so far is in `found` at any time."""
    rows = found.rows.setdefault(name, [])
    for case in cases:
        try:
            rows.append(SECTIONS[name].measure(setting, case))
            line = rows[-1].line()
        except Exception as error:  # noqa: BLE001  # one case's failure is a result; the others go on
            line = f"{case.name}: FAILED: {type(error).__name__}: {error}"
            found.failed.append({"section": name, "name": case.name, "error": f"{type(error).__name__}: {error}"})
        print(line, flush=True)


def _settle(found: Findings, quick: bool) -> None:
    """Measure the limits once more, at the end, and take the shares of the better."""
    for count, limits in found.limits.items():
        if not quick and any(found.rows.values()):
            for level in LEVELS:
                limits.rate(level * count)
            limits.again()
    for name, rows in found.rows.items():
        limits = found.limits[SECTIONS[name].threads or found.machine["threads"]]
        found.rows[name] = [row.settled(limits) if hasattr(row, "settled") else row for row in rows]


def _report(args: argparse.Namespace, found: Findings) -> int:
    """Print and write what was found, and return the exit code."""
    data = found.data()
    terminal.print_tables(data)
    if args.json:
        write_json(args.json, data)
    if args.markdown:
        markdown.write(args.markdown, data)
    if args.picture:
        picture.write(args.picture, data)
    if not found.complete:
        return 130
    return 0 if found.sound else 1
