"""``python -m benchmarks.small_calls BEFORE AFTER``: µs of a small inference in two versions of this repository.

Both folders are imported into one process of one thread, as `benchmarks.versions` does, and called in turn, some calls
at a time, with a stream of the second, ONNX Runtime and torch, where they are installed, between. A call here is
`layer(x)`, or `layer(x, state0)` with the state that a step before has left. B is 1, and I is H.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from .versions import sides_of

SHAPES: tuple[tuple[str, int, int, dict[str, Any]], ...] = (
    ("LSTM", 1, 32, {}), ("GRU", 1, 32, {}), ("RNN", 1, 32, {}), ("LSTM", 12, 32, {}), ("LSTM", 64, 64, {}),
    ("LSTM", 1, 256, {}), ("LSTM", 1, 32, {"num_layers": 2}), ("LSTM", 12, 32, {"bidirectional": True}),
)  # fmt: skip
"""Cell, T, H, and what else the layer is."""

TURNS, CALLS = 60, 50
"""Of each call, and how often it is called in each."""


def calls_of(folder: Path, stream: bool) -> dict[str, dict[str, Callable[[], object]]]:
    """Return a version's calls by case and by what they are; with streams, if wanted."""
    sides_of(folder)
    import numpy as np

    import rnn_core

    calls: dict[str, dict[str, Callable[[], object]]] = {}
    for cell, T, H, options in SHAPES:
        layer: Any = getattr(rnn_core, cell)(H, H, backend="cpu", seed=0, **options)
        x = np.random.default_rng(0).normal(size=(T, 1, H)).astype(np.float32)
        found: dict[str, Callable[[], object]] = {"layer(x)": partial(layer, x)}
        found["layer(x, state0)"] = partial(layer, x, layer(x)[1])
        if stream and T == 1:
            found["stream(x_t)"] = partial(layer.stream(), x[0, 0])
        calls[" ".join([f"{cell} T={T} H={H}", *options])] = found
    return calls


def peers() -> dict[str, dict[str, Callable[[], object]]]:
    """Return the same calls of ONNX Runtime and torch, by case, on one thread each; of plain layers alone."""
    from .cases import Case
    from .cpu.peers import onnx_side
    from .sides import theirs

    found: dict[str, dict[str, Callable[[], object]]] = {}
    (packages, missing), torch = onnx_side.find(), torch_alone()
    print(missing or "ONNX Runtime is there", "no torch in this run" if torch is None else "torch is there", sep=", ")
    for cell, T, H, options in SHAPES:
        sides = found[" ".join([f"{cell} T={T} H={H}", *options])] = {}
        if packages is not None and not options:
            sides["ONNX Runtime"] = onnx_side.side(packages, Case(cell, "inference", T, 1, H), 1).call
        if torch is not None and not options:
            sides["torch"] = theirs(torch, Case(cell, "inference", T, 1, H)).call
    return found


def torch_alone() -> Any:
    """Return torch on one thread, or None where it isn't installed."""
    try:
        torch = import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def times_of(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median of each call in µs, some of each in turn."""
    times: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            for _ in range(CALLS):
                begin = perf_counter_ns()
                call()
                times[name].append(perf_counter_ns() - begin)
    return {name: median(found[TURNS * CALLS // 10 :]) / 1000 for name, found in times.items()}


def main() -> None:
    """Print the median of each call, before and after, and of its peers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=lambda name: Path(name).resolve())
    parser.add_argument("after", type=lambda name: Path(name).resolve())
    args = parser.parse_args()
    os.environ |= {"NUMBA_NUM_THREADS": "1", "NUMBA_CACHE_DIR": tempfile.mkdtemp()}  # before numba is imported
    before, after, others = calls_of(args.before, False), calls_of(args.after, True), peers()
    for case, mine in after.items():
        turns = {f"{name} before": call for name, call in before[case].items()} | mine | others[case]
        took = times_of(turns)
        told = [
            f"{name} {took[before_it]:.1f} → {took[name]:.1f}" if (before_it := f"{name} before") in took
            else f"{name} {took[name]:.1f}"
            for name in (*mine, *others[case])
        ]  # fmt: skip
        print(f"{case}, µs: {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
