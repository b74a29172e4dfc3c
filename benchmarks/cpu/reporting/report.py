"""The tables on the terminal, and the JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rnn_core.atomic import write_atomically

from ...cases import SECTIONS, TIMED
from ..memory import MemoryRow
from ..rows import Findings, Row
from ..targets import RATIOS, SHARES, summary

WIDTH = 150
"""Columns of a table that goes into a file or a pipe."""


def print_tables(found: Findings) -> None:
    """Print a table for each section that has rows, and the summary last."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    for section in TIMED:
        rows = [row for row in found.rows if row.case.section == section]
        if rows:
            console.print(_times(section, rows))
    if found.frozen:
        console.print(_frozen(found))
    if found.memory:
        console.print(_memory(found.memory))
    if found.accuracy:
        console.print(_accuracy(found))
    for line in machine_lines(found):
        print(line)
    lines = summary(found.rows, found.accuracy)
    if lines:
        console.print(_summary(lines))


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(title=title)
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def _times(section: str, rows: list[Row]) -> Table:
    third = any(row.onnxruntime for row in rows)
    heads = ("T", "B", "H", "ours, ms", "torch, ms", "torch ÷ ours", "quartiles", "GFLOP/s", "of limit")
    title = f"{SECTIONS[section].title}: torch ÷ ours, above 1 ours is faster"
    table = _table(title, ("cell", "task"), (*heads, "onnxrt ÷ ours") if third else heads)
    for row in rows:
        case, pair, work = row.case, row.pair, row.work
        shape = (case.cell, case.task, str(case.T), str(case.B), str(case.H))
        if pair is None or work is None:
            table.add_row(*shape, f"differs by {row.difference:.1e}")
            continue
        table.add_row(
            *shape,
            f"{1e3 * pair.ours:.3f}",
            f"{1e3 * pair.theirs:.3f}",
            f"{pair.ratio:.2f}{'*' if row.disturbed else ''}",
            f"{pair.low:.2f} to {pair.high:.2f}",
            f"{work.flops / pair.ours / 1e9:.0f}",
            f"{work.share:.0%} {work.bound}",
            *([f"{row.onnxruntime.ratio:.2f}"] if row.onnxruntime else []),
        )
    return table


def _frozen(found: Findings) -> Table:
    heads = ("T", "B", "H", "full, ms", "dx only, ms", "no backward, ms", "full ÷ dx only", "full ÷ no backward")
    table = _table("What freezing saves, ours against ours", ("cell",), heads)
    for case, down, idle in found.frozen:
        times = (f"{1e3 * seconds:.3f}" for seconds in (down.theirs, down.ours, idle.ours))
        sizes = (str(case.T), str(case.B), str(case.H))
        table.add_row(case.cell, *sizes, *times, f"{down.ratio:.2f}", f"{idle.ratio:.2f}")
    return table


def _memory(rows: list[MemoryRow]) -> Table:
    heads = ("T", "B", "H", "formula, KiB", "ours, KiB", "torch, KiB", "ours ÷ formula", "torch ÷ ours")
    table = _table("What a forward keeps for its backward, beyond x, y and the parameters", ("cell",), heads)
    for case, formula, ours, theirs in rows:
        sizes = (f"{size / 2**10:,.0f}" for size in (formula, ours, theirs))
        shape = (str(case.T), str(case.B), str(case.H))
        table.add_row(case.cell, *shape, *sizes, f"{ours / formula:.2f}", f"{theirs / max(ours, 1):.2f}")
    return table


def _accuracy(found: Findings) -> Table:
    heads = ("ours, max", "torch, max", "ours, rms", "torch, rms", "torch ÷ ours, rms")
    table = _table("float32: relative errors against the equations in float64", ("cell", "shape", "array"), heads)
    for case, errors in found.accuracy:
        for name, e in errors.items():
            numbers = (f"{error:.1e}" for error in (e.our_max, e.their_max, e.our_rms, e.their_rms))
            table.add_row(case.cell, case.shape, name, *numbers, f"{e.their_rms / e.our_rms:.2f}")
    return table


def _summary(lines: list[dict[str, Any]]) -> Table:
    heads = ("cases", "mean", "wanted", "worst", "wanted", "")
    table = _table("Summary: geometric means and worst cases", ("what",), heads)
    table.add_column("worst case")
    for line in lines:
        table.add_row(
            f"{line['what']}: {line['unit']}",
            str(line["cases"]),
            f"{line['mean']:.2f}",
            "" if line["mean_target"] is None else f"≥ {line['mean_target']:g}",
            f"{line['worst']:.2f}",
            f"≥ {line['worst_target']:g}",
            "reached" if line["reached"] else "behind",
            line["worst_case"],
        )
    return table


def machine_lines(found: Findings) -> list[str]:
    """Return the machine, the versions and the limits in words."""
    machine = dict(found.machine)
    others = machine.pop("others", None)
    lines = [", ".join(f"{key} {value}" for key, value in machine.items() if value is not None)]
    if others is not None:
        disturbed = sum(row.disturbed for row in found.rows)
        left_out = f"; {disturbed} disturbed rows (marked *) are left out of the summary" if disturbed else ""
        lines.append(f"Other processes took {others:.1%} of the cores{left_out}.")
    peaks = [f"{dtype} {rate / 1e9:.0f} GFLOP/s" for dtype, rate in found.limits.get("flops_per_second", {}).items()]
    if peaks:
        rates = {int(size): rate for size, rate in found.limits["bytes_per_second_by_bytes_a_thread"].items()}
        streams = (f"{size_in_words(size)} {rate / 1e9:.0f}" for size, rate in rates.items())
        lines.append(f"FMA peak: {', '.join(peaks)}; streaming, GB/s by bytes a thread: {', '.join(streams)}")
    return lines


def size_in_words(size: int) -> str:
    """Return a power of two with its unit."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


def write_json(path: Path, found: Findings) -> None:
    """Write everything; seconds, not milliseconds."""
    data = {
        "machine": found.machine,
        "complete": found.complete,
        "limits": found.limits,
        "rows": [row.as_dict() for row in found.rows],
        "frozen": [row.as_dict() for row in found.frozen],
        "memory": [row.as_dict() for row in found.memory],
        "accuracy": [row.as_dict() for row in found.accuracy],
        "summary": summary(found.rows, found.accuracy),
        "targets": {
            "torch ÷ ours": {t.name: {"geometric mean": t.mean, "worst case": t.worst} for t in RATIOS},
            "share of the limit": {share.name: share.least for share in SHARES},
        },
    }
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(), where="benchmarks --json")
