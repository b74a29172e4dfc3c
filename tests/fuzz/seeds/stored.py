"""What the library itself has written: weights, checkpoints, networks of ``rnn-core transfer``, tokenizers."""

from __future__ import annotations

import json
import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as foreign

from rnn_core import GRU, LSTM, RNN, Embedding, LanguageModel, Linear, SequenceClassifier, save
from rnn_core.data import Examples, Tokenizer
from rnn_core.inputs.encoding import Encoding, for_texts
from rnn_core.training import Adam, fit
from transfer import Head, MultiTask
from transfer.inputs.saved import Saved, save_network

from ..case import Case, another, one
from ..mutators import containers
from ..mutators.archives import npy, packed, zipped

FILE = "last.safetensors"


def _written(write: Callable[..., Any], *arguments: Any, **options: Any) -> bytes:
    """Return what a function writes to a path, which is its last argument."""
    with tempfile.TemporaryDirectory() as folder:
        write(*arguments, Path(folder) / FILE, **options)
        return (Path(folder) / FILE).read_bytes()


def weights() -> list[Case]:
    """Return a file of every kind of layer and model."""
    small = {"hidden_size": 3, "backend": "numpy", "seed": 0}
    targets = (
        LSTM(2, 3, num_layers=2, bidirectional=True, backend="numpy", dtype=np.float64, seed=0),
        GRU(2, 3, backend="numpy", seed=0),
        RNN(2, 3, nonlinearity="relu", backend="numpy", seed=0),
        Embedding(5, 2, seed=0),
        Linear(3, 2, seed=0),
        LanguageModel(vocab_size=5, tied=True, **small),
        SequenceClassifier(num_classes=2, input_size=2, cell="gru", **small),
        SequenceClassifier(num_classes=3, vocab_size=7, embedding_size=2, bidirectional=True, **small),
        MultiTask({"a": Head(2), "b": Head(3)}, input_size=2, **small),
    )
    return [
        *(one("a.safetensors", _written(save, target, metadata={"note": "x"})) for target in targets),
        one("a.safetensors", _written(save, targets[6], classes=["a", 7], scaling=([0.5, 1.0], [1.0, 2.0]), task="x")),
    ]


