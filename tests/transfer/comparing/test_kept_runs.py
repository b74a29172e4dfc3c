"""Runs that are kept: a comparison that goes on ends in the bits of one that never stopped, or is refused."""

from __future__ import annotations

import json
import multiprocessing
import threading
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from transfer import ARMS, Arm, Plan, compare
from transfer.comparing import kept as keeping
from transfer.comparing.classification import ClassificationStudy
from transfer.comparing.identity import digest, identity
from transfer.comparing.kept import KeptRuns
from transfer.comparing.runs import Run

from ..study_cases import BUDGET, labelled, study_of

SIZES, SEEDS = (6, 12), 2
ALL = len(SIZES) * SEEDS * len(ARMS)


class Stopped(Exception):
    """What a crash is in these tests."""


@dataclass(frozen=True, eq=False)
class Recording(ClassificationStudy):
    """Has a record of every kind, and counts what it is asked to do."""

    asked: ClassVar[list[tuple]] = []

    def pretrain(self, seed, shuffled):
        self.asked.append(("pretrain", seed, shuffled))
        return super().pretrain(seed, shuffled)

    def train(self, model, plan, size, seed):
        self.asked.append(("train", seed, size))
        super().train(model, plan, size, seed)
        return {"pair": (1, np.float32(0.1)), "none": None, "far": float("inf"), "row": np.arange(2), "ä": "\ud83d"}


def recording(**options):
    study = study_of()
    Recording.asked.clear()
    return Recording(study.source, study.target, study.test, study.network, **{"budget": BUDGET, **options})


