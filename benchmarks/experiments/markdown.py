"""The tables of all methods, as docs/transfer.md has them: ``python -m benchmarks.experiments.markdown FILE``."""

from __future__ import annotations

import json
import sys
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
        means.append(f"{sum(scores) / len(scores):.{digits}f}")
    return "\n".join([*lines, f"| *{baseline}, itself* | {' | '.join(means)} |"])


def _gain(difference: dict[str, Any], digits: int) -> str:
    text = f"{difference['mean']:+.{digits}f}".replace("-", "−")
    if difference["half_width"] is not None and not difference.get("note"):
        text += f" ± {difference['half_width']:.{digits}f}"
    return MARKS[difference["verdict"]].format(text)


def main(path: str) -> None:
    """Print the tables of a results file."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))["experiments"]
    for name, digits in (("digits", 1), ("scanner", 1), ("characters", 3)):
        if name in found:
            print(f"{name}\n\n{table(found[name]['results'], digits)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
