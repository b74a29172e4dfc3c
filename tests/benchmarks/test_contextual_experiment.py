"""What the experiment on contextual features is made of, and a quick run of it from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("pygments")

from benchmarks.experiments import contextual
from benchmarks.experiments.contextual import ARMS, CHARACTERS, COPIED, KINDS, QUICK, Library, Taggers, pair
from rnn_core import contextual_features


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(QUICK)


def test_characters_belong_to_what_the_lexer_says() -> None:
    text = '@cache\ndef size(x):  # how\n    """Long."""\n    return len(x) + 12\n'
    found = [KINDS[k] for k in contextual.kinds(text)]
    for part, kind in {
        "@cache": "Name.Decorator", "def": "Keyword", "size": "Name.Function", "# how": "Comment",
        '"""Long."""': "Literal.String.Doc", "len": "Name.Builtin", "+": "Operator", "12": "Literal.Number",
        "(": "Punctuation", "\n": "Text",
    }.items():  # fmt: skip
        start = text.index(part)
        assert set(found[start : start + len(part)]) == {kind}, part


def test_files_of_test_labels_and_text_are_different_ones(library) -> None:
    texts = contextual.files()
    assert texts == contextual.files()
    held = QUICK.test_files + 4 * max(QUICK.sizes)
    assert library.tokenizer.decode(library.stream) == "".join(texts[held:])[: len(library.stream)]
    assert len(library.labelled) == 4 * max(QUICK.sizes)
    one, two = library.drawn(1, 0), library.drawn(2, 0)
    np.testing.assert_array_equal(one.tokens, two.tokens[: len(one.tokens)])


def test_rows_hold_a_stretch_of_each_file_with_its_tags(library) -> None:
    (text,) = contextual.files()[:1]
    begin = text.find("\n", len(text) // 3) + 1
    first = library.test.tokens[0], library.test.tags[0]
    np.testing.assert_array_equal(first[0], library.tokenizer.encode(text[begin : begin + QUICK.steps]))
    np.testing.assert_array_equal(first[1], contextual.kinds(text)[begin : begin + QUICK.steps])
    assert library.test.lengths.sum() == QUICK.test_files * QUICK.characters
    blank = library.test.tags == len(KINDS) - 1
    np.testing.assert_array_equal(library.test.weights, ~blank)


def test_copied_halves_are_the_core_of_a_tagger_and_others_begin_alike(library) -> None:
    model = pair(library, 5)
    test = library.test
    taggers = Taggers(library, model, contextual_features(model, test.tokens, test.lengths), 0)
    copied, fresh = taggers.tagger(COPIED), taggers.tagger(CHARACTERS)
    y, _ = copied.rnn(copied.front(test.tokens, None), lengths=test.lengths)
    np.testing.assert_array_equal(y, model.states(test.tokens, test.lengths)[:, :, 1])
    np.testing.assert_array_equal(copied.parameters["head.weight"], fresh.parameters["head.weight"])
    assert (copied.parameters["rnn.weight_hh_l0"] != fresh.parameters["rnn.weight_hh_l0"]).all()


def test_a_quick_run_leaves_every_score(capsys) -> None:
    outcome = contextual.run(True, 1, print)
    assert "seed 1, 2 files: characters" in capsys.readouterr().out
    found = json.loads(json.dumps(outcome.as_dict(), allow_nan=False))
    names = [CHARACTERS, *(arm.name for arm in ARMS)]
    assert [(row["arm"], row["size"]) for row in found["results"]["scores"]] == [(n, s) for n in names for s in (1, 2)]
    assert all(len(row["accuracy"]) == QUICK.seeds for row in found["results"]["scores"])
    assert len(found["results"]["differences"]) == 4 * 2
    for row in found["results"]["weights"]:
        np.testing.assert_allclose(np.sum(row["s"], axis=1), 1, atol=0.01)
    assert len(found["claims"]) == 2
    assert "one pair, trained once" in str(outcome)
