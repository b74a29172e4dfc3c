"""`rnn-core transfer` and `rnn-core predict`: a user's own files from the first line to the last prediction."""

from __future__ import annotations

import csv
import io
import json
import shutil
from argparse import Namespace
from dataclasses import replace

import numpy as np

from rnn_core import cli
from rnn_core.inputs.encoding import OOV, Encoding
from rnn_core.inputs.facts import words_of
from rnn_core.inputs.reading import Raw
from rnn_core.tasks.classify import Classify, Learned
from transfer.commands import asked, run, subject
from transfer.inputs.gathering import Wanted, gather

from .made import SHORT, TINY, beside, predicted, refused, results, table, texts, transferred


def test_everything_is_written(finished) -> None:
    names = {path.name for path in (finished / "out").iterdir()}
    assert names == {"report.html", "results.json", "differences.png", "saliency.png", "model.safetensors"}
    page = (finished / "out" / "report.html").read_text(encoding="utf-8")
    assert "reviews.csv" in page
    assert "the numbers mean nothing" in page


def test_the_usual_methods_are_compared(finished) -> None:
    found = results(finished / "out")
    methods = [arm["name"] for arm in found["comparison"]["protocol"]["arms"]]
    assert methods == list(asked.USUAL)
    assert found["unsuited"] == {}
    assert found["sides"]["test"]["classes"] == {"down": 15, "up": 17}
    assert found["sides"]["target"]["tokens that the source knows, %"] == 100
    assert set(found["hints"]) == {
        "H-score, source's core", "H-score, fresh core", "LogME, source's core", "LogME, fresh core",
        "LEEP, source's answers",
    }  # fmt: skip
    assert set(found["saliency"]) == {"before transfer", "after transfer"}
    assert found["command"].startswith("rnn-core transfer --source ")
    assert "--quick" in found["command"]


def test_what_is_saved_predicts_as_well_as_it_was_said_to(finished, capsys) -> None:
    """The same numbers come out of a file that was read anew, by other code, as came out of the run."""
    score = results(finished / "out")["saved"]["scores"]["test"]
    out = predicted(capsys, finished / "out" / "model.safetensors", finished / "test.jsonl")
    assert f"{score:.1f} %" in out
    assert beside(finished / "out")["record"]["scores"]["test"] == score


def test_a_balanced_run_is_counted_as_it_was_scored(finished, tmp_path, capsys) -> None:
    rows = [(text, name) for text, name in texts(300, 3) if name == "neg"][:100] + texts(11, 4)
    table(tmp_path / "b.csv", rows)
    out = transferred(
        capsys, "--source", finished / "reviews.csv", "--target", tmp_path / "b.csv", "--test", tmp_path / "b.csv",
        "--balanced", "--updates", 60, *SHORT, "--out", tmp_path / "out",
    )  # fmt: skip
    score = results(tmp_path / "out")["saved"]["scores"]["test"]
    assert f"has {score:.1f} % balanced accuracy on the test examples" in out
    out = predicted(capsys, tmp_path / "out" / "model.safetensors", tmp_path / "b.csv")
    assert f"balanced accuracy, as in the run: {score:.1f} %" in out


def test_no_half_of_a_digit_is_rounded_another_way() -> None:
    """100 · (49 / 80) is a little more than 100 · 49 / 80, and both would be printed."""
    how = Learned(Encoding("ids", vocabulary=2), ("a", "b"), None, "accuracy in %")
    answers = np.tile([1.0, 0.0], (80, 1))
    raw = Raw("ids", 80 * [None], np.repeat([0, 1], [49, 31]), ("a", "b"), ())
    (said,) = Classify().remarks(how, raw, answers, Namespace())
    assert said.endswith(f"has them, {100 * float((raw.labels == 0).mean()):.1f} %")
    foreign = replace(raw, classes=("a", "c"))
    assert "the network does not know are never said: 'c'" in Classify().remarks(how, foreign, answers, Namespace())[0]


