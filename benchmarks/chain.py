"""``python -m benchmarks.chain [--quick] [--only TEXT]``: the linear chain's kernels beside its equations in NumPy.

Both sides have one thread and the same parameters, emissions and tags, and are timed in blocks with a rest before each
(timing.py). First the two must agree.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from statistics import geometric_mean
from typing import Any, NamedTuple

import numpy as np

from rnn_core.layers import CRF

from .sides import AGREEMENT, disagreement
from .timing import alternate


class Case(NamedTuple):
    """A batch of sequences, half as long as the longest or more."""

    name: str
    tags: int
    rows: int
    steps: int


CASES = (
    Case("entities", 9, 32, 50),
    Case("parts of speech", 17, 32, 50),
    Case("many tags", 50, 32, 40),
    Case("characters", 12, 16, 384),
    Case("one sentence", 9, 1, 30),
)
TASKS = ("training", "decoding", "marginals")
Side = tuple[Callable[[], object], Callable[[], dict[str, np.ndarray]]]
"""What is timed, and what it computes."""


def side(case: Case, task: str, backend: str) -> Side:
    """Return one side of a case."""
    rng, shape = np.random.default_rng(0), (case.rows, case.steps)
    layer = CRF(case.tags, backend=backend)
    for array in layer.parameters.values():
        array[...] = rng.standard_normal(array.shape)
    z = rng.standard_normal((*shape, case.tags), np.float32)
    tags = rng.integers(0, case.tags, shape)
    lengths = rng.integers((case.steps + 1) // 2, case.steps + 1, case.rows)

    def step() -> Any:
        loss, tape = layer.forward(z, tags, lengths)
        return loss, layer.backward(tape)

    def results() -> dict[str, np.ndarray]:
        loss, (demissions, grads) = step()
        return {"loss": np.asarray(loss)[None], "demissions": np.asarray(demissions), **grads}

    if task == "training":
        return step, results
    if task == "decoding":
        return lambda: layer.decode(z, lengths), lambda: {"score": layer.decode(z, lengths)[1]}
    return lambda: layer.marginals(z, lengths), lambda: {"p": layer.marginals(z, lengths)}


def measure(only: str, pairs: int, block: float) -> None:
    """Print a line for each case and task.

    Raises
    ------
    RuntimeError
        The two sides' numbers differ.
    """
    ratios = []
    for case in CASES:
        for task in TASKS:
            if only not in f"{case.name} {task}":
                continue
            (call, found), (other, expected) = (side(case, task, backend) for backend in ("cpu", "numpy"))
            if (apart := disagreement(found(), expected())) > AGREEMENT["float32"]:
                raise RuntimeError(f"{case.name}, {task}: the two sides must agree, but differ by {apart:.1e}")
            pair = alternate(call, other, pairs=pairs, block=block)
            ratios.append(pair.ratio)
            print(
                f"| {case.name}, {task} | {case.tags} | {case.rows} × {case.steps} | {pair.ours * 1e3:.3f} | "
                f"{pair.theirs * 1e3:.3f} | {pair.ratio:.1f} [{pair.low:.1f}, {pair.high:.1f}] |",
                flush=True,
            )
    if ratios:
        print(f"| geometric mean | | | | | {geometric_mean(ratios):.1f} |")


def main(argv: list[str] | None = None) -> int:
    """Print a table of medians; return 0, or 1 if results disagree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="short times; ratios are rough")
    args = parser.parse_args(argv)
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    print(f"linear chain, float32, NumPy {np.__version__}, {load}\n")
    print("| case | tags | rows × steps | kernels, ms | equations, ms | equations ÷ kernels [quartiles] |")
    print("|---|---:|---:|---:|---:|---:|")
    try:
        measure(args.only, *((2, 0.005) if args.quick else (15, 0.2)))
    except RuntimeError as error:
        print(f"benchmarks.chain: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
