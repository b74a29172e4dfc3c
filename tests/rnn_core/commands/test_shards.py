"""``rnn-core train language --data 'corpus/*'``: texts that are not read into memory, beside those that are."""

from __future__ import annotations

import gzip
import json

import pytest

from rnn_core.cli import main
from rnn_core.data import Tokenizer
from rnn_core.inputs.running import Shards, Texts, is_pattern, shards

TEXTS = ("the cat sat on the mat\n" * 20, "the dog sat on the log\n" * 20, "a cat on a log\n" * 12)
OPTIONS = ["--hidden-size", "6", "--epochs", "2", "--steps", "10", "--batch-size", "4", "--cell", "gru"]


@pytest.fixture
def corpus(tmp_path):
    """Return a pattern of three files, and a folder of the same texts."""
    for folder in ("shards", "texts"):
        (tmp_path / folder).mkdir()
    for k, text in enumerate(TEXTS):
        (tmp_path / "texts" / f"{k}.txt").write_text(text, encoding="utf-8")
        with gzip.open(tmp_path / "shards" / f"{k}.txt.gz", "wt", encoding="utf-8") as file:
            file.write(text)
    return tmp_path / "shards" / "*.gz", tmp_path / "texts"


def train(*options):
    return main(["train", "language", *map(str, options)])


def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_run_over_shards_is_that_over_texts_and_goes_on(corpus, tmp_path):
    pattern, folder = corpus
    assert train("--data", folder, "--out", tmp_path / "held", *OPTIONS) == 0
    assert train("--data", pattern, "--out", tmp_path / "read", *OPTIONS) == 0
    held, read = results(tmp_path / "held"), results(tmp_path / "read")
    assert held["scores"] == read["scores"]
    assert len(list((tmp_path / "read" / "ids").glob("*.npy"))) == 2
    assert train("--data", pattern, "--out", tmp_path / "parts", *OPTIONS, "--epochs", "1") == 0
    assert train("--data", pattern, "--out", tmp_path / "parts", *OPTIONS, "--resume") == 0
    assert results(tmp_path / "parts")["scores"] == read["scores"]
    assert main(["evaluate", str(tmp_path / "read" / "model.safetensors"), str(pattern)]) == 0


def test_shards_say_what_texts_do(corpus, tmp_path):
    pattern, folder = corpus
    found = shards("--data", str(pattern), "utf-8", tmp_path / "ids")
    texts = Texts(tuple(text.removesuffix("\n") for text in TEXTS), ("0", "1", "2"))
    tokenizer = Tokenizer("word", oov="?", padding=False).fit(found.texts)
    assert tokenizer.tokens == Tokenizer("word", oov="?", padding=False).fit(texts.texts).tokens
    assert found.characters == texts.characters
    assert list(found.ids(tokenizer)[:]) == list(texts.ids(tokenizer))
    for mine, theirs in zip(found.each(tokenizer), texts.each(tokenizer), strict=True):
        assert [list(ids) for ids in mine] == [list(ids) for ids in theirs]
    first, last = found.split(0.1)
    assert isinstance(first, Shards)
    assert (len(first), len(last)) == (2, 1)
    before = (tmp_path / "ids").stat().st_mtime_ns
    found.ids(tokenizer)
    assert (tmp_path / "ids").stat().st_mtime_ns == before


def test_what_is_no_shard(corpus, tmp_path, capsys):
    pattern, folder = corpus
    assert is_pattern(str(pattern))
    assert not is_pattern(str(folder))
    with pytest.raises(ValueError, match="--data must be two files or more to be split, got '.*'; name a --validation"):
        shards("--data", str(folder / "1.txt"), "utf-8", tmp_path).split(0.1)
    assert train("--data", str(tmp_path / "none*"), "--out", tmp_path / "o") == 2
    assert "--data: the pattern" in capsys.readouterr().err
    (folder / "9.txt.gz").write_bytes(b"\x1f\x8bnot so")
    assert train("--data", str(folder / "*"), "--out", tmp_path / "o") == 2
    assert "must be a whole gzipped file" in capsys.readouterr().err
