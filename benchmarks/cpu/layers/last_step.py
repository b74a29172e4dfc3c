"""``python -m benchmarks.cpu.layers.last_step``: a backward whose loss is at the last step alone.

Its gradient fades on the way back, into subnormal numbers in float32. Beside it the same layer's backward with a loss
at every step, where nothing fades; and torch's, as it is and with its own setting for such numbers. torch keeps its
graph, so that both sides are timed without their forward. First both sides must agree.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ...cases import Case
from ...sides import AGREEMENT, disagreement, layer_of, module_of
from ...timing import alternate

T, B, H = 256, 32, 128
CELLS = ("LSTM", "GRU", "RNN")
Backward = Callable[[], dict[str, np.ndarray]]


def upstream(case: Case, every: bool) -> np.ndarray:
    """Return ∂L/∂y: 1 at every step, or at the last alone."""
    dy = np.ones((case.T, case.B, case.H), np.dtype(case.dtype))
    if not every:
        dy[:-1] = 0
    return dy


def ours(case: Case, every: bool) -> Backward:
    """Return our backward; the forward has been done."""
    layer, dy = layer_of(case, "cpu"), upstream(case, every)
    _, _, tape = layer.forward(case.input())

    def backward() -> dict[str, np.ndarray]:
        dx, _, gradients = layer.backward(tape, dy)
        return {"x": dx, **gradients}

    return backward


def theirs(torch: Any, case: Case, flush: bool) -> Backward:
    """Return torch's backward from the last step; with `flush`, subnormal numbers are 0 in the calling thread."""
    module, x = module_of(torch, case), torch.from_numpy(case.input()).requires_grad_()
    dy, y = torch.from_numpy(upstream(case, every=False)), module(x)[0]
    wanted = {"x": x, **dict(module.named_parameters())}

    def backward() -> dict[str, np.ndarray]:
        torch.set_flush_denormal(flush)
        try:
            found = torch.autograd.grad(y, list(wanted.values()), dy, retain_graph=True)
        finally:
            torch.set_flush_denormal(False)
        return {name: array.numpy() for name, array in zip(wanted, found, strict=True)}

    return backward


def measure(torch: Any, cell: str, steps: int, pairs: int, block: float) -> str:
    """Return a line of the table.

    Raises
    ------
    RuntimeError
        The two sides' numbers differ.
    """
    case = Case(cell, "training", steps, B, H)
    last, every = ours(case, every=False), ours(case, every=True)
    plain, flushed = theirs(torch, case, flush=False), theirs(torch, case, flush=True)
    if (apart := disagreement(last(), plain())) > AGREEMENT["float32"]:
        raise RuntimeError(f"{cell}: the two sides must agree, but differ by {apart:.1e}")
    inner = alternate(every, last, pairs=pairs, block=block)
    outer = [alternate(last, other, pairs=pairs, block=block) for other in (plain, flushed)]
    times = (inner.ours, inner.theirs, *(pair.theirs for pair in outer))
    cells = [f"{seconds * 1e3:.1f}" for seconds in times]
    cells += [f"{pair.ratio:.2f} [{pair.low:.2f}, {pair.high:.2f}]" for pair in (inner, *outer)]
    return f"| {cell} | {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> int:
    """Print a table of medians; return 0, 1 if results disagree, or 2 without torch."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu.layers.last_step", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="for either side (1)")
    parser.add_argument("--quick", action="store_true", help="few steps, in which nothing fades, and short times")
    args = parser.parse_args(argv)
    try:
        import torch
    except ImportError:
        print("benchmarks.cpu.layers.last_step: error: torch is not installed; pip install torch", file=sys.stderr)
        return 2
    numba.set_num_threads(args.threads)
    torch.set_num_threads(args.threads)
    load = f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "load unknown"
    steps = 20 if args.quick else T
    print(f"float32, T={steps}, B={B}, H={H}, threads {args.threads}; milliseconds of a backward; {load}\n")
    columns = ("every step", "last step", "torch", "torch, flushing", "last ÷ every", "torch ÷ ours", "flushing ÷ ours")
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    try:
        for cell in CELLS:
            print(measure(torch, cell, *((steps, 2, 0.01) if args.quick else (steps, 7, 0.3))), flush=True)
    except RuntimeError as error:
        print(f"benchmarks.cpu.layers.last_step: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
