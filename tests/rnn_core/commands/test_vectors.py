"""`rnn-core train classify --vectors`: an embedding that begins with somebody else's word vectors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rnn_core import load

from .made import BAD, GOOD, TINY, WORDS, counts, done, refused, reviews, tree, waves
from .test_resume import killed, stopped_at


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Let nothing be drawn."""
    monkeypatch.setattr("rnn_core.commands.training.report.find_spec", lambda name: None)


def glove(path, size: int = 6) -> dict[str, np.ndarray]:
    """Write vectors of some words that reviews have, and of one that they don't."""
    rng = np.random.default_rng(3)
    found = {word: rng.normal(size=size).astype(np.float32) for word in [*GOOD, *WORDS[:4], "zebra"]}
    lines = (" ".join([word, *(f"{value:.9g}" for value in vector)]) for word, vector in found.items())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


def test_an_embedding_begins_with_the_vectors_of_the_words_that_have_one(tmp_path, capsys) -> None:
    data, file, out = reviews(tmp_path / "r.csv"), tmp_path / "glove.txt", tmp_path / "run"
    vectors = glove(file)
    still = [*TINY, "--epochs", 1, "--rate", 1e-12]
    done(capsys, "train", "classify", "--data", data, *still, "--vectors", file, "--out", out)
    model = load(out / "model.safetensors")
    assert model.config["embedding_size"] == 6
    index, weight = model.tokenizer.index, model.parameters["embedding.weight"]
    known = [word for word in vectors if word in index]
    assert "zebra" not in known
    assert 5 < len(known) < len(index)
    for word in known:
        np.testing.assert_allclose(weight[index[word]], vectors[word], atol=1e-7)
    done(capsys, "train", "classify", "--data", data, *still, "--embedding-size", 6, "--out", tmp_path / "other")
    drawn = load(tmp_path / "other" / "model.safetensors").parameters["embedding.weight"]
    others = [place for word, place in index.items() if word not in vectors]
    np.testing.assert_allclose(weight[others], drawn[others], atol=1e-7)
    said = f"{len(known)} of {len(index)} words of the vocabulary begin with a vector of 6 numbers, the others as drawn"
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert any(said in note for note in results["notes"])
    assert results["files"]["vectors"] == str(file)
    assert results["data"]["data"]["of it with a vector"] == len(known)
    assert said in (out / "report.html").read_text(encoding="utf-8")
    file.unlink()  # what was learned of it is in the network
    done(capsys, "predict", out / "model.safetensors", data)
    done(capsys, "evaluate", out / "model.safetensors", data)


def test_a_run_with_vectors_is_resumed_to_the_same_bits(tmp_path, capsys, monkeypatch) -> None:
    glove(tmp_path / "glove.txt")
    words = ["train", "classify", "--data", reviews(tmp_path / "r.csv"), *TINY, "--batch-size", "8"]
    words += ["--vectors", tmp_path / "glove.txt"]
    done(capsys, *words, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch:
        stopped_at(patch, 4, killed)
        said = refused(capsys, *words, "--out", tmp_path / "part", "--checkpoint-every", "2", code=130)
    assert "--vectors" in said
    again = [*words, "--out", tmp_path / "part", "--checkpoint-every", "2", "--resume"]
    assert "--vectors was" in refused(capsys, *(word for word in again if word not in words[-2:]))
    done(capsys, *again)
    whole, part = (tree(tmp_path / name) for name in ("whole", "part"))
    assert part["model.safetensors"] == whole["model.safetensors"]


@pytest.mark.parametrize(("options", "says"), [
    (("--vectors", "{none}"), "--vectors must be an existing file, got"),
    (("--vectors", "{folder}"), "--vectors must be a file, got the folder"),
    (("--vectors-encoding", "latin-1"), "--vectors-encoding must be left out without --vectors"),
    (("--vectors", "{glove}", "--embedding-size", "5"), "--embedding-size must be left out with --vectors, of 6"),
    (("--vectors", "{glove}", "--level", "char"), "--vectors must go with words, got other inputs; is it --level"),
    (("--vectors", "{foreign}"), "must hold at least one of the words, got none"),
    (("--vectors", "{glove}", "--data", "{series}"), "--vectors must be left out with series; it is for text"),
])  # fmt: skip
def test_vectors_that_do_not_fit_are_refused(options, says, tmp_path, capsys) -> None:
    glove(tmp_path / "glove.txt")
    (tmp_path / "foreign.txt").write_text("zebra 1 2\n", encoding="utf-8")
    places = {"none": tmp_path / "none.txt", "folder": tmp_path, "glove": tmp_path / "glove.txt",
              "foreign": tmp_path / "foreign.txt", "series": waves(tmp_path / "w.tsv")}  # fmt: skip
    words = ["train", "classify", "--data", reviews(tmp_path / "r.csv"), *TINY, "--out", tmp_path / "run"]
    assert says in refused(capsys, *words, *(word.format(**places) for word in options))
    assert not (tmp_path / "run").exists()


def test_a_regression_and_words_that_all_have_a_vector(tmp_path, capsys) -> None:
    lines = (f"{word} {k} 1" for k, word in enumerate([*GOOD, *BAD, *WORDS]))
    (tmp_path / "v.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = counts(tmp_path / "r.csv")
    words = ["train", "classify", "--data", data, *TINY, "--regression", "--vectors", tmp_path / "v.txt"]
    done(capsys, *words, "--out", tmp_path / "run")
    assert load(tmp_path / "run" / "model.safetensors").config["embedding_size"] == 2
