"""``python -m benchmarks.versions BEFORE AFTER``: two versions of this repository on the CPU, call by call in turn.

Both are imported into one process of one thread, and what is taken is the CPU time of that thread: so other programs on
the machine disturb both sides alike, and a few per cent can be told apart where ratios of whole runs can't. Each is a
folder, such as a worktree of git; the kernels must stand in different modules, or numba's names would meet.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from math import exp, fsum, log
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any

PACKAGES = ("kernels", "rnn_core", "benchmarks")
FEWEST, MOST = 12, 400
"""Calls of either side in a case."""


def sides_of(folder: Path) -> Any:
    """Import a version's packages, in the place of those that were imported before.

    Raises
    ------
    SystemExit
        Some are not in the folder, so that Python would take those of another one.
    """
    lacking = [name for name in PACKAGES if not (folder / name / "__init__.py").is_file()]
    if lacking:
        raise SystemExit(
            f"benchmarks: BEFORE and AFTER must be folders that hold {', '.join(PACKAGES)}, such as worktrees of git; "
            f"got {folder}, which has no {', '.join(lacking)}"
        )
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        import rnn_core
        from benchmarks import sides

        rnn_core.LSTM(2, 2, backend="cpu")  # which imports the kernels
    finally:
        sys.path.remove(str(folder))
    return sides


def ratios(before: Callable[[], object], after: Callable[[], object], seconds: float) -> Iterator[float]:
    """Yield before ÷ after for pairs of calls, of which either comes first in turn."""
    calls = (before, after)
    times = [0, 0]
    for call in calls * 3:
        call()
    begin = thread_time_ns()
    before()
    count = max(FEWEST, min(MOST, round(seconds * 1e9 / max(1, thread_time_ns() - begin))))
    for pair in range(count):
        for k in (0, 1) if pair % 2 == 0 else (1, 0):
            begin = thread_time_ns()
            calls[k]()
            times[k] = max(1, thread_time_ns() - begin)
        yield times[0] / times[1]


def main() -> None:
    """Print the geometric mean of each cell and task, with the worst and the best case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=lambda name: Path(name).resolve())
    parser.add_argument("after", type=lambda name: Path(name).resolve())
    parser.add_argument("--section", default="float32", help="of benchmarks/cases.py (float32)")
    parser.add_argument("--seconds", type=float, default=0.06, help="of either side's calls in a case (0.06)")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    # Before numba is imported; and what two versions keep on disk in one process is of no use to another.
    os.environ |= {"NUMBA_NUM_THREADS": "1", "NUMBA_CACHE_DIR": tempfile.mkdtemp()}
    from .cases import cases

    chosen = [case for case in cases(False, [args.section]) if args.only in case.name]
    old, new = sides_of(args.before), sides_of(args.after)
    found: dict[str, list[tuple[float, str]]] = {}
    for case in chosen:
        ratio = median(ratios(old.ours(case, "cpu").call, new.ours(case, "cpu").call, args.seconds))
        found.setdefault(f"{case.cell} {case.task}", []).append((ratio, case.shape))
    found["all"] = [row for rows in found.values() for row in rows]
    for name, rows in found.items():
        mean = exp(fsum(log(ratio) for ratio, _ in rows) / len(rows))
        (low, worst), (high, best) = min(rows), max(rows)
        print(f"{name}: before ÷ after {mean:.3f}; {low:.3f} at {worst}, {high:.3f} at {best}")


if __name__ == "__main__":
    main()
