"""`fit`: does it learn, does it leave alone what is frozen, does it stop when it should, and what does it say?"""

from __future__ import annotations

import io
import json
import os
import re
from math import inf, log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rnn_core import weights
from rnn_core.data import Examples, TextStream
from rnn_core.training import SGD, Adam, Cosine, EpochRecord, History, Updates, fit
from tests.training_cases import (
    TEXT,
    Line,
    Script,
    bits,
    classifier,
    language_model,
    line_data,
    stream,
    sums,
    text_streams,
)


def quiet(model, train, **options):
    """Fit without a word."""
    return fit(model, train, progress=False, **{"optimizer": SGD(0.1), "epochs": 2} | options)


# --- it learns ---


def test_a_line_is_found():
    model = Line()
    history = quiet(model, line_data(), validation=line_data(seed=1), epochs=60)
    np.testing.assert_allclose(model.parameters["w"], [1, -2, 0.5], atol=1e-6)
    np.testing.assert_allclose(model.parameters["b"], 3, atol=1e-6)
    assert history[-1].validation_loss < 1e-10
    assert history[-1].validation_accuracy == 1


def test_a_language_model_learns_a_text_that_repeats_itself():
    train, validation = text_streams()
    history = quiet(language_model(), train, validation=validation, optimizer=Adam(0.05), epochs=25, clip_norm=1.0)
    assert history[0].validation_loss > 1
    assert history[-1].loss < 0.05
    assert history[-1].validation_loss < 0.2  # nothing tells it where a text begins
    assert history[-1].validation_bits == history[-1].validation_loss / log(2)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_a_classifier_learns(pooling):
    history = quiet(classifier(pooling=pooling), sums(60), validation=sums(60), optimizer=Adam(0.03), epochs=20)
    assert history[-1].validation_accuracy > 0.9


def test_the_training_loss_is_the_mean_over_targets_and_not_over_batches():
    model, train = Line(), line_data(rows=10, batch_size=8)  # batches of 8 and 2
    history = quiet(model, train, optimizer=SGD(0.0), epochs=1)
    assert history[0].loss == pytest.approx(np.mean(train.targets**2))


# --- it is deterministic ---


def test_the_same_arguments_give_the_same_bits():
    first, second = language_model(dropout=0.3), language_model(dropout=0.3)
    train, validation = text_streams()
    histories = [quiet(model, train, validation=validation, optimizer=Adam(0.01)) for model in (first, second)]
    assert bits(first) == bits(second)
    assert histories[0] == histories[1]


def test_the_seed_draws_the_dropout_and_nothing_else():
    for p, same in ((0.3, False), (0.0, True)):
        models = [language_model(dropout=p) for _ in range(2)]
        for seed, model in enumerate(models):
            quiet(model, text_streams()[0], seed=seed)
        assert (bits(models[0]) == bits(models[1])) is same


def test_every_step_has_dropout_of_its_own():
    model = Line()
    quiet(model, line_data())
    draws = [call.rng.random() for call in model.calls]
    assert len(set(draws)) == len(draws) == 6


# --- what trains, and how ---


def test_what_is_frozen_stays_bit_by_bit_and_is_not_asked_for():
    model = Line()
    model.frozen = frozenset({"b"})
    model.parameters["b"][...] = -0.0
    before = bits(model)
    quiet(model, line_data(), optimizer=Adam(0.1, weight_decay=0.1))
    assert bits(model)["b"] == before["b"]
    assert bits(model)["w"] != before["w"]
    assert all(call.needs == {"w"} for call in model.calls)


def test_what_updates_leave_out_stays_bit_by_bit():
    train, _ = text_streams()
    model = language_model(dropout=0.2)
    before = bits(model)
    chosen = tuple(name for name in model.parameters if name.startswith("head"))
    quiet(model, train, updates=Updates(chosen), clip_norm=0.5)
    assert {name for name, value in bits(model).items() if value != before[name]} == set(chosen)


def test_rates_replace_the_optimizers_and_move_with_the_schedule():
    train = line_data(rows=8)
    reference, model = Line(), Line()
    step = reference.loss_and_gradients(train.batch(0, 0), state=None, needs={"w", "b"}, rng=None)
    history = quiet(model, train, epochs=1, schedule=lambda step: 0.5, updates=Updates(("b", "w"), {"w": 0.02}))
    np.testing.assert_array_equal(model.parameters["w"], -0.01 * step.gradients["w"])
    np.testing.assert_array_equal(model.parameters["b"], -0.05 * step.gradients["b"])
    assert history[0].rate == 0.05


