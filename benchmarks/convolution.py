"""``python -m benchmarks.convolution [--threads N …] [--quick] [--only TEXT]``: convolutions and pools beside torch's.

Both sides are in one process, with the same parameters, input and number of threads, and are timed in blocks with a
rest before each (timing.py). First the two must agree.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from statistics import geometric_mean
from typing import Any, NamedTuple

import numpy as np

from rnn_core.layers import Conv1d, Conv2d, MaxPool, ReLU

from .machine import require, threads
from .sides import AGREEMENT, disagreement
from .timing import alternate


class Case(NamedTuple):
    """A convolution with its ReLU and pooling, as a block of a model has them."""

    name: str
    shape: tuple[int, ...]  # of the input: rows, channels, sizes
    channels: int
    kernel: int
    padding: str
    pool: int | None


CASES = (
    Case("digits, first block", (32, 1, 8, 8), 16, 3, "same", 2),
    Case("digits, second block", (32, 16, 4, 4), 32, 3, "same", 2),
    Case("images, first block", (32, 3, 32, 32), 32, 3, "same", 2),
    Case("images, second block", (32, 32, 16, 16), 64, 3, "same", 2),
    Case("one image", (1, 32, 64, 64), 32, 3, "same", 2),
    Case("spectrogram over time", (32, 64, 200), 64, 5, "same", None),
    Case("letters of words", (512, 16, 20), 64, 5, "valid", 16),
)
TASKS = ("inference", "training")
Results = dict[str, np.ndarray]
Side = tuple[Callable[[], object], Callable[[], Results]]
"""What is timed, and what it computes."""


def ours(case: Case, task: str) -> Side:
    """Return our side of a case."""
    x, dy = _numbers(case)
    layer, relu, pool = _layer(case), ReLU(), None if case.pool is None else MaxPool(case.pool)

    def infer() -> np.ndarray:
        y = relu(layer(x))
        return y if pool is None else pool(y)

    def step() -> tuple[np.ndarray, np.ndarray, Results]:
        y, conv = layer.forward(x)
        y, positive = relu.forward(y)
        d = dy
        if pool is not None:
            y, taken = pool.forward(y)
            d = pool.backward(taken, d)
        dx, grads = layer.backward(conv, relu.backward(positive, d))
        return y, dx, grads

    def results() -> Results:
        y, dx, grads = step()
        return {"y": y, "dx": dx, **grads}

    return (infer, lambda: {"y": infer()}) if task == "inference" else (step, results)


def theirs(torch: Any, case: Case, task: str) -> Side:
    """Return torch's side: evaluation mode without gradients for inference."""
    numbers, dy = map(torch.from_numpy, _numbers(case))
    kind, pools = (
        (torch.nn.Conv2d, torch.nn.MaxPool2d) if len(case.shape) == 4 else (torch.nn.Conv1d, torch.nn.MaxPool1d)
    )
    module = kind(case.shape[1], case.channels, case.kernel, padding=case.padding)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in _layer(case).state_dict().items()})
    net = torch.nn.Sequential(module, torch.nn.ReLU(), *([] if case.pool is None else [pools(case.pool)]))
    x = numbers.clone().requires_grad_(task == "training")

    def infer() -> Any:
        with torch.inference_mode():
            return net(x)

    def step() -> Any:
        net.zero_grad(set_to_none=True)
        x.grad = None
        y = net(x)
        y.backward(dy)
        return y

    def results() -> Results:
        y = step()
        grads = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
        return {"y": y.detach().numpy(), "dx": x.grad.numpy(), **grads}

    return (infer, lambda: {"y": infer().numpy()}) if task == "inference" else (step, results)


def _layer(case: Case) -> Any:
    kind = Conv2d if len(case.shape) == 4 else Conv1d
    return kind(case.shape[1], case.channels, case.kernel, padding=case.padding, seed=0)


def _numbers(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return an input and an upstream gradient."""
    rng, layer = np.random.default_rng(0), _layer(case)
    counts = layer.sizes(case.shape[2:])
    counts = counts if case.pool is None else MaxPool(case.pool).sizes(counts)
    x = rng.standard_normal(case.shape, np.float32)
    return x, rng.standard_normal((case.shape[0], case.channels, *counts), np.float32)


def measure(torch: Any, count: int, only: str, pairs: int, block: float) -> None:
    """Print a line for each case and task, with `count` threads on either side.

    Raises
    ------
    RuntimeError
        The two sides' numbers differ.
    """
    ratios = []
    with threads(torch, count):
        for case in CASES:
            for task in TASKS:
                if only not in f"{case.name} {task}":
                    continue
                (call, found), (other, expected) = ours(case, task), theirs(torch, case, task)
                if (apart := disagreement(found(), expected())) > AGREEMENT["float32"]:
                    raise RuntimeError(f"{case.name}, {task}: the two sides must agree, but differ by {apart:.1e}")
                pair = alternate(call, other, pairs=pairs, block=block)
                ratios.append(pair.ratio)
                print(
                    f"| {case.name}, {task} | {pair.ours * 1e3:.3f} | {pair.theirs * 1e3:.3f} | "
                    f"{pair.ratio:.2f} [{pair.low:.2f}, {pair.high:.2f}] |",
                    flush=True,
                )
    if ratios:
        print(f"| geometric mean | | | {geometric_mean(ratios):.2f} |")


def main(argv: list[str] | None = None) -> int:
    """Print tables of medians; return 0, 1 if results disagree, or 2 where torch is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.convolution", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="for either side; a table each (1 2)")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="short times; ratios are rough")
    args = parser.parse_args(argv)
    try:
        torch = require("torch")
    except RuntimeError as error:
        print(f"benchmarks.convolution: error: {error}", file=sys.stderr)
        return 2
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    print(f"convolution, ReLU and max-pooling, float32, torch {torch.__version__}, {load}")
    for count in args.threads:
        print(f"\n| {count} thread{'s' if count > 1 else ''} | ours, ms | torch, ms | torch ÷ ours [quartiles] |")
        print("|---|---:|---:|---:|")
        try:
            measure(torch, count, args.only, *((2, 0.005) if args.quick else (15, 0.2)))
        except RuntimeError as error:
            print(f"benchmarks.convolution: error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
