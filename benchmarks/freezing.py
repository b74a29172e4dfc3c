"""``python -m benchmarks.freezing``: a full training step, one with the core frozen, and one on cached features."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import cycle

import numba
import numpy as np

from kernels.contract import Array
from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import Adam
from transfer import freeze
from transfer.features.caching import HeadOf, cached_features

from .timing import Pair, alternate

CELLS = ("rnn", "lstm", "gru")
CLASSES = 10
BATCHES = 4
TARGETS = (2.5, 20.0)
"""How many times faster than the full step the two others should be at least, with the sizes of `steps`."""


def steps(cell: str, T: int = 50, B: int = 32, H: int = 128) -> dict[str, Callable[[], object]]:
    """Return three training steps of a classifier, each with an update by Adam: full, frozen core, cached features.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    T, B, H : int
        Steps, sequences of a batch, and units, which is also how many features a step has.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCHES * B, T, H), dtype=np.float32)
    data = Examples(x, rng.integers(0, CLASSES, len(x)), batch_size=B)
    full, frozen, cached = (SequenceClassifier(CLASSES, H, input_size=H, cell=cell, seed=0) for _ in range(3))
    freeze(frozen, "rnn.*")
    return {
        "full": _step(full, data),
        "frozen core": _step(frozen, data),
        "cached features": _step(HeadOf(cached), cached_features(cached, data)),
    }


def _step(model: SequenceClassifier | HeadOf, data: Examples) -> Callable[[], object]:
    """Return what does one training step, on one batch after another; they are made before the clock starts."""
    optimizer = Adam(1e-3)
    parameters: dict[str, Array] = {k: p for k, p in model.parameters.items() if k not in model.frozen}
    rates, state = dict.fromkeys(parameters, optimizer.lr), optimizer.init(parameters)
    batches = cycle([data.batch(0, index) for index in range(len(data))])

    def step() -> None:
        done = model.loss_and_gradients(next(batches), needs=frozenset(parameters))
        optimizer.update(parameters, done.gradients, state, rates)

    return step


def measure(cell: str, pairs: int = 15, block: float = 0.2, **sizes: int) -> tuple[Pair, Pair]:
    """Time the frozen step (`ours`) and then the cached one beside the full step (`theirs`), in turn.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
    pairs, block
        As `timing.alternate` has them.
    **sizes
        As `steps` has them.
    """
    full, frozen, cached = steps(cell, **sizes).values()
    return (
        alternate(frozen, full, pairs=pairs, block=block),
        alternate(cached, full, pairs=pairs, block=block),
    )


def main() -> int:
    """Print a table of medians; return 0, or 1 if a target was missed."""
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    print(f"T=50 B=32 H=128, float32, Adam, {numba.get_num_threads()} threads, {load}")
    print("milliseconds a step, medians; how many times faster than the full step [quartiles]")
    missed = False
    for cell in CELLS:
        for name, pair, target in zip(("frozen core", "cached features"), measure(cell), TARGETS, strict=True):
            missed |= pair.ratio < target
            print(
                f"{cell:4}  full {pair.theirs * 1e3:7.2f}  {name:15} {pair.ours * 1e3:7.3f}  {pair.ratio:5.1f} "
                f"[{pair.low:.1f}, {pair.high:.1f}]  wanted {target}: {'met' if pair.ratio >= target else 'MISSED'}"
            )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
