"""``python -m benchmarks.moments``: an optimizer's step where moments are normal numbers, and where most have sunk.

Each beside the same step without `rnn_core.training.blocks.flush`, in turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from rnn_core.training import SGD, Adam, AdamW, Optimizer, blocks

from .timing import alternate

OPTIMIZERS = (Adam(1e-3), AdamW(1e-3), SGD(0.1, momentum=0.9))
SHAPES = ((20_000, 128), (512, 128))
FLUSH = blocks.flush
SEEN = 0.05
"""The share of the rows that have a gradient, where moments have sunk."""


def step(optimizer: Optimizer, shape: tuple[int, int], sunk: bool, flush: bool) -> Callable[[], object]:
    """Return a function that takes one step on a table in float32."""
    rng = np.random.default_rng(0)
    parameters = {"w": rng.standard_normal(shape, np.float32)}
    gradients = {"w": rng.standard_normal(shape, np.float32)}
    state = optimizer.init(parameters)
    seen = int(SEEN * shape[0]) if sunk else shape[0]
    gradients["w"][seen:] = 0
    for name, array in state.items():
        if not name.endswith("/step"):
            array[:seen] = 1e-3
            array[seen:] = 5e-39

    def now() -> None:
        optimizer.update(parameters, gradients, state)

    def before() -> None:
        blocks.flush = lambda array: None
        try:
            now()
        finally:
            blocks.flush = FLUSH

    return now if flush else before


def main() -> None:
    """Print a table of medians."""
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    print(f"milliseconds a step, medians; float32, {load}")
    print(f"{'table':>12} {'optimizer':9} {'moments':8} {'before':>8} {'now':>8}   before ÷ now [quartiles]")
    for shape in SHAPES:
        for optimizer in OPTIMIZERS:
            for sunk in (False, True):
                ours, theirs = (step(optimizer, shape, sunk, flush) for flush in (True, False))
                pair = alternate(ours, theirs, pairs=15, block=0.2, rest=0.0)
                row = f"{'×'.join(map(str, shape)):>12} {type(optimizer).__name__:9} {'sunk' if sunk else 'normal':8}"
                times = f"{pair.theirs * 1e3:8.3f} {pair.ours * 1e3:8.3f}"
                print(f"{row} {times}   {pair.ratio:.2f} [{pair.low:.2f}, {pair.high:.2f}]", flush=True)


if __name__ == "__main__":
    main()