def strangers() -> list[Case]:
    """Return what people take for weights: other programs' files, and what comes instead of a download."""
    pickled = pickle.dumps({"weight": [1.0, 2.0]}, 2)
    return [
        another(
            "a.pt", zipped([("archive/data.pkl", pickled), ("archive/data/0", bytes(8)), ("archive/version", b"3")])
        ),
        another("a.pth", pickled),
        another(
            "a.keras", zipped([("metadata.json", b"{}"), ("config.json", b"{}"), ("model.weights.h5", b"\x89HDF")])
        ),
        another("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(64)),
        another("a.npz", zipped([("weight.npy", npy(np.ones(3)))])),
        another("a.npy", npy(np.ones(3))),
        another("a.onnx", b"\x08\x07\x12\x07pytorch"),
        another("a.gguf", b"GGUF\x03" + bytes(64)),
        another("a.safetensors", ""),
        another("a.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        another("a.safetensors", "<!DOCTYPE html><html><title>Not Found</title></html>"),
        another("a.gz", packed(pickled)),
        *(replace(case, refused=True) for case in _plain()),
        replace(checkpoints()[0], path=FILE, refused=True),
    ]


def arrays() -> list[Case]:
    """Return the same, and files of plain arrays: ours, and another program's."""
    return [*weights(), *_plain()]


def _plain() -> list[Case]:
    dtypes = ("float16", "float64", "bool", "int8", "int64", "uint8", "uint64")
    plain = {**{name: np.ones((2, 1), name) for name in dtypes}, "empty": np.zeros((0, 3)), "scalar": np.float32(1)}
    files = _written(save, plain), foreign({"weight": np.ones((2, 3), np.float32)})
    return [one("a.safetensors", data) for data in files]


def classifier() -> SequenceClassifier:
    """Return the model of the checkpoints, fresh."""
    return SequenceClassifier(num_classes=2, input_size=2, hidden_size=3, backend="numpy", seed=0)


def examples() -> Examples:
    """Return what it is trained on."""
    return Examples(np.random.default_rng(3).normal(size=(6, 4, 2)).astype(np.float32), np.arange(6) % 2, batch_size=3)


def checkpoints() -> list[Case]:
    """Return folders to resume from: with a best epoch and without one, after an epoch and before it."""

    def train(epochs: int, validation: Examples | None, path: Path) -> None:
        given: dict[str, Any] = {"validation": validation, "checkpoint": path.parent, "progress": False}
        fit(classifier(), examples(), optimizer=Adam(), epochs=epochs, **given)

    return [
        Case({FILE: _timeless(_written(train, 1, None))}),
        Case({FILE: _timeless(_written(train, 2, examples()))}, options={"validation": True}),
    ]


def _timeless(data: bytes) -> bytes:
    """Return a checkpoint whose epochs have taken no time, as no two runs take the same."""
    header, body = containers.split(data)
    facts = json.loads(header["__metadata__"]["training"])
    for record in facts["history"]["records"]:
        record["seconds"] = 0.0
    header["__metadata__"]["training"] = json.dumps(facts)
    return containers.sealed(containers.join(json.dumps(header), body))


def networks() -> list[Case]:
    """Return networks with what stands beside them, for texts, ids, series and waveforms."""
    texts = for_texts(["the cat sat", "the dog"], "word", None, True, 20)
    inputs: tuple[tuple[Encoding, dict[str, int]], ...] = (
        (texts, {"vocab_size": len(texts.tokenizer), "embedding_size": 2}),
        (Encoding("ids", vocabulary=9, max_steps=5), {"vocab_size": 9, "embedding_size": 2}),
        (Encoding("series", mean=(0.5, 1.0), scale=(1.0, 2.0)), {"input_size": 2}),
        (Encoding("waveforms", mean=(0.0,) * 4, scale=(1.0,) * 4, frame=4, rate=8000), {"input_size": 4}),
    )
    cases = []
    for encoding, sizes in inputs:
        model = SequenceClassifier(num_classes=2, hidden_size=3, backend="numpy", seed=0, **sizes)
        saved = Saved(("neg", "pos"), encoding, "fresh", "accuracy", {"validation": 0.5, "test": 0.25})
        cases.append(one("model.safetensors", _written(save_network, model, saved)))
        cases.append(one("model.safetensors", _written(save, model, metadata={"transfer": _as_it_was(saved)})))
    return cases


def estimators() -> list[Case]:
    """Return fitted estimators of scikit-learn."""
    from rnn_core.sklearn import RNNClassifier, RNNForecaster

    given: dict[str, Any] = {"cell": "rnn", "hidden_size": 2, "max_iter": 1, "backend": "numpy", "random_state": 0}
    x = np.sin(np.arange(24.0)).reshape(4, 3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch converges to nothing
        classifier = RNNClassifier(**given, class_weight={"no": 2.0}).fit(x, ["no", "no", "yes", "yes"])
        forecaster = RNNForecaster(**given, context=3, horizon=2).fit(np.sin(np.arange(9.0)))
    return [
        one("classifier.safetensors", _written(lambda model, path: model.save(path), classifier)),
        one("forecaster.safetensors", _written(lambda model, path: model.save(path), forecaster)),
    ]


def _as_it_was(saved: Saved) -> str:
    """Return what earlier versions wrote beside a network."""
    return json.dumps({"version": 1, **asdict(saved), "encoding": saved.encoding.as_dict()})


def tokenizers() -> list[Case]:
    """Return tokenizers as JSON."""
    found = (
        Tokenizer("word", oov="<unknown>", padding=False).fit(["the cat sat on the mat"]),
        Tokenizer("char", lower=False, num_words=9).fit("Some text with é and 😀"),
    )
    return [one("tokenizer.json", json.dumps(tokenizer.to_dict())) for tokenizer in found]