def test_the_schedule_goes_on_across_epochs():
    model = Script()
    history = quiet(model, stream(3), epochs=2, optimizer=SGD(1.0), schedule=lambda step: 10.0**step)
    assert model.parameters["w"] == 111_111
    assert history.column("rate") == [100, 100_000]


def test_gradients_are_clipped_and_their_length_is_told():
    train = line_data(rows=8)
    model = Line()
    step = model.loss_and_gradients(train.batch(0, 0), state=None, needs={"w", "b"}, rng=None)
    norm = np.sqrt(sum((g * g).sum() for g in step.gradients.values()))
    history = quiet(model, train, epochs=1, optimizer=SGD(1.0), clip_norm=0.25)
    assert history[0].gradient_norm == pytest.approx(norm)
    assert history[0].clipped == 1
    assert np.sqrt(sum((p * p).sum() for p in model.parameters.values())) == pytest.approx(0.25)


def test_an_anchors_penalty_is_half_the_strength_times_a_sum_of_squares():
    train = line_data(rows=8)
    home = np.array([3.0, -1.0, 2.0])
    plain, model = Line(), Line()
    step = plain.loss_and_gradients(train.batch(0, 0), state=None, needs={"w", "b"}, rng=None)
    updates = Updates(("w", "b"), anchors={"w": (0.2, home)})
    history = quiet(model, train, epochs=1, optimizer=SGD(1.0), updates=updates)
    assert history[0].penalty == pytest.approx(0.5 * 0.2 * 14)
    assert history[0].loss == pytest.approx(step.loss + 1.4)
    np.testing.assert_allclose(model.parameters["w"], -(step.gradients["w"] + 0.2 * (0 - home)))


def test_an_anchors_gradient_is_clipped_with_the_rest():
    model = Line()
    updates = Updates(("w", "b"), anchors={"w": (1e6, np.ones(3))})
    quiet(model, line_data(rows=8), epochs=1, optimizer=SGD(1.0), updates=updates, clip_norm=1.0)
    np.testing.assert_allclose(model.parameters["w"], np.full(3, 3**-0.5), atol=1e-3)


def test_an_anchor_of_strength_zero_changes_no_bit():
    plain, anchored = language_model(dropout=0.1), language_model(dropout=0.1)
    train, _ = text_streams()
    # So far away that the square overflows, and 0 · ∞ would be no number.
    anchors = {name: (0.0, np.full_like(array, 1e30)) for name, array in anchored.parameters.items()}
    quiet(plain, train)
    quiet(anchored, train, updates=Updates(tuple(anchored.parameters), anchors=anchors))
    assert bits(plain) == bits(anchored)


def test_the_stronger_the_anchors_the_closer_the_parameters_stay():
    train, _ = text_streams()
    distances = []
    for strength in (0.0, 1.0, 10.0, 100.0):
        model = language_model()
        start = model.state_dict()
        anchors = {name: (strength, array) for name, array in model.parameters.items()}  # the live arrays
        updates = Updates(tuple(model.parameters), anchors=anchors)
        history = quiet(model, train, optimizer=SGD(0.01), epochs=10, updates=updates)
        assert (history[-1].penalty > 0) is (strength > 0)
        distances.append(max(abs(model.parameters[name] - start[name]).max() for name in start))
    assert distances == sorted(distances, reverse=True)
    # At rate · strength = 1 a step begins by going all the way back.
    assert distances[-1] < distances[0] / 10


# --- state carried on ---


def test_the_state_is_carried_on_within_an_epoch():
    model = Script([0.5, 0.4], steps=3)
    quiet(model, stream(3), validation=stream(2), optimizer=SGD(1.0))
    assert model.states == [None, 1, 2, None, 4, 5]
    assert model.validation_states == [None, 0, None, 0]


def test_independent_examples_start_from_zeros():
    model = Script()
    quiet(model, sums(), epochs=1)
    assert model.states == [None] * 4


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_truncated_backpropagation_is_what_it_would_be_by_hand(cell):
    by_hand, fitted = language_model(cell=cell), language_model(cell=cell)
    train, _ = text_streams()
    optimizer = SGD(0.1, momentum=0.9)
    slots, state = optimizer.init(by_hand.parameters), None
    for index in range(len(train)):
        step = by_hand.loss_and_gradients(train.batch(0, index), state=state)
        optimizer.update(by_hand.parameters, step.gradients, slots)
        state = step.state
    quiet(fitted, train, optimizer=optimizer, epochs=1)
    assert bits(fitted) == bits(by_hand)


