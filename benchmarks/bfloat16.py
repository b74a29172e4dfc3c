"""``python -m benchmarks.bfloat16 [--steps N] [--picture FILE]``: a language model trained in float32 and in bfloat16.

Both begin with the same parameters and see the same characters in the same order; what is printed and drawn is how far
apart their losses are. The text is the documentation that comes with Python. Times and errors beside torch's come from
``python -m benchmarks cpu --section precision``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from rnn_core import LanguageModel
from rnn_core.data import Batch
from rnn_core.training import Adam, clip_by_global_norm

CELLS = ("lstm", "gru")
HIDDEN, ROWS, STEPS, RATE, CLIP = 128, 32, 64, 3e-3, 1.0
SMOOTH = 20
"""Losses that a point of the picture is the mean of."""


def text() -> tuple[np.ndarray, int]:
    """Return characters as numbers, and how many different ones there are."""
    letters, numbers = np.unique(list("\n".join(topics.values())), return_inverse=True)
    return numbers, len(letters)


def losses(cell: str, precision: str, count: int) -> np.ndarray:
    """Return the loss, in nats a character, of each step of a training."""
    numbers, letters = text()
    rng = np.random.default_rng(1)
    model = LanguageModel(letters, HIDDEN, cell=cell, precision=precision, seed=1)
    optimizer = Adam(RATE)
    state, rates = optimizer.init(model.parameters), dict.fromkeys(model.parameters, RATE)
    found = []
    for _ in range(count):
        begin = rng.integers(0, len(numbers) - STEPS, ROWS)
        rows = numbers[begin[:, np.newaxis] + np.arange(STEPS + 1)]
        step = model.loss_and_gradients(Batch(rows[:, :-1], rows[:, 1:]))
        gradients, _ = clip_by_global_norm(step.gradients, CLIP)
        optimizer.update(model.parameters, gradients, state, rates)
        found.append(step.loss)
    return np.array(found)


def draw(curves: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Draw the losses, one precision upon the other, and below how far they are apart."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(curves), figsize=(9, 5), sharex=True, height_ratios=(3, 1), squeeze=False)
    for (cell, by_precision), above, below in zip(curves.items(), axes[0], axes[1], strict=True):
        mean = {name: smoothed(curve) for name, curve in by_precision.items()}
        at = np.arange(len(mean["float32"])) + SMOOTH
        above.plot(at, mean["float32"], color="black", linewidth=3, alpha=0.4, label="float32")
        above.plot(at, mean["bfloat16"], color="tab:orange", linewidth=1, label="bfloat16")
        above.set(title=cell.upper(), ylabel="nats a character")
        above.legend()
        below.plot(at, mean["bfloat16"] - mean["float32"], color="tab:orange", linewidth=1)
        below.axhline(0, color="black", linewidth=0.5)
        below.set(xlabel="step", ylabel="difference", ylim=(-0.02, 0.02))
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def smoothed(curve: np.ndarray) -> np.ndarray:
    """Return running means."""
    return np.convolve(curve, np.full(SMOOTH, 1 / SMOOTH), "valid")


def main() -> None:
    """Train, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bfloat16", description=__doc__.split("\n\n")[1])
    parser.add_argument("--steps", type=int, default=600, help="of each training (600)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where the curves are drawn; wants matplotlib")
    given = parser.parse_args()
    if given.steps < SMOOTH:
        parser.error(f"--steps must be at least {SMOOTH}, got {given.steps}")
    curves = {cell: {name: losses(cell, name, given.steps) for name in ("float32", "bfloat16")} for cell in CELLS}
    print("| cell | loss at the end: float32, bfloat16 | largest difference of means of 20 | of single losses, rms |")
    print("|---|---|---|---|")
    for cell, found in curves.items():
        ends = ", ".join(f"{curve[-SMOOTH:].mean():.4f}" for curve in found.values())
        apart = np.abs(smoothed(found["bfloat16"] - found["float32"])).max()
        rms = np.sqrt(np.mean((found["bfloat16"] - found["float32"]) ** 2))
        print(f"| {cell.upper()} | {ends} | {apart:.4f} | {rms:.4f} |")
    if given.picture is not None:
        draw(curves, given.picture)


if __name__ == "__main__":
    main()
