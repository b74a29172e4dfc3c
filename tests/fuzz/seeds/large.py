"""Files that are made to be slow: much of one thing. What is read as it should be takes time as the file is long."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from ..case import Case, one
from ..mutators.archives import npy, zipped
from ..mutators.containers import join, riff
from .sound import PCM

CSV = b"label,text\n"
CLASSES = b"@classLabel true a\n@data\n"
STAMPED = b"@timestamps true\n" + CLASSES


def slow(size: int) -> list[tuple[str, Case]]:
    """Return readers and files of so many bytes, about."""
    return [*_texts(size), *_series(size), *_others(size)]


def _counted(form: str, count: int) -> bytes:
    return "".join(form.format(k) for k in range(count)).encode()


def _texts(size: int) -> list[tuple[str, Case]]:
    row = b'{"text":"a","label":1}\n'
    lists = np.empty(size // 10, object)
    lists[:] = [[1, 2, 3]] * len(lists)
    arrays = [("x_train.npy", npy(lists)), ("y_train.npy", npy(np.zeros(len(lists), np.int64)))]
    tables = (
        CSV + b'"' * size,
        CSV + b'a,"\n' + b"x,y\n" * (size // 4),
        CSV + b"a,b\n" * (size // 4),
        CSV + _counted("{},b\n", size // 7),
        b"label;text\n" + b"a;b\n" * (size // 4),
        b"," * size + CSV + b"a,b\n",
        b"x" * size,
        b"\n" * size,
    )
    lines = row * (size // len(row)), b'{"text":"a","label":' + b"9" * size, b"{" + b'"a":1,' * (size // 6) + row[1:]
    turns = b'["a"' + b',"a"' * (size // 4) + b"]\n", b'{"turns":[{"speaker":"A","text":"a"}]}\n' * (size // 38)
    both = {"a.en": b"a\n" * (size // 4), "a.de": b"a\n" * (size // 4)}
    return [
        *(("dialogues", one("a.jsonl", data)) for data in turns),
        ("pairs: two files", Case(both, "a.en")),
        ("pairs: rows", one("a.csv", b"source,target\n" + b"a,b\n" * (size // 4))),
        *(("texts: tables", one("a.csv", data)) for data in tables),
        *(("texts: JSON Lines", one("a.jsonl", data)) for data in lines),
        ("texts: folders", one("a.txt", b"a\n" * (size // 2), label=None)),
        ("texts: folders", Case({f"{'ab'[k % 2]}/{k}.txt": b"x" for k in range(size // 400)})),
        ("texts: Keras", one("a.npz", zipped(arrays))),
        ("texts: Keras", one("a.npz", zipped([(f"{k}.npy", b"") for k in range(size // 120)]))),
    ]


def _series(size: int) -> list[tuple[str, Case]]:
    tables = b"1\t" * (size // 2) + b"1\n", b"1\t2\n" * (size // 20), b"1\t2\tNaN\tNaN\n1\t2\t3\t4\n" * (size // 40)
    declared = b"@classLabel true " + _counted("{} ", size // 8) + b"\n@data\n" + _counted("1,2:{}\n", size // 40)
    ts = (
        b"@problemName y\n" * (size // 15) + CLASSES + b"1,2:a\n",
        b"# y\n" * (size // 4) + CLASSES + b"1,2:a\n",
        declared,
        CLASSES + b"1:" * (size // 2) + b"a\n",
        CLASSES + b"1," * (size // 2) + b"1:a\n",
        STAMPED + _counted("({0},1),", size // 10) + b"(9999999,1):a\n",
        STAMPED + b"(" * size + b":a\n",
        STAMPED + b"(1,1)" * (size // 5) + b":a\n",
    )
    numeric, target = b"@attribute a numeric\n", b"@attribute t {a,b}\n@data\n"
    relation, long = b"@attribute r relational\n" + numeric + b"@end r\n" + target, b"1\\n" * (size // 3)
    arff = (
        numeric * (size // 21) + target + b"1,a\n",
        numeric + b"@attribute t {" + _counted("{},", size // 8) + b"a}\n@data\n" + b"1,a\n" * 99,
        relation + b"'" + long + b"1',a\n",
        b"@attribute '" + b"\\'" * (size // 2) + b"' numeric\n" + target + b"1,a\n",
    )
    return [
        *(("series: tables", one("a.tsv", data)) for data in tables),
        ("series: tables", one("a.tsv", b"1\t2\tNaN\t3\n" * (size // 20), missing="interpolate")),
        *(("series: .ts", one("a.ts", data)) for data in ts),
        *(("series: ARFF", one("a.arff", b"@relation x\n" + data)) for data in arff),
    ]


def _others(size: int) -> list[tuple[str, Case]]:
    fmt = b"fmt ", None, struct.pack("<HHIIHH", PCM, 1, 8000, 16000, 2, 16)
    chunks = riff([(b"LIST", None, b"")] * (size // 8) + [fmt, (b"data", None, bytes(100))])
    whole = riff([fmt, (b"data", None, bytes(size // 2 * 2))])
    words = b"the " + b"1 " * (size // 2), _counted("w{} 1 2\n", size // 9), b"a b " * (size // 4), b" \n" * (size // 2)
    count = size // 12
    binary = b"%d 1\n" % count + b"".join(b"%07d \0\0\x80?" % k for k in range(count)), b"2 1\n" + b"x" * size
    array = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    told = {"format": "rnn_core", "format_version": "1", "class": "LSTM", "config": "{}"}
    header: dict[str, Any] = {"__metadata__": told, **{f"a{k}": array for k in range(size // 70)}}
    tokens = [f"w{k}" for k in range(size // 10)]
    options = {"level": "word", "num_words": None, "lower": True, "filters": "", "oov": None, "padding": False}
    stored = one("a.safetensors", join(json.dumps(header), b""))
    return [
        *(("waveforms: WAV", Case({"a/b.wav": data})) for data in (chunks, whole)),
        *(("vectors: text", one("a.vec", data)) for data in words),
        *(("vectors: binary", one("a.bin", data)) for data in binary),
        *((name, stored) for name in ("load", "read_arrays", "load_network")),
        ("tokenizer", one("a.json", json.dumps({**options, "tokens": tokens}))),
    ]
