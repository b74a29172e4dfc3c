"""A model of one's own on the trunk: a tag for each step of a sequence.

It learns which letters stand between brackets: ``a(bc)d(e`` is tagged ``..==....``, as the second bracket is never
closed. So a step's tag depends on what came before it and on what comes after. ``python examples/tagger.py`` takes
about half a minute.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.data import Batch, Examples
from rnn_core.layers.checks import positive_int
from rnn_core.models.inputs import as_targets
from rnn_core.models.single_head import SingleHead
from rnn_core.models.trunk import arguments
from rnn_core.training import Adam, SoftmaxCrossEntropy, fit


class Tagger(SingleHead):
    """Predicts a tag, out of `num_tags`, for each step of a sequence of features or of tokens.

    A batch's targets are tags, (B, T), its weights (B, T) or (B,): 0 leaves a step out. Targets past a row's length
    count nothing. The other parameters are those of `SequenceClassifier`.
    """

    def __init__(
        self,
        num_tags: int,
        hidden_size: int,
        *,
        input_size: int | None = None,
        vocab_size: int | None = None,
        embedding_size: int | None = None,
        padding_idx: int | None = None,
        num_layers: int = 1,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        bidirectional: bool = True,
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self.num_tags = positive_int("Tagger", "num_tags", num_tags)
        built = self._build(
            "Tagger", {"head": (self.num_tags, None)}, hidden_size=hidden_size, input_size=input_size,
            vocab_size=vocab_size, embedding_size=embedding_size, padding_idx=padding_idx, num_layers=num_layers,
            cell=cell, nonlinearity=nonlinearity, bidirectional=bidirectional, dropout=dropout, backend=backend,
            dtype=dtype, seed=seed,
        )  # fmt: skip
        self.loss = SoftmaxCrossEntropy()
        self.config = arguments(Tagger, {**built, "num_tags": self.num_tags})

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return logits, (B, T, C); past a row's length they mean nothing. Dropout is off."""
        return self._infer("Tagger.__call__", self.branches["head"], x, None, lengths)[0]

    def predict(self, x: Array, lengths: Any = None) -> Array:
        """Return the likeliest tag of each step, (B, T)."""
        return self._decide(self(x, lengths))

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        return as_targets(where, batch, tuple(logits.shape[:2]), array_namespace(logits), why=", a tag for each step")


TOKENS = "_()abcdef"
"""What a text is made of; the first is padding."""


def brackets(count: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return texts (N, T), a tag for each token (1: between brackets that are closed), and lengths (N,)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(steps // 2, steps + 1, count)
    texts = np.where(rng.random((count, steps)) < 0.3, rng.integers(1, 3, (count, steps)), 0)
    texts = np.where(texts == 0, rng.integers(3, len(TOKENS), (count, steps)), texts)
    texts[np.arange(steps) >= lengths[:, None]] = 0
    tags = np.zeros_like(texts)
    for text, row in zip(texts, tags, strict=True):
        opened = None
        for t, token in enumerate(text):
            if token == 2 and opened is not None:
                row[opened + 1 : t] = 1
            opened = t if token == 1 else None if token == 2 else opened
    return texts, tags, lengths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--hidden-size", type=int, default=32)
    args = parser.parse_args()
    texts, tags, lengths = brackets(2000, 20, seed=0)
    new, right, n = brackets(500, 20, seed=1)
    model = Tagger(2, args.hidden_size, vocab_size=len(TOKENS), padding_idx=0, seed=0)
    train, test = Examples(texts, tags, lengths=lengths), Examples(new, right, lengths=n)
    history = fit(model, train, validation=test, optimizer=Adam(3e-3), epochs=args.epochs, progress=False)
    outside = 1 - right.sum() / n.sum()
    print(f"right: {history[-1].validation_accuracy:.1%} of the steps of new texts; with no tag 1: {outside:.1%}")
    for text, found, end in list(zip(new, model.predict(new, n), n, strict=True))[:3]:
        print("".join(TOKENS[k] for k in text[:end]), "".join(".="[k] for k in found[:end]), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
