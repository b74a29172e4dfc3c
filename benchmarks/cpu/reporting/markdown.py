"""The tables in the form that docs/performance.md has: shapes down, cells across."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rnn_core.atomic import write_atomically

from ...cases import CELLS, SECTIONS, TIMED
from ..rows import Findings, Row
from ..targets import geometric_mean, summary
from .report import machine_lines


def write(path: Path, found: Findings) -> None:
    """Write every table."""
    write_atomically(path, text(found).encode(), where="benchmarks --markdown")


def text(found: Findings) -> str:
    """Return every table."""
    parts = []
    for section in TIMED:
        for task in SECTIONS[section].tasks:
            rows = [row for row in found.rows if (row.case.section, row.case.task) == (section, task)]
            if rows:
                parts.append(_times(f"{SECTIONS[section].title}, {task}", rows))
    if found.frozen:
        parts.append(_by_shape("full step ÷ dx only, ÷ no backward", (
            (row.case.shape, row.case.cell, f"{row.handing_down.ratio:.2f}, {row.idle.ratio:.2f}")
            for row in found.frozen
        )))  # fmt: skip
    if found.memory:
        parts.append(_by_shape("tape, KiB: ours (formula), torch", (
            (row.case.shape, row.case.cell,
             f"{row.ours / 2**10:,.0f} ({row.formula / 2**10:,.0f}), {row.theirs / 2**10:,.0f}")
            for row in found.memory
        )))  # fmt: skip
    if found.accuracy:
        parts.append(_by_shape("rms error: ours, torch", (
            (f"{row.case.shape}, {name}", row.case.cell, f"{e.our_rms:.1e}, {e.their_rms:.1e}")
            for row in found.accuracy
            for name, e in row.errors.items()
        )))  # fmt: skip
    lines = summary(found.rows, found.accuracy)
    if lines:
        body = [
            (
                f"{line['what']} ({line['unit']})",
                f"**{line['mean']:.2f}**" + ("" if line["mean_target"] is None else f" (≥ {line['mean_target']:g})"),
                f"**{line['worst']:.2f}** (≥ {line['worst_target']:g})",
                line["worst_case"],
            )
            for line in lines
        ]
        parts.append(_table(("", "geometric mean (wanted)", "worst (wanted)", "worst case"), body))
    parts.append("\n".join(machine_lines(found)) + "\n")
    return "\n".join(parts)


def _times(title: str, rows: list[Row]) -> str:
    """Return ratios with their quartiles, and the share of the machine's limit."""

    def entry(row: Row) -> str:
        if row.pair is None or row.work is None:
            return "differs"
        mark, spread = "*" if row.disturbed else "", f"{row.pair.low:.2f}–{row.pair.high:.2f}"
        return f"{row.pair.ratio:.2f}{mark} ({spread}), {row.work.share:.0%}"

    means = {}
    for cell in CELLS:
        ratios = [row.pair.ratio for row in rows if row.pair and row.case.cell == cell and not row.disturbed]
        if ratios:
            means[cell] = f"**{geometric_mean(ratios):.2f}**"
    entries = [(_sizes(row), row.case.cell, entry(row)) for row in rows]
    entries += [("geometric mean", cell, mean) for cell, mean in means.items()]
    return _by_shape(f"{title}: T, B, H", entries)


def _sizes(row: Row) -> str:
    return f"{row.case.T}, {row.case.B}, {row.case.H}"


def _by_shape(title: str, entries: Iterable[tuple[str, str, str]]) -> str:
    """Return a table from (row, column, entry); an empty place has a dash."""
    found: dict[str, dict[str, str]] = {}
    for row, column, entry in entries:
        found.setdefault(row, {})[column] = entry
    columns = [cell for cell in CELLS if any(cell in row for row in found.values())]
    body = [(name, *(row.get(column, "–") for column in columns)) for name, row in found.items()]
    return _table((title, *columns), body)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(line)} |\n" for line in (head, *body)]
    return "".join([lines[0], "|" + "---|" * len(head) + "\n", *lines[1:]])
