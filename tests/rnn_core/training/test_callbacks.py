"""What a run tells its callbacks, how they end it, and the files that the ready-made ones write."""

from __future__ import annotations

import csv
import json
import struct

import numpy as np
import pytest

from rnn_core.training import SGD, Adam, Callback, CSVLog, JSONLog, StepRecord, TensorBoard, TrainingInterrupted, fit
from rnn_core.training.callbacks.logs import COLUMNS
from tests.training_cases import Line, Script, bits, classifier, line_data, stream, sums


class Witness(Callback):
    """Remembers what it was told, and ends the run when it is told to."""

    def __init__(self, *, stop_at_step=None, stop_at_epoch=None, fail_at_step=None):
        self.at_step, self.at_epoch, self.fails = stop_at_step, stop_at_epoch, fail_at_step
        self.told, self.steps, self.error = [], [], None

    def begin(self, model, history, step):
        self.model = model
        self.told.append(("begin", len(history), step))

    def step(self, record):
        self.steps.append(record)
        self.told.append(("step", record.step))
        if record.step == self.fails:
            raise RuntimeError("the disk is full")
        return record.step == self.at_step

    def epoch(self, history):
        self.told.append(("epoch", history[-1].epoch))
        return history[-1].epoch == self.at_epoch

    def end(self, history, error):
        self.told.append(("end", len(history)))
        self.error = error


def run(model, *callbacks, train=None, **options):
    """Fit without a word."""
    train = line_data() if train is None else train  # three batches
    return fit(
        model, train, progress=False, callbacks=callbacks, **{"optimizer": SGD(0.1), "epochs": 2} | options
    )


# --- what they are told ---


def test_everything_is_told_in_order():
    witness = Witness()
    history = run(model := Line(), witness)
    steps = [("step", k) for k in range(1, 7)]
    assert witness.told == [
        ("begin", 0, 0), *steps[:3], ("epoch", 1), *steps[3:], ("epoch", 2), ("end", 2),
    ]  # fmt: skip
    assert witness.model is model
    assert witness.error is None
    assert [record.epoch for record in witness.steps] == [1, 1, 1, 2, 2, 2]
    assert [witness.steps[k].mean_loss for k in (2, 5)] == history.column("loss")
    norms = [record.gradient_norm for record in witness.steps]
    np.testing.assert_allclose(history[0].gradient_norm, np.mean(norms[:3]), rtol=1e-12)


def test_a_step_is_told_in_its_own_numbers():
    witness = Witness()
    run(Script(), witness, train=stream(), optimizer=SGD(0.5), schedule=lambda step: 1 / (1 + step))
    assert witness.steps[0] == StepRecord(1, 1, 1.0, 1.0, 0.0, 0.5, 1.0)
    assert [record.rate for record in witness.steps] == [0.5, 0.25, 0.5 / 3, 0.125]


def test_they_change_no_bit(tmp_path):
    plain, watched = classifier(), classifier()
    options = {"train": sums(), "validation": sums(seed=4), "optimizer": Adam(0.01), "epochs": 3}
    assert run(plain, **options) == run(watched, Witness(), CSVLog(tmp_path / "log.csv"), **options)
    assert bits(plain) == bits(watched)


# --- how they end a run ---


def test_an_epoch_is_the_last():
    first, second = Witness(stop_at_epoch=2), Witness()
    assert len(run(Line(), first, second, epochs=9)) == 2
    assert second.told[-2:] == [("epoch", 2), ("end", 2)]  # all are told, whoever ends the run


def test_a_step_is_the_last(tmp_path):
    witness = Witness(stop_at_step=4)
    history = run(Line(), witness, epochs=9, checkpoint=tmp_path)
    assert len(history) == 1  # the epoch that was broken off has no record
    assert witness.told[-2:] == [("step", 4), ("end", 1)]


def test_a_stop_at_the_last_step_of_an_epoch_lets_it_have_its_record():
    witness = Witness(stop_at_step=3)
    assert len(run(Line(), witness, epochs=9)) == 1
    assert witness.told[-2:] == [("epoch", 1), ("end", 1)]


