"""What must hold of contexts, pieces and the scores of strings, by values that are worked out by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from rnn_core.data import Tokenizer, context_of, reply_pairs
from rnn_core.data.files import Dialogue, read_pairs
from rnn_core.data.files.pairs import SEPARATOR
from rnn_core.scores import edit_distance, edit_rate

TURNS = ("a", "b", "c", "d")


def context_is_the_latest_turns_in_order() -> None:
    """A context has the turns just before a reply, in the order in which they were said."""
    said = [turn.strip() for turn in context_of(TURNS, 3).split(SEPARATOR)]
    assert said == ["b", "c", "d"]


def context_keeps_turns_apart() -> None:
    """A separator stands between two turns, and is a token of its own."""
    text = context_of(("how", "are"), 2)
    tokens = [Tokenizer("piece").fit(text).tokens[k] for k in Tokenizer("piece").fit(text).encode(text)]
    assert [token.strip() for token in tokens] == ["how", SEPARATOR, "are"]


def replies_do_not_read_themselves() -> None:
    """What a reply reads ends with the turn before it."""
    pairs = reply_pairs([Dialogue(TURNS, (None,) * 4, "line 1")], context=2)
    assert (pairs.sources[-1], pairs.targets[-1]) == (f"b {SEPARATOR} c", "d")


def pieces_are_the_text_again() -> None:
    """Pieces, one after another, are the text that they were made of."""
    text = "Well,  it is 5 o'clock (or so)."
    tokenizer = Tokenizer("piece", lower=False).fit(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def lines_belong_together() -> None:
    """Line k of one file is paired with line k of the other."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "a.en"), Path(folder, "a.de")
        one.write_text("yes\nno\nnever\n", encoding="utf-8")
        other.write_text("ja\nnein\nnie\n", encoding="utf-8")
        assert read_pairs(one, other)[:2] == (["yes", "no", "never"], ["ja", "nein", "nie"])


def distances_are_the_recurrences() -> None:
    """The edit distance is the recurrence's, cell by cell."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        one, other = (rng.integers(0, 3, rng.integers(0, 7)).tolist() for _ in range(2))
        D = np.zeros((len(one) + 1, len(other) + 1), int)
        D[:, 0], D[0] = range(len(one) + 1), range(len(other) + 1)
        for i, a in enumerate(one):
            for j, b in enumerate(other):
                D[i + 1, j + 1] = min(D[i, j + 1] + 1, D[i + 1, j] + 1, D[i, j] + (a != b))
        assert edit_distance(one, other) == D[-1, -1]


def rates_are_by_what_was_wanted() -> None:
    """Edits are counted over all rows, and divided by the tokens that were wanted."""
    assert edit_rate(["a", "xyzzy"], ["ab", "x"]) == (1 + 4) / (2 + 1)
