"""``python -m benchmarks.quantized [speed] [accuracy] [--markdown FILE]``: weights in int8 beside float32.

Speed is that of `rnn_core.quantize` beside our float32 and beside torch's dynamic int8, with the largest error of y
against float32 on either side, two threads each. Accuracy is that of trained networks on held-out data, before and
after.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from math import log
from pathlib import Path
from typing import Any

import numpy as np

import rnn_core
from rnn_core import LanguageModel, SequenceClassifier, quantize
from rnn_core.data import Examples, TextStream, Tokenizer
from rnn_core.data.source import Source
from rnn_core.layers.quantized import sizes
from rnn_core.training import Adam, fit

from .machine import processor
from .timing import alternate

SHAPES = (
    (64, 1, 512), (64, 32, 256), (35, 32, 512), (20, 128, 512), (16, 64, 1024),
    (1, 1, 32), (1, 1, 128), (1, 1, 256), (1, 1, 512), (12, 1, 32),
)  # fmt: skip
"""T, B and H; I is H."""

CELLS = ("LSTM", "GRU", "RNN")
TEXT, HELD_OUT = 150_000, 30_000
"""Characters of Python's own language reference."""


def torch_side(torch: Any, cell: str, layer: Any, x: np.ndarray) -> Callable[[], Any] | None:
    """Return a call of torch's dynamic int8 with the same weights; None where torch quantises no such layer."""
    kind = getattr(torch.nn, cell)
    module = kind(layer.input_size, layer.hidden_size).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in layer.state_dict().items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to move to another package
        # torch replaces what a module holds, and never the module itself.
        (made,) = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(module), {kind}, dtype=torch.qint8)
    if type(made) is kind:
        return None
    there = torch.from_numpy(x)

    def call() -> Any:
        with torch.no_grad():
            return made(there)[0].numpy()

    return call


def speed(shapes: tuple[tuple[int, int, int], ...], cells: tuple[str, ...]) -> list[list[str]]:
    """Return a row for each shape and cell."""
    try:
        import torch

        torch.set_num_threads(2)
    except ImportError:
        torch = None
    rows = [["cell", "T, B, H", "int8, ms", "float32 ÷ int8", "torch's int8 ÷ int8", "error: ours", "torch's"]]
    for cell in cells:
        for T, B, H in shapes:
            layer: Any = getattr(rnn_core, cell)(H, H, seed=0)
            twin, x = quantize(layer), np.random.default_rng(0).standard_normal((T, B, H)).astype(np.float32)
            y, call = layer(x)[0], partial(twin, x)
            own = alternate(call, partial(layer, x), pairs=9, block=0.05, budget=4)
            other = None if torch is None else torch_side(torch, cell, layer, x)
            off = _off(call()[0], y)
            row = [cell, f"{T}, {B}, {H}", f"{1e3 * own.ours:.4g}", f"{own.ratio:.2f}", "", f"{off:.4f}", ""]
            if other is not None:
                row[4] = f"{alternate(call, other, pairs=9, block=0.05, budget=4).ratio:.2f}"
                row[6] = f"{_off(other(), y):.4f}"
            rows.append(row)
            print(" | ".join(row), flush=True)
    return rows


def _off(y: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(y - expected).max())


def accuracy() -> list[list[str]]:
    """Return a row for each trained network: what it scores in float32, and in int8."""
    rows = [["network", "measure", "float32", "int8", "bytes", "of"]]
    for cell in ("lstm", "gru", "rnn"):
        for name, measure, model, score in (characters(cell), digits(cell)):
            twin = quantize(model)
            now, before = sizes(twin)
            rows.append([name, measure, f"{score(model):.5g}", f"{score(twin):.5g}", f"{now:,}", f"{before:,}"])
            print(" | ".join(rows[-1]), flush=True)
    return rows


def characters(cell: str) -> tuple[str, str, Any, Callable[[Any], float]]:
    """Return a language model of the reference's characters, and how many bits each of the held-out ones costs."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))[: TEXT + HELD_OUT]
    tokenizer = Tokenizer("char", lower=False, oov="\N{REPLACEMENT CHARACTER}", padding=False).fit(text[:TEXT])
    train, test = tokenizer.encode(text[:TEXT]), tokenizer.encode(text[TEXT:])
    model = LanguageModel(len(tokenizer), 128, embedding_size=64, cell=cell, seed=0)
    fit(model, TextStream(train, batch_size=32, steps=64), optimizer=Adam(3e-3), epochs=5, clip_norm=1.0)
    stream = TextStream(test, batch_size=8, steps=128)
    return f"characters, {cell}, H = 128", "bits a character", model, lambda one: _loss(one, stream) / log(2)


def _loss(model: Any, source: Source) -> float:
    """Return the mean loss of a text, the state carried from batch to batch."""
    state, loss, count = None, 0.0, 0.0
    for k in range(len(source)):
        found = model.evaluate(source.batch(0, k), state=state)
        state, loss, count = found.state, loss + found.loss, count + found.count
    return loss / count


def digits(cell: str) -> tuple[str, str, Any, Callable[[Any], float]]:
    """Return a classifier of scikit-learn's digits, a row of pixels a step, and its share of errors on 600 others."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = (data.images / 16).astype(np.float32), data.target
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[600:], order[:600]
    model = SequenceClassifier(10, 64, input_size=8, cell=cell, seed=0)
    fit(model, Examples(images[train], labels[train]), optimizer=Adam(5e-3), epochs=20)
    return f"digits, {cell}, H = 64", "wrong of 600", model, lambda one: float(
        (one(images[test]).argmax(-1) != labels[test]).sum()
    )


def markdown(rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Print what was asked for, everything without a word."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quantized",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="speed, accuracy; both without a word")
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--only", default="", help="shapes that contain this, such as 'B, H'")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    args = parser.parse_args()
    cells = tuple(args.cells.split(","))
    for given, known in ((args.parts, ("speed", "accuracy")), (cells, CELLS)):
        if unknown := sorted(set(given).difference(known)):
            parser.error(f"{', '.join(unknown)}: there are {', '.join(known)}")
    shapes = tuple(shape for shape in SHAPES if args.only in ", ".join(map(str, shape)))
    if not shapes:
        parser.error(f"--only {args.only!r}: no shape contains it")
    print(processor())
    tables = []
    if not args.parts or "speed" in args.parts:
        tables.append(speed(shapes, cells))
    if not args.parts or "accuracy" in args.parts:
        tables.append(accuracy())
    if args.markdown:
        args.markdown.write_text("\n".join(map(markdown, tables)), encoding="utf-8")


if __name__ == "__main__":
    main()