def stopping(after):
    def progress(run, done, total):
        assert total == ALL
        if done == after:
            raise Stopped

    return progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A comparison that never stops, with the runs kept and without."""
    folder = tmp_path_factory.mktemp("whole") / "kept"
    return compare(recording(), sizes=SIZES, seeds=SEEDS, keep=folder), folder


def test_what_is_kept_is_what_is_found_without(whole):
    plain = compare(recording(), sizes=SIZES, seeds=SEEDS)
    assert [run[:4] for run in plain.runs] == [run[:4] for run in whole[0].runs]
    assert whole[0].runs[0].record == {
        "pair": [1, float(np.float32(0.1))], "none": None, "far": float("inf"), "row": [0, 1], "ä": "\ud83d",
    }  # fmt: skip


@pytest.mark.parametrize("after", [1, 5, 6, ALL - 1, ALL])
def test_interrupted_at_a_run_and_resumed_it_ends_in_the_same_bits(whole, tmp_path, after):
    with pytest.raises(Stopped):
        compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", progress=stopping(after))
    seen = []
    study = recording()
    found = compare(
        study, sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", resume=True,
        progress=lambda run, done, total: seen.append((done, total)),
    )  # fmt: skip
    assert found.runs == whole[0].runs
    assert json.dumps(found.as_dict()) == json.dumps(whole[0].as_dict())
    assert seen == [(done, ALL) for done in range(after + 1, ALL + 1)]
    trained = [entry for entry in study.asked if entry[0] == "train"]
    assert len(trained) == ALL - after
    assert (tmp_path / "kept" / "runs.jsonl").read_bytes() == (whole[1] / "runs.jsonl").read_bytes()


def test_sources_are_kept_too(tmp_path):
    with pytest.raises(Stopped):
        compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", progress=stopping(3))
    study = recording()
    compare(study, sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", resume=True)
    assert [entry for entry in study.asked if entry[0] == "pretrain"] == [("pretrain", 1, False), ("pretrain", 1, True)]


def test_a_source_that_is_damaged_is_trained_again(whole, tmp_path):
    with pytest.raises(Stopped):
        compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", progress=stopping(3))
    for path in (tmp_path / "kept" / "sources").iterdir():
        path.write_bytes(path.read_bytes()[:-7])
    found = compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", resume=True)
    assert found.runs == whole[0].runs


def test_a_source_that_a_file_does_not_hold_whole_is_trained_again(tmp_path):
    path = tmp_path / "sources"
    made = []

    def pretrain():
        made.append(study_of().pretrain(0, False))
        made[-1].steps = 3  # more than its parameters
        return made[-1]

    assert keeping.source_kept(path, 0, "trained", pretrain) is made[0]
    assert keeping.source_kept(path, 0, "trained", pretrain) is made[1]
    assert list(path.iterdir()) == []


def test_workers_go_on_as_well(whole, tmp_path):
    with pytest.raises(Stopped):
        compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", progress=stopping(3), workers=2)
    assert not multiprocessing.active_children()
    found = compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", resume=True, workers=2)
    assert found.runs == whole[0].runs


def test_more_seeds_sizes_and_arms_take_what_is_there(tmp_path):
    few = compare(recording(), sizes=[12], seeds=2, arms=ARMS[:3], keep=tmp_path / "kept")
    study = recording()
    more = compare(study, sizes=SIZES, seeds=3, keep=tmp_path / "kept", resume=True)
    assert len([entry for entry in study.asked if entry[0] == "train"]) == 3 * 2 * len(ARMS) - len(few.runs)
    assert set(map(str, few.runs)) <= set(map(str, more.runs))
    assert more.runs == compare(recording(), sizes=SIZES, seeds=3, keep=tmp_path / "other").runs


def test_an_arm_of_the_same_name_and_another_meaning_is_run_again(tmp_path):
    arms = [Arm("scratch"), Arm("tuned", "trained")]
    others = [arms[0], Arm("tuned", "trained", plan=Plan(rates={"rnn.*": 1e-4}))]
    compare(recording(), sizes=[12], seeds=1, arms=arms, keep=tmp_path / "kept")
    study = recording()
    found = compare(study, sizes=[12], seeds=1, arms=others, keep=tmp_path / "kept", resume=True)
    assert [entry[0] for entry in study.asked] == ["train"]
    assert found.runs == compare(recording(), sizes=[12], seeds=1, arms=others, keep=tmp_path / "other").runs
    again = KeptRuns(tmp_path / "kept", recording(), resume=True)
    assert again.find(others[1], 12, 0) == found.runs[1]  # the later one is kept


def test_a_folder_with_runs_says_the_way_out(whole):
    with pytest.raises(ValueError, match=r"must hold no runs, got .* with 20 runs; resume=True goes on"):
        compare(recording(), sizes=SIZES, seeds=SEEDS, keep=whole[1])


def test_nothing_to_go_on_from_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"must hold runs to go on from, got .*; resume='auto' begins afresh"):
        compare(recording(), sizes=[12], seeds=1, keep=tmp_path / "kept", resume=True)
    assert not (tmp_path / "kept").exists()
    compare(recording(), sizes=[12], seeds=1, keep=tmp_path / "kept", resume="auto")
    compare(recording(), sizes=[12], seeds=1, keep=tmp_path / "kept", resume="auto")
    with pytest.raises(ValueError, match="resume must be left out without keep"):
        compare(recording(), sizes=[12], seeds=1, resume=True)
    with pytest.raises(ValueError, match="resume must be True, False or 'auto', got 'yes'"):
        KeptRuns(tmp_path / "kept", recording(), resume="yes")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: recording(budget=replace(BUDGET, target_updates=7)), "budget.target_updates was 6 and is 7"),
        (lambda: recording(balanced=True), "balanced was False and is True"),
        (lambda: replace(recording(), source=labelled(5)), "source.inputs was "),
        (study_of, "study was '"),
    ],
)  # fmt: skip
def test_another_study_is_refused_and_nothing_changes(whole, change, said):
    before = {path: path.read_bytes() for path in whole[1].rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"must be this study's to go on from, but .*; undo the change, or") as caught:
        compare(change(), sizes=SIZES, seeds=SEEDS, keep=whole[1], resume=True)
    assert said in str(caught.value)
    assert before == {path: path.read_bytes() for path in whole[1].rglob("*") if path.is_file()}


def test_other_code_is_another_study(whole, monkeypatch):
    monkeypatch.setattr("transfer.comparing.identity._our_code", lambda: "another")
    with pytest.raises(ValueError, match="but code was '"):
        KeptRuns(whole[1], recording(), resume=True)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]"])
def test_runs_that_do_not_say_whose_they_are_are_refused(tmp_path, text):
    compare(recording(), sizes=[12], seeds=1, keep=tmp_path / "kept")
    (tmp_path / "kept" / "study.json").write_bytes(text)
    with pytest.raises(ValueError, match="must say which study its runs are of, and doesn't; remove it"):
        KeptRuns(tmp_path / "kept", recording(), resume=True)


def test_damaged_lines_are_made_again_with_a_warning(whole, tmp_path):
    compare(recording(), sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept")
    path = tmp_path / "kept" / "runs.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"size": 6', b'"size": 7')  # a whole line whose checksum isn't its own
    lines[7] = b"\x00" * 30 + b"\n"
    lines[-1] = lines[-1][: len(lines[-1]) // 2]  # cut short by a crash
    path.write_bytes(b"".join(lines))
    study = recording()
    with pytest.warns(RuntimeWarning, match=r"^compare: 3 damaged lines in .*runs.jsonl: their runs are made again$"):
        found = compare(study, sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", resume=True)
    assert found.runs == whole[0].runs
    assert len([entry for entry in study.asked if entry[0] == "train"]) == 3
    compare(study, sizes=SIZES, seeds=SEEDS, keep=tmp_path / "kept", resume=True)  # and now all are whole


@pytest.mark.parametrize("score", [0.1 + 0.2, float("nan"), float("-inf"), -0.0, 5e-324])
def test_a_score_comes_back_as_the_bits_that_it_was(tmp_path, score):
    kept, arm = KeptRuns(tmp_path, study_of()), Arm("scratch")
    kept.add(Run("scratch", 1, 0, score, None), arm)
    found = KeptRuns(tmp_path, study_of(), resume=True).find(arm, 1, 0)
    assert np.float64(found.score).tobytes() == np.float64(score).tobytes()


def test_a_record_that_json_cannot_hold_is_refused(tmp_path):
    kept = KeptRuns(tmp_path, study_of())
    with pytest.raises(TypeError, match="must return what JSON can hold for its runs to be kept, got <object"):
        kept.add(Run("scratch", 1, 0, 1.0, object()), Arm("scratch"))
    assert len(kept) == 0


def test_what_was_kept_can_be_removed_and_nothing_else(tmp_path):
    compare(recording(), sizes=[12], seeds=1, keep=tmp_path / "kept")
    (tmp_path / "kept" / "mine.txt").write_text("mine", encoding="utf-8")
    keeping.remove(tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["mine.txt"]


def test_the_identity_of_a_study_is_the_same_in_another_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_identity) == _identity()


def _identity():
    return identity(study_of())


def test_digests_tell_apart_what_differs_and_nothing_else():
    def of(n):
        return lambda x: x + n

    different = [
        None, 0, 0.0, False, "", b"", (), [], {}, set(), 1, "1", (1,), [1], {1: 2}, {1: 3}, {2: 1}, (1, (2,)),
        ((1, 2),), np.zeros(2), np.zeros(2, np.float32), np.zeros((2, 1)), np.array([0, None]), of(1), of(2), len,
        Plan(), Plan(frozen=("rnn.*",)), study_of().build(0), study_of().build(1), np.random.default_rng(0),
        np.random.default_rng(1),
    ]  # fmt: skip
    assert len({digest(value) for value in different}) == len(different)
    assert digest({3, 1, 2}) == digest({1, 2, 3})
    assert digest(of(1)) == digest(of(1))
    looped: list[Any] = []
    looped.append(looped)
    assert digest(looped)
    with pytest.raises(TypeError, match=r"Held: attributes must be plain data, .* got lock \("):
        identity(Held())


class Held(ClassificationStudy):
    """Holds what can't be known again."""

    def __init__(self):
        self.lock = threading.Lock()
        object.__setattr__(self, "core", "*")

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
