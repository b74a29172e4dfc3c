"""`rnn-core gradcheck`: the standard cases against the complex step, as a table; fails if one of them fails.

With a file it is the cells that the file defines: each `step_backward` by itself, then the layer in the same cases.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from .. import backends
from ..atomic import write_atomically
from ..checking.cells import StepReport, check_step
from ..checking.check import TOLERANCE
from ..checking.report import GradientReport
from ..checking.suite import (
    CELLS,
    FORMER,
    LAYERS,
    OPTIONS,
    Case,
    cell_cases,
    layer_cases,
    sizes_of,
    standard_cases,
    variant_cases,
)
from ..foreign import shown
from ..layers.defined import SHIPPED, shipped
from ..layers.first_values import undrawn
from ..layers.stack import Recurrent
from ..models.cores import taken_by
from ..tasks.options import CELL, cell_options
from ..written import json_bytes
from .cells import cells_in

help = "check every gradient of every cell and layer, element by element (a quarter of a minute, the first time one)"

CELL_NAMES = {name.lower().replace(" ", "-"): name for name in (*CELLS, *LAYERS, *SHIPPED)}
"""What is typed for a cell or another layer, and what it is called. Variants are checked where they are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE.py", help="a file that defines cells, which are checked; it is run as Python"
    )
    parser.add_argument("--backend", choices=list(backends.BACKENDS), help="whose backward is checked (the default's)")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="of the backward")
    parser.add_argument("--method", choices=list(TOLERANCE), default="complex-step", help="the reference")
    parser.add_argument("--tolerance", type=float, help="largest relative error that passes (1e-12 for float64)")
    for flag, read, names in (("--cell", _cell, CELL_NAMES), ("--option", _option, OPTIONS)):
        known = ", ".join(names)
        parser.add_argument(
            flag, type=read, action="append", metavar="NAME", help=f"only this one of {known}; may be repeated"
        )
    parser.add_argument("--cell-option", **CELL["cell_option"])
    parser.add_argument("--steps", type=int, default=50, help="time steps of the option 'long' (50)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row of every report here too")


def run(args: argparse.Namespace) -> int:
    """Print the table; return 1 if a gradient failed."""
    if args.steps < 1:
        raise ValueError(f"--steps must be at least 1, got {args.steps}")
    if args.json and (args.json.is_dir() or not os.access(args.json.parent, os.W_OK)):  # now, not after all the work
        raise OSError(f"--json must name a file in a folder that can be written to, got {args.json}")
    for flag in ("option", "cell_option"):
        if getattr(args, flag) and (others := [name for name in args.cell or () if name in LAYERS]):
            typed = f"--{flag.replace('_', '-')}"
            raise ValueError(f"{typed} must be left out with --cell {others[0].lower()}, which is no cell and has none")
    steps, chosen = _of_file(args) if args.file else ([], _of_library(args))
    began = time.perf_counter()
    reports: list[tuple[Case, GradientReport]] = []
    console = Console()
    if not console.is_terminal:
        console.width = 110  # in a file or a pipe nothing needs to be folded
    with Live(console=console, auto_refresh=False) as live:
        for case in chosen:
            reports.append((case, case.check(args.method, args.tolerance)))
            live.update(gradient_table(reports), refresh=console.is_terminal)
    if not console.is_terminal:
        print()
    failed = [(case, report) for case, report in reports if not report.passed]
    for case, report in failed:
        print(f"\n{case.cell}, {case.option}:\n{report}")
    seconds = time.perf_counter() - began
    print(f"{verdict(reports)} ({seconds:.1f} s)")
    if args.json:
        rows = [{"cell": step.name, "option": "step", **step.report.as_dict()} for step in steps]
        rows += [{"cell": case.cell, "option": case.option, **report.as_dict()} for case, report in reports]
        write_atomically(args.json, json_bytes(rows), where="gradcheck --json")
    return 1 if failed or not all(steps) else 0


