"""What a run has found, as JSON and as Markdown. Needs nothing but Python: it has to work where nothing else does."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from . import sanitizer
from .supervise import Outcome
from .targets import L2_RATE, Row, floor, summary

SHOWN = 40
"""Failures of a part in the Markdown; the JSON has them all."""


@dataclass
class Findings:
    """All that a run has found so far."""

    reason: str = ""  # why nothing could be run
    rehearsal: bool = False
    complete: bool = False
    parts: dict[str, Outcome] = field(default_factory=dict)
    sanitizer: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)  # parts for which there was no time
    seconds: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """The device, the versions and what was measured of the device."""
        found: dict[str, Any] = {}
        for result in self._results("environment"):
            found |= {key: value for key, value in result.items() if key not in ("name", "seconds")}
        return found

    @property
    def rows(self) -> list[Row]:
        """The rows of the benchmark, each with its floor."""
        facts = self.facts
        return [{**row, "floor": floor(row, facts)} for row in self._results("benchmark")]

    @property
    def summary(self) -> list[dict[str, Any]]:
        """The benchmark's rows against the targets."""
        return summary(self._results("benchmark")) if "benchmark" in self.parts else []

    @property
    def cases(self) -> int:
        """How many cases were run: checks, training runs and rows of the benchmark."""
        parts = (part for name, part in self.parts.items() if name not in ("environment", "compilation"))
        return sum(len(part.planned) - len(part.not_run) for part in parts)

    @property
    def failed(self) -> bool:
        """Whether anything went wrong; a target that is not reached is no failure."""
        wrong = any(not row["agrees"] for row in self._results("benchmark"))
        failures = any(part.failures for part in self.parts.values())
        return bool(wrong or failures or sanitizer.bad(self.sanitizer))

    def _results(self, part: str) -> list[dict[str, Any]]:
        return self.parts[part].results if part in self.parts else []

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data: seconds, bytes, operations a second."""
        return {
            "device": self.facts.get("device"),
            "date": self.facts.get("date"),
            "cases": self.cases,
            "reason": self.reason,
            "rehearsal": self.rehearsal,
            "complete": self.complete,
            "seconds": self.seconds,
            "environment": self.facts,
            "summary": self.summary,
            "rows": self.rows,
            "sanitizer": self.sanitizer,
            "skipped": self.skipped,
            "parts": {name: part.as_dict() for name, part in self.parts.items()},
        }


def write(folder: Path, found: Findings) -> None:
    """Write gpu.json and gpu.md."""
    data = json.dumps(_finite(found.as_dict()), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in (("gpu.json", data), ("gpu.md", markdown(found))):
        new = folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        os.replace(new, folder / name)  # so that a run that is killed leaves a whole file


def _finite(value: Any) -> Any:
    """Return plain data in which NaN and infinity, which JSON doesn't know, are words."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def markdown(found: Findings) -> str:
    """Return every table."""
    facts = found.facts
    title = "# A rehearsal on the host: it means nothing" if found.rehearsal else "# The CUDA backend on a GPU"
    parts = [title]
    if found.reason:
        return f"{title}\n\nno GPU here: {found.reason}; 0 cases run\n"
    parts.append("; ".join(f"{key} {value}" for key, value in facts.items() if isinstance(value, str | int)))
    rates = {key: value for key, value in facts.items() if isinstance(value, float)}
    if rates:
        parts.append(_table(("measured", ""), [(key, f"{value:.3g}") for key, value in rates.items()]))
    if found.summary:
        parts += ["## torch (cuDNN, TF32 off) ÷ ours", summary_table(found.summary)]
    parts.append("## What was run" + ("" if found.complete else " (cut short)"))
    parts.append(_table(
        ("part", "planned", "done", "failed", "not run", "seconds"),
        [
            (name, *(str(len(x)) for x in (part.planned, part.results, part.failures, part.not_run)),
             f"{part.seconds:.0f}")
            for name, part in found.parts.items()
        ],
    ))  # fmt: skip
    if found.skipped:
        parts.append(f"Not run, for lack of time: {', '.join(found.skipped)}.")
    if found.sanitizer:
        told = [(tool, told["verdict"]) for tool, told in found.sanitizer.items()]
        parts.append(_table(("compute-sanitizer", ""), told))
    for name, part in found.parts.items():
        if part.failures:
            lines = [f"- {one['name']}: {one['message'].strip()}" for one in part.failures[:SHOWN]]
            more = len(part.failures) - SHOWN
            parts += [f"## Failures: {name}", "\n".join([*lines, *([f"- and {more} more"] if more > 0 else [])])]
    if "training" in found.parts:
        parts += ["## Training: loss of the first and of the last step, and how far from the CPU's", _table(
            ("cell", "first", "last", "difference"),
            [
                (run["name"], f"{run['first']:.4f}", f"{run['last']:.4f}", f"{run['difference']:.1e}")
                for run in found.parts["training"].results
            ],
        )]  # fmt: skip
    if "ways" in found.parts:
        parts += _ways(found.parts["ways"].results)
    if found.rows:
        parts += _benchmark(found)
    return "\n\n".join(parts) + "\n"


