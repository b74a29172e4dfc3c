"""``rnn-core train``: what is written, what is said, and what is refused before anything is."""

from __future__ import annotations

import builtins
import importlib.util
import json

import numpy as np
import pytest

from rnn_core import LanguageModel, SequenceClassifier, SequenceRegressor, cli, load
from rnn_core.tasks.catalogue import tasks

from .made import TINY, corpus, counts, done, refused, reviews, tree, waves


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a folder with data, and a run on them in ``out``."""
    folder = tmp_path_factory.mktemp("train")
    reviews(folder / "r.csv", 60)
    reviews(folder / "v.csv", 20, 1)
    reviews(folder / "t.csv", 20, 2)
    words = ["train", "classify", "--data", folder / "r.csv", "--validation", folder / "v.csv", "--test",
             folder / "t.csv", "--hidden-size", 8, "--rate", 0.02, "--epochs", 6, "--out", folder / "out"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0
    return folder


def test_everything_is_written(finished) -> None:
    written = {name for name in tree(finished / "out") if not name.startswith("checkpoint")}
    assert written == {"model.safetensors", "results.json", "report.html", "curves.png", "confusion.png"}


def test_the_results_say_what_was_done(finished) -> None:
    found = json.loads((finished / "out" / "results.json").read_text(encoding="utf-8"))
    assert found["task"] == "classify"
    assert found["command"].startswith("rnn-core train classify --data ")
    assert found["data"]["data"]["examples"] == 60
    assert found["data"]["validation"]["classes"] == {"neg": 10, "pos": 10}
    assert set(found["scores"]) == {"validation", "test"}
    assert len(found["history"]["records"]) <= 6
    assert found["network"]["class"] == "SequenceClassifier"
    assert found["training"]["rate"] == 0.02


def test_what_is_saved_scores_as_it_was_said_to(finished, tmp_path, capsys) -> None:
    found = json.loads((finished / "out" / "results.json").read_text(encoding="utf-8"))
    model = finished / "out" / "model.safetensors"
    for side, file in (("validation", "v.csv"), ("test", "t.csv")):
        done(capsys, "evaluate", model, finished / file, "--json", tmp_path / "e.json")
        scores = json.loads((tmp_path / "e.json").read_text(encoding="utf-8"))["scores"]
        assert scores == pytest.approx(found["scores"][side], rel=1e-12)
    assert found["scores"]["test"]["accuracy in %"] > 80  # one word in three tells


def test_what_a_user_needs_stands_beside_the_weights(finished) -> None:
    model = load(finished / "out" / "model.safetensors")
    assert (model.classes, model.task) == (("neg", "pos"), "classify")
    assert len(model.tokenizer) == model.config["vocab_size"]
    assert model.record["metric"] == "accuracy in %"
    assert model.reading["kind"] == "text"
    assert "seconds" not in json.dumps(model.record)


def test_the_page_has_all_of_it(finished) -> None:
    page = (finished / "out" / "report.html").read_text(encoding="utf-8")
    for heading in ("Data", "Scores", "Learning curves", "Confusion matrix", "Class by class", "Use it"):
        assert f">{heading}</h2>" in page
    assert page.count("data:image/png;base64,") == 2
    assert "<script" not in page
    assert "http" not in page


def test_validation_is_held_out_and_learns_nothing(tmp_path, capsys) -> None:
    """Words that only the validation data have are unknown, and the split is the seed's."""
    rows = [f"word{k} the film,{'pos' if k % 2 else 'neg'}" for k in range(40)]
    (tmp_path / "r.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    done(capsys, "train", "classify", "--data", tmp_path / "r.csv", *TINY, "--out", tmp_path / "a")
    tokens = load(tmp_path / "a" / "model.safetensors").tokenizer.tokens
    assert sum(token.startswith("word") for token in tokens) == 32
    done(capsys, "train", "classify", "--data", tmp_path / "r.csv", *TINY, "--out", tmp_path / "b", "--seed", 1)
    other = load(tmp_path / "b" / "model.safetensors").tokenizer.tokens
    assert set(tokens) != set(other)


def test_it_stops_when_it_gets_no_better_and_keeps_the_best(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)  # labels that nothing tells: soon the validation loss only grows
    rows = [f"{' '.join(rng.choice(list('abcdefghij'), 6))},{rng.choice(['x', 'y'])}" for _ in range(40)]
    (tmp_path / "r.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    words = ("--epochs", 60, "--patience", 2, "--rate", 0.05, "--hidden-size", 16)
    out = done(capsys, "train", "classify", "--data", tmp_path / "r.csv", *words, "--out", tmp_path / "o")
    records = json.loads((tmp_path / "o" / "results.json").read_text())["history"]["records"]
    losses = [record["validation_loss"] for record in records]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 60
    assert f"epoch {best + 1} of {len(losses)} is kept, the best, 2 epochs without a better one" in out
    scores = json.loads((tmp_path / "o" / "results.json").read_text())["scores"]["validation"]
    assert scores["cross-entropy in nats"] == pytest.approx(losses[best], rel=1e-5)


def test_without_validation_the_last_epoch_is_kept(tmp_path, capsys) -> None:
    words = ["--data", reviews(tmp_path / "r.csv"), *TINY, "--validation-share", 0, "--out", tmp_path / "o"]
    out = done(capsys, "train", "classify", *words)
    assert "nothing was held out" in out
    assert "there is nothing to score by" in out
    assert json.loads((tmp_path / "o" / "results.json").read_text())["scores"] == {}


def test_numbers_are_met(tmp_path, capsys) -> None:
    data = counts(tmp_path / "n.csv", 80)
    said = refused(capsys, "train", "classify", "--data", data, "--out", tmp_path / "o")
    assert "got 80 different numbers in 80 examples" in said or "different numbers in 80 examples" in said
    assert "--regression learns to meet them" in said
    assert not (tmp_path / "o").exists()
    words = ("--regression", "--epochs", 20, "--hidden-size", 12, "--rate", 0.02)
    done(capsys, "train", "classify", "--data", data, *words, "--out", tmp_path / "o")
    found = json.loads((tmp_path / "o" / "results.json").read_text())
    assert list(found["scores"]["validation"]) == ["RMSE", "MAE", "R²"]
    assert found["scores"]["validation"]["R²"] > 0.5
    assert (tmp_path / "o" / "numbers.png").exists()
    model = load(tmp_path / "o" / "model.safetensors")
    assert isinstance(model, SequenceRegressor)
    assert model.target_scaling.mean[0] == pytest.approx(2.6, abs=0.6)  # the numbers', of those trained on
    out = done(capsys, "predict", tmp_path / "o" / "model.safetensors", data)
    assert "80 examples; RMSE " in out


def test_a_regression_on_an_arff_compares_with_its_numbers(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    names = ["t0", "t1", "t2", "t3", "t4", "level"]
    head = "".join(f"@attribute {name} numeric\n" for name in names) + "@data\n"
    cases = [[*(level + rng.normal(size=5)), level] for level in rng.normal(size=20)]
    rows = [",".join(f"{value:.3f}" for value in case) for case in cases]
    path = tmp_path / "r.arff"
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    assert "--regression the last numeric attribute" in refused(
        capsys, "train", "classify", "--data", path, "--out", tmp_path / "run"
    )
    done(capsys, "train", "classify", "--data", path, "--regression", *TINY, "--out", tmp_path / "run")
    assert "RMSE" in done(capsys, "predict", tmp_path / "run" / "model.safetensors", path)


def test_series_and_a_regression_on_them(tmp_path, capsys) -> None:
    done(capsys, "train", "classify", "--data", waves(tmp_path / "w.tsv"), *TINY, "--out", tmp_path / "c")
    assert isinstance(load(tmp_path / "c" / "model.safetensors"), SequenceClassifier)
    rows = "".join(f"{k},{k + 1},{k + 2}:{k / 10 + 0.05}\n" for k in range(12))
    (tmp_path / "r.ts").write_text("@targetLabel true\n@data\n" + rows)
    said = refused(capsys, "train", "classify", "--data", tmp_path / "r.ts", "--out", tmp_path / "r")
    assert "line 1, must tell of classes, got @targetLabel true" in said
    assert "classify --regression reads its numbers" in said
    done(capsys, "train", "classify", "--data", tmp_path / "r.ts", "--regression", *TINY, "--out", tmp_path / "r")
    model = load(tmp_path / "r" / "model.safetensors")
    assert len(model.scaling) == model.config["input_size"] == 1


def test_a_text_is_learned_and_goes_on(tmp_path, capsys) -> None:
    words = ("--epochs", 8, "--hidden-size", 24, "--rate", 0.02, "--steps", 20, "--batch-size", 4)
    done(capsys, "train", "language", "--data", corpus(tmp_path / "c.txt", 60), *words, "--out", tmp_path / "l")
    found = json.loads((tmp_path / "l" / "results.json").read_text())
    assert found["scores"]["validation"]["bits a character"] < 2  # the characters' shares alone have 3.6
    model = load(tmp_path / "l" / "model.safetensors")
    assert isinstance(model, LanguageModel)
    assert "What it writes" in (tmp_path / "l" / "report.html").read_text(encoding="utf-8")


def test_no_picture_where_nothing_can_draw(tmp_path, capsys, monkeypatch) -> None:
    real, spec = builtins.__import__, importlib.util.find_spec

    def none(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", none)
    monkeypatch.setattr(
        "rnn_core.commands.training.report.find_spec", lambda name: None if name == "matplotlib" else spec(name)
    )
    done(capsys, "train", "classify", "--data", reviews(tmp_path / "r.csv"), *TINY, "--out", tmp_path / "o")
    written = {name for name in tree(tmp_path / "o") if not name.startswith("checkpoint")}
    assert written == {"model.safetensors", "results.json", "report.html"}
    assert "matplotlib is not installed" in (tmp_path / "o" / "report.html").read_text(encoding="utf-8")


def test_names_that_could_do_harm_do_none(tmp_path, capsys) -> None:
    data = reviews(tmp_path / "r.csv", 20, labels=("<b>red\x1b[31m</b>", "🐛 :bug:"))
    out = done(capsys, "train", "classify", "--data", data, *TINY, "--out", tmp_path / "o")
    assert "\x1b" not in out
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert "<b>red" not in page
    assert "&lt;b&gt;red" in page
    assert load(tmp_path / "o" / "model.safetensors").classes == ("<b>red\x1b[31m</b>", "🐛 :bug:")


# what is refused


@pytest.mark.parametrize(
    ("name", "meant"),
    [("clasify", "did you mean 'classify'? "), ("Language", "did you mean 'language'? "), ("x", "; `")],
)
def test_an_unknown_task(name, meant, capsys) -> None:
    said = refused(capsys, "train", name, "--data", "x")
    assert f"TASK must be one of {', '.join(tasks())}, got {name!r}" in said
    assert meant in said


BAD = [
    (("--data", "{r}", "--rate", "0"), "--rate must be above 0, got 0.0"),
    (("--data", "{r}", "--epochs", "-1"), "--epochs must be above 0, got -1"),
    (("--data", "{r}", "--dropout", "1"), "--dropout must be at least 0 and below 1, got 1.0"),
    (("--data", "{r}", "--validation-share", "1.5"), "--validation-share must be at least 0 and below 1, got 1.5"),
    (("--data", "{r}", "--validation", "{v}", "--validation-share", "0.1"), "--validation-share must be left out"),
    (("--data", "{r}", "--num-words", "0"), "--num-words must be at least 1, got 0"),
    (("--data", "{r}", "--frame", "4"), "--frame must be left out with text; it is for waveforms"),
    (("--data", "{w}", "--level", "char"), "--level must be left out with series; it is for text"),
    (("--data", "{w}", "--embedding-size", "4"), "--embedding-size must be left out with series"),
    (("--data", "{r}", "--balanced", "--regression"), "--balanced must be left out with --regression"),
    (("--data", "{r}", "--regression"), "line 2 must have a number for its label, got 'neg'"),
    (("--data", "{none}"), "path must be an existing file or folder"),
    (("--data", "{empty}"), "must hold at least a line, got none"),
    (("--data", "{bare}"), "--label say which columns to read"),
    (("--data", "{one}"), "--data must have two classes or more, got 'a' alone"),
    (("--data", "{r}", "--text", "body"), "body"),
    (("--data", "{r}", "--validation", "{other}"), "--validation must go with --data, got"),
    (("--data", "{r}", "--test", "{other}"), "must be those that are trained on, 'neg', 'pos', got 'good' as well"),
    (("--data", "{r}", "--validation", "{w}"), "--validation must go with --data"),
    (("--data", "{r}", "--out", "{r}"), "--out must be a folder, got the file"),
    (("--data", "{r}", "--no-header", "--text", "text"), "--no-header must go with the numbers of columns"),
    ((), "--data must be given"),
]  # fmt: skip


@pytest.fixture
def places(tmp_path):
    reviews(tmp_path / "r.csv")
    reviews(tmp_path / "v.csv", 10, 1)
    reviews(tmp_path / "other.csv", 10, 1, labels=("neg", "good"))
    waves(tmp_path / "w.tsv")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bare.csv").write_text("words,what\na,b\n")
    (tmp_path / "one.csv").write_text("text,label\nx,a\ny,a\n")
    files = {"r": "r.csv", "v": "v.csv", "other": "other.csv", "w": "w.tsv", "empty": "empty.csv", "bare": "bare.csv",
             "one": "one.csv", "none": "none.csv"}  # fmt: skip
    return tmp_path, {name: str(tmp_path / file) for name, file in files.items()}


@pytest.mark.parametrize(("options", "message"), BAD, ids=[" ".join(options) for options, _ in BAD])
def test_bad_input_is_one_line_and_nothing_is_written(options, message, places, capsys, monkeypatch) -> None:
    folder, files = places
    monkeypatch.chdir(folder)
    before = tree(folder)
    assert message in refused(capsys, "train", "classify", *(option.format(**files) for option in options))
    assert tree(folder) == before


def test_results_are_not_overwritten_unless_that_is_said(finished, capsys) -> None:
    before = tree(finished / "out")
    words = ["train", "classify", "--data", finished / "r.csv", *TINY, "--out", finished / "out"]
    said = refused(capsys, *words)
    assert "with report.html, results.json, model.safetensors; name another, or --overwrite; --resume trains on" in said
    assert tree(finished / "out") == before


def test_a_text_that_is_too_short(tmp_path, capsys) -> None:
    (tmp_path / "c.txt").write_text("a")
    said = refused(capsys, "train", "language", "--data", tmp_path / "c.txt", "--out", tmp_path / "o")
    assert "--data must hold 20 characters at least" in said
    assert not (tmp_path / "o").exists()


def test_the_help_lists_tasks_and_options(capsys) -> None:
    for words in (["train", "--help"], ["train", "classify", "--help"], ["predict", "--help"]):
        with pytest.raises(SystemExit) as end:
            cli.main(words)
        assert end.value.code == 0
    out = capsys.readouterr().out
    assert "rnn-core train classify" in out
    for name in tasks():
        assert name in out