def _of_library(args: argparse.Namespace) -> Iterator[Case]:
    """Return the cases of cells and other layers of rnn_core: of those that are named, or of all but the variants."""
    how: dict[str, Any] = {"backend": args.backend, "dtype": np.dtype(args.dtype)}
    options = _checked_options(args)
    cells, variants, layers = (
        [name for name in names if name in (args.cell or unless)]
        for names, unless in ((CELLS, CELLS), (SHIPPED, ()), (LAYERS, LAYERS))
    )
    for kind in (*(CELLS[name][0] for name in cells), *map(shipped, variants)):
        _check_taken(kind, options)
    chosen = {**how, "steps": args.steps, "options": args.option and tuple(args.option), "cell_options": options}
    others = layer_cases(**how) if not args.option and not options else ()
    return chain(
        standard_cases(**chosen, cells=cells), variant_cases(variants, **chosen),
        (case for case in others if case.cell in layers),
    )  # fmt: skip


def _of_file(args: argparse.Namespace) -> tuple[list[StepReport], Iterator[Case]]:
    """Check and print the steps of a file's cells; return what was found, and the cases of their layers.

    Of a cell whose step is wrong one case is enough: it tells the time step.
    """
    if args.cell:
        raise ValueError("--cell must be left out with a file, whose cells are all checked")
    kinds, given = cells_in(args.file), _checked_options(args)
    for kind in kinds:
        _check_taken(kind, given)
    steps = [check_step(kind, method=args.method, options=given) for kind in kinds]
    for step in steps:
        print(step)
    how: dict[str, Any] = {"backend": args.backend, "dtype": np.dtype(args.dtype), "steps": args.steps}
    options = args.option and tuple(args.option)
    return steps, chain.from_iterable(
        cell_cases(kind, **how, options=options if step else ("ragged",), cell_options=given)
        for kind, step in zip(kinds, steps, strict=True)
    )


def _checked_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the cells are to be made with, without what the cases decide."""
    given = cell_options(args)
    for option, settings in OPTIONS.items():
        if decided := [name for name in given if name in settings]:
            raise ValueError(f"--cell-option must leave out {decided[0]}, which --option {option} is for")
    return given


def _check_taken(kind: type[Recurrent], given: dict[str, Any]) -> None:
    """Raise an error that names --cell-option if a cell's layer doesn't take what it is to be made with."""
    takes = [name for name in taken_by(kind) if not any(name in settings for settings in OPTIONS.values())]
    for name in given:
        if name not in takes:
            raise ValueError(
                f"--cell-option must be one that {kind.__name__} takes, {', '.join(takes)}, got {shown(name)}"
            )
    size, arguments = sizes_of(kind, given)
    try:
        with undrawn():
            kind(1, size, backend="numpy", **arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"--cell-option: {error}") from None


def _cell(typed: str) -> str:
    name = CELL_NAMES.get(typed.strip().lower().replace(" ", "-"))
    if name is None:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(CELL_NAMES)}, got {shown(typed)}")
    return name


def _option(typed: str) -> str:
    name = FORMER.get(typed, typed.strip().lower())
    if name not in OPTIONS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(OPTIONS)}, got {shown(typed)}")
    return name


def gradient_table(reports: list[tuple[Case, GradientReport]]) -> Table:
    """Return a table with a line for each case."""
    title = "gradients against their reference"
    if reports:
        _, first = reports[0]
        title = f"{first.dtype} gradients against the {first.method}, tolerance {first.tolerance:.0e}"
    table = Table(title=title)
    for heading in ("cell", "layer", "elements", "largest error", "where", ""):
        table.add_column(heading, justify="right" if heading in ("elements", "largest error") else "left")
    for case, report in reports:
        row = report.worst
        mark = "[green]passed[/]" if report.passed else "[bold red]FAILED[/]"
        where = f"∂{row.upstream}/∂{row.name}"
        table.add_row(case.cell, case.option, str(report.size), f"{row.error:.1e}", where, mark)
    return table


def verdict(reports: list[tuple[Case, GradientReport]]) -> str:
    """Say in one line what the table shows."""
    failed = sum(not report.passed for _, report in reports)
    worst = max((report.worst.error for _, report in reports), default=0.0)
    elements = sum(report.size for _, report in reports)
    hidden = sum(row.unresolved for _, report in reports for row in report.rows)
    zeros = sum(row.zeros for _, report in reports for row in report.rows)
    note = f", {hidden} more too small for this method to tell" if hidden else ""
    note += f", {zeros} more not judged, being zero" if zeros else ""
    return (
        f"{len(reports) - failed} of {len(reports)} layers passed: {elements} gradient elements{note}, "
        f"largest relative error {worst:.1e}"
    )
