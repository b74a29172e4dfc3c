"""Bad input of `rnn-core transfer`: one line, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import SequenceClassifier, quantize, save
from transfer.commands import run

from .made import refused, table, texts, transferred, ucr


def test_the_list_of_methods(capsys) -> None:
    out = transferred(capsys, "--list")
    assert "anchored, chosen" in out
    assert "control: a fresh core that stays" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "b.csv"], "one of --source and --source-model must be given, got neither"),
        (["--source", "a.csv"], "--target must be given"),
        (["--source", "a.csv", "--target", "none.csv"], "--target must be an existing file or folder, got 'none.csv'"),
        (["--source", "a.csv", "--target", "b.csv", "--seeds", "1"], "--seeds must be at least 2"),
        (["--source", "a.csv", "--target", "b.csv", "--rate", "0"], "--rate must be above 0, got 0.0"),
        (
            ["--source", "a.csv", "--target", "b.csv", "--sizes", "1"],
            "--sizes must be from 2, an example a class, to 15",
        ),
        (
            ["--source", "a.csv", "--target", "b.csv", "--test-share", "1"],
            "--test-share must be between 0 and 1, got 1",
        ),
        (
            ["--source", "a.csv", "--target", "b.csv", "--methods", "froze core"],
            "--methods must be a method, got 'froze core'; did you mean 'frozen core'?",
        ),
        (
            ["--source", "corpus.txt", "--target", "b.csv", "--methods", "CORAL"],
            "'CORAL' can't be used here: a text brings no examples of its classes",
        ),
        (
            ["--source", "a.csv", "--target", "corpus.txt"],
            "must hold examples and their classes, got a single .txt file",
        ),
        (["--source", "tiny.txt", "--target", "b.csv"], "--source must hold at least 64 tokens of text, got 2"),
        (["--source", "empty.csv", "--target", "b.csv"], "empty.csv' must hold at least a line, got none"),
        (["--source", "empty.tsv", "--target", "b.csv"], "error: reading: 'empty.tsv' must hold at least a line"),
        (["--source", "latin.csv", "--target", "b.csv"], "latin.csv', line 3, must be utf-8, got byte 0xe9"),
        (["--source", "long.csv", "--target", "b.csv"], "long.csv', line 10000, must have 2 columns"),
        (["--source", "a.csv", "--target", "one.csv"], "--target must have two classes or more, got 'neg' alone"),
        (["--source", "a.csv", "--target", "rare.csv"], "two examples of each class to be split"),
        (["--source", "a.csv", "--target", "rare.csv"], "got 1 of 'rare'"),
        (["--source", "a.csv", "--target", "rare.csv", "--test", "b.csv"], "--test must have an example of each class"),
        (["--source", "a.csv", "--target", "b.csv", "--test", "rare.csv"], "got 'rare' as well"),
        (["--source", "a.csv", "--target", "b.csv", "--text", "body"], "must name the column 'body' once"),
        (["--source", "a.csv", "--target", "greek.csv"], "--target must have a token in common with the source"),
        (["--source", "corpus.txt", "--target", "greek.csv"], "got none: 'αβγ', 'δεζ'… against 'was', 'the', "),
        (["--source", "a.csv", "--target", "b.csv", "--vectors", "empty"], "--vectors must be a file, got the folder"),
        (["--source", "empty", "--target", "b.csv"], "must hold .txt files or .wav, .flac, .ogg files, got neither"),
        (
            ["--source", "a.csv", "--target", "s.tsv", "--test", "wide.ts"],
            "--test must go with --target, got 'wide.ts': examples must have 1 features a step, got 2",
        ),
        (["--source", "model.safetensors", "--target", "b.csv"], "a saved model is for --source-model"),
        (["--source-model", "nan.safetensors", "--target", "s.tsv"], "nan.safetensors' is damaged: the array 'rnn"),
        (["--source-model", "words.safetensors", "--target", "b.csv"], "its vocabulary is not known"),
        (
            ["--source-model", "int8.safetensors", "--target", "s.tsv"],
            "--source-model must have its weights in float32 or float64, got int8 in 'int8.safetensors'; take the file",
        ),
        (
            ["--source-model", "model.safetensors", "--target", "s.tsv", "--cell", "gru"],
            "--cell must be the source model's, lstm, got gru",
        ),
        (["--source", "s.tsv", "--target", "s.tsv", "--vectors", "a.csv"], "--vectors must go with words"),
        (
            ["--source", "a.csv", "--target", "b.csv", "--vectors-encoding", "latin-1"],
            "--vectors-encoding must be left out without --vectors",
        ),
        (
            ["--source", "corpus.txt", "--target", "b.csv", "--bidirectional", "--layers", "2"],
            "--bidirectional must be left out with a text without classes",
        ),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(arguments, message, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "_compute", lambda *a: pytest.fail("computed"))
    table(tmp_path / "a.csv", texts(20, 0))
    table(tmp_path / "b.csv", texts(20, 1))
    table(tmp_path / "one.csv", [("film", "neg")] * 4)
    table(tmp_path / "rare.csv", [*texts(10, 0), ("film", "rare")])
    table(tmp_path / "greek.csv", [("αβγ", "x"), ("δεζ", "y")] * 4)
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    (tmp_path / "empty.tsv").write_text("", encoding="utf-8")
    (tmp_path / "tiny.txt").write_text("too short", encoding="utf-8")
    (tmp_path / "corpus.txt").write_text("the film was very good and it was bad\n" * 20, encoding="utf-8")
    (tmp_path / "latin.csv").write_bytes("text,label\nfine,1\ncafé,0\n".encode("latin-1"))
    (tmp_path / "long.csv").write_text("text,label\n" + "fine,1\n" * 9_998 + "broken\n", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "wide.ts").write_text("@data\n" + "".join(f"1,2:3,4:{k}\n" for k in (1, 2, 3)), encoding="utf-8")
    ucr(tmp_path / "s.tsv", 12, 0)
    model = SequenceClassifier(2, 4, input_size=1, seed=0)
    save(model, tmp_path / "model.safetensors")
    save(quantize(model), tmp_path / "int8.safetensors")
    save(SequenceClassifier(2, 4, vocab_size=5, seed=0), tmp_path / "words.safetensors")
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "nan.safetensors").write_bytes(data[:-4] + np.array([np.nan], "<f4").tobytes())
    before = {path.name for path in tmp_path.iterdir()}
    error = refused(capsys, *arguments, "--quick")
    assert message in error
    assert {path.name for path in tmp_path.iterdir()} == before
