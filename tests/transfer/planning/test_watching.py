"""Callbacks of `fit_plan`: the stages are told as one run, also one that was broken off and goes on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from rnn_core.training import Adam, Callback, CSVLog, JSONLog, TrainingInterrupted
from tests.rnn_core.training.test_resume import interrupted

from .test_stages import GRADUAL, fresh, train


class Heard(Callback):
    """Keeps what it is told, and ends the run after an update."""

    def __init__(self, last: int | None = None) -> None:
        self.begun: list[tuple[int, int]] = []
        self.steps: list[tuple[int, int]] = []
        self.last = last

    def begin(self, model, history, step) -> None:
        self.begun.append((len(history), step))

    def step(self, record) -> bool:
        self.steps.append((record.epoch, record.step))
        return record.step == self.last


def logged(folder):
    """Return both logs, without the seconds."""
    with (folder / "log.csv").open() as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return rows, [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def logs(folder):
    return [CSVLog(folder / "log.csv"), JSONLog(folder / "log.jsonl", every=1)]


def test_stages_are_told_as_one_run(tmp_path):
    heard = Heard()
    histories = train(fresh(), GRADUAL, callbacks=[heard, *logs(tmp_path)])
    assert [len(history) for history in histories] == [1, 1, 1, 2]
    assert heard.begun == [(0, 0), (1, 4), (2, 8), (3, 12)]
    assert heard.steps == [(1 + step // 4, 1 + step) for step in range(20)]
    rows, lines = logged(tmp_path)
    assert [(row["epoch"], row["step"]) for row in rows] == [(str(k), str(4 * k)) for k in range(1, 6)]
    assert [float(row["loss"]) for row in rows] == [record.loss for history in histories for record in history]
    assert [line["step"] for line in lines if line["kind"] == "step"] == list(range(1, 21))
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("last", [1, 4, 7, 20])
def test_one_that_ends_the_run_ends_it_for_all_stages(last):
    heard = Heard(last)
    histories = train(fresh(), GRADUAL, callbacks=[heard])
    assert len(heard.steps) == last
    assert len(histories) == min(4, 1 + (last - 1) // 4)


@pytest.mark.parametrize("after", [2, 4, 6, 15])
def test_logs_of_a_run_that_goes_on_are_those_of_one_that_never_broke(after, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    options = {"optimizer": Adam(0.01), "checkpoint_every": 1}
    train(fresh(), GRADUAL, checkpoint=whole / "kept", callbacks=logs(whole), **options)
    with interrupted(after), pytest.raises(TrainingInterrupted):
        train(fresh(), GRADUAL, checkpoint=broken / "kept", callbacks=logs(broken), **options)
    heard = Heard()
    train(fresh(1), GRADUAL, checkpoint=broken / "kept", resume=True, callbacks=[heard, *logs(broken)], **options)
    assert heard.steps[-1] == (5, 20)
    assert logged(broken) == logged(whole)


def test_what_is_no_callback_is_refused_before_anything_trains():
    model = fresh()
    before = {name: array.copy() for name, array in model.parameters.items()}
    with pytest.raises(TypeError, match="fit_plan: callbacks must be a list"):
        train(model, replace(GRADUAL), callbacks=Heard())
    assert all((array == before[name]).all() for name, array in model.parameters.items())