def test_the_state_matters():
    train, _ = text_streams()
    carried, forgotten = language_model(), language_model()
    quiet(carried, train)

    class Forgetful:
        def __len__(self):
            return len(train)

        def batch(self, epoch, index):
            return train.batch(epoch, index)._replace(carry=False)

    quiet(forgotten, Forgetful())
    assert bits(carried) != bits(forgotten)


# --- the best epoch ---


def test_patience_ends_training_and_the_best_epoch_is_restored():
    model = Script([5.0, 4.0, 3.0, 3.5, 3.2, 1.0])
    history = quiet(model, stream(), validation=stream(), optimizer=SGD(1.0), epochs=6, patience=2)
    assert history.column("validation_loss") == [5, 4, 3, 3.5, 3.2]
    assert history.best.epoch == 3
    assert model.parameters["w"] == 6


def test_without_patience_training_goes_on_and_the_best_epoch_is_restored():
    model = Script([5.0, 4.0, 3.0, 3.5, 3.2, 1.0, 2.0])
    history = quiet(model, stream(), validation=stream(), optimizer=SGD(1.0), epochs=7)
    assert (len(history), history.best.epoch, history.stale, model.parameters["w"][0]) == (7, 6, 1, 12)


def test_the_last_epoch_stays_where_the_best_is_not_wanted():
    model = Script([1.0, 2.0])
    quiet(model, stream(), validation=stream(), optimizer=SGD(1.0), restore_best=False)
    assert model.parameters["w"] == 4


def test_of_equal_epochs_the_first_is_the_best():
    model = Script([1.0, 1.0, 1.0, 1.0])
    history = quiet(model, stream(), validation=stream(), optimizer=SGD(1.0), epochs=4, patience=3)
    assert history.best.epoch == 1
    assert model.parameters["w"] == 2


def test_accuracy_can_decide():
    model = Script([1.0, 2.0, 3.0], accuracies=[0.1, 0.3, 0.2])
    monitor = "validation_accuracy"
    history = quiet(model, stream(), validation=stream(), optimizer=SGD(1.0), epochs=3, monitor=monitor)
    assert history.best.epoch == 2
    assert model.parameters["w"] == 4


def test_the_training_loss_can_decide():
    history = quiet(Script(), stream(), optimizer=SGD(1.0), epochs=9, monitor="loss", patience=2)
    assert (len(history), history.best.epoch) == (3, 1)


def test_without_validation_the_last_epoch_stays():
    model = Script()
    history = quiet(model, stream(), optimizer=SGD(1.0))
    assert history.best is None
    assert model.parameters["w"] == 4


def test_the_best_model_is_on_disk_and_loads(tmp_path):
    model = language_model(dropout=0.2)
    train, validation = text_streams()
    quiet(model, train, validation=validation, checkpoint=tmp_path, epochs=3)
    loaded = weights.load(tmp_path / "best.safetensors")
    assert bits(loaded) == bits(model)
    np.testing.assert_array_equal(loaded(TEXT[None])[0], model(TEXT[None])[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]


# --- history ---


def record(epoch=1, **values):
    defaults = {"step": 2, "loss": 1.0, "penalty": 0.0, "rate": 0.1, "gradient_norm": 1.0, "clipped": 0}
    return EpochRecord(epoch, **defaults | values)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(losses=st.lists(numbers, max_size=4), seconds=numbers)
def test_a_history_survives_json_and_is_equal_apart_from_the_time(losses, seconds):
    history = History([record(k + 1, validation_loss=x, seconds=seconds) for k, x in enumerate(losses)], "loss")
    again = History.from_dict(json.loads(json.dumps(history.as_dict())))
    assert again == history
    assert again.column("seconds") == history.column("seconds")
    other = History([record(k + 1, validation_loss=x, seconds=7.0) for k, x in enumerate(losses)], "loss")
    assert other == history


def test_a_history_is_a_sequence_of_records():
    history = quiet(Line(), line_data(), validation=line_data(), epochs=3)
    assert [r.epoch for r in history] == history.column("epoch") == [1, 2, 3]
    assert history[-1].step == 9
    assert history.column("validation_bits")[0] == history[0].validation_loss / log(2)
    assert history.seconds == sum(history.column("seconds")) > 0


def test_a_history_without_validation_has_no_bits():
    history = quiet(Line(), line_data(), epochs=1)
    assert history.column("validation_bits") == [None]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: History().column("los"), "History.column: name must be one of epoch, .*; got 'los'"),
        (lambda: History.from_dict({}), "must have the entries monitor and records"),
        (lambda: History.from_dict({"monitor": None, "records": [{"x": 1}]}), "records must have the entries"),
        (lambda: History.from_dict({"monitor": "luck", "records": []}), "monitor must be one of .* got 'luck'"),
        (
            lambda: History.from_dict(History([record()], "validation_loss").as_dict()),
            "records must all have validation_loss",
        ),
    ],
)
def test_a_wrong_history_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- progress ---


