"""``rnn-core predict``, ``evaluate`` and ``generate``: networks of commands, and those that were made in Python."""

from __future__ import annotations

import csv
import io
import json
import sys

import numpy as np
import pytest

from rnn_core import (
    LSTM,
    ConvClassifier,
    LanguageModel,
    SequenceClassifier,
    SequenceRegressor,
    load,
    quantize,
    save,
)
from rnn_core.data import Tokenizer
from rnn_core.data.scaling import Scaling

from .made import done, refused, reviews, tree, waves

TEXTS = ["a good film", "a bad film", "good", "bad and dull"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return networks that were made in Python and saved, of each kind."""
    folder = tmp_path_factory.mktemp("made")
    words = Tokenizer("word", oov="?").fit(TEXTS)
    texts = SequenceClassifier(2, 4, vocab_size=len(words), seed=1)
    save(texts, folder / "texts.safetensors", tokenizer=words, classes=("neg", "pos"))
    one = SequenceClassifier(1, 4, vocab_size=len(words), seed=1)
    save(one, folder / "one.safetensors", tokenizer=words, classes=["no", "yes"])
    series = SequenceClassifier(2, 4, input_size=1, seed=2)
    save(series, folder / "series.safetensors", classes=[1, 2], scaling=([0.5], [2.0]))
    number = SequenceRegressor(1, 4, vocab_size=len(words), seed=3)
    save(number, folder / "number.safetensors", tokenizer=words, target_scaling=Scaling((10.0,), (5.0,)))
    letters = Tokenizer("char", lower=False, padding=False).fit("abc abd")
    save(LanguageModel(len(letters), 4, seed=4), folder / "letters.safetensors", tokenizer=letters)
    save(SequenceClassifier(2, 4, vocab_size=5), folder / "bare.safetensors", classes=["a", "b"])
    save(SequenceClassifier(2, 4, vocab_size=len(words)), folder / "nameless.safetensors", tokenizer=words)
    save(LanguageModel(5, 4), folder / "speechless.safetensors")
    save(LSTM(2, 3), folder / "layer.safetensors")
    (folder / "lines.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return folder


def typed(monkeypatch, text: str) -> None:
    """Let a text come from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_network_made_in_python_is_as_good(made, capsys) -> None:
    out = done(capsys, "predict", made / "texts.safetensors", made / "lines.txt", "--format", "csv", "--probabilities")
    model = load(made / "texts.safetensors")
    for row, text in zip(rows_of(out), TEXTS, strict=True):
        p = model.predict_proba(model.tokenizer.encode(text)[None])[0]
        assert row["class"] == model.classes[int(p.argmax())]
        assert [float(row[f"probability of {name}"]) for name in ("neg", "pos")] == pytest.approx(p, abs=1e-6)
        assert float(row["probability"]) == pytest.approx(p.max(), abs=1e-6)


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_networks_of_lower_precision_are_used_like_any_other(kind, made, tmp_path, capsys) -> None:
    model = load(made / "texts.safetensors")
    less = quantize(model) if kind == "int8" else model.astype(np.float32, precision=kind)
    save(less, tmp_path / "m.safetensors", tokenizer=model.tokenizer, classes=model.classes)
    data, words = reviews(tmp_path / "r.csv", 6), ("--format", "csv", "--probabilities")
    found = rows_of(done(capsys, "predict", tmp_path / "m.safetensors", data, *words))
    ids = [model.tokenizer.encode(row["text"])[None] for row in rows_of(data.read_text())]
    p = [float(row["probability of pos"]) for row in found]
    assert p == pytest.approx([less.predict_proba(one)[0, 1] for one in ids], abs=1e-6)
    assert p != pytest.approx([model.predict_proba(one)[0, 1] for one in ids], abs=1e-6)
    done(capsys, "evaluate", tmp_path / "m.safetensors", data, "--json", tmp_path / "e.json")
    assert json.loads((tmp_path / "e.json").read_text())["scores"]


def test_one_sigmoid_says_no_and_yes(made, capsys) -> None:
    out = done(capsys, "predict", made / "one.safetensors", made / "lines.txt", "--format", "csv", "--probabilities")
    model = load(made / "one.safetensors")
    for row, text in zip(rows_of(out), TEXTS, strict=True):
        yes = float(model.predict_proba(model.tokenizer.encode(text)[None])[0])
        assert float(row["probability of yes"]) == pytest.approx(yes, abs=1e-6)
        assert float(row["probability of no"]) == pytest.approx(1 - yes, abs=1e-6)
        assert row["class"] == ("yes" if yes > 0.5 else "no")


def test_series_are_scaled_as_is_said_beside_the_weights(made, tmp_path, capsys) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 6))
    lines = ["\t".join(["1", *map(repr, row.tolist())]) for row in rows]
    (tmp_path / "w.tsv").write_text("\n".join(lines) + "\n")
    words = ("--format", "jsonl", "--probabilities")
    out = done(capsys, "predict", made / "series.safetensors", tmp_path / "w.tsv", *words)
    scaled = ((rows - 0.5) / 2.0).astype(np.float32)[..., None]
    expected = load(made / "series.safetensors").predict_proba(scaled)
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["probability of 1"] for row in found] == pytest.approx(expected[:, 0], abs=1e-6)
    assert "accuracy" in done(capsys, "evaluate", made / "series.safetensors", tmp_path / "w.tsv")


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("summary", ["flatten", "mean"])
def test_convolutions_over_series_are_used_like_a_core(precision, summary, tmp_path, capsys) -> None:
    model = ConvClassifier(2, (1, 12), channels=[3], summary=summary, hidden_size=4, seed=1)
    model = quantize(model) if precision == "int8" else model
    save(model, tmp_path / "m.safetensors", classes=["1", "2"], scaling=([0.5], [2.0]))
    data = waves(tmp_path / "w.tsv", 6)
    words = ("--format", "jsonl", "--probabilities")
    out = done(capsys, "predict", tmp_path / "m.safetensors", data, *words)
    found = [json.loads(line) for line in out.splitlines()]
    numbers = np.loadtxt(data)[:, 1:]
    expected = model.predict_proba(((numbers - 0.5) / 2).astype(np.float32)[:, None])
    assert [row["probability of 2"] for row in found] == pytest.approx(expected[:, 1], abs=1e-6)
    assert "accuracy" in done(capsys, "evaluate", tmp_path / "m.safetensors", data)


