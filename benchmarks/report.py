"""The table, the JSON, and the machine that they speak of."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

import rnn_core

from .cases import Case
from .timing import Pair


class Row(NamedTuple):
    """A case and what came of it."""

    case: Case
    difference: float  # from torch's results, relative
    agrees: bool
    pair: Pair | None  # None where the results differ

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        if self.pair is None:
            return f"{self.case.name}: DIFFERS by {self.difference:.1e}, not timed"
        return f"{self.case.name}: ours {1e3 * self.pair.ours:.3g} ms, torch ÷ ours {self.pair.ratio:.2f}"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            **self.case._asdict(),
            "difference": self.difference,
            "agrees": self.agrees,
            **({} if self.pair is None else self.pair._asdict()),
        }


def machine(torch: Any, backend: str, threads: int) -> dict[str, Any]:
    """Return what the times depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # of others, before ours begins
        "backend": backend,
        "python": platform.python_version(),
        "rnn_core": rnn_core.__version__,
        "numpy": np.__version__,
        "torch": torch.__version__,
    }


def cpu_name() -> str:
    """Return the processor's own name for itself, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def geometric_mean(ratios: list[float]) -> float:
    """Return the mean that treats twice as fast and half as fast alike."""
    return exp(sum(map(log, ratios)) / len(ratios))


def print_table(rows: list[Row], facts: dict[str, Any]) -> None:
    """Print every row, then the mean and the worst ratio of each cell and task."""
    console = Console()
    if not console.is_terminal:
        console.width = 120
    table = Table(title="torch ÷ ours: above 1 ours is faster", caption=", ".join(f"{k} {v}" for k, v in facts.items()))
    for heading in ("cell", "task", "T", "B", "H", "dtype", "ours, ms", "torch, ms", "torch ÷ ours", "quartiles"):
        table.add_column(heading, justify="left" if heading in ("cell", "task", "dtype") else "right")
    for case, difference, _, pair in rows:
        kind = f"{case.dtype}, ragged" if case.ragged else case.dtype
        shape = (case.cell, case.task, str(case.T), str(case.B), str(case.H), kind)
        if pair is None:
            table.add_row(*shape, f"differs by {difference:.1e}", "", "", "")
        else:
            spread = f"{pair.low:.2f} to {pair.high:.2f}"
            table.add_row(*shape, f"{1e3 * pair.ours:.3f}", f"{1e3 * pair.theirs:.3f}", f"{pair.ratio:.2f}", spread)
    console.print(table)
    for (task, cell), ratios in grouped(rows).items():
        print(f"{cell} {task}: geometric mean {geometric_mean(ratios):.2f}, worst {min(ratios):.2f}")


def grouped(rows: list[Row]) -> dict[tuple[str, str], list[float]]:
    """Return the ratios by task and cell."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.pair is not None:
            found.setdefault((row.case.task, row.case.cell), []).append(row.pair.ratio)
    return found


def write_json(path: Path, rows: list[Row], facts: dict[str, Any]) -> None:
    """Write everything; seconds, not milliseconds."""
    text = json.dumps({"machine": facts, "rows": [row.as_dict() for row in rows]}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
