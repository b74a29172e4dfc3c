"""Edit distance against its recurrence, its axioms, rates by hand, and BLEU and chrF through sacrebleu."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core.scores import bleu, chrf, edit_distance, edit_rate, exact_match, words_of

tokens = st.lists(st.integers(0, 3), max_size=12)


def by_recurrence(one, other) -> int:
    """Return D[n, m], cell by cell."""
    D = np.zeros((len(one) + 1, len(other) + 1), int)
    D[:, 0], D[0] = range(len(one) + 1), range(len(other) + 1)
    for i, j in itertools.product(range(len(one)), range(len(other))):
        D[i + 1, j + 1] = min(D[i, j + 1] + 1, D[i + 1, j] + 1, D[i, j] + (one[i] != other[j]))
    return int(D[-1, -1])


@given(tokens, tokens)
@settings(max_examples=300)
def test_the_distance_is_the_recurrences(one, other) -> None:
    assert edit_distance(one, other) == by_recurrence(one, other)


def test_long_sequences_need_more_bits_than_a_machines_word() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, 150), rng.integers(0, 4, 170)
    assert edit_distance(one, other) == by_recurrence(one, other)


@given(tokens, tokens, tokens)
@settings(max_examples=60)
def test_it_is_a_metric(a, b, c) -> None:
    assert edit_distance(a, b) == edit_distance(b, a)
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0), ("ab", "ba", 2), ("größe", "grosse", 3)],
)
def test_distances_by_hand(one, other, distance) -> None:
    assert edit_distance(one, other) == distance


def test_rates_by_hand() -> None:
    assert edit_rate(["abd", "x"], ["abc", "yz"]) == (1 + 2) / (3 + 2)
    assert edit_rate(words_of(["the cat"]), words_of(["the black cat"])) == 1 / 3
    assert edit_rate([np.array([4, 5])], [[4, 5]]) == 0
    assert edit_rate(["abc"], [["xyz", "abd", "abdefgh"]], several=True) == 1 / 3
    assert exact_match(["a", "b", "c"], ["a", "b", "x"]) == 2 / 3
    assert exact_match(["a", (1, 2)], [["b", "a"], [[1], np.array([1, 2])]], several=True) == 1


def test_what_is_no_sequence_or_not_as_many_is_refused() -> None:
    with pytest.raises(ValueError, match=r"edit_rate: said and wanted must be as many, got 2 and 1"):
        edit_rate(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"edit_rate: wanted must hold at least one token, got none"):
        edit_rate([""], [""])
    with pytest.raises(TypeError, match=r"edit_distance: one must be a string, a list or an array .*, got 3"):
        edit_distance(3, "a")
    with pytest.raises(TypeError, match=r"exact_match: said must be several sequences, got a string; one is \[text\]"):
        exact_match("abc", ["abc"])
    with pytest.raises(ValueError, match=r"exact_match: said must hold at least one"):
        exact_match([], [])


def test_bleu_and_chrf_are_sacrebleus() -> None:
    pytest.importorskip("sacrebleu")
    said, wanted = ["the cat sat on the mat", "dogs bark"], ["the cat sat on the mat", "the dog barks loudly"]
    assert bleu(wanted, wanted) == pytest.approx(100)
    assert chrf(wanted, wanted) == pytest.approx(100)
    assert 0 < bleu(said, wanted) < 100
    assert 0 < chrf(said, wanted) < 100
    with pytest.raises(TypeError, match=r"chrf: said must hold strings, got 3"):
        chrf((3,), ["a"])
    with pytest.raises(ValueError, match=r"bleu: said must hold at least one text"):
        bleu([], [])


def test_without_sacrebleu_the_way_out_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(RuntimeError, match=r"^chrf: the package 'sacrebleu' is not installed; pip install 'rnn_core\["):
        chrf(["a"], ["a"])