def shown(epochs, terminal=False, width=120, **options):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width)
    fit(Line(), line_data(), optimizer=SGD(0.1), epochs=epochs, progress=console, **options)
    return console.file.getvalue()


def test_a_log_gets_a_line_an_epoch():
    lines = shown(3, validation=line_data(), clip_norm=1.0).splitlines()
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert all(word in lines[0] for word in ("loss", "validation", "rate", "best"))


def test_a_long_run_does_not_flood_the_log():
    lines = shown(200).splitlines()
    assert len(lines) == 21
    assert lines[-1].startswith("epoch 200/200")


def test_a_terminal_gets_a_bar():
    last = shown(3, terminal=True, validation=line_data()).split("\r")[-1]
    assert all(word in last for word in ("epoch 3/3", "━", "00:00", "loss", "validation", "rate 1.0e-01"))


@pytest.mark.parametrize("width", [80, 200])
def test_the_bar_fits_the_terminal(width):
    text = shown(100, terminal=True, width=width, validation=line_data()).split("\r")[-1]
    line = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", text).rstrip("\n")
    assert len(line) <= width
    assert "…" not in line
    assert line.startswith("epoch 100/100")


def test_silence_is_silent(capfd):
    quiet(Line(), line_data())
    assert capfd.readouterr() == ("", "")


def test_without_a_console_progress_goes_to_standard_error(capfd):
    fit(Line(), line_data(), optimizer=SGD(0.1), epochs=1)
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("epoch 1/1")


# --- what goes wrong ---


class Breaking(Line):
    """A line whose loss or gradient is no number from a given step on."""

    def __init__(self, at, loss=None, gradient=None, parameter=None):
        super().__init__()
        self.at, self.loss, self.gradient, self.parameter = at, loss, gradient, parameter

    def loss_and_gradients(self, batch, **options):
        step = super().loss_and_gradients(batch, **options)
        if len(self.calls) == self.at:
            step.loss = step.loss if self.loss is None else self.loss
            if self.gradient is not None:
                step.gradients["w"][1] = self.gradient
            if self.parameter is not None:
                self.parameters["b"][...] = self.parameter
        return step


@pytest.mark.parametrize(
    "broken, message",
    [
        ({"loss": nan}, "fit: the loss must be finite, got nan"),
        ({"loss": inf}, "fit: the loss must be finite, got inf"),
        ({"gradient": nan}, r"gradients must be finite, got nan in that of w at index \(1,\)"),
        ({"gradient": -inf}, r"gradients must be finite, got -inf in that of w at index \(1,\)"),
    ],
)
def test_a_step_without_a_number_is_named_and_the_checkpoint_before_stands(broken, message, tmp_path):
    model = Breaking(at=5, **broken)  # batches: 3 an epoch
    with pytest.raises(ValueError, match=message) as caught:
        quiet(model, line_data(), epochs=5, checkpoint=tmp_path)
    text = str(caught.value)
    assert "met in step 2 of 3 in epoch 2" in text
    assert "try a lower learning rate, clip_norm or a warm-up" in text
    assert "last.safetensors holds the state after step 3, with 1 epochs done" in text
    again = Breaking(at=None)
    history = quiet(again, line_data(), epochs=1, checkpoint=tmp_path, resume=True)
    assert len(history) == 1
    assert all(np.isfinite(p).all() for p in again.parameters.values())


@pytest.mark.parametrize("at", [2, 3])
def test_a_parameter_thrown_out_of_range_reaches_no_checkpoint(at, tmp_path):
    model = Breaking(at=at, parameter=inf)
    with pytest.raises(ValueError, match=f"fit: b must be finite, got inf .* met after step {at} of 3 in epoch 1"):
        quiet(model, line_data(), checkpoint=tmp_path, checkpoint_every=1)
    history = quiet(Breaking(at=None), line_data(), checkpoint=tmp_path, resume=True)
    assert len(history) == 2


