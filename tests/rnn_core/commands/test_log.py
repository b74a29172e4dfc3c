"""``rnn-core train --log``: curves in files, by their ending; and a folder that stands for the network in it."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from .made import TINY, done, refused, reviews


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Let nothing be drawn, which takes longer than the networks here."""
    monkeypatch.setattr("rnn_core.commands.training.report.find_spec", lambda name: None)


def test_curves_are_written_and_the_folder_predicts(tmp_path, capsys):
    data, out = reviews(tmp_path / "d.csv"), tmp_path / "out"
    words = ["train", "classify", "--data", str(data), *TINY, "--out", str(out)]
    done(capsys, *words, "--log", str(tmp_path / "curves.csv"))
    with open(tmp_path / "curves.csv", encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    done(capsys, "predict", str(out), str(data))

    log = tmp_path / "curves.jsonl"
    done(capsys, *words, "--overwrite", "--log", str(log))
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize(
    ("name", "said"), [("curves.txt", r"--log must end in .csv or .jsonl"), ("old.csv", "--log must be a new file")]
)
def test_a_log_that_can_not_be_is_refused_before_anything_is_read(name, said, tmp_path, capsys):
    (tmp_path / "old.csv").write_text("mine")
    words = ["train", "classify", "--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out")]
    assert said in refused(capsys, *words, "--log", str(tmp_path / name))
    assert (tmp_path / "old.csv").read_text() == "mine"
    assert not (tmp_path / "out").exists()


def test_without_a_writer_a_folder_says_what_to_install(tmp_path, capsys, monkeypatch):
    for name in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    words = ["train", "classify", "--data", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out")]
    assert "rnn_core[tensorboard]" in refused(capsys, *words, "--log", f"{tmp_path / 'events'}/")
