"""What the experiment on contextual features is made of, and a quick run of it from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("pygments")

from pygments.lexers import PythonLexer

from benchmarks.experiments import contextual
from benchmarks.experiments.contextual import ARMS, CHARACTERS, COPIED, MIDDLE, QUICK, Library, Taggers, pair
from benchmarks.experiments.highlighting import python_files, read
from rnn_core import contextual_features


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(QUICK)


def test_files_of_test_labels_and_text_are_different_ones(library) -> None:
    assert len(library.labelled) == 4 * max(QUICK.sizes)
    assert len(library.stream) == QUICK.unlabelled
    text = "".join(map(chr, library.stream))
    for rows in (library.test, *library.labelled):
        assert "".join(map(chr, rows.tokens[0])) not in text
    one, two = library.drawn(1, 0), library.drawn(2, 0)
    np.testing.assert_array_equal(one.tokens, two.tokens[: len(one.tokens)])
    assert {tuple(rows.tokens[0]) for rows in library.labelled}.isdisjoint(map(tuple, library.test.tokens))


def test_rows_hold_a_stretch_of_each_file_with_its_tags(library) -> None:
    files = [read(path, PythonLexer()) for path in python_files()[:20]]
    first = next(file for file in files if len(file.letters) >= MIDDLE + QUICK.characters)
    n = library.test.lengths.cumsum().searchsorted(QUICK.characters) + 1  # rows of a file
    valid = np.arange(QUICK.steps) < library.test.lengths[:n, None]
    stretch = slice(MIDDLE, MIDDLE + QUICK.characters)
    np.testing.assert_array_equal(library.test.tokens[:n][valid], first.letters[stretch])
    np.testing.assert_array_equal(library.test.tags[:n][valid], first.tags[stretch])
    np.testing.assert_array_equal(library.test.weights, library.test.tags != 0)


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
