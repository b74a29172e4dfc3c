"""A model of one's own on the trunk: a yes or no at every step, said at once.

It listens for a knock that follows another after three steps exactly, among knocks at other distances and noise. What
comes later is not known when it answers, so it reads in one direction. ``python examples/detector.py`` takes a
few seconds.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.data import Batch, Examples
from rnn_core.layers.mixing.gates import sigmoid
from rnn_core.models.inputs import as_targets
from rnn_core.models.single_head import SingleHead
from rnn_core.models.trunk import arguments
from rnn_core.training import Adam, BinaryCrossEntropy, fit


class Detector(SingleHead):
    """Says at each step of a sequence of features or of tokens how likely something is happening.

    A batch's targets, (B, T), are 0 or 1 or a probability, its weights (B, T) or (B,): 0 leaves a step out. Targets
    past a row's length count nothing. The parameters are those of `SequenceClassifier`, but for the classes and the
    pooling.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        input_size: int | None = None,
        vocab_size: int | None = None,
        embedding_size: int | None = None,
        padding_idx: int | None = None,
        num_layers: int = 1,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        bidirectional: bool = False,
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        built = self._build(
            "Detector", {"head": (1, None)}, hidden_size=hidden_size, input_size=input_size, vocab_size=vocab_size,
            embedding_size=embedding_size, padding_idx=padding_idx, num_layers=num_layers, cell=cell,
            nonlinearity=nonlinearity, bidirectional=bidirectional, dropout=dropout, backend=backend, dtype=dtype,
            seed=seed,
        )  # fmt: skip
        self.loss = BinaryCrossEntropy()
        self.config = arguments(Detector, built)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return how likely it is at each step, (B, T); past a row's length it means nothing. Dropout is off."""
        return sigmoid(self._logits(self._infer("Detector.__call__", self.branches["head"], x, None, lengths)[0]))

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        return as_targets(where, batch, tuple(logits.shape), array_namespace(logits), why=", an answer for each step")


APART = 3
"""Steps from the first knock to the second."""


def knocks(count: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return signals (N, T, 1), whether each step is the second of two knocks (N, T), and lengths (N,)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(steps // 2, steps + 1, count)
    knock = rng.random((count, steps)) < 0.25
    signals = knock + 0.1 * rng.standard_normal((count, steps))
    second = knock.copy()
    second[:, :APART] = False
    second[:, APART:] &= knock[:, :-APART]
    return signals[..., None].astype(np.float32), second.astype(np.int64), lengths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden-size", type=int, default=16)
    args = parser.parse_args()
    signals, seconds, lengths = knocks(1000, 30, seed=0)
    new, right, n = knocks(300, 30, seed=1)
    model = Detector(args.hidden_size, input_size=1, seed=0)
    train, test = Examples(signals, seconds, lengths=lengths), Examples(new, right, lengths=n)
    history = fit(model, train, validation=test, optimizer=Adam(1e-2), epochs=args.epochs, progress=False)
    never = 1 - right[np.arange(30) < n[:, None]].mean()
    print(f"right: {history[-1].validation_accuracy:.1%} of the steps of new signals; with no at each {never:.1%}")
    for signal, said, end in list(zip(new[..., 0], model(new, n), n, strict=True))[:3]:
        print("".join("█" if x > 0.5 else "·" for x in signal[:end]))
        print("".join("↑" if p > 0.5 else " " for p in said[:end]), end="\n\n")


if __name__ == "__main__":
    main()
