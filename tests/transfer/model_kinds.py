"""The kinds of models that transfer is tried on: how each is built for either of two tasks, what it eats, its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rnn_core import (
    BidirectionalLanguageModel,
    ConvClassifier,
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
)
from rnn_core.data import Examples, Pairs, TextStream, TimeSeries, Windows, WindowSpec
from rnn_core.scores import exact_match, mase
from transfer.comparing.task_study import Score, mean_loss, perplexity, share_right

V, T, N = 6, 5, 24


def tokens(seed: int) -> np.ndarray:
    """Return rows of tokens."""
    return np.random.default_rng(seed).integers(1, V, (N, T))


def lengths(seed: int) -> np.ndarray:
    """Return a length for each row."""
    return np.random.default_rng(seed + 50).integers(2, T + 1, N)


def tagged(seed: int, tags: int, shuffled: bool = False, size: int = N) -> Examples:
    """Return tokens whose tags are how they follow one another."""
    x = tokens(seed)
    y = (x + np.roll(x, 1, axis=1)) % tags
    y = np.random.default_rng(9).permuted(y, axis=1) if shuffled else y
    return Examples(x[:size], y[:size], lengths=lengths(seed)[:size], batch_size=8, seed=seed)


def pairs(seed: int, shuffled: bool = False, size: int = N) -> Pairs:
    """Return tokens to be written backwards."""
    x = list(tokens(seed)[:size])
    order = np.random.default_rng(9).permutation(size) if shuffled else np.arange(size)
    return Pairs(x, [x[k][::-1] for k in order], batch_size=8, seed=seed)


def written(model: Any) -> float:
    """Return the share of rows that are written backwards without a fault, in per cent."""
    x = tokens(7)
    said = model.predict(x, max_length=T)
    return 100 * exact_match([tuple(row) for row in said], [tuple(row[::-1]) for row in x])


def series(seed: int) -> TimeSeries:
    """Return a season with noise."""
    rng = np.random.default_rng(seed)
    return TimeSeries(np.sin(np.arange(40) * np.pi / 3) + 0.1 * rng.standard_normal(40), name="s")


def spec(strategy: str, horizon: int) -> WindowSpec:
    """Return a window fitted on a series."""
    return WindowSpec.fit(series(0), context=6, horizon=horizon, strategy=strategy)


def windows(strategy: str, horizon: int, seed: int, shuffled: bool = False, size: int = N) -> Windows:
    """Return windows of a series; shuffled, of its values in another order."""
    one = series(seed)
    if shuffled:
        one = TimeSeries(np.random.default_rng(9).permutation(one.values), name="s")
    return Windows(one, spec(strategy, horizon), batch_size=8, seed=seed)


def forecast_error(model: Any) -> float:
    """Return the MASE of a forecast."""
    one = series(7)
    found = model.forecast(one.until(-2), 2).mean[0]
    return mase(one.values[-2:], found, one.values[:-2])


def images(seed: int, classes: int, shuffled: bool = False, size: int = N, flat: bool = False) -> Examples:
    """Return pictures whose class is where they are bright."""
    rng = np.random.default_rng(seed)
    y = np.arange(N) % classes
    x = 0.1 * rng.standard_normal((N, 1, 6, 6)).astype(np.float32)
    x[np.arange(N), 0, y] += 1
    y = rng.permutation(y) if shuffled else y
    return Examples(x[:size, 0] if flat else x[:size], y[:size], batch_size=8, seed=seed)


def sums(seed: int, shuffled: bool = False, size: int = N) -> Examples:
    """Return numbers and their mean."""
    x = np.random.default_rng(seed).standard_normal((N, T, 2)).astype(np.float32)
    y = x.mean(axis=(1, 2))
    return Examples(x[:size], y[:: -1 if shuffled else 1][:size], batch_size=8, seed=seed)


def text(seed: int, shuffled: bool = False, size: int = N) -> TextStream:
    """Return a text that repeats itself."""
    ids = np.tile(np.arange(V), 2 * size)
    return TextStream(np.random.default_rng(9).permutation(ids) if shuffled else ids, batch_size=2, steps=6)


def rows(seed: int, shuffled: bool = False, size: int = N) -> Examples:
    """Return rows of tokens, for both directions."""
    x = np.sort(tokens(seed), axis=1)
    x = np.random.default_rng(9).permuted(x, axis=1) if shuffled else x
    return Examples(x[:size], x[:size], lengths=lengths(seed)[:size], batch_size=8, seed=seed)


@dataclass(frozen=True)
class Kind:
    """A kind of model: for a source task and, where that is another, for a target task.

    `build` takes which task it is for ("source" or "target") and a seed; `data` which task, a seed, and options.
    """

    build: Callable[[str, int], Any]
    data: Callable[..., Any]
    core: tuple[str, ...]
    score: Score
    exclude: tuple[str, ...] = ()  # of a copy from one task to the other


def _tags(task: str) -> int:
    return 3 if task == "source" else 4


def _tagger(crf: bool, task: str, seed: int) -> SequenceTagger:
    return SequenceTagger(_tags(task), 4, vocab_size=V, bidirectional=True, cell="gru", crf=crf, seed=seed)


def _tagged(task: str, seed: int, **options: Any) -> Examples:
    return tagged(seed, _tags(task), **options)


def _writer(feeding: bool, task: str, seed: int) -> Seq2Seq:
    return Seq2Seq(V, 4, vocab_size=V, cell="gru", attention="additive" if feeding else "general",
                   input_feeding=feeding, seed=seed)  # fmt: skip


def _forecaster(strategy: str, task: str, seed: int) -> Forecaster:
    return Forecaster(spec(strategy, 2 if task == "source" else 3), 4, cell="gru", seed=seed)


def _windows(strategy: str, task: str, seed: int, **options: Any) -> Windows:
    return windows(strategy, 2 if task == "source" else 3, seed, **options)


def _conv(task: str, seed: int) -> ConvClassifier:
    return ConvClassifier(_tags(task), (1, 6, 6), channels=(2, 3), seed=seed)


def _over_time(task: str, seed: int) -> SequenceClassifier:
    front = {"kind": "over time", "input_size": 6, "channels": [3], "kernel_size": 3}
    return SequenceClassifier(_tags(task), 4, front=front, seed=seed)


def _images(flat: bool, task: str, seed: int, **options: Any) -> Examples:
    return images(seed, _tags(task), flat=flat, **options)


def _same(make: Callable[..., Any], task: str, seed: int, **options: Any) -> Any:
    return make(seed, **options)


def _model(kind: type, arguments: tuple[int, ...], options: tuple[tuple[str, Any], ...], task: str, seed: int) -> Any:
    return kind(*arguments, **dict(options), seed=seed)


EMBEDDED = ("embedding.*", "rnn.*")
KINDS = {
    "tagger": Kind(partial(_tagger, False), _tagged, EMBEDDED, share_right(tagged(7, 4)), ("head.*",)),
    "tagger, chain": Kind(
        partial(_tagger, True), _tagged, EMBEDDED, share_right(tagged(7, 4)), ("head.*", "crf.*")
    ),
    "sequence to sequence": Kind(
        partial(_writer, False), partial(_same, pairs), EMBEDDED, Score("exact in %", written)
    ),
    "sequence to sequence, fed": Kind(
        partial(_writer, True), partial(_same, pairs), ("embedding.*", "rnn.*", "bridge.*", "decoder.*"),
        mean_loss(pairs(7)),
    ),
    "forecaster": Kind(
        partial(_forecaster, "multioutput"), partial(_windows, "multioutput"), ("rnn.*",),
        Score("MASE", forecast_error, higher_is_better=False), ("head.*",),
    ),
    "forecaster, fed back": Kind(
        partial(_forecaster, "recursive"), partial(_windows, "recursive"), ("rnn.*",),
        Score("MASE", forecast_error, higher_is_better=False),
    ),
    "convolutions": Kind(_conv, partial(_images, False), ("conv.*",), share_right(images(7, 4)), ("head.*",)),
    "convolutions, then a core": Kind(
        _over_time, partial(_images, True), ("conv.*", "rnn.*"), share_right(images(7, 4, flat=True)), ("head.*",)
    ),
    "two language models": Kind(
        partial(_model, BidirectionalLanguageModel, (V, 4), (("num_layers", 1),)), partial(_same, rows),
        ("embedding.*", "forward.*", "backward.*"), perplexity(rows(7)),
    ),
    "regressor": Kind(
        partial(_model, SequenceRegressor, (1, 4), (("input_size", 2),)), partial(_same, sums), ("rnn.*",),
        mean_loss(sums(7), "squared error"),
    ),
    "language model": Kind(
        partial(_model, LanguageModel, (V, 4), (("cell", "gru"),)), partial(_same, text), EMBEDDED, perplexity(text(7))
    ),
}  # fmt: skip
