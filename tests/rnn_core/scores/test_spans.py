"""Spans: cases by hand, rules that hold for all tags, and errors."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.layers.crf import constraints_of
from rnn_core.scores import span_scores, spans_of
from tests import tagging_checks as checks

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")


def test_spans_by_hand():
    checks.spans_by_hand()


def test_plain_tags():
    assert spans_of(list("aaObba"), "plain") == [(0, 2, "a"), (3, 5, "b"), (5, 6, "a")]
    assert spans_of([], "plain") == []


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("ab")), max_size=5))
def test_every_scheme_gives_back_the_spans_that_were_written_in_it(parts):
    """Gaps, widths and kinds, written by each scheme's own rules."""
    spans: list[tuple[int, int, str]] = []
    tags: dict[str, list[str]] = {"BIO": [], "IOB1": [], "IOBES": []}
    at = 0
    for gap, width, kind in parts:
        touching = bool(spans) and not gap and spans[-1][2] == kind
        spans.append((at + gap, at + gap + width, kind))
        at += gap + width
        whole = ["S"] if width == 1 else ["B", *"I" * (width - 2), "E"]
        letters = {"BIO": ["B", *"I" * (width - 1)], "IOBES": whole}
        letters["IOB1"] = letters["BIO"] if touching else ["I"] * width
        for scheme, row in tags.items():
            row += ["O"] * gap + [f"{letter}-{kind}" for letter in letters[scheme]]
    for scheme, row in tags.items():
        assert spans_of(row, scheme) == spans, scheme
        names = sorted({*row, "O"})
        rules = constraints_of(names, scheme)
        numbers = [names.index(tag) for tag in row]
        assert all(rules.transitions[i, j] for i, j in pairwise(numbers))
        assert not row or (rules.starts[numbers[0]] and rules.ends[numbers[-1]])


@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_whatever_the_tags_spans_cover_what_is_in_an_entity_once(tags):
    spans = spans_of(tags)
    covered = [t for first, last, _ in spans for t in range(first, last)]
    assert covered == [t for t, tag in enumerate(tags) if tag != "O"]
    for first, last, kind in spans:
        assert {tag[2:] for tag in tags[first:last]} == {kind}


def test_scores_by_hand():
    """a: 1 right of 2 found and 2 expected; b: 1 of 1 and 1; c: found once, expected never."""
    right = [["B-a", "I-a", "O", "B-b"], ["B-a", "O", "O", "O"]]
    said = [["B-a", "I-a", "O", "B-b"], ["B-a", "I-a", "B-c", "O"]]
    scores = span_scores(right, said)
    assert scores.kinds["a"][:3] == (0.5, 0.5, 0.5)
    assert scores.kinds["b"][:3] == (1, 1, 1)
    assert [*scores.kinds["c"]] == [0, 0, 0, 0, 1, 0]
    assert [*scores.micro[3:]] == [2, 4, 3]
    assert scores.micro[:3] == pytest.approx((1 / 2, 2 / 3, 4 / 7))
    assert scores.macro[:3] == pytest.approx((0.5, 0.5, 0.5))
    assert scores.macro[3:] == scores.micro[3:]
    assert json.loads(json.dumps(scores.as_dict()))["micro"]["f1"] == pytest.approx(4 / 7)


def test_where_there_is_nothing_scores_are_zero():
    for tags in ([["O", "O"]], []):
        scores = span_scores(tags, tags)
        assert [*scores.micro] == [*scores.macro] == [0] * 6
        assert scores.kinds == {}


@given(st.lists(st.lists(st.sampled_from(TAGS), max_size=6), max_size=4))
def test_what_is_right_is_wholly_right(tags):
    scores = span_scores(tags, tags)
    assert all(score[:3] == (1, 1, 1) for score in scores.kinds.values())


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: spans_of(["NOUN"]), "spans_of: tags must be O or one of B, I, E, S .*'NOUN'; take scheme='plain'"),
        (lambda: spans_of(["O"], "IOB"), "spans_of: scheme must be one of BIO, IOB1, IOBES, plain, got 'IOB'"),
        (lambda: span_scores([["O"]], []), "span_scores: found must have 1 rows, as expected has, got 0"),
        (lambda: span_scores([["O"]], [["O", "O"]]), "span_scores: found must have 1 tags in row 0, got 2"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
