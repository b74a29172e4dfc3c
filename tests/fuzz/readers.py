"""Every reader: its valid files, what damages them, how it is called, and what must hold of a result."""

from __future__ import annotations

import functools
import inspect
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from rnn_core import formats, load
from rnn_core.data import Tokenizer
from rnn_core.data.files import (
    read_dialogues,
    read_pairs,
    read_series,
    read_tagged,
    read_texts,
    read_time_series,
    read_vectors,
    read_waveforms,
)
from rnn_core.foreign import parse_json
from rnn_core.inputs.encoding import Encoding, for_texts
from rnn_core.inputs.reading import How, Raw, read_to_predict
from rnn_core.training import Adam, fit
from rnn_core.weights import read_arrays, read_metadata
from transfer.comparing.data_study import Budget
from transfer.inputs.gathering import Wanted, gather
from transfer.inputs.saved import load_network

from . import checks
from .case import Case
from .mutators import archives, containers, models, names, raw, trees
from .mutators.raw import Mutator
from .seeds import commands, histories, pairs, series, sound, stored, tagged, texts, vectors
from .seeds import models as others


@dataclass(frozen=True)
class Reader:
    """A reader and what it is tried on.

    Attributes
    ----------
    make : callable
        Makes the valid files.
    read : callable
        Takes a path and options.
    mutators : tuple of Mutator
        Of a file's content: those that know its format; `raw`'s come in addition.
    check : callable
        Takes a result, and returns a complaint or None.
    share : int
        How often it is drawn, beside the others.
    options : tuple of (str, value)
        Options, one of which an input is given now and then.
    names_file : bool
        Whether its errors must name the file. What is handed no file can't, and a command may name the option.
    """

    make: Callable[[], list[Case]]
    read: Callable[[Path, dict[str, Any]], Any]
    mutators: tuple[Mutator, ...]
    check: Callable[[Any], str | None]
    share: int = 1
    options: tuple[tuple[str, Any], ...] = ()
    names_file: bool = True

    def seeds(self) -> list[Case]:
        """Return the valid files, made once."""
        return _made(self.make)


@functools.cache
def _made(make: Callable[[], list[Case]]) -> list[Case]:
    return make()


def _calling(function: Callable[..., Any]) -> Callable[[Path, dict[str, Any]], Any]:
    """Return a reader's call, with options that it doesn't know left out."""
    known = set(inspect.signature(function).parameters)
    return lambda path, options: function(path, **{name: options[name] for name in options if name in known})


def _texts(path: Path, options: dict[str, Any]) -> Any:
    found = _all_texts(path, options)
    if options.get("keep_missing_labels"):  # a class called "null" is no fault where it is asked for
        found = found._replace(classes=tuple(f"kept {name}" for name in found.classes))
    return found


def _two_files(path: Path, options: dict[str, Any]) -> Any:
    return read_pairs(path, path.with_suffix(".de"), **options)


def _network(path: Path, _: dict[str, Any]) -> Any:
    return load_network(str(path))


def _estimator(path: Path, _: dict[str, Any]) -> Any:
    from rnn_core.sklearn import RNNClassifier, RNNForecaster

    return (RNNForecaster if "forecaster" in path.name else RNNClassifier).load(path, backend="numpy")


def _model(name: str) -> Callable[[Path, dict[str, Any]], Any]:
    """Return a reader of another program's models, which is imported once it is called."""
    return lambda path, _: getattr(formats, name)(path, backend="numpy")


def _resume(path: Path, options: dict[str, Any]) -> Any:
    model, data = stored.classifier(), stored.examples()
    given: dict[str, Any] = {"validation": data if options.get("validation") else None, "progress": False}
    return model, fit(model, data, optimizer=Adam(), epochs=2, checkpoint=path, resume=True, **given)


def _to_predict(path: Path, options: dict[str, Any]) -> Any:
    """Read examples as `rnn-core predict` does, for a network of their kind."""
    raw = read_to_predict(str(path), How(**options))
    here = _encoding(raw)
    return (*here.encode(raw), raw.labels, raw.classes)


def _to_transfer(path: Path, options: dict[str, Any]) -> Any:
    """Read examples as `rnn-core transfer` does, as source and as target."""
    how = How(**options)
    wanted = Wanted(str(path), str(path), how=how, source_how=how)
    data = gather(wanted, Budget(source_updates=1, target_updates=1)).study.target
    return data.inputs, data.lengths, data.targets, data.classes