def test_a_validation_loss_without_a_number_is_named():
    with pytest.raises(ValueError, match="validation loss must be finite, got nan; met in the validation of epoch 2"):
        quiet(Script([1.0, nan]), stream(), validation=stream(), optimizer=SGD(1.0), epochs=2)


def test_a_model_that_runs_away_says_where_and_what_to_try():
    with pytest.raises(ValueError, match=r"finite.* in epoch \d+\. If training ran away, try a lower learning rate"):
        quiet(language_model(cell="rnn", nonlinearity="relu"), text_streams()[0], optimizer=SGD(1e30), epochs=20)


def test_a_token_out_of_range_is_named_with_its_step():
    tokens = np.where(np.arange(41) == 39, 99, TEXT[:41])
    with pytest.raises(ValueError, match=r"tokens must be in 0…6, got 99 .* met in step 4 of 4 in epoch 1\. No check"):
        quiet(language_model(), TextStream(tokens, batch_size=1, steps=10))


def test_a_number_missing_from_the_data_is_not_put_down_to_the_learning_rate():
    train, validation = line_data(), line_data()
    train.inputs[5, 1] = nan
    for sources in ((train, None), (validation, train)):
        with pytest.raises(ValueError, match="loss must be finite, got nan; met in .* of .* No checkpoint") as caught:
            quiet(Line(), sources[0], validation=sources[1])
        assert "learning rate" not in str(caught.value)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"epochs": 1.5}, TypeError, "epochs must be an int"),
        ({"patience": 0, "validation": line_data()}, ValueError, "patience must be at least 1"),
        ({"patience": 2}, ValueError, "patience must have something to go by"),
        ({"monitor": "luck"}, ValueError, "monitor must be one of 'loss', .* got 'luck'"),
        ({"monitor": "validation_loss"}, ValueError, "must come with validation batches"),
        ({"checkpoint_every": 2}, ValueError, "checkpoint_every must come with a folder"),
        ({"resume": True}, ValueError, "resume must come with a folder"),
        ({"resume": "yes"}, ValueError, "resume must be True, False or 'auto', got 'yes'"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": 0.5}, TypeError, "seed must be an int, got float 0.5"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be above 0, got 0"),
        ({"clip_norm": nan}, ValueError, "clip_norm must be above 0, got nan"),
        ({"clip_norm": "1"}, TypeError, "clip_norm must be a number"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be an optimizer, such as SGD or Adam, got float 0.1"),
        ({"progress": None}, TypeError, "progress must be True, False or a rich Console, got NoneType"),
        ({"progress": "no"}, TypeError, "progress must be True, False or a rich Console, got str 'no'"),
        ({"checkpoint": ""}, ValueError, "checkpoint must name a folder, got ''"),
        ({"schedule": lambda step: None}, ValueError, "schedule must return a finite number .* got None at step 0"),
        ({"schedule": lambda step: "a"}, ValueError, "got 'a' at step 0"),
        ({"schedule": lambda step: nan}, ValueError, "got nan at step 0"),
        ({"schedule": lambda step: 1.0 - step}, ValueError, "got -1.0 at step 2"),
        ({"schedule": 0.1}, TypeError, "schedule must be a function of the step"),
        ({"model": "m"}, TypeError, "model must have loss_and_gradients"),
        ({"train": np.zeros((2, 3))}, TypeError, "train must be batches, such as Examples or TextStream, got ndarray"),
        ({"validation": [1]}, TypeError, "validation must be batches"),
        ({"updates": Updates(())}, ValueError, "updates.trainable must name a parameter at least, got none of w, b"),
        ({"updates": Updates(("v",))}, ValueError, "updates.trainable must name parameters; got v; there are w, b"),
        ({"updates": Updates("w")}, TypeError, "must hold names, got the single string 'w'"),
        ({"updates": Updates(("w",), {"b": 1.0})}, ValueError, "rates must name parameters that train; got b; there"),
        ({"updates": Updates(("w",), {"w": -1.0})}, ValueError, r"rates\['w'\] must be at least 0 and finite, got -1"),
        ({"updates": Updates(("w",), {"w": None})}, TypeError, r"rates\['w'\] must be a number, got None"),
        ({"updates": Updates(("w",), {}, {"x": (1, 0)})}, ValueError, "anchors must name parameters that train; got x"),
        ({"updates": Updates(("w",), {}, {"w": (1, np.zeros(2))})}, ValueError, r"must have shape \(3,\), as the par"),
        ({"updates": Updates(("w",), {}, {"w": (inf, np.zeros(3))})}, ValueError, "must be at least 0 and finite"),
        ({"updates": Updates(("w",), {}, {"w": (1, np.array([0, nan, 0]))})}, ValueError, "must be finite, got nan"),
        ({"updates": Updates(("w",), {}, {"w": (1, np.zeros(3, complex))})}, TypeError, "float64 or narrower, got com"),
    ],
)
def test_wrong_arguments_get_a_clear_line(options, error, message):
    options = {"model": Line(), "train": line_data()} | options
    with pytest.raises(error, match=message) as caught:
        fit(**{"optimizer": SGD(0.1), "epochs": 2, "progress": False} | options)
    assert str(caught.value).startswith("fit: ")