def test_predictions_without_classes_are_printed_and_written(finished, tmp_path, capsys) -> None:
    model = finished / "out" / "model.safetensors"
    rows = [(text,) for text, _ in texts(45, 5)]
    table(tmp_path / "new.csv", rows, names=("text",))
    (tmp_path / "lines.txt").write_text("\n".join(text for (text,) in rows) + "\n", encoding="utf-8")
    out = predicted(capsys, model, tmp_path / "new.csv")
    assert "and 5 more; --out writes them all" in out
    assert "45 examples; the file has no classes to compare with" in out
    answers = []
    for file, written in (("new.csv", "a.csv"), ("lines.txt", "b.jsonl")):
        predicted(capsys, model, tmp_path / file, "--out", tmp_path / written)
        text = (tmp_path / written).read_text(encoding="utf-8")
        found = csv.DictReader(io.StringIO(text)) if written == "a.csv" else map(json.loads, text.splitlines())
        answers.append([(row["class"], float(row["probability"])) for row in found])
    assert answers[0] == answers[1]
    assert {name for name, _ in answers[0]} <= {"down", "up"}


def test_classes_of_another_name_are_not_counted_as_wrong(finished, capsys) -> None:
    out = predicted(capsys, finished / "out" / "model.safetensors", finished / "reviews.csv")
    assert "the file's classes, 'neg', 'pos', are none of the network's" in out


def test_the_tokenizer_has_not_seen_the_test(finished) -> None:
    tokens = beside(finished / "out")["tokenizer"]["tokens"]
    assert tokens[0] == OOV
    assert "lovely" in tokens
    assert "unheard" not in tokens
    assert results(finished / "out")["sides"]["test"]["unknown tokens, %"] > 0
    notes = results(finished / "out")["notes"]
    assert any("1 of the target's texts hold no token" in note for note in notes)


def test_a_saved_model_is_a_source_and_rows_go_by_token(finished, tmp_path, capsys) -> None:
    table(tmp_path / "more.csv", [(f"new {text}", name) for text, name in texts(30, 6)])
    model = finished / "out" / "model.safetensors"
    wanted = Wanted(str(tmp_path / "more.csv"), source_model=str(model))
    study = gather(wanted, TINY).study
    target = study.build(0)
    study.copy(study.source, target)
    theirs, ours = words_of(study.source_tokens), words_of(study.target.tokens)
    assert theirs != ours
    for token in ("good", "film"):
        row = target.parameters["embedding.weight"][ours.index(token)]
        np.testing.assert_array_equal(row, study.source.parameters["embedding.weight"][theirs.index(token)])
    out = transferred(
        capsys, "--source-model", model, "--target", tmp_path / "more.csv", "--quick", "--workers", 1, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert "not used here: shuffled labels: a trained model has no labels to shuffle" in out
    assert results(tmp_path / "out")["files"]["source model"] == str(model)


def test_an_existing_folder_is_only_overwritten_when_told_to(finished, tmp_path, capsys, monkeypatch) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    before = (tmp_path / "out" / "results.json").read_bytes()
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    error = refused(capsys, *arguments, "--out", tmp_path / "out")
    assert "must be a folder without results" in error
    assert "--overwrite" in error
    assert (tmp_path / "out" / "results.json").read_bytes() == before
    transferred(capsys, *arguments, "--out", tmp_path / "out", "--overwrite")
    assert (tmp_path / "out" / "results.json").read_bytes() != before


def test_an_interrupted_run_writes_no_results(finished, tmp_path, capsys, monkeypatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "compare", interrupt)
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    assert cli.main(["transfer", *map(str, arguments), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.startswith("rnn-core transfer: interrupted; no results were written, 0 runs of the")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kept"]


def test_a_disk_that_fills_up_leaves_the_old_results(finished, tmp_path, capsys, monkeypatch) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(*args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(subject, "save_network", full)
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    assert "No space left" in refused(capsys, *arguments, "--overwrite", "--out", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_too_little_memory_is_said_in_a_line(finished, tmp_path, capsys) -> None:
    arguments = ["--source", finished / "reviews.csv", "--target", finished / "tweets.jsonl", *SHORT]
    error = refused(capsys, *arguments, "--hidden-size", 10**7, "--out", tmp_path / "out")
    assert "there must be memory enough, got Unable to allocate" in error
