"""All that a run has found, as it goes, and as the plain data that tables are made of and a file holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnn_core.atomic import write_atomically

from .limits import Limits
from .targets import summary


@dataclass
class Findings:
    """All that a run has found so far."""

    machine: dict[str, Any]
    complete: bool = False  # False: interrupted
    limits: dict[int, Limits] = field(default_factory=dict)  # by the number of threads
    rows: dict[str, list[Any]] = field(default_factory=dict)  # by section
    failed: list[dict[str, str]] = field(default_factory=list)  # cases that raised an error, with its words

    @property
    def sound(self) -> bool:
        """Whether nothing failed, and nothing differs."""
        rows = [row for rows in self.rows.values() for row in rows]
        return not self.failed and all(getattr(row, "agrees", True) for row in rows)

    def data(self) -> dict[str, Any]:
        """Return everything as plain data; seconds, not milliseconds."""
        data: dict[str, Any] = {
            "machine": self.machine,
            "complete": self.complete,
            "limits": {str(threads): limits.as_dict() for threads, limits in self.limits.items()},
            "sections": {name: [row.as_dict() for row in rows] for name, rows in self.rows.items()},
            "failed": self.failed,
        }
        return {**data, "summary": summary(data["sections"])}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write what a run has found."""
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode(), where="benchmarks --json")


def read_json(path: Path) -> dict[str, Any]:
    """Return what a run has found, from its file."""
    return json.loads(path.read_text(encoding="utf-8"))
