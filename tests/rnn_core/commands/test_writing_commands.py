"""`rnn-core train translate` and `reply`, and what comes after: predict, evaluate, talk; killed and resumed."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from rnn_core import LanguageModel, Seq2Seq, load, save
from rnn_core.cli import main
from rnn_core.tasks.writing.conversation import Conversation

WORDS = {"one": "eins", "two": "zwei", "six": "sechs", "ten": "zehn"}
TALKS = [["Hi", "Hello!"], ["Bye", "See you."], ["Thanks", "You are welcome.", "Bye", "See you."]]
SMALL = ["--hidden-size", "16", "--rate", "0.02", "--epochs", "15"]


def written(folder, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def numbers(folder) -> str:
    rows = "".join(f"{one} {two}\t{WORDS[one]} {WORDS[two]}\n" for one in WORDS for two in WORDS)
    return written(folder, "numbers.tsv", f"source\ttarget\n{rows}")


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """Return the folder of a run that has learned four words."""
    folder = tmp_path_factory.mktemp("translate")
    out = folder / "run"
    data = numbers(folder)
    assert (
        main(["train", "translate", "--data", data, "--test", data, "--out", str(out), *SMALL, "--epochs", "30"]) == 0
    )
    return out


@pytest.fixture(scope="module")
def talker(tmp_path_factory):
    """Return the file of a network that answers."""
    folder = tmp_path_factory.mktemp("reply")
    data = written(folder, "talk.jsonl", "".join(json.dumps({"turns": talk}) + "\n" for talk in TALKS * 3))
    command = ["train", "reply", "--data", data, "--out", str(folder / "run"), *SMALL, "--epochs", "40"]
    assert main([*command, "--validation-share", "0.2", "--patience", "40", "--context", "1"]) == 0
    return str(folder / "run" / "model.safetensors")


def test_a_translator_is_trained_reported_and_used(translator, tmp_path, capsys) -> None:
    report = (translator / "report.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", report)
    assert "Where it looked, 1 of 2" in headings
    assert len(headings) == len(set(headings))
    assert "What it writes" in report
    assert (translator / "attention-1.png").read_bytes().startswith(b"\x89PNG")
    model = str(translator / "model.safetensors")
    texts = written(tmp_path, "new.txt", "ten two\n\nsix one\n")
    out = tmp_path / "out.jsonl"
    capsys.readouterr()
    assert main(["predict", model, texts, "--out", str(out), "--beam", "2"]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["place"], row["target"]) for row in rows] == [("line 1", "zehn zwei"), ("line 3", "sechs eins")]
    capsys.readouterr()
    assert main(["evaluate", model, numbers(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "exact in %" in shown
    assert "perplexity" in shown


def test_two_files_of_lines_go_through_all_commands(tmp_path, capsys) -> None:
    one = written(tmp_path, "a.en", "one\ntwo\nsix\nten\n" * 2)
    other = written(tmp_path, "a.de", "eins\nzwei\nsechs\nzehn\n" * 2)
    out = tmp_path / "run"
    command = ["train", "translate", "--data", one, "--targets", other, "--validation", one]
    few = ["--hidden-size", "4", "--epochs", "1"]
    assert main([*command, "--validation-targets", other, "--out", str(out), *few]) == 0
    assert main(["evaluate", str(out / "model.safetensors"), one, "--targets", other]) == 0
    capsys.readouterr()
    short = written(tmp_path, "b.de", "eins\n")
    assert main(["train", "translate", "--data", one, "--targets", short, "--out", str(tmp_path / "other"), *few]) == 2
    assert "a.en' and '" in (said := capsys.readouterr().err)
    assert "must have as many lines, got 8 and 1" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_a_run_killed_and_resumed_gives_the_same_bits(tmp_path, monkeypatch, capsys) -> None:
    data, calls = numbers(tmp_path), 0
    command = ["train", "translate", "--data", data, "--hidden-size", "8", "--epochs", "4", "--batch-size", "3"]
    command += ["--dropout", "0.3", "--checkpoint-every", "3"]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    step = Seq2Seq.loss_and_gradients

    def killed(self, *args, **options):
        nonlocal calls
        calls += 1
        if calls == 11:
            raise KeyboardInterrupt
        return step(self, *args, **options)

    monkeypatch.setattr(Seq2Seq, "loss_and_gradients", killed)
    assert main([*command, "--out", str(tmp_path / "cut")]) == 130
    monkeypatch.setattr(Seq2Seq, "loss_and_gradients", step)
    assert main([*command, "--out", str(tmp_path / "cut"), "--resume"]) == 0
    capsys.readouterr()
    one, other = (load(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    for name, values in one.parameters.items():
        np.testing.assert_array_equal(values, other.parameters[name], strict=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,target\none,\n", "line 2, must have a text in column 'target', got a blank one"),
        ("source,other\none,eins\n", "must name the column 'target' once, got 'source, other'"),
        ("source,target\n", "must hold at least a pair, got none"),
    ],
)
def test_bad_pairs_are_one_line_and_nothing_is_written(tmp_path, text, message, capsys) -> None:
    data = written(tmp_path, "a.csv", text)
    assert main(["train", "translate", "--data", data, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


# conversations


def test_a_conversation_through_a_pipe(talker, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Hi\n\n /new\nBye\n\xff\n/quit\nHi\n"), "utf-8"))
    assert main(["reply", talker]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Hello!", "See you."]
    assert len(lines) == 3  # bytes that are no text are answered, too; what follows /quit is not read


def test_a_conversation_at_a_terminal(talker) -> None:
    if not hasattr(os, "openpty"):
        pytest.skip("this system has no terminals to open")
    master, slave = os.openpty()
    command = [sys.executable, "-m", "rnn_core.cli", "reply", talker, "--beam", "1"]
    process = subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(slave)
    try:
        os.write(master, b"Thanks\n\x04")
        out, error = process.communicate(timeout=120)
    finally:
        process.kill()
        os.close(master)
    assert process.returncode == 0
    assert "You are welcome." in out
    assert "/quit or the end of the input ends it" in error
    assert "Traceback" not in out + error


@pytest.mark.parametrize("terminal", [False, True])
def test_a_reply_without_a_word_is_seen_at_a_terminal(talker, terminal, monkeypatch, capsys) -> None:
    monkeypatch.setattr(Conversation, "say", lambda self, text: SimpleNamespace(text=""))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Hi\n"), "utf-8"))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert main(["reply", talker]) == 0
    said = capsys.readouterr().out
    assert ("(no words)" in said) is terminal
    assert said.count("\n") == 1  # a program that reads lines has one for each of its own


def test_what_cannot_reply_is_named(tmp_path, capsys) -> None:
    path = tmp_path / "model.safetensors"
    save(LanguageModel(5, 3, seed=0), path)
    assert main(["reply", str(path)]) == 2
    assert "must hold a Seq2Seq, which writes, got a LanguageModel" in capsys.readouterr().err
    save(Seq2Seq(5, 3, vocab_size=5, seed=0), path)
    assert main(["reply", str(path)]) == 2
    assert (
        "what its tokens stand for is not known; save(model, path, tokenizer=…) keeps that" in capsys.readouterr().err
    )
    assert main(["reply", str(tmp_path / "none.safetensors")]) == 2
    assert main(["reply", str(path), "--context", "0"]) == 2
    assert "--context must be at least 1, got 0" in capsys.readouterr().err


def test_a_file_of_questions_is_answered_and_dialogues_are_scored(talker, tmp_path, capsys) -> None:
    asked = written(tmp_path, "asked.txt", "Bye\nThanks\n")
    assert main(["predict", talker, asked, "--out", str(tmp_path / "said.csv")]) == 0
    assert "See you." in (tmp_path / "said.csv").read_text(encoding="utf-8")
    talk = written(tmp_path, "talk.csv", "prompt,reply\nHi,Hello!\nBye,See you.\n")
    capsys.readouterr()
    assert main(["evaluate", talker, talk]) == 0
    assert "perplexity" in capsys.readouterr().out
