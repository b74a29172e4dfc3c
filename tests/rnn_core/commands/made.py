"""Tiny files of a user's, and the commands called on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rnn_core import cli

WORDS = ["the", "film", "was", "and", "it", "a", "very", "story", "of"]
GOOD, BAD = ["good", "fine", "great", "lovely", "superb"], ["bad", "dull", "poor", "awful", "weak"]

TINY = ("--hidden-size", "4", "--epochs", "2", "--rate", "0.02")
"""A network that trains in no time, whose numbers mean nothing."""


def reviews(path: Path, count: int = 40, seed: int = 0, labels: tuple[str, str] = ("neg", "pos")) -> Path:
    """Write a table of texts, of which one word in three tells the class."""
    rng = np.random.default_rng(seed)
    rows = ["text,label"]
    for k in range(count):
        words = [*rng.choice(WORDS, 4), *rng.choice(GOOD if k % 2 else BAD, 2)]
        rows.append(f"{' '.join(rng.permutation(words))},{labels[k % 2]}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def counts(path: Path, count: int = 40, seed: int = 0) -> Path:
    """Write a table of texts and numbers: how often "good" stands there, and a bit."""
    rng = np.random.default_rng(seed)
    rows = ["text,label"]
    for _ in range(count):
        n = int(rng.integers(0, 6))
        words = rng.permutation([*rng.choice(WORDS, 4), *["good"] * n])
        rows.append(f"{' '.join(words)},{n + rng.random() / 4:.4f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def waves(path: Path, count: int = 24, seed: int = 0, names: tuple[str, ...] = ("1", "2")) -> Path:
    """Write series as the UCR archive has them: slow waves and fast ones."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        series = np.sin(np.arange(12) * (0.4 + 0.6 * (k % len(names))) + rng.random()) + 0.1 * rng.normal(size=12)
        rows.append("\t".join([names[k % len(names)], *(f"{value:.4f}" for value in series)]))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def corpus(path: Path, times: int = 30) -> Path:
    """Write a text."""
    path.write_text("The cat sat on the mat, and the dog lay on the rug.\n" * times, encoding="utf-8")
    return path


def tagged(path: Path, count: int = 20, seed: int = 0) -> Path:
    """Write sentences in columns, as the CoNLL shared tasks do."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        words = rng.choice([*WORDS, "Anna", "Peter"], 5)
        sentences.append("\n".join(f"{word} {'B-PER' if word[0].isupper() else 'O'}" for word in words))
    path.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return path


def pairs(path: Path, count: int = 20, seed: int = 0) -> Path:
    """Write a table of texts and their translations, word for word."""
    rng = np.random.default_rng(seed)
    rows = ["source,target"]
    for _ in range(count):
        words = rng.choice(WORDS, 3)
        rows.append(f"{' '.join(words)},{' '.join(word[::-1] for word in words)}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def talks(path: Path, count: int = 20, seed: int = 0) -> Path:
    """Write dialogues."""
    rng = np.random.default_rng(seed)
    turns = [{"turns": [str(rng.choice(GOOD)), str(rng.choice(BAD)), "bye"]} for _ in range(count)]
    path.write_text("".join(json.dumps(one) + "\n" for one in turns), encoding="utf-8")
    return path


def months(path: Path, steps: int = 60) -> Path:
    """Write two series with a season."""
    rows = ["month,a,b"]
    for k in range(steps):
        values = (size + np.sin(np.pi * k / 3) for size in (5, 50))
        rows.append(f"{2010 + k // 12}-{k % 12 + 1:02d}," + ",".join(f"{value:.3f}" for value in values))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def done(capsys, *words: object) -> str:
    """Call a command that must succeed, and return what it said on either stream."""
    code = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def refused(capsys, *words: object, code: int = 2) -> str:
    """Call a command that must not succeed, and return its one line."""
    assert cli.main([str(word) for word in words]) == code
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert "Traceback" not in captured.err
    return captured.err


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder, hidden ones too, by its path there."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