def test_what_convolutions_do_not_read_is_said(tmp_path, capsys) -> None:
    for shape, name in (((1, 12), "series"), ((1, 4, 4), "pictures")):
        save(ConvClassifier(2, shape, seed=1), tmp_path / f"{name}.safetensors", classes=["1", "2"])
    waves(tmp_path / "w.tsv", 4)
    short = tmp_path / "short.tsv"
    short.write_text("1\t1\t2\t3\n2\t1\t2\t3\n")
    ragged = tmp_path / "ragged.ts"
    ragged.write_text("@data\n1,2,3:1\n1,2:2\n")
    for model, data, said in (
        ("pictures", "w.tsv", "must read series or sounds, got a ConvClassifier of pictures, of which no file is read"),
        ("series", "short.tsv", "x must have shape (B, 1, 12), got (2, 1, 3)"),
        ("series", "ragged.ts", "series must be equally long for a ConvClassifier, got some of 2 to 3 steps"),
    ):
        assert said in refused(capsys, "predict", tmp_path / f"{model}.safetensors", tmp_path / data)


def test_numbers_are_said_on_their_own_scale(made, capsys) -> None:
    out = done(capsys, "predict", made / "number.safetensors", made / "lines.txt", "--format", "csv")
    model = load(made / "number.safetensors")
    for row, text in zip(rows_of(out), TEXTS, strict=True):
        z = float(model.predict(model.tokenizer.encode(text)[None])[0])
        assert float(row["number"]) == pytest.approx(10 + 5 * z, rel=1e-5)


