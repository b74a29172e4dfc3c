"""Parts of the run in processes of their own, watched: what crashes or hangs costs the item that it was in."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]

WORKER = (sys.executable, "-m", "benchmarks.gpu.worker")

PATIENCE = 60.0
"""Seconds without a word after which a process is taken to hang: an item has several kernels to compile at worst."""

RESTARTS = 6
"""How often a part is gone on with after a crash."""


@dataclass
class Outcome:
    """What came of a part."""

    planned: list[str] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)  # with name and seconds
    failures: list[dict[str, str]] = field(default_factory=list)  # name, message
    seconds: float = 0.0

    @property
    def not_run(self) -> list[str]:
        """The items that nothing is known of."""
        known = {found["name"] for found in (*self.results, *self.failures)}
        return [name for name in self.planned if name not in known]

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return {**vars(self), "not_run": self.not_run}


def run_part(
    part: str, options: Sequence[str], seconds: float, told: Callable[[Outcome], None], shards: int = 1
) -> Outcome:
    """Run a part, its items split over some processes.

    Parameters
    ----------
    part : str
        A module beside this one that has `items`.
    options : sequence of str
        For the workers.
    seconds : float
        When they are over, no more items are begun.
    told : callable
        Called with what is known so far whenever an item has ended, by one process at a time.
    shards : int
        Processes side by side.
    """
    outcome, lock, start = Outcome(), threading.Lock(), perf_counter()

    def report(target: list[Any], *found: Any) -> None:
        with lock:
            target.extend(found)
            outcome.seconds = perf_counter() - start
            told(outcome)

    def follow(shard: int) -> None:
        skip: int | None = 0
        for _ in range(RESTARTS + 1):
            left = seconds - (perf_counter() - start)
            if skip is None or left <= 0:
                return
            arguments = [*options, "--skip", str(skip), "--shard", str(shard), str(shards), "--seconds", f"{left:.0f}"]
            skip = _attempt(part, arguments, skip, outcome, report)

    threads = [threading.Thread(target=follow, args=(shard,), daemon=True) for shard in range(shards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.seconds = perf_counter() - start
    return outcome


def _attempt(
    part: str, arguments: list[str], skip: int, outcome: Outcome, report: Callable[..., None]
) -> int | None:
    """Follow one process to its end; return the item to go on with after a crash, None if there is nothing to do."""
    process = subprocess.Popen([*WORKER, part, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str | None] = queue.Queue()

    def read(stream: IO[str]) -> None:
        with stream:
            for line in stream:
                lines.put(line)
        lines.put(None)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    names: list[str] = []
    current, inside, end = skip, False, "it ended without a word"

    def fail(name: str, message: str) -> None:
        report(outcome.failures, {"name": name, "message": message})

    try:
        while True:
            line = json.loads(lines.get(timeout=PATIENCE) or "null")
            if line is None:
                end = f"the process ended with code {process.wait(timeout=PATIENCE)}"
                break
            if "items" in line:
                names = line["items"]
                if not skip:
                    report(outcome.planned, *names)
            elif "begin" in line:
                current, inside = line["begin"], True
            elif "result" in line:
                report(outcome.results, {"name": names[current], "seconds": line["seconds"], **line["result"]})
                current, inside = current + 1, False
            elif "error" in line:
                fail(names[current], line["error"])
                current, inside = current + 1, False
            elif "finished" in line:
                return None
            elif "fatal" in line:
                end = line["fatal"]
                break
    except (queue.Empty, subprocess.TimeoutExpired):
        end = f"nothing was heard of it for {PATIENCE:.0f} s"
    finally:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # where the driver holds on to it
            process.wait(timeout=10)
    if not names:  # it has not even begun
        fail(part, end)
        return None
    if inside:
        fail(names[current], end)
        current += 1
    return current if current < len(names) else None
