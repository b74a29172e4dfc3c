"""What a run has found, for people and for programs."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from typing import Any

from rnn_core.showing.surroundings import machine

from .runner import Figures, Finding, Settings

HEAD = (
    "| reader | inputs | accepted | ValueError | TypeError | OSError | warned | findings | slowest, s | largest, MiB "
    "| longest message |"
)
OS_ERRORS = tuple(
    kind.__name__
    for kind in (OSError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, FileExistsError)
)


def table(figures: dict[str, Figures]) -> str:
    """Return the figures as a table in Markdown, with a line for all."""
    rows = [HEAD, "|---|" + "---:|" * (HEAD.count("|") - 2)]
    used = {name: part for name, part in figures.items() if part.inputs}
    for name, part in {**used, "**all**": total(list(used.values()))}.items():
        others = ("accepted", "TypeError", *OS_ERRORS)
        values = sum(count for answer, count in part.answers.items() if answer not in others)
        system = sum(part.answers.get(answer, 0) for answer in OS_ERRORS)
        rows.append(
            f"| {name} | {part.inputs:,} | {part.answers.get('accepted', 0):,} | {values:,} | "
            f"{part.answers.get('TypeError', 0):,} | {system:,} | {part.warned:,} | {part.findings:,} | "
            f"{part.seconds:.2f} | {part.memory / 2**20:.0f} | {part.longest} |"
        )
    return "\n".join(rows)


def total(parts: list[Figures]) -> Figures:
    """Return the figures of several readers together."""
    out = Figures()
    for part in parts:
        out.inputs += part.inputs
        out.warned += part.warned
        out.findings += part.findings
        for answer, count in part.answers.items():
            out.answers[answer] = out.answers.get(answer, 0) + count
        for name in ("seconds", "memory", "longest"):
            setattr(out, name, max(getattr(out, name), getattr(part, name)))
    return out


def grouped(findings: list[Finding]) -> str:
    """Return the findings, each kind once: how often, and the first input of it."""
    kinds: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    lines = []
    for (reader, what, answer, place), same in kinds.items():
        first = same[0]
        where = f"{answer}, {place}" if place else answer
        lines.append(f"{reader}: {what} ({where}), {len(same)} times; the first is input {first.index}")
        lines.append(f"    {first.outcome['message']!a:.300}")
    return "\n".join(lines)


def as_json(settings: Settings, figures: dict[str, Figures], findings: list[Finding], seconds: float) -> str:
    """Return all that is known of a run."""
    facts: dict[str, Any] = {
        "settings": asdict(settings),
        **machine(),
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        "figures": {name: asdict(part) for name, part in figures.items()},
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(facts, indent=1)
