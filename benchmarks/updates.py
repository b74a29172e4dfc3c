"""``python -m benchmarks.updates``: clipping and Adam beside NumPy's and torch's; an embedding's gradient and step.

With one thread on each side, seconds of the calling thread: other programs on the machine disturb those least. With
``--threads 2`` seconds of the clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter, sleep, thread_time
from typing import Any

import numba
import numpy as np

from rnn_core import Embedding
from rnn_core.training import Adam
from rnn_core.training.clipping import clip_by_global_norm, clipping_factor

MODELS = {"V=10,000 E=256 H=512 L=2": (10_000, 256, 512, 2), "V=100 E=128 H=256 L=1": (100, 128, 256, 1),
          "V=50 E=16 H=32 L=1": (50, 16, 32, 1)}  # fmt: skip
"""Language models, of LSTMs, whose parameters are updated."""

ROUNDS = 9


def shapes(V: int, E: int, H: int, layers: int) -> list[tuple[int, ...]]:
    """Return the shapes of a language model's parameters."""
    inputs = [E] + [H] * (layers - 1)
    cells = [shape for I in inputs for shape in ((4 * H, I), (4 * H, H), (4 * H,), (4 * H,))]
    return [(V, E), *cells, (V, H), (V,)]


def step(backend: str, parameters: dict[str, Any], gradients: dict[str, Any]) -> Callable[[], None]:
    """Return a function that clips and takes a step of Adam: in NumPy, as before there were kernels, or by them."""
    optimizer = Adam(1e-3)
    parameters = {name: array.copy() for name, array in parameters.items()}
    state = optimizer.init(parameters)

    def before() -> None:
        clipped, _ = clip_by_global_norm(gradients, 1.0, backend="numpy")
        optimizer.update(parameters, clipped, state, backend="numpy")

    def now() -> None:
        scale, _ = clipping_factor(gradients, 1.0, backend=backend)
        optimizer.update(parameters, gradients, state, scale=scale, backend=backend)

    return before if backend == "numpy" else now


def torchs(parameters: dict[str, Any], gradients: dict[str, Any], **options: bool) -> Callable[[], None] | None:
    """Return the same in torch; None where there is no torch."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(numba.get_num_threads())
    theirs = [torch.nn.Parameter(torch.tensor(array)) for array in parameters.values()]
    for parameter, gradient in zip(theirs, gradients.values(), strict=True):
        parameter.grad = torch.tensor(gradient)
    optimizer = torch.optim.Adam(theirs, 1e-3, **options)

    def run() -> None:
        torch.nn.utils.clip_grad_norm_(theirs, 1.0, foreach=True)
        optimizer.step()

    return run


def embedding(backend: str) -> Callable[[], None]:
    """Return a function that makes an embedding's gradient, clips, and takes a step; other tokens each time."""
    rng = np.random.default_rng(0)
    layer, optimizer = Embedding(10_000, 256, backend=backend, seed=0), Adam(1e-3)
    tapes = [layer.forward(rng.integers(0, 10_000, (35, 32)))[1] for _ in range(50)]
    dvectors = rng.standard_normal((35, 32, 256), np.float32)
    state, calls = optimizer.init(layer.parameters), iter(range(1 << 40))

    def run() -> None:
        gradients = layer.backward(tapes[next(calls) % len(tapes)], dvectors, sparse=backend != "numpy")
        scale, _ = clipping_factor(gradients, 1.0, backend=backend)
        optimizer.update(layer.parameters, gradients, state, scale=scale, backend=backend)

    return run


def measured(sides: dict[str, Callable[[], None] | None]) -> str:
    """Return the sides' milliseconds a call, medians of blocks in turn, as the cells of a row."""
    clock = thread_time if numba.get_num_threads() == 1 else perf_counter
    found: dict[str, list[float]] = {name: [] for name, side in sides.items() if side is not None}
    for _ in range(ROUNDS):
        for name, blocks in found.items():
            run: Any = sides[name]
            sleep(0.1)  # until the others' threads sleep
            run()
            begin, calls = clock(), 0
            while clock() - begin < 0.05:
                run()
                calls += 1
            blocks.append((clock() - begin) / calls)
    return " | ".join(f"{median(found[name]) * 1e3:.3g}" if name in found else "–" for name in sides)


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.updates", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    numba.set_num_threads(parser.parse_args().threads)
    rng = np.random.default_rng(0)
    print("| parameters of | numbers | NumPy | kernels | torch, foreach | torch, fused |\n|---|---|---|---|---|---|")
    for name, sizes in MODELS.items():
        parameters = {str(k): rng.standard_normal(shape, np.float32) for k, shape in enumerate(shapes(*sizes))}
        gradients = {key: 0.01 * rng.standard_normal(p.shape, np.float32) for key, p in parameters.items()}
        row = measured({
            "numpy": step("numpy", parameters, gradients), "cpu": step("cpu", parameters, gradients),
            "foreach": torchs(parameters, gradients, foreach=True), "fused": torchs(parameters, gradients, fused=True),
        })  # fmt: skip
        print(f"| {name} | {sum(p.size for p in parameters.values()):,} | {row} |", flush=True)
    print("\n| embedding 10,000×256, 1,120 tokens | NumPy, dense | kernels, rows |\n|---|---|---|")
    print(f"| backward, clipping, Adam | {measured({name: embedding(name) for name in ('numpy', 'cpu')})} |")


if __name__ == "__main__":
    main()