def _encoding(raw: Raw) -> Encoding:
    if raw.kind == "text":
        return for_texts(["some words that are in no text"], "word", None, True, None)
    if raw.kind == "ids":
        return Encoding("ids", vocabulary=100)
    features = raw.rows[0].shape[1]
    return Encoding(raw.kind, mean=(0.0,) * features, scale=(1.0,) * features, rate=raw.rate)


def _tokenizer(path: Path, options: dict[str, Any]) -> Tokenizer:
    return Tokenizer.from_dict(parse_json("Tokenizer", str(path), path.read_bytes()))


_ts_words = raw.words_of(
    "@data", "@DATA", "@classLabel true", "@classLabel  false", "@classlabel true a a", "@targetLabel true",
    "@timestamps true", "@timeStamps", "@missing true", "@missing", "@univariate false", "@dimensions 3",
    "@dimension -1", "@equalLength true", "@seriesLength 1000000000000", "@problemName", "@unheard x", "@", "#", "?",
    "NaN", "(0,1)", "(0,", "(2020-01-01,1.5)", "a", "1,2:a", ":",
)  # fmt: skip
_arff_words = raw.words_of(
    "@relation", "@attribute x numeric", "@attribute target {a,b}", "@attribute x {", "@attribute 'a b' real",
    "@attribute x string", "@attribute r relational", "@end r", "@data", "%", "?", "{0 1, 3 2}", "'a'", "NaN", "{}",
    "1,2,a",
)  # fmt: skip
_json = (trees.as_json_lines, trees.as_json_lines, *raw.TEXT)
_safe = (containers.as_safetensors,)
_table_options = (
    ("label", None), ("text", "label"), ("text", "body"), ("separator", ";"), ("separator", "\t"), ("header", False),
    ("keep_missing_labels", True), ("allow_unlabelled", True), ("encoding", "latin-1"),
    ("part", "test"),
)  # fmt: skip
_pair_options = (
    ("source", "target"), ("separator", ";"), ("header", False), ("encoding", "latin-1"), ("prompt", "reply"),
    ("turns", "messages"), ("text", "role"), ("speaker", "text"),
)  # fmt: skip
_tagged_options = (
    ("token", "2"), ("tag", "1"), ("tag", "-2"), ("tag", "ner"), ("sentence", "1"), ("tagged", False), ("header", True),
    ("separator", " "), ("separator", "\t"), ("comments", "#"), ("multiword", "whole"), ("keep_missing_labels", True),
    ("allow_untagged", True), ("encoding", "latin-1"),
)  # fmt: skip
_series_options = (
    ("missing", "drop"), ("missing", "interpolate"), ("missing", "mask"), ("labelled", False), ("max_steps", 2),
    ("rate", 4000), ("frame", 3), ("encoding", "latin-1"),
)  # fmt: skip
_history_options: tuple[tuple[str, Any], ...] = (
    ("gaps", "missing"), ("stamps", False), ("decimal", ","), ("header", False), ("separator", ";"), ("value", "b"),
    ("known", ["b"]), ("past", ["2"]), ("encoding", "latin-1"),
)  # fmt: skip
_vector_options: tuple[tuple[str, Any], ...] = (
    ("words", ["cat"]),
    ("words", []),
    ("encoding", "latin-1"),
    ("duplicates", "error"),
)
_load_options = (("dtype", "float64"), ("dtype", "float32"), ("backend", "numpy"))
_all_texts, _series, _waveforms, _vectors = map(_calling, (read_texts, read_series, read_waveforms, read_vectors))
_histories = _calling(read_time_series)
_pairs, _dialogues, _tagged = map(_calling, (read_pairs, read_dialogues, read_tagged))

