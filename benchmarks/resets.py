"""``python -m benchmarks.resets``: a batch of episodes in one call, beside what there is in torch for it.

T steps of B rows, float32, in which episodes of random length follow one another, so that states are put back to zero
inside. In turn: our layer with `resets`; the same call without them, which computes something else and costs what a
call costs; torch's LSTM, called for each stretch in which no row is put back, as libraries for reinforcement learning
do; and a loop over LSTMCell that multiplies the states by a mask. Outputs and gradients are compared first.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numba
import numpy as np

import rnn_core

from .machine import require, threads
from .timing import in_turn, paired


class Problem(NamedTuple):
    """A layer with a batch of episodes."""

    layer: Any
    x: np.ndarray  # (T, B, H)
    dy: np.ndarray
    resets: np.ndarray  # (T, B)


Side = Callable[[], dict[str, np.ndarray]]


def problem_of(cell: str, T: int, B: int, H: int, mean: float) -> Problem:
    """Return episodes whose lengths are geometric with this mean."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((T, B, H), np.float32) for _ in range(2))
    return Problem(getattr(rnn_core, cell)(H, H, backend="cpu", seed=0), x, dy, rng.random((T, B)) < 1 / mean)


def ours(problem: Problem, *, training: bool, resets: bool) -> Side:
    """Return our call, with the resets or without."""
    layer, x, dy, put_back = problem
    options = {"resets": put_back} if resets else {}
    needs = frozenset(layer.parameters)

    def infer() -> dict[str, np.ndarray]:
        return {"y": layer(x, **options)[0]}

    def step() -> dict[str, np.ndarray]:
        y, _, tape = layer.forward(x, **options)
        return {"y": y, **layer.backward(tape, dy, needs=needs)[2]}

    return step if training else infer


def stretches(torch: Any, problem: Problem, training: bool) -> Side:
    """Return torch's layer, called anew wherever any row of the batch is put back."""
    module = getattr(torch.nn, type(problem.layer).__name__)(*problem.layer.parameters["weight_ih_l0"].shape[1:] * 2)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in problem.layer.state_dict().items()})
    x, keep = torch.from_numpy(problem.x), torch.from_numpy((~problem.resets).astype(np.float32))[:, None, :, None]
    cuts = [0, *(np.flatnonzero(problem.resets[1:].any(axis=1)) + 1), len(x)]

    def forward() -> Any:
        ys, state = [], None
        for t0, t1 in pairwise(cuts):
            if state is not None:
                state = tuple(s * keep[t0] for s in state) if isinstance(state, tuple) else state * keep[t0]
            y, state = module(x[t0:t1], state)
            ys.append(y)
        return torch.cat(ys)

    return _side(torch, problem, module, forward, training, "{}")


def steps(torch: Any, problem: Problem, training: bool) -> Side:
    """Return a loop over torch's cell."""
    layer = problem.layer
    module = getattr(torch.nn, f"{type(layer).__name__}Cell")(*layer.parameters["weight_ih_l0"].shape[1:] * 2)
    module.load_state_dict({name[:-3]: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    x, keep = torch.from_numpy(problem.x), torch.from_numpy((~problem.resets).astype(np.float32))[:, :, None]

    def forward() -> Any:
        ys, state = [], None
        for t in range(len(x)):
            if state is not None:
                state = tuple(s * keep[t] for s in state) if isinstance(state, tuple) else state * keep[t]
            state = module(x[t], state)
            ys.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(ys)

    return _side(torch, problem, module, forward, training, "{}_l0")


def _side(torch: Any, problem: Problem, module: Any, forward: Callable[[], Any], training: bool, name: str) -> Side:
    dy = torch.from_numpy(problem.dy)

    def infer() -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return {"y": forward().numpy()}

    def step() -> dict[str, np.ndarray]:
        module.zero_grad(set_to_none=True)
        y = forward()
        y.backward(dy)
        grads = {name.format(key): parameter.grad.numpy() for key, parameter in module.named_parameters()}
        return {"y": y.detach().numpy(), **grads}

    return step if training else infer


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--means", default="8,32,128", help="mean lengths of the episodes (default 8,32,128)")
    parser.add_argument("--cells", default="LSTM", help="out of LSTM, GRU (default LSTM)")
    parser.add_argument("--pairs", type=int, default=9, help="blocks of each side (default 9)")
    parser.add_argument("--threads", type=int, default=None, help="of either library (default: all)")
    args = parser.parse_args()
    torch = require("torch")
    count = args.threads or numba.get_num_threads()
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    print(f"T={args.steps} B={args.batch} I=H={args.hidden} float32, {count} threads, {load}")
    print("milliseconds, medians, and in brackets how often ours with resets goes into it [quartiles]")
    with threads(torch, count):
        for cell in args.cells.split(","):
            for mean in map(float, args.means.split(",")):
                problem = problem_of(cell, args.steps, args.batch, args.hidden, mean)
                for training in (False, True):
                    what = f"{cell} {'training' if training else 'inference'}, episodes of {mean:g} steps"
                    print(f"{what}: {line(torch, cell, problem, training, args.pairs)}", flush=True)


def line(torch: Any, cell: str, problem: Problem, training: bool, pairs: int) -> str:
    """Time all sides of a problem in turn, once they agree."""
    sides = {
        "ours": ours(problem, training=training, resets=True),
        "without resets": ours(problem, training=training, resets=False),
        f"{cell} by stretches": stretches(torch, problem, training),
        f"{cell}Cell": steps(torch, problem, training),
    }
    compare(sides)
    times = in_turn(list(sides.values()), pairs=pairs, block=0.3, budget=30)
    told = [f"ours {1e3 * median(times[0]):.2f}"]
    for name, other in list(zip(sides, times, strict=True))[1:]:
        pair = paired(times[0], other)
        told.append(f"{name} {1e3 * pair.theirs:.2f} ({pair.ratio:.2f} [{pair.low:.2f}–{pair.high:.2f}])")
    return ", ".join(told)


def compare(sides: dict[str, Side]) -> None:
    """Raise where two sides that should agree don't."""
    expected, *others = (side() for name, side in sides.items() if name != "without resets")
    for other in others:
        for name, array in expected.items():
            apart = abs(other[name] - array).max() / abs(array).max()
            if not apart < 1e-3:
                raise AssertionError(f"{name}: {apart:.1e} apart")


if __name__ == "__main__":
    main()
