"""A run that is stopped and resumed makes the same network, to the bit; and nothing is begun afresh by accident."""

from __future__ import annotations

import json
import os
import signal
from itertools import count

import pytest

from rnn_core import cli, load, save
from rnn_core.commands.training import run as training
from rnn_core.tasks.catalogue import tasks
from rnn_core.training.run import Run

from .made import TINY, corpus, done, months, pairs, refused, reviews, tagged, talks, tree, waves

KINDS = {
    "classify": (reviews, "d.csv", ("--dropout", "0.3")),
    "series": (waves, "d.tsv", ("--precision", "bfloat16")),
    "language": (corpus, "d.txt", ("--steps", "10", "--batch-size", "4")),
    "tag": (tagged, "d.conll", ("--crf", "--batch-size", "4")),
    "translate": (pairs, "d.csv", ("--dropout", "0.2", "--batch-size", "4")),
    "reply": (talks, "d.jsonl", ("--batch-size", "4")),
    "forecast": (months, "d.csv", ("--horizon", "4", "--context", "8", "--season", "6")),
}
"""By name, what writes the data, their file, and options."""


def words(kind: str, data, out) -> list[str]:
    task = "classify" if kind == "series" else kind
    return ["train", task, "--data", str(data), "--out", str(out), *TINY, "--batch-size", "8", *KINDS[kind][2]]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Let nothing be drawn, which takes longer than the networks here."""
    monkeypatch.setattr("rnn_core.commands.training.report.find_spec", lambda name: None)


def data_of(kind: str, folder):
    write, name, _ = KINDS[kind]
    return write(folder / name)


def stopped_at(monkeypatch, step: int, stop) -> None:
    """Let a run end in the middle of an update."""
    steps, whole = count(1), Run.step

    def counted(self: Run) -> None:
        if next(steps) == step:
            stop()
        whole(self)

    monkeypatch.setattr(Run, "step", counted)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def crashed() -> None:
    raise RuntimeError("the lights go out")


def test_every_task_is_stopped_here() -> None:
    assert {*KINDS} - {"series"} == set(tasks())


@pytest.mark.parametrize(
    ("kind", "stop"),
    [*((kind, killed) for kind in KINDS), ("classify", crashed)],
    ids=lambda it: getattr(it, "__name__", it),
)
def test_a_run_that_was_stopped_is_resumed_to_the_same_bits(kind, stop, tmp_path, capsys, monkeypatch) -> None:
    data = data_of(kind, tmp_path)
    done(capsys, *words(kind, data, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        stopped_at(patch, 4, stop)
        code = cli.main([*words(kind, data, tmp_path / "part"), "--checkpoint-every", "2"])
    said = capsys.readouterr().err
    assert code == (130 if stop is killed else 2)
    if stop is killed:
        assert said.startswith("rnn-core train: interrupted in step ")
        assert said.endswith("--checkpoint-every 2 --resume` goes on\n")
    assert not (tmp_path / "part" / "model.safetensors").exists()
    done(capsys, *words(kind, data, tmp_path / "part"), "--checkpoint-every", "2", "--resume")
    whole, part = (tree(tmp_path / name) for name in ("whole", "part"))
    assert part["model.safetensors"] == whole["model.safetensors"]
    ours, theirs = (json.loads(found["results.json"]) for found in (part, whole))
    for found in (ours, theirs):
        for record in found["history"]["records"]:
            del record["seconds"]
    assert ours["history"] == theirs["history"]
    assert ours["scores"] == theirs["scores"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_a_user_s_goes_through_all_commands(kind, tmp_path, capsys) -> None:
    """And the network that was saved is the one that is loaded, with all that stands beside it."""
    data, out = data_of(kind, tmp_path), tmp_path / "out"
    done(capsys, *words(kind, data, out))
    model = out / "model.safetensors"
    done(capsys, "evaluate", model, data, "--json", tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["scores"]
    done(capsys, "predict", model, data, "--out", tmp_path / "p.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows
    assert all(row.keys() == rows[0].keys() for row in rows)
    save(load(model), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_every_task_trains_in_bfloat16(kind, tmp_path, capsys) -> None:
    """The file says so, and whoever uses it need not."""
    data, out = data_of(kind, tmp_path), tmp_path / "out"
    done(capsys, *words(kind, data, out), "--precision", "bfloat16", "--epochs", 1)
    model = load(out / "model.safetensors")
    assert model.config["precision"] == "bfloat16"
    assert {array.dtype.name for array in model.parameters.values()} == {"float32"}


def test_more_epochs_go_on_from_a_run_that_is_done(tmp_path, capsys) -> None:
    data = reviews(tmp_path / "d.csv")
    done(capsys, *words("classify", data, tmp_path / "long"), "--epochs", 4)
    done(capsys, *words("classify", data, tmp_path / "short"))
    done(capsys, *words("classify", data, tmp_path / "short"), "--epochs", 4, "--resume")
    assert tree(tmp_path / "long")["model.safetensors"] == tree(tmp_path / "short")["model.safetensors"]


@pytest.fixture
def unfinished(tmp_path, capsys, monkeypatch):
    data = reviews(tmp_path / "d.csv")
    with monkeypatch.context() as patch:
        stopped_at(patch, 6, killed)
        assert cli.main(words("classify", data, tmp_path / "out")) == 130
    capsys.readouterr()
    return data, tmp_path / "out"


def test_an_unfinished_run_is_not_begun_afresh_by_accident(unfinished, capsys) -> None:
    data, out = unfinished
    before = tree(out)
    said = refused(capsys, *words("classify", data, out))
    assert "--out must be a folder without an unfinished run" in said
    assert "--resume goes on with it, --overwrite begins afresh" in said
    assert tree(out) == before
    done(capsys, *words("classify", data, out), "--overwrite")
    assert (out / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rate", "0.5"), "--rate was 0.02 and is 0.5"),
        (("--bidirectional",), "--bidirectional was left out and is given"),
        (("--cell", "gru"), "--cell was left out and is 'gru'"),
        (("--precision", "bfloat16"), "--precision was left out and is 'bfloat16'"),
    ],
)
def test_another_run_is_not_resumed(options, message, unfinished, capsys) -> None:
    data, out = unfinished
    before = tree(out)
    said = refused(capsys, *words("classify", data, out), *options, "--resume")
    assert message in said
    assert "undo the change, or begin afresh with --overwrite" in said
    assert tree(out) == before


def test_other_examples_are_not_trained_on_further(unfinished, capsys) -> None:
    data, out = unfinished
    rows = data.read_text().splitlines()
    rows[20] = rows[20].replace(rows[20].split()[0], "other", 1)  # neither the first nor the last batch need have it
    data.write_text("\n".join(rows) + "\n")
    before = tree(out)
    assert "the examples are others, or read in another way" in refused(
        capsys, *words("classify", data, out), "--resume"
    )
    assert tree(out) == before


def test_there_must_be_something_to_resume(tmp_path, capsys) -> None:
    data = reviews(tmp_path / "d.csv")
    said = refused(capsys, *words("classify", data, tmp_path / "none"), "--resume")
    assert "--resume must find a run that was interrupted, got none in" in said
    assert not (tmp_path / "none").exists()
    said = refused(capsys, *words("classify", data, tmp_path / "none"), "--resume", "--overwrite")
    assert "--overwrite must be left out with --resume" in said


@pytest.mark.parametrize("damage", [b"", b"[]", b"{", b'{"version": 2}', b'{"a": 1, "a": 2}'])
def test_a_damaged_note_on_the_run_is_refused(damage, unfinished, capsys) -> None:
    data, out = unfinished
    (out / "checkpoint" / "run.json").write_bytes(damage)
    before = tree(out)
    assert "--resume" in refused(capsys, *words("classify", data, out), "--resume")
    assert tree(out) == before


def test_a_damaged_checkpoint_is_refused(unfinished, capsys) -> None:
    data, out = unfinished
    last = out / "checkpoint" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-8])
    before = tree(out)
    assert "last.safetensors" in refused(capsys, *words("classify", data, out), "--resume")
    assert tree(out) == before


def test_a_disk_that_fills_up_leaves_the_old_results(tmp_path, capsys, monkeypatch) -> None:
    data = reviews(tmp_path / "d.csv")
    done(capsys, *words("classify", data, tmp_path / "out"))
    before = {name: data for name, data in tree(tmp_path / "out").items() if not name.startswith("checkpoint")}

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    saves = count(1)
    whole = training.save
    monkeypatch.setattr(training, "save", lambda *a, **o: whole(*a, **o) if next(saves) == 1 else full())
    refused(capsys, *words("classify", data, tmp_path / "out"), "--overwrite", "--seed", 1)
    after = {name: data for name, data in tree(tmp_path / "out").items() if not name.startswith("checkpoint")}
    assert after == before