READERS: dict[str, Reader] = {
    "texts: tables": Reader(texts.tables, _texts, raw.TEXT, checks.texts, 3, _table_options),
    "texts: JSON Lines": Reader(texts.json_lines, _texts, _json, checks.texts, 3, _table_options),
    "texts: folders": Reader(texts.folders, _texts, raw.TEXT, checks.texts, 2, _table_options),
    "texts: Keras": Reader(texts.keras, _texts, (archives.as_zip,), checks.texts, 4, _table_options),
    "pairs: rows": Reader(pairs.rows, _pairs, _json, checks.pairs, 2, _pair_options),
    "pairs: two files": Reader(pairs.lines, _two_files, raw.TEXT, checks.pairs, 1),
    "dialogues": Reader(pairs.dialogues, _dialogues, _json, checks.dialogues, 2, _pair_options),
    "tagged: columns": Reader(tagged.columns, _tagged, raw.TEXT, checks.tagged, 2, _tagged_options),
    "tagged: CoNLL-U": Reader(tagged.universal, _tagged, raw.TEXT, checks.tagged, 2, _tagged_options),
    "tagged: JSON Lines": Reader(tagged.objects, _tagged, _json, checks.tagged, 1, _tagged_options),
    "series: tables": Reader(series.tables, _series, raw.TEXT, checks.series, 2, _series_options),
    "series: ARFF": Reader(series.arff, _series, (_arff_words, *raw.TEXT), checks.series, 1, _series_options),
    "series: .ts": Reader(series.ts, _series, (_ts_words, _ts_words, *raw.TEXT), checks.series, 3, _series_options),
    "time series": Reader(histories.tables, _histories, raw.TEXT, checks.histories, 3, _history_options),
    "waveforms: WAV": Reader(sound.waves, _waveforms, (containers.as_riff,), checks.series, 3, _series_options),
    "waveforms: FLAC, OGG": Reader(sound.compressed, _waveforms, raw.RAW, checks.series, 1, _series_options),
    "vectors: text": Reader(vectors.text, _vectors, raw.TEXT, checks.vectors, 2, _vector_options),
    "vectors: binary": Reader(vectors.binary, _vectors, raw.RAW, checks.vectors, 2, _vector_options),
    "vectors: packed": Reader(vectors.gzipped, _vectors, (archives.as_gzip,), checks.vectors, 1, _vector_options),
    "load": Reader(
        lambda: [*stored.weights(), *stored.strangers()], _calling(load), _safe, checks.layer, 4, _load_options
    ),
    "read_arrays": Reader(stored.arrays, _calling(read_arrays), _safe, checks.arrays, 2),
    "read_metadata": Reader(stored.arrays, _calling(read_metadata), _safe, checks.metadata, 1),
    "fit, resumed": Reader(stored.checkpoints, _resume, _safe, checks.resumed, 3),
    "load_network": Reader(stored.networks, _network, _safe, checks.network, 3),
    "estimators": Reader(stored.estimators, _estimator, _safe, checks.estimator, 2),
    "rnn-core predict": Reader(commands.files, _to_predict, commands.DAMAGE, checks.encoded, 2, commands.OPTIONS),
    "rnn-core transfer": Reader(
        commands.files, _to_transfer, commands.DAMAGE, checks.encoded, 2, commands.OPTIONS, False
    ),
    "load_keras": Reader(
        others.keras, _model("load_keras"), (models.as_keras, models.as_keras, archives.as_zip), checks.chain, 4
    ),
    "load_onnx": Reader(others.onnx, _model("load_onnx"), (models.as_onnx,), checks.chain, 4),
    "tokenizer": Reader(stored.tokenizers, _tokenizer, (trees.as_json,), checks.tokenizer, 1, names_file=False),
}
"""By the name under which they are counted."""

BROKEN = (
    ValueError, KeyError, IndexError, AttributeError, TypeError, RuntimeError, EOFError, OSError, struct.error,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What a mutator that knows a format may say to a file that has lost it already."""


def generate(name: str, seed: int, index: int) -> Case:
    """Return an input: the same for the same reader, seed and index."""
    reader = READERS[name]
    rng = Random(f"{seed}/{name}/{index}")
    seeds = reader.seeds()
    of_another_kind = rng.random() < 0.1 and any(case.refused for case in seeds)
    case = rng.choice([case for case in seeds if case.refused == of_another_kind])
    if reader.options and rng.random() < 0.2:
        case = replace(case, options=case.options | dict([rng.choice(reader.options)]))
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        case = _mutated(rng, case, reader)
    return case


def _mutated(rng: Random, case: Case, reader: Reader) -> Case:
    if case.files and rng.random() < (0.3 if len(case.files) > 1 else 0.02):
        return rng.choice((names.rename, names.litter))(rng, case)
    whole = [name for name, content in case.files.items() if isinstance(content, bytes)]
    if not whole:
        return case
    name = case.path if case.path in whole and len(case.files) == 1 else rng.choice(whole)
    content = case.files[name]
    mutator = rng.choice(reader.mutators if rng.random() < 0.8 else raw.RAW)
    try:
        content = mutator(rng, content)
    except BROKEN:
        content = rng.choice(raw.RAW)(rng, content)
    return replace(case, files={**case.files, name: content})


def summary(case: Case) -> str:
    """Return an input's files in one line, shortened."""
    return ", ".join(f"{json.dumps(name)}: {content!r:.60}" for name, content in case.files.items())
