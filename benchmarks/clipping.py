"""``python -m benchmarks.clipping [--markdown FILE]``: what gradients of single examples cost, in time and in memory.

The network is that of Opacus's issue 53: an embedding of 10,004 words, an LSTM of 100 units over 256 steps, the mean
over time, two classes, 100 examples. Each way is a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from rnn_core import SequenceClassifier, clipped_gradients, example_gradient_norms
from rnn_core.data import Batch

from .machine import processor

T, B, H, V = 256, 100, 100, 10_004

WAYS = {
    "a step of `loss_and_gradients`, nothing clipped": lambda model, batch: model.loss_and_gradients(batch),
    "`clipped_gradients`, together": lambda model, batch: clipped_gradients(model, batch, 1.0),
    "`clipped_gradients`, one by one": lambda model, batch: clipped_gradients(model, batch, 1.0, method="one by one"),
    "`example_gradient_norms`": lambda model, batch: example_gradient_norms(model, batch),
}


def peak() -> float:
    """Return the most memory that this process has held so far, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def measure(way: str, repeats: int) -> dict[str, Any]:
    """Return how long a way takes, and how much memory beyond model and batch."""
    model = SequenceClassifier(2, H, vocab_size=V, embedding_size=H, pooling="mean", seed=0)
    rng = np.random.default_rng(0)
    batch = Batch(rng.integers(0, V, (B, T)), rng.integers(0, 2, B))
    small = Batch(batch.inputs[:2, :8], batch.targets[:2])
    for call in WAYS.values():  # whatever is compiled is no part of it
        call(model, small)
    before, seconds = peak(), []
    for _ in range(repeats):
        began = perf_counter()
        WAYS[way](model, batch)
        seconds.append(perf_counter() - began)
    return {"way": way, "seconds": float(np.median(seconds)), "MiB": peak() - before}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clipping", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    parser.add_argument("--way", choices=WAYS, help="this one alone, in this process, as JSON")
    args = parser.parse_args()
    if args.way:
        print(json.dumps(measure(args.way, args.repeats)))
        return
    rows = ["| | milliseconds | MiB beyond model and batch |", "|---|---|---|"]
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.clipping", "--way", way, "--repeats", str(args.repeats)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(f"| {way} | {1e3 * found['seconds']:.0f} | {found['MiB']:.0f} |")
    parameters = sum(array.size for array in SequenceClassifier(2, H, vocab_size=V, seed=0).parameters.values())
    rows.append(
        f"| {B} gradients of {parameters:,} numbers side by side, on paper | | {4 * B * parameters / 2**20:.0f} |"
    )
    rows.append(
        f"| one for each step of each, on paper: B·T·V·H of the embedding | | {4 * B * T * V * H / 2**20:.0f} |"
    )
    text = "\n".join([*rows, "", f"float32, {processor()}."])
    print(text)
    if args.markdown:
        args.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
