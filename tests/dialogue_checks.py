"""What must hold of contexts, pieces and the scores of strings, by values that are worked out by hand."""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np

from rnn_core import Seq2Seq
from rnn_core.data import Tokenizer, context_of, reply_pairs
from rnn_core.data.files import Dialogue, read_pairs
from rnn_core.data.files.pairs import SEPARATOR
from rnn_core.inputs.pairs import PairEncoding
from rnn_core.scores import edit_distance, edit_rate
from rnn_core.tasks.writing.conversation import Conversation
from rnn_core.tasks.writing.translate import Translate
from rnn_core.tasks.writing.writing import Written

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


def network() -> tuple[Seq2Seq, PairEncoding]:
    """Return a network that has learned nothing but has large weights, and how it reads and writes."""
    tokenizer = Tokenizer("char", oov="?").fit("abcdefg ␞")
    model = Seq2Seq(len(tokenizer), 8, vocab_size=len(tokenizer), dtype=np.float64, seed=1)
    for values in model.parameters.values():
        values *= 4
    return model, PairEncoding(tokenizer, tokenizer, max_steps=12, keep="end", longest=4)


def of_a_long_context_the_end_is_read() -> None:
    """Where a context has more tokens than are read, those that were said last are."""
    _, how = network()
    (row,) = how.sources(["abcdefg abcdefg"])
    assert how.tokenizer.decode(row) == "defg abcdefg"


def what_is_written_stands_beside_what_was_read() -> None:
    """Texts are read in the order of their lengths, and answered in their own."""
    model, how = network()
    texts = ["abcdef", "g", "cab"]
    alone = [how.write(model, [text])[0] for text in texts]
    together = how.write(model, texts)
    assert [one.read for one in together] == [one.read for one in alone]
    np.testing.assert_allclose(*([one.log_probability for one in some] for some in (together, alone)), rtol=1e-9)


def perplexity_is_of_all_tokens() -> None:
    """A token counts alike in a long text and in a short one, the end is one, and padding is none."""
    model, how = network()
    sources, targets = ["ab"] * 70 + ["c"] * 30, ["abcd"] * 70 + ["g"] * 30  # of more than one batch
    examples = Written(sources, targets, ("",) * 100, tuple(map(str, range(100))))
    log_p, count = 0.0, 0
    for source, target in zip(how.sources(sources), how.targets(targets), strict=True):
        logits, _ = model(source[None], np.append(target, 0)[None])
        z = logits[0] - np.log(np.exp(logits[0]).sum(axis=-1, keepdims=True))
        log_p, count = log_p + float(z[np.arange(len(target) + 1), np.append(target, 0)].sum()), count + len(target) + 1
    found = Translate().answer(model, how, examples, argparse.Namespace(beam=1)).perplexity
    assert found is not None
    assert math.isclose(found, math.exp(-log_p / count), rel_tol=1e-9)


def a_split_keeps_groups_together() -> None:
    """Of what belongs together nothing is validated by while the rest is trained on."""
    groups = tuple(f"line {k // 3}" for k in range(12))
    train, held_out = Translate().split(Written(["a"] * 12, ["b"] * 12, groups, groups), 0.4, 0)
    assert not {*train.groups} & {*held_out.groups}
    assert len(train) + len(held_out) == 12


def a_conversation_remembers_its_own_replies() -> None:
    """What a model has replied is a turn like the user's."""
    model, how = network()
    talk = Conversation(model, how)
    said = talk.say("abc").text
    assert said
    assert talk.turns == ["abc", said]
