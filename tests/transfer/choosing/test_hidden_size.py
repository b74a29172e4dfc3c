"""Choosing the hidden size: folds, scores, intervals, and the rule of one standard error."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from rnn_core import LanguageModel, SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import Adam, fit
from transfer.choosing.hidden_size import SizeChoice, choose_hidden_size

SCORES = {2: (0.60, 0.64, 0.62, 0.66), 4: (0.84, 0.80, 0.86, 0.82), 8: (0.88, 0.80, 0.86, 0.82), 16: (0.7,) * 4}


def examples(n=40, **options):
    x = np.random.default_rng(0).standard_normal((n, 4, 2)).astype(np.float32)
    return Examples(x, np.arange(n) % 2, **options)


def build(size, seed):
    return SequenceClassifier(2, size, input_size=2, cell="rnn", seed=seed)


def untrained(model, data):
    pass


class Recorder:
    """Remembers what `build` and `train` were given."""

    def __init__(self):
        self.built, self.data = [], []

    def build(self, size, seed):
        self.built.append((size, seed))
        return build(size, seed)

    def train(self, model, data):
        self.data.append(data)


def rows(data, part):
    """Return which of the examples of `data` stand in `part`, in order."""
    return [int(np.flatnonzero((data.inputs == row).all(axis=(1, 2)))[0]) for row in part.inputs]


def test_every_example_is_kept_from_training_once():
    data, record = examples(23, batch_size=7, shuffle=False, seed=5), Recorder()
    choose_hidden_size(record.build, record.train, data, sizes=[3, 2], folds=4, seed=9)
    assert record.built == [(2, 9), (2, 10), (2, 11), (2, 12), (3, 9), (3, 10), (3, 11), (3, 12)]
    kept = [sorted(set(range(23)) - set(rows(data, part))) for part in record.data[:4]]
    assert sorted(row for fold in kept for row in fold) == list(range(23))
    assert sorted(map(len, kept)) == [5, 6, 6, 6]
    assert [rows(data, part) for part in record.data[4:]] == [rows(data, part) for part in record.data[:4]]
    for part in record.data:
        assert (part.batch_size, part.shuffle, part.seed) == (7, False, 5)
        np.testing.assert_array_equal(part.targets, data.targets[rows(data, part)])


def test_folds_have_their_share_of_every_class():
    x = np.random.default_rng(0).standard_normal((50, 4, 2)).astype(np.float32)
    data, record = Examples(x, np.repeat([0, 1, 7], [33, 12, 5])), Recorder()
    model = lambda size, seed: SequenceClassifier(8, size, input_size=2, cell="rnn", seed=seed)
    choice = choose_hidden_size(model, record.train, data, sizes=[2], folds=5)
    assert choice.stratified
    for part in record.data:
        kept = np.delete(data.targets, rows(data, part))
        counts = [(kept == label).sum() for label in (0, 1, 7)]
        assert counts[0] in (6, 7)
        assert counts[1] in (2, 3)
        assert counts[2] == 1
        assert len(kept) == 10


def test_scores_are_those_of_the_fold_that_was_kept():
    data, record = examples(20, lengths=np.arange(20) % 4 + 1, weights=np.arange(20) + 1.0, batch_size=3), Recorder()
    for metric in ("loss", "accuracy"):
        record = Recorder()
        choice = choose_hidden_size(record.build, record.train, data, sizes=[3], folds=2, metric=metric, seed=4)
        for fold, part in enumerate(record.data):
            kept = np.setdiff1d(np.arange(20), rows(data, part))
            whole = Examples(
                data.inputs[kept], data.targets[kept], lengths=data.lengths[kept], weights=data.weights[kept],
                batch_size=20,
            )  # fmt: skip
            found = build(3, 4 + fold).evaluate(whole.batch(0, 0))
            expected = (found.loss if metric == "loss" else found.correct) / found.count
            assert choice.scores[3][fold] == pytest.approx(expected, rel=1e-6)


def test_the_same_seed_gives_the_same_bits():
    def train(model, data):
        fit(model, data, optimizer=Adam(1e-2), epochs=1, progress=False)

    first, second = (choose_hidden_size(build, train, examples(), sizes=[2, 3], folds=2, seed=1) for _ in range(2))
    assert first == second
    assert first != choose_hidden_size(build, train, examples(), sizes=[2, 3], folds=2, seed=2)


def test_targets_that_are_no_classes_are_not_stratified():
    tokens = np.random.default_rng(0).integers(0, 5, (12, 6))
    data = Examples(tokens[:, :-1], tokens[:, 1:])
    choice = choose_hidden_size(
        lambda size, seed: LanguageModel(5, size, seed=seed), untrained, data, sizes=[2, 4], folds=3
    )
    assert not choice.stratified
    assert "3 folds, lower is better" in str(choice)


def test_means_and_intervals_by_hand():
    choice = SizeChoice("accuracy", SCORES, True)
    assert choice.mean(2) == pytest.approx(0.63)
    spread = (((0.03**2 + 0.01**2) * 2) / 3) ** 0.5
    assert choice.standard_error(2) == pytest.approx(spread / 2)
    assert choice.half_width(2) == pytest.approx(3.182446305284263 * spread / 2)  # t of 3 degrees, from a table
    assert choice.half_width(16) == pytest.approx(0, abs=1e-15)


def test_the_smallest_size_within_one_standard_error_is_chosen():
    choice = SizeChoice("accuracy", SCORES, True)
    assert (choice.best, choice.chosen) == (8, 4)
    more = SizeChoice("accuracy", {2: SCORES[2], 3: (0.81,) * 4, 4: SCORES[4], 8: SCORES[8]}, True)
    assert more.chosen == 4  # 3 is more than one standard error, 0.018, below 0.84
    losses = {size: tuple(1 - s for s in scores) for size, scores in SCORES.items()}
    choice = SizeChoice("loss", losses, True)
    assert (choice.best, choice.chosen) == (8, 4)
    apart = SizeChoice("accuracy", {**SCORES, 8: (0.95, 0.94, 0.96, 0.95)}, True)
    assert (apart.best, apart.chosen) == (8, 8)
    equal = SizeChoice("loss", {2: (0.5, 0.5), 4: (0.5, 0.5)}, True)
    assert (equal.best, equal.chosen) == (2, 2)


def test_the_table_and_the_data():
    choice = SizeChoice("accuracy", SCORES, True)
    assert str(choice).splitlines()[3].split() == [*"│2│", "0.6300", "±", "0.0411", "│", "0.0129", *"││"]
    assert next(line for line in str(choice).splitlines() if "chosen │" in line).split()[1] == "4"
    assert "mean over 4 stratified folds, higher is better" in str(choice)
    found = choice.as_dict()
    assert found["protocol"] == {"metric": "accuracy", "folds": 4, "stratified": True, "level": 0.95}
    assert (found["best"], found["chosen"]) == (8, 4)
    json.dumps(found, allow_nan=False)


def test_a_size_that_is_too_small_loses():
    """Which of eight tokens came first? One unit can't tell, eight can."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 8, (240, 3))

    def train(model, data):
        fit(model, data, optimizer=Adam(2e-2), epochs=6, progress=False)

    choice = choose_hidden_size(
        lambda size, seed: SequenceClassifier(8, size, vocab_size=8, embedding_size=8, cell="gru", seed=seed),
        train, Examples(tokens, tokens[:, 0], batch_size=16), sizes=[1, 12], folds=3, metric="accuracy",
    )  # fmt: skip
    assert choice.chosen == 12
    assert choice.mean(12) > choice.mean(1) + 0.2


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"data": (1, 2)}, TypeError, "data must be Examples, got tuple; wrap inputs and targets in them"),
        ({"sizes": []}, ValueError, r"sizes must be different, and not none, got \(\)"),
        ({"sizes": [4, 4]}, ValueError, r"sizes must be different, and not none, got \(4, 4\)"),
        ({"sizes": 4}, TypeError, "sizes must be several ints, got 4"),
        ({"sizes": "48"}, TypeError, "sizes must be an int, got str '4'"),
        ({"sizes": [0]}, ValueError, "sizes must be at least 1, got 0"),
        ({"folds": 1}, ValueError, "folds must be between 2 and the number of examples, 40, got 1"),
        ({"folds": 41}, ValueError, "folds must be between 2 and the number of examples, 40, got 41"),
        ({"metric": "f1"}, ValueError, "metric must be one of 'loss', 'accuracy', got 'f1'"),
        ({"seed": None}, TypeError, "seed must be an int, got None"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"build": lambda size, seed: None}, TypeError, "build: model must be a Model.*got NoneType"),
    ],
)
def test_what_is_refused(change, error, message):
    arguments = {"build": build, "train": untrained, "data": examples(), "sizes": [2], **change}
    with pytest.raises(error, match=f"^choose_hidden_size: {message}"):
        choose_hidden_size(**arguments)


def test_a_class_with_fewer_examples_than_folds_is_refused():
    x = np.zeros((12, 3, 2), np.float32)
    data, record = Examples(x, np.array([0] * 8 + [3] * 4)), Recorder()
    with pytest.raises(ValueError, match="folds must be at most .* got 5, and class 3 has 4; take fewer folds"):
        choose_hidden_size(record.build, record.train, data, sizes=[2])
    assert not record.built


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match=r"SizeChoice.mean: size must be among those tried, got 3; there are 2, 4"):
        SizeChoice("accuracy", SCORES, True).mean(3)


def test_a_missing_scipy_is_named_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    record = Recorder()
    with pytest.raises(RuntimeError, match=r"choose_hidden_size: scipy must be installed.*rnn_core\[report\]"):
        choose_hidden_size(record.build, record.train, examples(), sizes=[2])
    assert not record.built
