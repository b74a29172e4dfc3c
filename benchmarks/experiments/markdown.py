"""The tables as the pages of docs/ have them: ``python -m benchmarks.experiments.markdown FILE`` prints a file's."""

from __future__ import annotations

import json
import sys
from math import floor, log10
from pathlib import Path
from typing import Any

MARKS = {"positive": "**{}**", "NEGATIVE TRANSFER": "{} ⚠", "negative": "{}", "inconclusive": "{}"}
"""How a gain is set: bold where its interval is above 0, marked where transfer has hurt."""


def table(results: dict[str, Any], digits: int) -> str:
    """Return the gains over scratch with their intervals, a line for each method and a column for each size.

    Parameters
    ----------
    results : dict
        As `transfer.Comparison.as_dict` has them.
    digits : int
        Decimals.
    """
    protocol = results["protocol"]
    sizes, baseline = protocol["sizes"], protocol["baseline"]
    found = {(d["arm"], d["size"]): d for d in results["differences"]}
    lines = [f"| {protocol['metric']} | {' | '.join(f'{size:,}' for size in sizes)} |", "|---" * (len(sizes) + 1) + "|"]
    for arm in (arm["name"] for arm in protocol["arms"]):
        if arm == baseline:
            continue
        lines.append(f"| {arm} | {' | '.join(_gain(found[arm, size], digits) for size in sizes)} |")
    means = []
    for size in sizes:
        scores = [run["score"] for run in results["runs"] if run["arm"] == baseline and run["size"] == size]
        means.append("not finite" if None in scores else f"{sum(scores) / len(scores):.{digits}f}")
    return "\n".join([*lines, f"| *{baseline}, itself* | {' | '.join(means)} |"])


def _gain(difference: dict[str, Any], digits: int) -> str:
    if difference["mean"] is None:
        return "not finite"
    text = f"{difference['mean']:+.{digits}f}".replace("-", "−")
    if difference["half_width"] is not None and not difference.get("note"):
        text += f" ± {difference['half_width']:.{digits}f}"
    return MARKS[difference["verdict"]].format(text)


def page(found: dict[str, Any]) -> str:
    """Return every experiment of a results file: its table, what was claimed of it, and how long it took."""
    machine = found["machine"]
    parts = [f"`{found['command']}`, {machine['processor']}, {machine['threads']} threads, {machine['date']}"]
    for name, entry in found["experiments"].items():
        parts.append(f"## {name}\n\n{entry['summary']}")
        if "left out" in entry:
            parts.append(f"Left out: {entry['left out']}")
            continue
        if shown := entry.get("markdown") or _gains(entry["results"]):
            parts.append(shown)
        claims = (
            f"- {'holds' if claim['holds'] else '**does not hold**'}: {claim['text']}; found {claim['found']}"
            for claim in entry["claims"]
        )
        parts.append("\n".join([*claims, f"- {entry['seconds']:.0f} s"]))
    if found["quick"]:
        parts.append("A quick run: the numbers mean nothing.")
    return "\n\n".join(parts) + "\n"


def _gains(results: dict[str, Any]) -> str:
    """Return the table of a comparison, or an empty string where the results are of another kind."""
    if "protocol" not in results:
        return ""
    if results["protocol"]["metric"].endswith("in %"):
        return table(results, 1)
    largest = max((abs(run["score"]) for run in results["runs"] if run["score"]), default=1.0)
    return table(results, min(max(3 - floor(log10(largest)), 0), 6))


def main(path: str) -> None:
    """Print the tables of a results file."""
    print(page(json.loads(Path(path).read_text(encoding="utf-8"))), end="")


if __name__ == "__main__":
    main(sys.argv[1])