def test_standard_input_is_read(made, capsys, monkeypatch) -> None:
    from_file = done(capsys, "predict", made / "texts.safetensors", made / "lines.txt", "--format", "csv")
    typed(monkeypatch, "\n".join(TEXTS) + "\n")
    assert done(capsys, "predict", made / "texts.safetensors", "-", "--format", "csv") == from_file
    table = "text,label\n" + "".join(f"{text},pos\n" for text in TEXTS)
    typed(monkeypatch, table)
    out = done(capsys, "predict", made / "texts.safetensors", "-", "--stdin-as", "csv")
    assert "4 examples; " in out
    assert " told as the file has them" in out
    typed(monkeypatch, table)
    assert "4 examples" in done(capsys, "evaluate", made / "texts.safetensors", "-", "--stdin-as", ".csv")
    typed(monkeypatch, "text\n" + '"never closed\n')
    said = refused(capsys, "predict", made / "texts.safetensors", "-", "--stdin-as", "csv")
    assert "'standard-input.csv'" in said
    assert "/tmp" not in said
    typed(monkeypatch, "")
    assert "'standard-input.txt'" in refused(capsys, "predict", made / "texts.safetensors", "-")


def test_what_programs_read_is_not_mixed_with_remarks(made, tmp_path, capsys) -> None:
    from rnn_core import cli

    words = ["predict", str(made / "texts.safetensors"), str(made / "lines.txt")]
    assert cli.main([*words, "--format", "jsonl"]) == 0
    captured = capsys.readouterr()
    assert len([json.loads(line) for line in captured.out.splitlines()]) == 4
    assert captured.err.startswith("4 examples; the file has no classes to compare with")
    for name in ("p.csv", "p.jsonl"):
        out = done(capsys, *words, "--out", tmp_path / name)
        assert "4 rows" in out
    again = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert again == [json.loads(line) for line in captured.out.splitlines()]
    assert [row["class"] for row in rows_of((tmp_path / "p.csv").read_text())] == [row["class"] for row in again]


def test_a_language_model_goes_on(made, capsys, monkeypatch) -> None:
    words = ("generate", made / "letters.safetensors", "--length", 30)
    first = done(capsys, *words, "--prompt", "ab", "--seed", 3)
    assert first == done(capsys, *words, "--prompt", "ab", "--seed", 3)
    assert first != done(capsys, *words, "--prompt", "ab", "--seed", 4)
    assert len(first.rstrip("\n")) == 32
    assert first.startswith("ab")
    surest = done(capsys, *words, "--prompt", "ab", "--temperature", 0)
    assert surest == done(capsys, *words, "--prompt", "ab", "--top-k", 1)
    typed(monkeypatch, "ab\n")
    assert done(capsys, *words, "--prompt", "-", "--temperature", 0) == surest


def test_a_language_model_is_surprised_line_by_line(made, tmp_path, capsys) -> None:
    (tmp_path / "t.txt").write_text("abc abd\na\n")
    out = done(capsys, "predict", made / "letters.safetensors", tmp_path / "t.txt", "--format", "csv")
    first, second = rows_of(out)
    model = load(made / "letters.safetensors")
    ids = model.tokenizer.encode("abc abd")
    z, _ = model(ids[None, :-1])
    p = np.exp(z[0].astype(float)) / np.exp(z[0].astype(float)).sum(axis=-1, keepdims=True)
    bits = -np.log2(p[np.arange(6), ids[1:]]).mean()
    assert float(first["bits a token"]) == pytest.approx(bits, rel=1e-5)
    assert (second["tokens"], second["bits a token"]) == ("0", "")
    scores = done(capsys, "evaluate", made / "letters.safetensors", tmp_path / "t.txt")
    assert "bits a character" in scores
    assert "perplexity" in scores