def _ways(results: list[dict[str, Any]]) -> list[str]:
    """Return the table of the ways."""
    body = [
        (result["cell"], f"{result['B']}, {result['H']}", way, *(
            f"{times[direction]:.1f} ({times[f'expected {direction}']:.1f})" for direction in ("forward", "backward")
        ))
        for result in results
        for way, times in result["ways"].items()
    ]  # fmt: skip
    title = "## Each way, µs a step, and in brackets what the plan expects"
    return [title, _table(("cell", "B, H", "way", "forward, with a tape", "backward"), body)]


def _benchmark(found: Findings) -> list[str]:
    """Return a table for each section and task."""
    compiling = sum(case["seconds"] for case in found.parts.get("compilation", Outcome()).results)
    first_calls = sum(row["first_call"] for row in found.rows)
    parts = [
        "## Times\n\nWhole calls, µs by CUDA events; host: until the call returns. The floor is a step's of the "
        f"recurrence alone, with {L2_RATE / 1e12:g} TB/s assumed for the level-2 cache. "
        f"Compiling is in no time: it took {compiling:.0f} s, summed over processes side by side, and the first calls, "
        f"which load or compile what was left, {first_calls:.0f} s."
    ]
    for section, task in dict.fromkeys((row["section"], row["task"]) for row in found.rows):
        body = [_line(row) for row in found.rows if (row["section"], row["task"]) == (section, task)]
        head = (
            "cell", "T, B, H", "ours", "torch", "torch ÷ ours", "TF32 torch ÷ ours", "a step: ours", "torch", "floor",
            "host: ours", "torch", "path",
        )  # fmt: skip
        parts += [f"### {section}, {task}", _table(head, body)]
    left = found.parts["benchmark"].not_run
    if left:
        parts.append(f"Not run: {'; '.join(left)}.")
    return parts


def _line(row: Row) -> tuple[str, ...]:
    """Return a row's cells."""
    start = (row["cell"], f"{row['T']}, {row['B']}, {row['H']}")
    if not row["agrees"]:
        return (*start, f"differs in {row['differs_most']} by {row['difference']:.1e}", *[""] * 8, row["path"])
    step = row["T"] / 1e6
    return (
        *start,
        _micro(row["ours"]),
        _micro(row["theirs"]),
        f"**{row['ratio']:.2f}** ({row['low']:.2f}–{row['high']:.2f})",
        "" if row["ratio_tf32"] is None else f"{row['ratio_tf32']:.2f}",
        f"{row['ours'] / step:.2f}",
        f"{row['theirs'] / step:.2f}",
        "" if row["floor"] is None else f"{1e6 * row['floor']:.2f}",
        _micro(row["ours_host"]),
        _micro(row["theirs_host"]),
        row["path"],
    )


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:.0f}"


def summary_table(lines: list[dict[str, Any]]) -> str:
    """Return the summary."""
    return _table(
        ("", "cases", "geometric mean", "worst", "wanted", "", "worst case"),
        [
            (
                line["what"],
                f"{line['cases']} of {line['planned']}" + (f" and {line['wrong']} wrong" if line["wrong"] else ""),
                "" if line["mean"] is None else f"{line['mean']:.2f}",
                "" if line["worst"] is None else f"{line['worst']:.2f}",
                f"≥ {line['target']:g}",
                line["verdict"],
                line["worst_case"] or "",
            )
            for line in lines
        ],
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(text.replace('|', '/') for text in line)} |" for line in (head, *body)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])
