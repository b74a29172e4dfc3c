"""``rnn-core train tag`` and what comes behind it: words, tags, scores and a report; and what is refused."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest

from rnn_core import SequenceTagger, load, save
from rnn_core.cli import main
from rnn_core.data import Tokenizer
from rnn_core.inputs.words import ids, is_running_text, vocabulary
from rnn_core.layers.crf import scheme_of
from tests import tagging_checks as checks

FIRST, LAST, FIRMS = ("Anna", "Peter", "Li", "Eva"), ("Smith", "Ito", "Weber"), ("Acme", "Globex")


def news(sentences: int, seed: int) -> str:
    """Return sentences in columns: who met whom, and the entities among them."""
    rng, lines = np.random.default_rng(seed), []
    for _ in range(sentences):
        for verb in ("met", None):
            if rng.random() < 0.5:
                lines += [f"{rng.choice(FIRST)} B-PER", f"{rng.choice(LAST)} I-PER"][: rng.integers(1, 3)]
            else:
                lines += [f"{rng.choice(FIRMS)} B-ORG", "Corp I-ORG"][: rng.integers(1, 3)]
            lines += [f"{verb} O"] if verb else [". O", ""]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with a network that was trained there."""
    folder = tmp_path_factory.mktemp("tag")
    (folder / "train.conll").write_text(news(200, 0))
    (folder / "test.conll").write_text(news(40, 1))
    (folder / "new.txt").write_text("Zoe\nWeber\nmet\nAcme\n.\n")
    words = ["train", "tag", "--data", str(folder / "train.conll"), "--test", str(folder / "test.conll"), "--crf"]
    assert main([*words, "--epochs", "8", "--hidden-size", "12", "--rate", "0.01", "--out", str(folder / "run")]) == 0
    return folder


def test_a_run_leaves_a_network_and_a_report(trained):
    found = json.loads((trained / "run" / "results.json").read_text(encoding="utf-8"))
    assert found["scores"]["test"]["F1 of entities in %"] > 95
    page = (trained / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Entities", "Confusion matrix", "mean of the kinds", "precision"):
        assert words in page
    model = load(trained / "run" / "model.safetensors")
    assert type(model) is SequenceTagger
    assert model.crf is not None
    assert model.crf.constraints is not None  # BIO, to which all sentences keep
    assert tuple(model.classes) == ("B-ORG", "B-PER", "I-ORG", "I-PER", "O")


def test_predict_gives_every_word_its_tag(trained, capsys):
    out = trained / "said.jsonl"
    assert main(["predict", str(trained / "run" / "model.safetensors"), str(trained / "new.txt"), "--out", str(out),
                 "--probabilities"]) == 0  # fmt: skip
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["token"] for row in rows] == ["Zoe", "Weber", "met", "Acme", "."]
    assert [row["tag"] for row in rows][1:] == ["I-PER", "O", "B-ORG", "O"]
    assert rows[0]["example"] == "lines 1 to 5"
    shares = [value for name, value in rows[0].items() if name.startswith("probability of ")]
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert "1 sentence, 5 words; the file has no tags to compare with" in capsys.readouterr().out


def test_evaluate_says_what_the_run_said(trained, capsys):
    path = trained / "scores.json"
    model, test = str(trained / "run" / "model.safetensors"), str(trained / "test.conll")
    assert main(["evaluate", model, test, "--json", str(path)]) == 0
    found = json.loads((trained / "run" / "results.json").read_text(encoding="utf-8"))
    assert json.loads(path.read_text(encoding="utf-8"))["scores"] == pytest.approx(found["scores"]["test"])


def test_a_model_made_in_python_is_as_good(tmp_path, capsys):
    words = Tokenizer("word", filters="", oov="?").fit("anna met acme")
    model = SequenceTagger(2, 3, vocab_size=len(words), seed=0)
    save(model, tmp_path / "mine", tokenizer=words, classes=("NOUN", "VERB"))
    (tmp_path / "a.conll").write_text("Anna NOUN\nmet VERB\nU.S. NOUN\n")
    assert main(["evaluate", str(tmp_path / "mine"), str(tmp_path / "a.conll")]) == 0
    shown = capsys.readouterr().out
    assert "accuracy in %" in shown
    assert "entities" not in shown


