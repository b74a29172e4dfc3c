"""Tables, JSON Lines, folders and lines of texts, and Keras's ``imdb.npz``."""

from __future__ import annotations

import json
import zipfile

import numpy as np

from ..case import Case, one
from ..mutators.archives import npy, zipped

ROWS = [("neg", "bad, very bad"), ("pos", "two\nlines"), ("neg", 'it "was" no café'), ("pos", "good 😀 fun")]


def tables() -> list[Case]:
    """Return tables in each of their clothes."""
    quoted = "label,text\n" + "".join(f'{label},"{text.replace(chr(34), chr(34) * 2)}"\n' for label, text in ROWS)
    plain = "label\ttext\n" + "".join(f"{label}\t{text.splitlines()[0]}\n" for label, text in ROWS)
    numbered = "id,verdict,body\n" + "".join(f"{k},{k % 2},text of row {k}\n" for k in range(12))
    return [
        one("a.csv", quoted),
        one("a.csv", "\ufeff" + quoted.replace("\n", "\r\n")),
        one("a.tsv", plain),
        one("a.csv", numbered, text="body", label="verdict"),
        one("a.csv", numbered, text="body", label=None),
        one("a.csv", quoted.encode("latin-1", "replace"), encoding="latin-1"),
        one("a.tsv", plain + "\n" * 3, label=None),
    ]


def json_lines() -> list[Case]:
    """Return JSON Lines."""
    rows = [{"text": text, "label": label, "more": {"a": [1, None, {"b": []}]}} for label, text in ROWS]
    numbered = [{"text": f"row {k}", "label": k % 3, "score": k / 7} for k in range(9)]
    raw = [{"label": bool(k % 2), "text": f"été {k}"} for k in range(4)]
    return [
        one("a.jsonl", "\n".join(map(json.dumps, rows)) + "\n"),
        one("a.jsonl", "\n".join(map(json.dumps, numbered)) + "\n\n"),
        one("a.ndjson", "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in raw)),
        one("a.jsonl", "\n".join(map(json.dumps, rows)), label=None),
    ]


def folders() -> list[Case]:
    """Return folders of texts, and a file of lines."""
    classes = {"neg/0_2.txt": b"dull", "neg/1.txt": b"very dull", "pos/1_9.txt": b"good\nfun\n", "unsup/2_0.txt": b"?"}
    return [
        Case({**classes, "urls.txt": b"x"}),
        Case({**classes, ".DS_Store": b"\0\1", "neg/._0_2.txt": b"\0\5\x16\7"}),
        Case({"folder/b.txt": b"two\nlines\n", "folder/c/a.txt": "é".encode()}, options={"label": None}),
        one("a.txt", "a line\nanother, with é\n\nand a third\n", label=None),
    ]


def keras() -> list[Case]:
    """Return files as Keras's, with their arrays as this and other versions of NumPy write them."""
    rng = np.random.default_rng(0)
    lists = np.empty(6, object)
    lists[:] = [rng.integers(1, 300, rng.integers(1, 8)).tolist() + [70_000] for _ in range(6)]
    labels = np.array([0, 1, 1, 0, 1, 0])

    def archive(rows: np.ndarray, given: np.ndarray, protocol: int, method: int = zipfile.ZIP_STORED) -> bytes:
        parts = {"x_test": rows, "x_train": rows, "y_test": given, "y_train": given}
        return zipped([(f"{name}.npy", npy(array, protocol)) for name, array in parts.items()], method)

    return [
        *(one("imdb.npz", archive(lists, labels, protocol)) for protocol in (2, 3, 4, 5)),
        one("imdb.npz", archive(lists, labels.astype(np.int32), 3, zipfile.ZIP_DEFLATED), part="test"),
        one("imdb.npz", archive(lists, labels.astype(np.uint8), 4)),
        one("imdb.npz", archive(rng.integers(1, 50, (6, 4)), labels, 4)),
    ]