def test_a_model_that_is_all_frozen_is_refused():
    model = Line()
    model.frozen = frozenset(model.parameters)
    with pytest.raises(ValueError, match=r"must have a parameter that trains, got all 2 frozen; unfreeze"):
        quiet(model, line_data())


def test_what_is_frozen_can_not_be_made_to_train():
    model = Line()
    model.frozen = frozenset({"b"})
    with pytest.raises(ValueError, match=r"must not name what the model has frozen, got b"):
        quiet(model, line_data(), updates=Updates(("w", "b")))


def test_no_batches_are_refused():
    class Empty:
        def __len__(self):
            return 0

        def batch(self, epoch, index):
            raise NotImplementedError

    with pytest.raises(ValueError, match="train must have at least one batch, got none"):
        quiet(Line(), Empty())


@pytest.mark.parametrize("place", ["file", "file/folder"])
def test_a_folder_that_can_not_be_made_ends_the_run_before_its_first_step(place, tmp_path):
    (tmp_path / "file").write_text("in the way")
    model = Line()
    with pytest.raises(OSError, match="fit: checkpoint must be a folder, got '.*', which can't be made"):
        quiet(model, line_data(), checkpoint=tmp_path / place)
    assert not model.calls


def test_a_folder_that_can_not_be_written_ends_the_run_before_its_first_step(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    model = Line()
    with pytest.raises(PermissionError, match=r"last.safetensors' can't be written: Permission denied"):
        quiet(model, line_data(), checkpoint=tmp_path)
    assert not model.calls


@pytest.mark.parametrize("options", [{"progress": 1}, {"schedule": lambda step: nan}], ids=["progress", "schedule"])
def test_wrong_arguments_write_no_checkpoint(options, tmp_path):
    with pytest.raises((TypeError, ValueError)):
        fit(Line(), line_data(), **{"optimizer": SGD(0.1), "epochs": 1, "checkpoint": tmp_path} | options)
    assert not list(tmp_path.iterdir())


def test_a_schedule_is_any_function_of_the_step():
    plain, named = Line(), Line()
    cosine = Cosine(10)
    quiet(plain, line_data(), schedule=lambda step: cosine(step))
    quiet(named, line_data(), schedule=cosine)
    assert bits(plain) == bits(named)


@pytest.mark.parametrize("optimizer", [Adam(0.1), SGD(0.1, momentum=0.9)])
def test_what_an_optimizer_remembers_is_handed_from_run_to_run(optimizer):
    """Three epochs in one run, or in three that go on: the same bits. Without it they part."""
    data = Examples(*(lambda x: (x, x.sum(axis=1)))(np.random.default_rng(0).standard_normal((8, 3))), shuffle=False)
    whole, parts, apart = Line(), Line(), Line()
    fit(whole, data, optimizer=optimizer, epochs=3, progress=False)
    state = optimizer.init(parts.parameters)
    for _ in range(3):
        fit(parts, data, optimizer=optimizer, epochs=1, progress=False, optimizer_state=state)
        fit(apart, data, optimizer=optimizer, epochs=1, progress=False)
    np.testing.assert_array_equal(parts.parameters["w"], whole.parameters["w"])
    assert (apart.parameters["w"] != whole.parameters["w"]).any()


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ([1], TypeError, "optimizer_state must be what optimizer.init"),
        ({}, ValueError, r"optimizer_state must hold w/m of shape \(3,\), got none"),
        (Adam(0.1).init({"w": np.zeros(2), "b": np.zeros(())}), ValueError, r"w/m of shape \(3,\), got shape \(2,\)"),
    ],
)
def test_what_another_run_s_optimizer_remembers_is_refused(state, error, words):
    with pytest.raises(error, match=words):
        fit(Line(), line_data(), optimizer=Adam(0.1), epochs=1, progress=False, optimizer_state=state)