@pytest.mark.parametrize("step", [1, 3, 4])
def test_what_a_callback_has_ended_is_resumed_to_the_same_bits(tmp_path, step):
    whole, parts = classifier(), classifier()
    options = {"train": sums(), "validation": sums(seed=4), "optimizer": Adam(0.01), "epochs": 3}
    expected = run(whole, **options)
    run(parts, Witness(stop_at_step=step), **options, checkpoint=tmp_path, restore_best=False)
    witness = Witness()
    history = run(parts, witness, **options, checkpoint=tmp_path, resume=True)
    assert witness.told[0] == ("begin", step // 4, step)
    assert history == expected
    assert bits(parts) == bits(whole)


def test_the_best_epoch_is_put_back_before_the_end():
    class Last(Witness):
        def end(self, history, error):
            super().end(history, error)
            self.at_the_end = self.model.parameters["w"].copy()

    last = Last(stop_at_step=5)
    run(Script([1.0, 2.0, 3.0]), last, train=stream(), validation=stream(), optimizer=SGD(1.0), epochs=9)
    assert last.at_the_end == 2  # the updates of the first epoch


# --- errors ---


def test_an_error_of_one_is_told_to_all_that_have_begun():
    class Broken(Callback):
        def begin(self, model, history, step):
            raise OSError("there is no disk")

    before, after = Witness(), Witness()
    with pytest.raises(OSError, match="there is no disk"):
        run(Line(), before, Broken(), after)
    assert isinstance(before.error, OSError)
    assert after.told == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_ends_a_run_is_told(error):
    class Raises(Callback):
        def step(self, record):
            raise error

    witness = Witness()
    with pytest.raises(TrainingInterrupted if error is KeyboardInterrupt else error):
        run(Line(), witness, Raises())
    assert isinstance(witness.error, error)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (Witness(), "a list of callbacks, got Witness; one alone goes in a list"),
        ("log.csv", "a list of callbacks, got str"),
        ([print], "have begin, step, epoch, end, .* got builtin_function_or_method at place 0"),
        ([Witness(), Witness], r"got the class Witness at place 1; give what it makes, with \(\) behind it"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, message):
    with pytest.raises(TypeError, match=f"fit: callbacks must .*{message}"):
        fit(Line(), line_data(), optimizer=SGD(0.1), epochs=1, progress=False, callbacks=callbacks)


# --- logs ---


def rows(path):
    """Return the rows of a table."""
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_table_of_the_epochs(tmp_path):
    path = tmp_path / "log.csv"
    history = run(Line(), CSVLog(path), validation=line_data(seed=1))
    found = rows(path)
    assert tuple(found[0]) == COLUMNS
    for name in COLUMNS:
        assert [float(row[name]) for row in found] == history.column(name)
    run(Line(), CSVLog(path, overwrite=True))
    assert rows(path)[0]["validation_loss"] == ""


def test_a_line_for_every_other_step(tmp_path):
    path = tmp_path / "log.jsonl"
    history = run(Line(), witness := Witness(), JSONLog(path, every=2))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["kind"], line["step"]) for line in lines] == [
        ("step", 2), ("epoch", 3), ("step", 4), ("step", 6), ("epoch", 6),
    ]  # fmt: skip
    assert lines[0] == {"kind": "step", **witness.steps[1]._asdict()}
    assert [line["loss"] for line in lines if line["kind"] == "epoch"] == history.column("loss")


@pytest.mark.parametrize("damage", [b"", b'{"kind": "st', b"[1]\nnonsense\n"])
def test_a_run_that_is_resumed_goes_on_with_its_logs(tmp_path, damage):
    def logs(name):
        return CSVLog(tmp_path / f"{name}.csv"), JSONLog(tmp_path / f"{name}.jsonl", every=1)

    def lines(name):
        found = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        return [{key: value for key, value in line.items() if key != "seconds"} for line in found]

    run(Line(), *logs("whole"), epochs=3)
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError):  # two steps after its last checkpoint
        run(Line(), *logs("parts"), Witness(fail_at_step=5), epochs=3, checkpoint=folder)
    with open(tmp_path / "parts.jsonl", "ab") as file:
        file.write(damage)
    run(Line(), *logs("parts"), epochs=3, checkpoint=folder, resume=True)
    assert lines("parts") == lines("whole")
    assert [row["loss"] for row in rows(tmp_path / "parts.csv")] == [
        row["loss"] for row in rows(tmp_path / "whole.csv")
    ]


def test_a_log_that_begins_late_has_the_epochs_before(tmp_path):
    run(Line(), epochs=1, checkpoint=tmp_path / "run")
    path = tmp_path / "late.jsonl"
    run(Line(), JSONLog(path), epochs=2, checkpoint=tmp_path / "run", resume=True)
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize("log", [CSVLog, JSONLog])
def test_another_runs_log_is_not_written_over(tmp_path, log):
    (path := tmp_path / "log").write_text("hours of work\n")
    model = Line()
    with pytest.raises(FileExistsError, match=f"{log.__name__}: path must be a new file .*overwrite=True"):
        run(model, log(path))
    assert path.read_text() == "hours of work\n"
    with pytest.raises(FileNotFoundError, match=f"{log.__name__}: the folder of path must exist"):
        run(model, log(tmp_path / "nowhere" / "log"))
    assert not model.calls


def test_a_number_of_steps_is_positive(tmp_path):
    with pytest.raises(ValueError, match="JSONLog: every must be at least 1, got 0"):
        JSONLog(tmp_path / "log", every=0)


# --- TensorBoard ---


def curves(folder):
    """Return what files of events hold: the points of each curve, without those that a later file takes back."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.HasField("session_log") and event.session_log.status == event_pb2.SessionLog.START:
                found = {tag: [point for point in points if point[0] < event.step] for tag, points in found.items()}
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_curves_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    history = run(Line(), TensorBoard(tmp_path, every=2), validation=line_data(seed=1))
    found = curves(tmp_path)
    for tag, name in (("loss/training", "loss"), ("loss/validation", "validation_loss"), ("rate", "rate")):
        assert [step for step, _ in found[tag]] == [3, 6]
        np.testing.assert_allclose([value for _, value in found[tag]], history.column(name), rtol=1e-6)
    assert [step for step, _ in found["step/loss"]] == [2, 4, 6]


def test_tensorboard_forgets_what_is_made_again(tmp_path):
    pytest.importorskip("tensorboardX")
    folder, events = tmp_path / "run", tmp_path / "events"
    with pytest.raises(RuntimeError):
        run(Line(), TensorBoard(events, every=1), Witness(fail_at_step=5), checkpoint=folder)
    run(Line(), TensorBoard(events, every=1), checkpoint=folder, resume=True)
    assert [step for step, _ in curves(events)["step/loss"]] == [1, 2, 3, 4, 5, 6]


def test_without_a_writer_the_way_out_is_said(tmp_path, monkeypatch):
    for name in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match=r"TensorBoard: .*pip install 'rnn_core\[tensorboard\]'"):
        TensorBoard(tmp_path)
