"""A user's own files, the command called on them, and what it has written."""

from __future__ import annotations

import csv
import json
import wave

import numpy as np

from rnn_core import SequenceClassifier, cli, load
from rnn_core.weights import read_metadata
from transfer.comparing.data_study import Budget

SHORT = ["--quick", "--workers", "1", "--methods", "fine-tuned"]
TINY = Budget(source_updates=4, target_updates=4)

GOOD, BAD, REST = ["good", "fine", "lovely"], ["bad", "awful", "dull"], ["the", "film", "was", "very", "and", "it"]


def texts(count: int, seed: int, names=("neg", "pos")) -> list[tuple[str, str]]:
    """Draw texts, and whether they are good or bad."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        words = [*rng.choice(REST, rng.integers(2, 6)), rng.choice(GOOD if k % 2 else BAD)]
        rows.append((" ".join(rng.permutation(words)), names[k % 2]))
    return rows


def table(path, rows, names=("text", "label")):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def json_lines(path, rows):
    path.write_text("".join(json.dumps({"text": text, "label": name}) + "\n" for text, name in rows), encoding="utf-8")
    return path


def ucr(path, count: int, seed: int, names=("1", "2", "3"), ragged: bool = False):
    """Write series: waves of a frequency for each class."""
    rng = np.random.default_rng(seed)
    lines = []
    for k in range(count):
        wave_ = 5 + np.sin(np.arange(12) * (0.3 + 0.5 * (k % len(names))) + rng.random() * 6) + rng.normal(0, 0.1, 12)
        values = [f"{value:.4f}" for value in wave_]
        if ragged and k % 3:
            values[-(k % 3) :] = ["NaN"] * (k % 3)
        lines.append("\t".join([names[k % len(names)], *values]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sounds(folder, names, count: int, rate: int = 800):
    rng = np.random.default_rng(len(names))
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            tone = np.sin(np.arange(80 + number) * (0.2 + 0.4 * k) + rng.random() * 6)
            with wave.open(str(folder / name / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, rate, 0, "NONE", ""))
                file.writeframes((tone * 20000).astype("<i2").tobytes())
    return folder


def transferred(capsys, *arguments) -> str:
    """Run the command, which must succeed, and return what it has printed."""
    capsys.readouterr()
    code = cli.main(["transfer", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def refused(capsys, *arguments, command: str = "transfer") -> str:
    """Run the command, which must refuse, and return its one line."""
    capsys.readouterr()
    assert cli.main([command, *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rnn-core {command}: error: ")
    assert error.count("\n") == 1
    return error


def predicted(capsys, *arguments) -> str:
    capsys.readouterr()
    code = cli.main(["predict", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def results(folder) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def beside(folder) -> dict:
    """What stands beside the weights."""
    return json.loads(read_metadata(folder / "model.safetensors")["rnn_core.beside"])


def as_it_was(folder) -> dict:
    """The same as earlier versions wrote it, under a key of its own."""
    now = beside(folder)
    reading = {"vocabulary": None, "rate": None, **now["reading"]}
    encoding = {**reading, "mean": [], "scale": [], "tokenizer": now["tokenizer"]}
    return {"version": 1, "classes": now["classes"], **now["record"], "encoding": encoding}


def bare(path) -> SequenceClassifier:
    """The same network, with nothing beside its weights."""
    found = load(path)
    twin = SequenceClassifier(**found.config)
    twin.load_state_dict(found.state_dict())
    return twin
