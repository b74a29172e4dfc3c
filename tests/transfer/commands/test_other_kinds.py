"""`rnn-core transfer` on series, sounds, numbers of words and whole texts; and what is said of them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from rnn_core.inputs.facts import sides_table, words_of
from rnn_core.inputs.reading import How
from transfer.inputs.gathering import Wanted, gather

from .made import SHORT, TINY, beside, predicted, refused, results, sounds, table, texts, transferred, ucr


def test_series_are_standardised_by_their_own_training_part(tmp_path, capsys) -> None:
    ucr(tmp_path / "A_TRAIN.tsv", 30, 0)
    ucr(tmp_path / "B_TRAIN.tsv", 24, 1, ("a", "b"), ragged=True)
    ucr(tmp_path / "B_TEST.tsv", 20, 2, ("a", "b"))
    out = transferred(
        capsys, "--source", tmp_path / "A_TRAIN.tsv", "--target", tmp_path / "B_TRAIN.tsv", "--test",
        tmp_path / "B_TEST.tsv", *SHORT, "--sizes", 24, 4, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "10 / 11 / 12" in out
    numbers = [
        float(value)
        for line in (tmp_path / "B_TRAIN.tsv").read_text(encoding="utf-8").splitlines()
        for value in line.split("\t")[1:]
        if value != "NaN"
    ]
    encoding = beside(tmp_path / "out")["scaling"]
    assert encoding["mean"] == pytest.approx([np.mean(numbers)], rel=1e-6)
    assert encoding["scale"] == pytest.approx([np.std(numbers)], rel=1e-5)
    found = results(tmp_path / "out")
    assert found["comparison"]["protocol"]["sizes"] == [4, 24]
    out = predicted(capsys, tmp_path / "out" / "model.safetensors", tmp_path / "B_TEST.tsv")
    assert f"{found['saved']['scores']['test']:.1f} %" in out
    error = refused(
        capsys, tmp_path / "out" / "model.safetensors", table(tmp_path / "t.csv", texts(4, 0)), command="predict"
    )
    assert "t.csv' must go with" in error
    assert "of the kind 'series', got 'text'" in error


def test_waveforms_and_a_text_that_only_shares_its_recurrence(tmp_path, capsys) -> None:
    (tmp_path / "corpus.txt").write_text("round and round it goes\n" * 20, encoding="utf-8")
    sounds(tmp_path / "machines", ("ok", "worn"), 8)
    out = transferred(
        capsys, "--source", tmp_path / "corpus.txt", "--level", "char", "--target", tmp_path / "machines", "--frame",
        8, *SHORT, "--out", tmp_path / "out",
    )  # fmt: skip
    assert "the recurrent weights alone carry over" in out
    found = results(tmp_path / "out")
    assert found["kind"] == "waveforms"
    assert [row["status"] for row in found["copy"]["rows"]].count("copied") == 1
    model = tmp_path / "out" / "model.safetensors"
    assert "2 examples; the file has" not in predicted(capsys, model, tmp_path / "machines")
    out = predicted(capsys, model, tmp_path / "machines" / "ok" / "3.wav")
    assert "3.wav" in out
    assert "1 example; the file has no classes" in out
    sounds(tmp_path / "other", ("ok",), 1, rate=1600)
    error = refused(capsys, model, tmp_path / "other", command="predict")
    assert "must have 800 samples a second, as those trained on, got 1600" in error


def test_kerass_numbers_and_its_own_test_half(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    halves: dict[str, np.ndarray] = {}
    for part, count in (("train", 40), ("test", 20)):
        rows = np.empty(count, object)
        rows[:] = [(rng.integers(1, 20, rng.integers(3, 9)) + 20 * (k % 2)).tolist() for k in range(count)]
        halves |= {f"x_{part}": rows, f"y_{part}": np.arange(count) % 2}
    np.savez(tmp_path / "imdb.npz", **halves)
    transferred(
        capsys, "--source", tmp_path / "imdb.npz", "--target", tmp_path / "imdb.npz", "--num-words", 30, *SHORT,
        "--out", tmp_path / "out",
    )  # fmt: skip
    found = results(tmp_path / "out")
    assert (found["sides"]["target"]["examples"], found["sides"]["test"]["examples"]) == (40, 20)
    assert found["sides"]["target"]["vocabulary"] == 30
    out = predicted(capsys, tmp_path / "out" / "model.safetensors", tmp_path / "imdb.npz")
    assert f"{found['saved']['scores']['test']:.1f} %" in out
    assert "20 examples" in out
    wanted = Wanted(str(tmp_path / "imdb.npz"), str(tmp_path / "imdb.npz"), num_words=30)
    first = gather(wanted, TINY).study.target
    ids = [1, *(word + 3 for word in halves["x_train"][0])]  # as keras.datasets.imdb.load_data has them
    assert first.inputs[0, : first.lengths[0]].tolist() == [word if word < 30 else 2 for word in ids]


def test_word_vectors_are_where_fresh_embeddings_begin(tmp_path) -> None:
    table(tmp_path / "a.csv", texts(20, 0))
    table(tmp_path / "b.csv", texts(20, 1))
    (tmp_path / "glove.txt").write_text("good 1 2 3\nbad -1 -2 -3\nelsewhere 0 0 0\n", encoding="utf-8")
    wanted = Wanted(str(tmp_path / "b.csv"), str(tmp_path / "a.csv"), vectors=str(tmp_path / "glove.txt"))
    inputs = gather(wanted, TINY)
    kind = "text without a first line of counts, as GloVe's"
    known = {"read as": kind, "numbers a word": 3, "words": len(inputs.encoding.tokens), "known words": 2}
    assert inputs.sides["vectors"] == known
    study = pickle.loads(pickle.dumps(inputs.study))  # workers get it so
    tokens = words_of(study.target.tokens)
    for model in (study.build(0), study.build_source(0)):
        weight = model.parameters["embedding.weight"]
        assert weight[tokens.index("good")].tolist() == [1, 2, 3]
        assert weight[tokens.index("film")].any()


def test_word_vectors_have_an_encoding_of_their_own_and_say_what_was_left_out(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "café,x\nthé,y\n" * 4, encoding="latin-1")
    (tmp_path / "v.txt").write_text("café 1 2\nthé 3 4\ncafé 5 6\n", encoding="utf-8")
    (tmp_path / "w.txt").write_text("café 1 2\nthé 3 4\n", encoding="latin-1")
    path = str(tmp_path / "a.csv")
    wanted = Wanted(path, path, how=How(encoding="latin-1"), source_how=How(encoding="latin-1"))
    inputs = gather(replace(wanted, vectors=str(tmp_path / "v.txt")), TINY)
    assert inputs.sides["vectors"]["known words"] == 2
    assert "--vectors: words that are there again: 1 ('café' in line 3); the first counts" in inputs.notes
    inputs = gather(replace(wanted, vectors=str(tmp_path / "w.txt"), vectors_encoding="latin-1"), TINY)
    assert inputs.sides["vectors"]["known words"] == 2


def test_a_text_that_is_too_long_keeps_its_beginning(tmp_path) -> None:
    table(tmp_path / "a.csv", [("one two three four", "x"), ("five", "y")] * 4)
    inputs = gather(Wanted(str(tmp_path / "a.csv"), str(tmp_path / "a.csv"), max_steps=2), TINY)
    tokens = words_of(inputs.encoding.tokens)
    row = inputs.study.target.inputs[inputs.study.target.targets == 0][0]
    assert [tokens[token] for token in row] == ["one", "two"]
    assert "4 of the target's 8 examples are cut to their first 2 steps" in inputs.notes


def test_learned_test_examples_and_one_large_class_are_told(tmp_path) -> None:
    rows = texts(40, 0)
    table(tmp_path / "a.csv", rows)
    table(tmp_path / "b.csv", texts(20, 1))
    table(tmp_path / "test.csv", [*rows[:9:2], *[(f"a new film {k}", "neg") for k in range(3)], ("another", "pos")])
    wanted = Wanted(str(tmp_path / "b.csv"), str(tmp_path / "a.csv"), test=str(tmp_path / "test.csv"))
    notes = gather(wanted, TINY).notes
    assert any(
        note.startswith("5 of the 9 test examples are among those that the source is trained on") for note in notes
    )
    assert any(note.startswith("88.9 % of the test examples are 'neg'") for note in notes)
    assert not any("always saying so" in note for note in gather(replace(wanted, balanced=True), TINY).notes)
    ucr(tmp_path / "s.tsv", 24, 0)
    series = Wanted(str(tmp_path / "s.tsv"), str(tmp_path / "s.tsv"), test=str(tmp_path / "s.tsv"))
    assert sum(note.startswith("24 of the 24 test") for note in gather(series, TINY).notes) == 2


def test_columns_of_the_source_may_have_other_names(tmp_path) -> None:
    table(tmp_path / "a.tsv", [], ())
    (tmp_path / "a.tsv").write_text("verdict\tbody\nx\tgood film\ny\tbad film\n" * 1, encoding="utf-8")
    table(tmp_path / "b.csv", texts(8, 0))
    how = How(text="body", label="verdict")
    study = gather(Wanted(str(tmp_path / "b.csv"), str(tmp_path / "a.tsv"), source_how=how), TINY).study
    assert study.labelled_source.classes == ("x", "y")
    assert study.target.classes == ("neg", "pos")


def test_many_classes_are_counted_and_not_listed() -> None:
    counts = dict.fromkeys("abcde", 6)
    assert "│ 5, of 6 each " in sides_table({"target": {"classes": counts}}, {})
    assert "│ 5, of 6 to 7 " in sides_table({"target": {"classes": {**counts, "e": 7}}}, {})
