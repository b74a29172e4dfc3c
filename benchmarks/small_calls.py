"""``python -m benchmarks.small_calls BEFORE AFTER``: µs of a small inference in two versions of this repository.

Both folders are imported into one process of one thread, as `benchmarks.versions` does, and called in turn. A call here
is `layer(x)`, or `layer(x, state0)` with the state that a step before has left.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

from .versions import sides_of

SHAPES = ((1, 32), (12, 32), (64, 64))
"""T and H; B is 1, and I is H."""

CALLS = 3000


def calls_of(folder: Path) -> dict[str, Callable[[], object]]:
    """Return a version's calls by name."""
    sides_of(folder)
    import numpy as np

    import rnn_core

    calls: dict[str, Callable[[], object]] = {}
    for T, H in SHAPES:
        layer: Any = rnn_core.LSTM(H, H, backend="cpu", seed=0)
        x = np.random.default_rng(0).normal(size=(T, 1, H)).astype(np.float32)
        state = layer(x)[1]
        calls[f"T={T} H={H}, layer(x)"] = partial(layer, x)
        calls[f"T={T} H={H}, layer(x, state0)"] = partial(layer, x, state)
    return calls


def main() -> None:
    """Print the median of each call, before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=lambda name: Path(name).resolve())
    parser.add_argument("after", type=lambda name: Path(name).resolve())
    args = parser.parse_args()
    os.environ |= {"NUMBA_NUM_THREADS": "1", "NUMBA_CACHE_DIR": tempfile.mkdtemp()}  # before numba is imported
    sides = [calls_of(folder) for folder in (args.before, args.after)]
    for name in sides[0]:
        times: tuple[list[int], list[int]] = [], []
        for _ in range(CALLS):
            for side, found in zip(sides, times, strict=True):
                begin = perf_counter_ns()
                side[name]()
                found.append(perf_counter_ns() - begin)
        before, after = (median(found[CALLS // 10 :]) / 1000 for found in times)
        print(f"{name}: {before:.1f} → {after:.1f} µs")


if __name__ == "__main__":
    main()
