"""Choices whose trials are spread, watched and kept: the bits of one process, from however many pieces."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from functools import partial

import joblib
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import SGD, fit
from transfer import choose_hidden_size, choose_strength


class Stopped(Exception):
    """What a crash is in these tests."""


def build(size, seed):
    return SequenceClassifier(2, size, input_size=2, cell="gru", seed=seed, backend="numpy")


@dataclass
class Train:
    """Counts what it trains, which is no part of what it is."""

    epochs: int = 1

    def __call__(self, model, data):
        counted.append(1)
        fit(model, data, optimizer=SGD(0.3), epochs=self.epochs, progress=False)


counted: list[int] = []


def examples(n=24, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, 3, 2)).astype(np.float32)
    return Examples(x, (x.sum(axis=(1, 2)) > 0).astype(np.int64), batch_size=6)


def size_choice(**options):
    given = {"sizes": [3, 2], "folds": 3, **options}
    return choose_hidden_size(build, given.pop("train", Train()), given.pop("data", examples()), **given)


def strength_choice(**options):
    """The choice, and what the model is left with."""
    model = build(3, 5)
    given = {"alphas": (1.0, 0.0, 0.2), "decayed": "head", "betas": (0.0, 0.1), "epochs": 2, **options}
    choice = choose_strength(model, examples(), examples(12, 9), optimizer=SGD(0.3), anchored="rnn.*", **given)
    return choice, {name: array.tobytes() for name, array in model.parameters.items()}


BOTH = {"size": (size_choice, 6), "strength": (strength_choice, 6)}
both = pytest.mark.parametrize(("choose", "total"), BOTH.values(), ids=BOTH)


def stopping(after):
    def progress(choice, done, total):
        if done == after:
            raise Stopped

    return progress


@both
def test_trials_on_workers_have_the_bits_of_one_process(choose, total):
    told = []
    with joblib.parallel_config("threading", n_jobs=2):
        found = choose(progress=lambda choice, done, total: told.append((done, total)))
    assert found == choose()
    assert told == [(done, total) for done in range(1, total + 1)]


def test_our_own_processes_have_them_too():
    assert strength_choice(workers=2) == strength_choice()


@both
@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_choice_that_was_cut_off_goes_on_to_the_same_bits(choose, total, after, tmp_path):
    with pytest.raises(Stopped):
        choose(keep=tmp_path / "kept", progress=stopping(after))
    told = []
    found = choose(keep=tmp_path / "kept", resume=True, progress=lambda *progress: told.append(progress[1:]))
    assert found == choose()
    assert told == [(done, total) for done in range(after + 1, total + 1)]


def test_the_best_trial_of_fewer_strengths_is_made_again_if_its_parameters_are_another_s(tmp_path):
    best = strength_choice(keep=tmp_path / "kept")[0].best
    others = [alpha for alpha in (1.0, 0.0, 0.2) if alpha != best.alpha]
    told = []
    found = strength_choice(
        keep=tmp_path / "kept", resume=True, alphas=others, progress=lambda *progress: told.append(progress[1:])
    )
    assert found == strength_choice(alphas=others)
    assert told == [(4, 4)]


def test_a_damaged_file_of_the_best_is_no_loss(tmp_path):
    strength_choice(keep=tmp_path / "kept")
    path = tmp_path / "kept" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert strength_choice(keep=tmp_path / "kept", resume="auto") == strength_choice()


def test_progress_has_the_choice_among_the_sizes_that_are_whole():
    seen = []
    whole = size_choice(progress=lambda choice, done, total: seen.append(choice))
    assert seen[:2] == [None, None]
    assert [list(choice.scores) for choice in seen[2:]] == [[2], [2], [2], [2, 3]]
    assert seen[2].scores[2] == whole.scores[2]
    assert seen[-1] == whole


def test_progress_has_the_best_trial_so_far():
    seen = []
    whole, _ = strength_choice(progress=lambda choice, done, total: seen.append(choice))
    assert [choice.trials for choice in seen] == [whole.trials[:done] for done in range(1, 7)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"folds": 2}, "folds was 3 and is 2"),
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"data": examples(seed=1)}, "data was "),
        ({"train": Train(epochs=2)}, "train was "),
    ],
    ids=["folds", "seed", "data", "train"],
)
def test_scores_of_another_choice_are_refused(change, said, tmp_path):
    size_choice(keep=tmp_path / "kept")
    with pytest.raises(ValueError, match="the trials in .* must be this choice's to go on from, but ") as caught:
        size_choice(keep=tmp_path / "kept", resume=True, **change)
    assert said in str(caught.value)


def test_other_sizes_take_what_is_there(tmp_path):
    size_choice(keep=tmp_path / "kept")
    counted.clear()
    found = size_choice(keep=tmp_path / "kept", resume=True, sizes=[2, 4])
    assert len(counted) == 3
    assert found == size_choice(sizes=[2, 4])


def test_a_damaged_line_is_made_again_with_a_warning(tmp_path):
    size_choice(keep=tmp_path / "kept")
    path = tmp_path / "kept" / "trials.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[1])
    entry["run"]["numbers"] = ["0x1p+0"]
    path.write_bytes(b"".join([lines[0], json.dumps(entry).encode() + b"\n", *lines[2:]]))
    counted.clear()
    with pytest.warns(RuntimeWarning, match="^choose_hidden_size: 1 damaged line in .*: its trial is made again$"):
        found = size_choice(keep=tmp_path / "kept", resume=True)
    assert len(counted) == 1
    assert found == size_choice()


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    size_choice(keep=tmp_path / "kept")
    with pytest.raises(ValueError, match="choose_hidden_size: folder must hold no trials, .* with 6 trials; resume=Tr"):
        size_choice(keep=tmp_path / "kept")
    with pytest.raises(ValueError, match="choose_strength: resume must be left out without keep, got 'auto'"):
        strength_choice(resume="auto")
    with pytest.raises(TypeError, match="choose_hidden_size: train must be made of plain data"):
        size_choice(keep=tmp_path / "other", train=partial(Train(), threading.Lock()))


@both
def test_workers_are_checked_before_anything_is_trained(choose, total):
    counted.clear()
    with pytest.raises(ValueError, match="workers must be an int of at least 1, .*, got 0"):
        choose(workers=0)
    assert counted == []


def test_an_error_names_its_trial():
    with pytest.raises(ZeroDivisionError) as caught:
        size_choice(train=lambda model, data: 1 / 0)
    assert caught.value.__notes__ == ["choose_hidden_size: in hidden size 2, fold 0"]