def test_a_text_is_surprising_alike_in_one_piece_and_in_several(made, tmp_path, capsys, monkeypatch) -> None:
    (tmp_path / "t.txt").write_text("abc abd cab " * 20)
    whole = done(capsys, "evaluate", made / "letters.safetensors", tmp_path / "t.txt")
    monkeypatch.setattr("rnn_core.tasks.language.AT_ONCE", 7)
    assert done(capsys, "evaluate", made / "letters.safetensors", tmp_path / "t.txt") == whole


BAD = [
    ("predict {bare} {lines}", "what its 5 tokens stand for is not known; save(model, path, tokenizer="),
    ("predict {nameless} {lines}", "must say what its classes are, got none beside its weights; save(model, path, cla"),
    ("predict {layer} {lines}", "must hold a model, got a layer of the type LSTM"),
    ("predict {texts} {lines} --out p.xls", "--out must be a file .csv or .jsonl"),
    ("predict {texts} {lines} --out p.csv --format csv", "--format must be left out with --out"),
    ("predict {texts} {lines} --stdin-as csv", "--stdin-as must go with - for PATH"),
    ("predict {texts} {lines} --missing drop", "--missing must be left out with a network that reads text"),
    ("predict {texts} {lines} --no-label --label x", "--label must be left out"),
    ("predict {letters} {lines} --probabilities", "--probabilities must be left out with this MODEL, whose task"),
    ("predict {letters} {lines} --label x", "--label must be left out with this MODEL, whose task is language"),
    ("predict {texts} {waves}", "'text'"),
    ("predict {none} {lines}", "can't be read: No such file or directory"),
    ("predict {texts} {none}", "path must be an existing file or folder"),
    ("evaluate {texts} {lines}", "must hold examples and their classes, got a single .txt file"),
    ("evaluate {texts} {other}", "must be those that are trained on, 'neg', 'pos', got 'a', 'b' as well"),
    ("evaluate {texts} {other} --json none/e.json", "--json must be a file in a folder that exists"),
    ("generate {letters}", "--prompt must be given"),
    ("generate {letters} --prompt xyz", "--prompt must hold a token that the network knows, got 'xyz'"),
    ("generate {letters} --prompt a --length 0", "--length must be at least 1, got 0"),
    ("generate {letters} --prompt a --temperature -1", "--temperature must be at least 0, got -1.0"),
    ("generate {letters} --prompt a --top-k 0", "--top-k must be at least 1, got 0"),
    ("generate {letters} --prompt a --seed -1", "--seed must be at least 0, got -1"),
    ("generate {texts} --prompt a", "must be a language model, which writes on where a prompt ends, got one"),
    ("generate {speechless} --prompt a", "must say what its tokens stand for, got nothing beside its weights"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD, ids=[words for words, _ in BAD])
def test_bad_input_is_one_line_and_nothing_is_written(words, message, made, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {file.stem: str(file) for file in made.iterdir()}
    files |= {"waves": str(waves(tmp_path / "w.tsv")), "none": "none.safetensors"}
    files["other"] = str(reviews(tmp_path / "o.csv", 6, labels=("a", "b")))
    before = tree(tmp_path)
    said = refused(capsys, *(word.format(**files) for word in words.split()))
    assert message in said
    assert tree(tmp_path) == before


def test_what_the_file_says_it_is_for_is_done_with_it(made, tmp_path, capsys) -> None:
    words = load(made / "texts.safetensors").tokenizer
    model = SequenceClassifier(2, 4, vocab_size=len(words))
    save(model, tmp_path / "m.safetensors", tokenizer=words, classes=["a", "b"], task="dance")
    said = refused(capsys, "predict", tmp_path / "m.safetensors", made / "lines.txt")
    assert "must be a model of a known task" in said
    assert "got 'dance'" in said
