"""``python -m benchmarks.parallel [--json [FILE]]``: ranks of one thread beside one process of as many threads.

A language model is trained on tokens drawn from a seed: once in one process with N threads, once in N ranks with one
thread each, by `mpiexec`, in turns. A run's figure is the median of its steps but the first ones; a case's ratio, one
process ÷ ranks, the median over the turns, with the least and the greatest. Losses of the last step must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import geometric_mean, median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from .commands import add_json, ended
from .machine import cpu_name, processor, version_of

NAME = "benchmarks.parallel"

CASES = ((64, 256, 32), (128, 256, 32), (64, 512, 32), (256, 128, 32))
"""B, H and T."""

VOCABULARY = 1000
WARM_UP, STEPS = 5, 20
TARGET = 0.95
"""The least ratio that is wanted at B ≥ 64, H ≥ 256."""

CLOSE = 1e-4
"""Largest difference of the two last losses, relative to them, in float32."""

REST = 0.5
"""Seconds between two runs."""


def work(B: int, H: int, T: int, count: int) -> None:
    """Train, in this process or as one of several ranks, and print what came of it."""
    from rnn_core import LanguageModel
    from rnn_core.data import TextStream
    from rnn_core.parallel import MPI, launched
    from rnn_core.training import Adam, Callback, fit

    class Clock(Callback):
        def __init__(self) -> None:
            self.at: list[float] = []
            self.loss = 0.0

        def step(self, record: Any) -> None:
            self.at.append(perf_counter())
            self.loss = record.loss

    clock, ranks = Clock(), MPI(threads=1) if launched() else None
    if ranks is None:
        import numba

        numba.set_num_threads(count)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, B * T * (WARM_UP + STEPS) + B)
    model = LanguageModel(vocab_size=VOCABULARY, hidden_size=H, seed=0)
    stream = TextStream(tokens, batch_size=B, steps=T)
    fit(model, stream, optimizer=Adam(1e-3), epochs=1, progress=False, callbacks=[clock], parallel=ranks)
    if ranks is None or ranks.first:
        seconds = np.diff(clock.at)[WARM_UP:].tolist()
        print(json.dumps({"seconds": median(seconds), "steps": len(seconds), "loss": clock.loss}))


def run(case: tuple[int, int, int], count: int, ranks: int) -> dict[str, Any]:
    """Run a case in a process or a job of its own.

    Raises
    ------
    RuntimeError
        It failed, or there is no `mpiexec`.
    """
    return output_of([sys.executable, "-m", NAME, "--work", *map(str, (*case, count))], ranks)


def output_of(words: list[str], ranks: int) -> dict[str, Any]:
    """Run a command in several ranks, or in one process, and return the line of JSON that it prints.

    Raises
    ------
    RuntimeError
        It failed, or there is no `mpiexec`.
    """
    environment = dict(os.environ)
    if ranks > 1:
        beside = Path(sys.executable).parent / "mpiexec"
        words = [str(beside) if beside.exists() else "mpiexec", "-n", str(ranks), *words]
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container
            environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise RuntimeError("mpiexec must be there, and is not; it comes with pip install '.[mpi]'") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{' '.join(words)} failed: {error.stderr.strip()[-400:]}") from None
    # A launcher may write of its own, colours of a terminal for instance.
    found: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return found


def measured(case: tuple[int, int, int], count: int, turns: int) -> dict[str, Any]:
    """Return a row: both ways in turns.

    Raises
    ------
    RuntimeError
        A run failed, or the losses differ.
    """
    one: list[dict[str, Any]] = []
    many: list[dict[str, Any]] = []
    for _ in range(turns):
        for found, ranks in ((one, 1), (many, count)):
            sleep(REST)
            found.append(run(case, count, ranks))
        a, b = one[-1]["loss"], many[-1]["loss"]
        if abs(a - b) > CLOSE * abs(a):
            raise RuntimeError(f"B, H, T = {case}: losses must agree to {CLOSE:g}, got {a:.6g} and {b:.6g}")
    ratios = [a["seconds"] / b["seconds"] for a, b in zip(one, many, strict=True)]
    B, H, T = case
    return {
        "B": B, "H": H, "T": T, "ranks": count, "turns": turns, "steps": one[0]["steps"],
        "one": median(found["seconds"] for found in one), "many": median(found["seconds"] for found in many),
        "ratio": median(ratios), "low": min(ratios), "high": max(ratios),
        "difference": abs(one[-1]["loss"] - many[-1]["loss"]),
    }  # fmt: skip


def measure(count: int, turns: int) -> dict[str, Any]:
    """Measure all cases, and print a table."""
    facts = {
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,  # of others, before ours begins
        "cpu": cpu_name(), "processor": processor(), "cores": os.cpu_count(), "numpy": np.__version__,
        "mpi4py": version_of("mpi4py"), "openmpi": version_of("openmpi"), "turns": turns,
    }  # fmt: skip
    print(f"| B, H, T | one process, {count} threads, ms | {count} ranks, ms | one ÷ ranks |\n|---|---:|---:|---:|")
    rows = []
    for case in CASES:
        row = measured(case, count, turns)
        rows.append(row)
        times = f"{1e3 * row['one']:.3g} | {1e3 * row['many']:.3g}"
        ratio = f"{row['ratio']:.2f} ({row['low']:.2f}–{row['high']:.2f})"
        print(f"| {row['B']}, {row['H']}, {row['T']} | {times} | {ratio} |", flush=True)
    wanted = [row["ratio"] for row in rows if row["B"] >= 64 and row["H"] >= 256]
    mean, verdict = geometric_mean(wanted), "reached" if min(wanted) >= TARGET else "not reached"
    print(f"\nB ≥ 64 and H ≥ 256: {mean:.2f} in the mean, {min(wanted):.2f} at worst; {TARGET} everywhere {verdict}.")
    return {"facts": facts, "rows": rows}


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__.partition(":")[2].strip())
    parser.add_argument("--ranks", type=int, default=os.cpu_count() or 1, help="ranks, and threads of the one process")
    parser.add_argument("--turns", type=int, default=5, help="runs of each side of a case")
    parser.add_argument("--work", type=int, nargs=4, help=argparse.SUPPRESS)
    add_json(parser, "parallel")
    given = parser.parse_args(arguments)
    if given.work:
        work(*given.work)
        return 0
    if given.ranks < 2 or given.turns < 1:
        parser.error(f"--ranks must be at least 2 and --turns at least 1, got {given.ranks} and {given.turns}")
    return ended(NAME, lambda: measure(given.ranks, given.turns), given.json)


if __name__ == "__main__":
    sys.exit(main())
