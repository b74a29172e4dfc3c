"""Models of other programs: Keras's files and ONNX, where h5py and onnx are installed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rnn_core import GRU, LanguageModel, Linear, SequenceClassifier
from rnn_core.variants import PeepholeLSTM, ResetBeforeGRU
from tests.rnn_core.keras import by_hand

from ..case import Case, another, one
from ..mutators.archives import zipped


def keras() -> list[Case]:
    """Return files of Keras's, of either kind and of every layer, and what is none; nothing without h5py."""
    with contextlib.suppress(ImportError):
        tagger = [
            by_hand.embedding(9, 2, mask_zero=True), by_hand.both_ways("GRU", 2, 2, "sum", return_sequences=True),
            by_hand.dense(2, 2, "softmax"),
        ]  # fmt: skip
        series = [by_hand.both_ways("SimpleRNN", 2, 2, activation="relu"), by_hand.dense(4, 1)]
        before = [by_hand.recurrent("GRU", 2, 2, reset_after=False, go_backwards=True), by_hand.dense(2, 2, "tanh")]
        small = by_hand.document(9, 2, 2)
        cases = []
        for layers, first in ((small, None), (tagger, [None, None]), (series, [None, 5, 2]), (before, None)):
            cases.append(one("model.h5", _written(by_hand.write_h5, layers, first)))
            cases.append(one("model.keras", _written(by_hand.write_keras, layers, first)))
        straight = _written(by_hand.write_keras, small, None, _functional(small))
        alone = by_hand.archive_of(small)
        archives = [("config.json", b"{}"), ("model.weights.h5", alone)]
        others = [another("a.weights.h5", alone), another("a.keras", zipped(archives)), another("a.h5", "")]
        return [*cases, one("model.keras", straight), *others]
    return []


def onnx() -> list[Case]:
    """Return files of ONNX's, with every operator that layers of ours are written in; nothing without onnx."""
    with contextlib.suppress(ImportError):
        from rnn_core.formats import export_onnx

        small = {"hidden_size": 2, "backend": "numpy", "seed": 0}
        targets = (
            GRU(2, 2, num_layers=2, bidirectional=True, backend="numpy", seed=0),
            PeepholeLSTM(2, 2, backend="numpy", seed=0),
            ResetBeforeGRU(2, 2, batch_first=True, backend="numpy", seed=0),
            Linear(2, 2, seed=0),
            LanguageModel(vocab_size=5, **small),
            SequenceClassifier(3, vocab_size=5, embedding_size=2, bidirectional=True, **small),
            SequenceClassifier(3, input_size=2, cell="rnn", pooling="mean", **small),
        )
        files = [one("model.onnx", _written(_export(export_onnx), target)) for target in targets]
        return [*files, another("a.onnx", ""), another("a.onnx", "\x80\x04\x95 pickled")]
    return []


def _export(export: Callable[..., Any]) -> Callable[..., Any]:
    return lambda path, target: export(target, path)


def _written(write: Callable[..., Any], *arguments: Any) -> bytes:
    """Return what a function writes to a path, which is its first argument."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        write(path, *arguments)
        return path.read_bytes()


def _functional(layers: Any) -> dict[str, Any]:
    """Return the description of the same model as a functional one."""
    entries = by_hand.described(layers, modern=True)["config"]["layers"]
    given = {"name": "given", "batch_shape": [None, None], "dtype": "float32"}
    first: dict[str, Any] = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None,
                             "config": given, "inbound_nodes": [], "name": "given"}  # fmt: skip
    before = "given"
    for entry in entries:
        tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
        before = entry["name"] = entry["config"]["name"]
        entry["inbound_nodes"] = [{"args": [tensor], "kwargs": {"training": False, "mask": None}}]
    config = {"name": "functional", "layers": [first, *entries], "input_layers": [["given", 0, 0]],
              "output_layers": [[before, 0, 0]]}  # fmt: skip
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}
