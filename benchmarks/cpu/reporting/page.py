"""``python -m benchmarks report``: the tables of docs/performance.md, from the results of every processor.

The page is written by hand but for what stands between two comments that name a part. A file of results is one
processor's, and named for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnn_core.atomic import write_atomically

from ...cases import SECTIONS
from ..findings import read_json
from ..targets import TARGETS, summary
from .markdown import in_markdown
from .tables import Data, Table, machine_lines, summary_table, tables

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"

PART = re.compile(r"(?P<begin><!-- (?P<name>[a-z-]+): [^\n]*-->\n).*?(?P<end><!-- end -->\n)", re.DOTALL)


def results_file(processor: str) -> Path:
    """Return where a processor's results are kept."""
    return RESULTS / f"cpu-{processor}.json"


def read() -> list[Data]:
    """Return the results of every processor, the latest first."""
    found = [read_json(path) for path in sorted(RESULTS.glob("cpu-*.json"))]
    return sorted(found, key=lambda data: data["machine"]["date"], reverse=True)


def report() -> None:
    """Write the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    write_atomically(PAGE, filled(text, read()).encode(), where="benchmarks report")


def filled(text: str, results: list[Data]) -> str:
    """Return a page with its parts made anew."""

    def part(match: re.Match[str]) -> str:
        return f"{match['begin']}\n{PARTS[match['name']](results)}\n{match['end']}"

    return PART.sub(part, text)


def title(data: Data) -> str:
    """Return how a processor is called."""
    machine = data["machine"]
    return f"{machine['cpu']} ({machine['processor']})"


def side_by_side(results: list[Data]) -> str:
    """Return the summary, a column a processor: geometric mean and worst case."""
    found = [{(line["what"], line["unit"]): line for line in summary(data["sections"])} for data in results]
    body = []
    for target in TARGETS:
        lines = [lines.get((target.name, target.unit)) for lines in found]
        if any(lines):
            wanted = f"{_least(target.mean)}, {_least(target.worst)}"
            body.append((f"{target.name} ({target.unit})", wanted, *(_entry(line) for line in lines)))
    head = ("geometric mean, worst case", "wanted", *(f"{title(data)}, {data['machine']['date']}" for data in results))
    return in_markdown(Table(head, body))


def _least(target: float | None) -> str:
    return "–" if target is None else f"≥ {target:.3g}"


def _entry(line: dict[str, Any] | None) -> str:
    if line is None:
        return "–"
    return f"**{line['mean']:.2f}**, **{line['worst']:.2f}**: {'reached' if line['reached'] else 'behind'}"


def of_sections(*names: str) -> Callable[[list[Data]], str]:
    """Return what makes the tables of some sections, processor by processor."""

    def part(results: list[Data]) -> str:
        parts = []
        for data in results:
            found = _tables(data, names)
            if found:
                machine = data["machine"]
                parts.append(f"{title(data)}, {machine['threads']} threads, {machine['date']}:\n\n{found}")
        return "\n".join(parts) or "Not measured yet.\n"

    return part


def in_full(results: list[Data]) -> str:
    """Return all that was measured of single layers, with the machine it was measured on."""
    parts = []
    for data in results:
        found = summary_table({**data, "summary": summary(data["sections"])})
        lines = "\n".join(f"- {line}" for line in machine_lines(data))
        parts.append(f"### {title(data)}\n\n{lines}\n\n{in_markdown(found)}\n{_tables(data, tuple(SECTIONS))}")
    return "\n".join(parts)


def _tables(data: Data, names: Sequence[str]) -> str:
    chosen = {name: rows for name, rows in data["sections"].items() if name in names}
    return "\n".join(in_markdown(table) for table in tables({**data, "sections": chosen}))


PARTS: dict[str, Callable[[list[Data]], str]] = {
    "summary": side_by_side,
    "steps": of_sections("steps"),
    "precision": of_sections("precision"),
    "last-step": of_sections("last-step"),
    "onnxruntime": of_sections("onnxruntime"),
    "cases": in_full,
}
"""What stands between the comments, by the name in the first."""
