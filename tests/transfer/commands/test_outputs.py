"""What the commands write: any name and label leaves whole, and what can fail is tried before the first step."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import wave
from collections import namedtuple

import numpy as np
import pytest

from rnn_core import SequenceClassifier, cli
from rnn_core.inputs.encoding import Encoding, for_texts
from transfer.commands import run, subject
from transfer.inputs.saved import Saved, load_network, save_network

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")

STRANGE = os.fsdecode(b"caf\xe9")
"""A name that is no UTF-8."""


@pytest.fixture
def model(tmp_path):
    """A network for texts, whose classes have names that a terminal obeys or rich replaces."""
    encoding = for_texts(["good bad film"], "word", 9, True, None)
    network = SequenceClassifier(2, 3, vocab_size=len(encoding.tokens), embedding_size=2, seed=0)
    path = tmp_path / f"{STRANGE}.safetensors"
    save_network(network, Saved(("red \x1b[31m", ":bug:"), encoding, "x", "accuracy in %", {}), path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Texts in a folder for each class, with names that are no text."""
    for name in (STRANGE, "a\x1b[2Jb"):
        path = tmp_path / f"new {STRANGE}" / ":bug:" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("good film")
    return tmp_path / f"new {STRANGE}"


def predicted(capsys, *words: object) -> str:
    assert cli.main(["predict", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_names_of_any_kind_are_printed(model, folder, capsys) -> None:
    out = predicted(capsys, model, folder)
    assert ":bug:/caf\\udce9.txt" in out
    assert ":bug:/a\\x1b[2Jb.txt" in out
    assert "\x1b" not in out
    assert "2 examples; " in out


def test_names_of_any_kind_are_written(model, folder, tmp_path, capsys) -> None:
    for suffix in (".csv", ".jsonl"):
        predicted(capsys, model, folder, "--out", tmp_path / f"out {STRANGE}{suffix}")
    table = (tmp_path / f"out {STRANGE}.csv").read_text(encoding="utf-8")
    lines = (tmp_path / f"out {STRANGE}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["example"] for row in rows] == [":bug:/a\\x1b[2Jb.txt", ":bug:/caf\\udce9.txt"]
    assert [json.loads(line)["example"] for line in lines] == [":bug:/a\x1b[2Jb.txt", ":bug:/caf\\udce9.txt"]


def test_what_stands_beside_a_network_is_read_as_it_was(model, tmp_path) -> None:
    network, saved = load_network(str(model))
    assert saved.classes == ("red \x1b[31m", ":bug:")
    save_network(network, saved, tmp_path / "again.safetensors")
    assert load_network(str(tmp_path / "again.safetensors"))[1].encoding.as_dict() == saved.encoding.as_dict()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("model", "--out must be a file .csv or .jsonl"),
        ("new.csv", "--out must be another file than MODEL and PATH, got 'new.csv'"),
        ("nowhere/x.csv", "--out must be a file .csv or .jsonl in a folder that exists"),
        ("folder.csv", "--out: path must be a file, got 'folder.csv', a folder or device"),
        ("n" * 300 + ".csv", "can't be written: File name too long"),
    ],
)
def test_an_out_that_cannot_be_is_refused_before_anything_is_read(out, message, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "new.csv").write_text("text\ngood\n")
    assert cli.main(["predict", "model.safetensors", "new.csv", "--out", out]) == 2  # there is no such model
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (tmp_path / "new.csv").read_text() == "text\ngood\n"


@pytest.mark.parametrize("suffix", [".WAV", ".wav", ".Wav"])
def test_folders_of_sounds_are_scored_however_their_names_are_spelled(suffix, tmp_path, capsys) -> None:
    encoding = Encoding("waveforms", frame=4, rate=8000, mean=(0.0,) * 4, scale=(1.0,) * 4)
    network = SequenceClassifier(2, 3, input_size=4, seed=0)
    saved = Saved(("hum", "hiss"), encoding, "x", "balanced accuracy in %", {})
    save_network(network, saved, tmp_path / "m.safetensors")
    for name in ("hum", "hiss"):
        (tmp_path / "new" / name).mkdir(parents=True)
        with wave.open(str(tmp_path / "new" / name / f"0{suffix}"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(np.arange(32, dtype="<i2").tobytes())
    out = predicted(capsys, tmp_path / "m.safetensors", tmp_path / "new")
    assert "2 examples; 1 told as the file has them, 50.0 %; balanced accuracy, as in the run: 50.0 %" in out


@pytest.fixture
def data(tmp_path):
    """A table of texts in a folder whose name is no text."""
    folder = tmp_path / STRANGE
    folder.mkdir()
    rows = "".join(f"{'good' if k % 2 else 'bad'} film,{'yes' if k % 2 else 'no'}\n" for k in range(24))
    (folder / "a.csv").write_text(f"text,label\n{rows}")
    return folder / "a.csv"


def test_a_run_into_a_folder_whose_name_is_no_text(data, tmp_path, capsys) -> None:
    out = tmp_path / f"runs {STRANGE}"
    words = ["--source", data, "--target", data, "--quick", "--workers", 1, "--methods", "fine-tuned", "--out", out]
    assert cli.main(["transfer", *map(str, words)]) == 0
    assert "runs caf\\udce9/report.html tells it all" in capsys.readouterr().out
    page = (out / "report.html").read_bytes().decode()
    assert "<h1>From caf\\udce9/a.csv to caf\\udce9/a.csv</h1>" in page
    found = json.loads((out / "results.json").read_bytes().decode())
    assert found["files"]["source"].endswith("caf\\udce9/a.csv")
    assert "24 examples" in predicted(capsys, out / "model.safetensors", data)


@pytest.mark.parametrize("fault", ["room", "network", "folder"])
def test_what_can_fail_is_tried_before_the_first_step(fault, data, tmp_path, capsys, monkeypatch) -> None:
    def trained(*_: object) -> None:
        raise AssertionError("training has begun")

    monkeypatch.setattr(run, "_compute", trained)
    out = tmp_path / "out"
    message = "--out must be a folder that can be written to"
    if fault == "room":
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9e9, 9e9 - 3e6, 3e6))
        message = "--out must have room for about 8 MB, got 3.0 MB free"
    elif fault == "network":

        def refused(*_: object, **__: object) -> None:
            raise ValueError("save: it can't be")

        monkeypatch.setattr(subject, "save_network", refused)
        message = "save: it can't be"
    else:
        out.write_text("a file")
    assert cli.main(["transfer", "--source", str(data), "--target", str(data), "--quick", "--out", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert fault == "folder" or not any(out.iterdir())