def test_words_that_come_once_teach_what_is_unknown():
    words = vocabulary([["The", "cat", "sat"], ["the", "New York", "cat"]])
    assert words.tokens[2:] == ["the", "cat"]
    assert ids(words, ["THE", "New York", "cat", "dog", "the cat"]).tolist() == [2, 1, 3, 1, 1]
    assert ids(vocabulary([["a b", "c"]], 10), ["a b", "b"]).tolist() == [2, 1]
    assert ids(vocabulary([["A", "a"]], 10, lower=False), ["A", "a", "B"]).tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    "rows, found",
    [
        (["B-a I-a O", "B-a B-a"], ("BIO", True)), (["I-a O", "I-a B-a"], ("IOB1", True)),
        (["O B-a", "I-a"], ("BIO", False)),
        (["B-a E-a S-b"], ("IOBES", True)), (["B-a O S-b"], ("IOBES", False)), (["U-a B-a L-a"], ("IOBES", True)),
        (["NOUN VERB"], (None, False)), (["O O"], (None, False)), (["B I O"], ("BIO", True)),
    ],
)  # fmt: skip
def test_schemes_are_found_out(rows, found):
    assert scheme_of([row.split() for row in rows]) == found


@pytest.mark.parametrize(
    "files, options, says",
    [
        ({"a.conll": "x A\ny B\n\nz A\n", "b.conll": "x A\ny C\n"}, ["--validation", "b.conll"],
         "--validation must go with --data, got .*: its tags must be those that are trained on, 'A', 'B', got"),
        ({"a.conll": "x A\ny\n"}, [], "a.conll', line 2, must have 2 columns, as line 1, got 1: 'y'; a tag or .*--sep"),
        ({"a.conll": "x A\ny NA\n"}, [], "line 2, must have a tag for 'y', got 'NA', .*say so: --keep-missing-labels"),
        ({"a.conll": "x A\ny A\n\nz A\n"}, [], "--data must have two tags or more, got 'A' alone"),
        ({"a.conll": "x A\ny B\n"}, [], "--data must have two examples or more to be split, got 1"),
        ({"a.conll": "x A\n\ny B\n"}, [], "--data must have tags that come in several sentences to be split"),
        ({"a.conll": "x A\n\ny B\n"}, ["--tag", "9"], "must have a column 9, for tags, got 2: 'x, A'; --tag says"),
        ({"a.conll": "x A\n\ny B\n"}, ["--num-words", "0"], "--num-words must be at least 1, got 0"),
        ({"a.conll": "\n"}, [], "a.conll' must hold at least a sentence, got none"),
        ({"a.conll": "x NA\n\ny A\nz B\n", "b.conll": "x NA\n"}, ["--validation", "b.conll", "--allow-untagged"],
         "it must have a word with a tag at least, got none"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_clear_line(files, options, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert main(["train", "tag", "--data", "a.conll", "--out", "run", *options]) == 2
    message = capsys.readouterr().err.strip().splitlines()
    assert len(message) == 1
    assert re.search(says, message[0]), message
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_what_is_made_of_sentences():
    checks.batches_of_sentences()


def test_words_without_tags_teach_nothing_and_do_no_harm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.conll").write_text("x A\ny NA\n\nx B\ny A\n\nz NA\n\n" * 4)
    for options in ([], ["--crf"]):
        words = ["train", "tag", "--data", "a.conll", "--allow-untagged", "--validation-share", "0", "--epochs", "1"]
        assert main([*words, "--hidden-size", "2", "--out", "run", "--overwrite", *options]) == 0


def test_long_sentences_are_trained_on_in_parts_and_answered_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.conll").write_text("x A\ny B\n" * 20 + "\nx A\n")
    words = ["train", "tag", "--data", "a.conll", "--max-steps", "7", "--epochs", "1", "--hidden-size", "2"]
    assert main([*words, "--validation-share", "0", "--out", "run"]) == 0
    assert main(["predict", "run/model.safetensors", "a.conll", "--out", "said.csv"]) == 0
    assert len((tmp_path / "said.csv").read_text().splitlines()) == 42


def test_words_by_their_letters_know_what_was_never_seen(tmp_path, monkeypatch, capsys):
    """What ends in -ed is a verb, whatever it begins with."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def word():
        ending, tag = [("o", "N"), ("ed", "V"), ("s", "N")][rng.integers(3)]
        return "".join(rng.choice(list("abcdefghij"), 4)) + f"{ending} {tag}\n"

    rows = [word() + word() + word() for _ in range(150)]
    (tmp_path / "a.conll").write_text("\n".join(rows[:120]))
    (tmp_path / "b.conll").write_text("\n".join(rows[120:]))
    options = ["--letters", "--epochs", "12", "--hidden-size", "8", "--rate", "0.02", "--one-way"]
    assert main(["train", "tag", "--data", "a.conll", "--test", "b.conll", "--out", "run", *options]) == 0
    found = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert found["scores"]["test"]["accuracy in %"] > 95
    assert main(["predict", "run/model.safetensors", "b.conll", "--out", "said.jsonl"]) == 0
    assert main(["train", "tag", "--data", "a.conll", "--out", "other", "--letters", "--keep-case"]) == 2
    assert "--keep-case must be left out with --letters" in capsys.readouterr().err


def test_what_is_typed_is_a_sentence_a_line(trained, capsys, monkeypatch):
    typed = io.TextIOWrapper(io.BytesIO(b"Zoe Weber met Acme .\n\nAcme met Zoe\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["predict", str(trained / "run" / "model.safetensors"), "-", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["token"] for row in rows] == ["Zoe", "Weber", "met", "Acme", ".", "Acme", "met", "Zoe"]
    assert {row["example"] for row in rows} == {"line 1", "line 3"}
    assert all("is" not in row and "right" not in row for row in rows)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_file_of_other_tags_is_refused(trained, command, tmp_path, capsys):
    (tmp_path / "other.conll").write_text("Zoe NNP\nmet VBD\n")
    assert main([command, str(trained / "run" / "model.safetensors"), str(tmp_path / "other.conll")]) == 2
    said = capsys.readouterr().err
    assert "must have tags that the network knows" in said
    assert "got 'NNP', 'VBD' alone" in said
    assert "--tag names the column" in said


@pytest.mark.parametrize(
    "text, options, sentences",
    [
        ("Zoe Weber met Acme .\n\nAcme met Zoe\n", [], ["Zoe Weber met Acme .", "Acme met Zoe"]),
        ("Zoe Weber met Acme .\n", [], ["Zoe Weber met Acme ."]),  # one line is no table
        ("Zoe Weber\nmet Acme\n", ["--token", "1", "--no-label"], ["Zoe met"]),
        ("Zoe B-PER\nmet O\n\nAcme B-ORG\n", [], ["Zoe met", "Acme"]),
        ("Zoe x B-PER\nmet y\n", [], None),  # a tag is missing
        ("Zoe\tB-PER\nmet the\tO\n", [], ["Zoe met the"]),
        ("Zoe\nWeber\n\nmet\n", [], ["Zoe Weber", "met"]),
        ("Zoe NNP x\nmet VBD y\n\n" * 2, [], None),  # columns whose last are no tags of the network's
        ("Zoe NNP\nmet VBD\n", ["--token", "1", "--no-label"], ["Zoe met"]),
        ("Zoe NNP\nmet VBD\n", ["--no-label"], ["Zoe met"]),
        ("word tag\nZoe B-PER\n", [], ["Zoe"]),
    ],
)
def test_a_text_has_a_sentence_a_line_and_columns_a_word(trained, text, options, sentences, tmp_path, capsys):
    path = tmp_path / "new.txt"
    path.write_text(text, encoding="utf-8")
    code = main(["predict", str(trained / "run" / "model.safetensors"), str(path), "--format", "jsonl", *options])
    said = capsys.readouterr()
    if sentences is None:
        assert (code, said.err.count("\n")) == (2, 1)
        return
    assert code == 0, said.err
    found: dict[str, list[str]] = {}
    for row in map(json.loads, said.out.splitlines()):
        found.setdefault(row["example"], []).append(row["token"])
    assert list(map(" ".join, found.values())) == sentences
    assert ("read as text, a sentence a line; --token 1 reads" in said.err) == (" met Acme ." in text)


def test_a_mark_that_is_a_tag_ends_sentences_too(tmp_path):
    path = tmp_path / "a.txt"
    for text, running in (("Li met Eva .\nEva left .\n", True), ("Li NNP\nmet VBD\n. .\n", False)):
        path.write_text(text, encoding="utf-8")
        assert is_running_text(str(path), "utf-8", ("NNP", "VBD", ".")) is running
