"""A run that is stopped anywhere and resumed gives the same bits as one that never stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import weights
from rnn_core.training import (
    SGD,
    Adam,
    AdamW,
    Cosine,
    LinearWarmup,
    Optimizer,
    TrainingInterrupted,
    Updates,
    WarmupCosine,
    fit,
)
from tests.training_cases import (
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

EPOCHS, BATCHES = 3, 4
STEPS = EPOCHS * BATCHES
MODEL = ("cell", "dropout", "num_layers", "tied", "cell_options")
OPTIMIZERS = (SGD(0.1), SGD(0.1, momentum=0.9), Adam(0.01), AdamW(0.01))


@contextmanager
def interrupted(step):
    """Press Ctrl-C in the middle of an update: some parameters have changed, others have not."""
    update, calls = Optimizer.update, 0

    def half(self, parameters, gradients, state, rates=None, **options):
        nonlocal calls
        calls += 1
        if calls == step:
            gradients = dict(list(gradients.items())[: len(gradients) // 2])
        update(self, parameters, gradients, state, rates, **options)
        if calls == step:
            raise KeyboardInterrupt

    with patch.object(Optimizer, "update", half):
        yield


def run(kind, seed, options, **others):
    """Fit a model of this kind for `EPOCHS` epochs of `BATCHES` batches; return it with its history."""
    options = dict(options)
    model_options = {name: options.pop(name) for name in MODEL if name in options}
    if kind == "text":
        model, (train, validation) = language_model(seed, **model_options), text_streams()
    else:
        model_options.pop("tied", None)
        model, train, validation = classifier(seed, **model_options), sums(), sums(9, seed=4)
    assert len(train) == BATCHES
    if part := options.pop("frozen", ""):
        model.frozen = frozenset(name for name in model.parameters if name.startswith(part))
    if strength := options.pop("anchored", 0.0):
        trainable = tuple(name for name in model.parameters if name not in model.frozen)
        anchors = {name: (strength, np.zeros_like(model.parameters[name])) for name in trainable}
        options["updates"] = Updates(trainable, {trainable[-1]: 0.02}, anchors)
    options = {"optimizer": Adam(0.01), "epochs": EPOCHS, "progress": False} | options | others
    return model, fit(model, train, validation=validation, **options)


def assert_resumes(kind, options, stops, every=1):
    """Interrupt a run after so many steps, again and again, and compare it with one that never stopped."""
    reference, history = run(kind, 1, options)
    with TemporaryDirectory() as folder:
        for k, stop in enumerate(stops):
            with interrupted(stop), pytest.raises(TrainingInterrupted) as caught:
                # Other seeds, so that all the parameters have to come from the file.
                run(kind, 1 if k == 0 else k + 2, options, checkpoint=folder, checkpoint_every=every, resume="auto")
            assert str(Path(folder, "last.safetensors")) in str(caught.value)
        resumed, resumed_history = run(kind, 99, options, checkpoint=folder, checkpoint_every=every, resume=True)
        assert bits(resumed) == bits(reference)
        assert resumed_history == history
        assert bits(weights.load(Path(folder, "best.safetensors"))) == bits(reference)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("kind", ["text", "examples"])
@pytest.mark.parametrize("every", [1, 3])
def test_stopped_at_any_step(kind, optimizer, every):
    options = {"optimizer": optimizer, "dropout": 0.2, "schedule": Cosine(STEPS), "clip_norm": 0.5}
    for stop in range(1, STEPS + 1):
        assert_resumes(kind, options, [stop], every)


def test_stopped_at_every_step():
    options = {"optimizer": Adam(0.01), "dropout": 0.2, "schedule": WarmupCosine(3, STEPS)}
    # With a checkpoint after each step, stopping at the second update lets exactly one of them through.
    assert_resumes("text", options, [2] * (STEPS - 1))


@pytest.mark.parametrize("kind", ["text", "examples"])
def test_masks_within_the_recurrence_are_drawn_as_they_would_have_been(kind):
    masks = {"zoneout": 0.3, "recurrent_dropout": 0.3, "candidate_dropout": 0.3, "weight_drop": 0.3}
    assert_resumes(kind, {"optimizer": Adam(0.01), "cell_options": masks}, [5])


@settings(max_examples=30)
@given(
    kind=st.sampled_from(["text", "examples"]),
    options=st.fixed_dictionaries(
        {
            "cell": st.sampled_from(["rnn", "lstm", "gru"]),
            "num_layers": st.integers(1, 2),
            "dropout": st.sampled_from([0.0, 0.3]),
            "optimizer": st.sampled_from(OPTIMIZERS),
            "schedule": st.sampled_from([None, LinearWarmup(5), Cosine(STEPS), lambda step: 1 / (1 + step)]),
            "clip_norm": st.sampled_from([None, 0.3]),
            "frozen": st.sampled_from(["", "head", "rnn"]),
            "anchored": st.sampled_from([0.0, 0.5]),
            "monitor": st.sampled_from(["validation_loss", "validation_accuracy", "loss"]),
            "patience": st.sampled_from([None, 2]),
            "tied": st.booleans(),
            "seed": st.integers(0, 3),
        }
    ),
    first=st.integers(1, STEPS),
    every=st.integers(1, 5),
    data=st.data(),
)
def test_stopped_anywhere_with_any_options(kind, options, first, every, data):
    if options["tied"] and options["frozen"] == "head":
        options["tied"] = False
    _, history = run(kind, 1, options)
    stops = [min(first, history[-1].step)]
    if data.draw(st.booleans(), label="twice"):
        # At least the step at which it was stopped the first time has still to be made.
        stops.append(1)
    assert_resumes(kind, options, stops, every)


def test_the_state_of_a_long_text_is_part_of_the_checkpoint(tmp_path):
    for cell, count in (("lstm", 2), ("gru", 1)):
        folder = tmp_path / cell
        with interrupted(3), pytest.raises(TrainingInterrupted):
            run("text", 1, {"cell": cell}, checkpoint=folder, checkpoint_every=1)
        arrays = weights.read_arrays(folder / "last.safetensors")
        assert [name for name in sorted(arrays) if name.startswith("carried")] == [f"carried/{k}" for k in range(count)]


def test_the_time_before_a_resumption_counts(tmp_path):
    with interrupted(4), pytest.raises(TrainingInterrupted):
        run("text", 1, {}, checkpoint=tmp_path, checkpoint_every=1)
    facts = json.loads(weights.read_metadata(tmp_path / "last.safetensors")["training"])
    assert facts["position"]["sums"]["seconds"] > 0
    _, history = run("text", 1, {}, checkpoint=tmp_path, resume=True)
    assert history[0].seconds > facts["position"]["sums"]["seconds"]


# --- interrupted elsewhere than in an update ---


def test_interrupted_in_the_validation(tmp_path):
    reference, history = run("text", 1, {})
    evaluate, calls = type(reference).evaluate, 0

    def interrupting(self, *arguments, **options):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return evaluate(self, *arguments, **options)

    with patch.object(type(reference), "evaluate", interrupting), pytest.raises(TrainingInterrupted) as caught:
        run("text", 1, {}, checkpoint=tmp_path, checkpoint_every=3)
    assert "interrupted in the validation of epoch 2" in str(caught.value)
    assert "holds the state after step 6, with 1 epochs done" in str(caught.value)
    resumed, resumed_history = run("text", 9, {}, checkpoint=tmp_path, checkpoint_every=3, resume=True)
    assert bits(resumed) == bits(reference)
    assert resumed_history == history


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize("call", range(1, 2 * STEPS, 5))
def test_interrupted_while_a_checkpoint_is_written(function, call, tmp_path):
    reference, history = run("text", 1, {})
    original, calls = getattr(os, function), 0

    def interrupting(*arguments):
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return original(*arguments)

    with patch.object(os, function, interrupting):
        try:
            run("text", 1, {}, checkpoint=tmp_path, checkpoint_every=1)
        except TrainingInterrupted as interruption:
            there = (tmp_path / "last.safetensors").exists()
            assert (interruption.checkpoint is not None) is there
    resumed, resumed_history = run("text", 1, {}, checkpoint=tmp_path, checkpoint_every=1, resume="auto")
    assert bits(resumed) == bits(reference)
    assert resumed_history == history


def test_killed_without_warning(tmp_path):
    script = f"""
import os, signal
from rnn_core.training import Optimizer
from tests.rnn_core.training.test_resume import run
update, calls = Optimizer.update, 0
def dying(self, *arguments, **options):
    global calls
    calls += 1
    if calls == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    update(self, *arguments, **options)
Optimizer.update = dying
run("text", 1, {{"dropout": 0.2}}, checkpoint={str(tmp_path)!r}, checkpoint_every=2)
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    reference, history = run("text", 1, {"dropout": 0.2})
    resumed, resumed_history = run("text", 5, {"dropout": 0.2}, checkpoint=tmp_path, resume=True)
    assert bits(resumed) == bits(reference)
    assert resumed_history == history


def test_an_interruption_is_a_ctrl_c_and_says_how_to_go_on(tmp_path):
    with interrupted(6), pytest.raises(KeyboardInterrupt) as caught:
        run("text", 1, {}, checkpoint=tmp_path)
    last = tmp_path / "last.safetensors"
    assert str(caught.value) == (
        f"fit: interrupted in step 2 of 4 in epoch 2; {last} holds the state after step 4, with 1 epochs done; "
        "call fit again with resume=True"
    )
    assert caught.value.checkpoint == last


def test_an_interruption_without_checkpoints_says_that_nothing_was_kept():
    with interrupted(6), pytest.raises(TrainingInterrupted) as caught:
        run("text", 1, {})
    assert str(caught.value) == (
        "fit: interrupted in step 2 of 4 in epoch 2; there is no checkpoint; checkpoint=FOLDER keeps one for the next "
        "time"
    )
    assert caught.value.checkpoint is None


def test_an_interruption_takes_the_bar_down(capfd):
    with interrupted(2), pytest.raises(TrainingInterrupted):
        run("text", 1, {}, progress=True)


# --- what resuming may change, and what it finds done ---


def test_a_run_that_is_done_is_not_run_again(tmp_path):
    model, history = run("text", 1, {}, checkpoint=tmp_path)
    before = (tmp_path / "last.safetensors").read_bytes()
    with interrupted(1):
        again, same = run("text", 2, {}, checkpoint=tmp_path, resume=True)
    assert bits(again) == bits(model)
    assert same == history
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_run_that_is_done_can_be_made_longer(tmp_path):
    reference, history = run("text", 1, {"epochs": 5})
    run("text", 1, {"epochs": 2}, checkpoint=tmp_path)
    resumed, resumed_history = run("text", 2, {"epochs": 5}, checkpoint=tmp_path, resume=True)
    assert bits(resumed) == bits(reference)
    assert resumed_history == history


def test_early_stopping_counts_on_across_a_resumption(tmp_path):
    losses = [5.0, 3.0, 4.0, 4.0, 4.0, 1.0]
    for stop in range(2, 8):
        folder = tmp_path / str(stop)
        options = {"validation": stream(), "optimizer": SGD(1.0), "epochs": 6, "patience": 2, "progress": False}
        with interrupted(stop), pytest.raises(TrainingInterrupted):
            fit(Script(losses), stream(), checkpoint=folder, **options)
        model = Script(losses)
        history = fit(model, stream(), checkpoint=folder, resume=True, **options)
        assert history.column("validation_loss") == [5, 3, 4, 4]
        assert model.parameters["w"] == 4
    more = fit(Script(losses), stream(), checkpoint=folder, resume=True, **options | {"patience": 9})
    assert more.best.epoch == 6


def test_the_last_checkpoint_alone_is_enough(tmp_path):
    with interrupted(11), pytest.raises(TrainingInterrupted):
        run("text", 1, {}, checkpoint=tmp_path / "a", checkpoint_every=1)
    best = (tmp_path / "a" / "best.safetensors").read_bytes()
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "last.safetensors", tmp_path / "b")
    with interrupted(1), pytest.raises(TrainingInterrupted):
        run("text", 4, {}, checkpoint=tmp_path / "b", resume=True)
    assert (tmp_path / "b" / "best.safetensors").read_bytes() == best
    (tmp_path / "b" / "best.safetensors").unlink()
    resumed, _ = run("text", 4, {}, checkpoint=tmp_path / "b", resume=True)
    assert bits(resumed) == bits(run("text", 1, {})[0])


def test_a_model_of_ones_own_resumes_too(tmp_path):
    options = {"optimizer": SGD(0.1, momentum=0.9), "epochs": 3, "progress": False, "monitor": "loss"}
    reference = Line()
    fit(reference, line_data(), **options)
    with interrupted(5), pytest.raises(TrainingInterrupted):
        fit(Line(), line_data(), checkpoint=tmp_path, checkpoint_every=2, **options)
    model = Line()
    fit(model, line_data(), checkpoint=tmp_path, resume=True, **options)
    assert bits(model) == bits(reference)
    assert weights.read_arrays(tmp_path / "best.safetensors")["w"].tobytes() == bits(reference)["w"]


# --- what resuming refuses ---


@pytest.mark.parametrize(
    "change, message",
    [
        ({"optimizer": Adam(0.02)}, r"optimizer was 'Adam\(lr=0.01, .* and is 'Adam\(lr=0.02, "),
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"schedule": Cosine(5)}, r"schedule was 'None' and is 'Cosine\(steps=5, floor=0.0\)'"),
        ({"schedule": lambda step: 0.5}, r"schedule was 'None' and is \[0.5, 0.5, 0.5, 0.5\]"),
        ({"clip_norm": 1.0}, "clip_norm was None and is 1.0"),
        ({"monitor": "loss"}, "monitor was 'validation_loss' and is 'loss'"),
        ({"dropout": 0.5}, "model.dropout was 0.0 and is 0.5"),
        ({"cell": "gru"}, "model.cell was 'lstm' and is 'gru'; parameter rnn.weight_ih_l0 was 'float32"),
        (
            {"frozen": "head"},
            r"parameters that train was \['head.weight', 'head.bias'\] and is \[\], bes.*; rate of head.weight was ",
        ),
        ({"anchored": 0.1}, r"anchor of embedding.weight was none and is \[0.1, '"),
    ],
)
def test_another_run_is_not_resumed_and_the_difference_is_named(change, message, tmp_path):
    run("text", 1, {"epochs": 1}, checkpoint=tmp_path)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        run("text", 1, change, checkpoint=tmp_path, resume=True)
    last = str(tmp_path / "last.safetensors")
    assert str(caught.value).startswith(f"fit: to resume, a run must be the one that wrote {last!r}, but ")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    "train, validation, message",
    [
        (line_data(batch_size=6), line_data(), "batches in an epoch was 3 and is 4; first training batch was"),
        (line_data(seed=1), line_data(), "but first training batch was '[0-9a-f]{16}' and is '[0-9a-f]{16}'; last "),
        (line_data(), line_data(seed=1), "but first validation batch was"),
        (line_data(), None, "validation batches was 3 and is None; first validation batch was .* and is None; monitor"),
    ],
)
def test_other_data_are_not_resumed_with(train, validation, message, tmp_path):
    options = {"optimizer": SGD(0.1), "epochs": 1, "checkpoint": tmp_path, "progress": False}
    fit(Line(), line_data(), validation=line_data(), **options)
    with pytest.raises(ValueError, match=message):
        fit(Line(), train, validation=validation, resume=True, **options)


def test_a_folder_with_a_checkpoint_is_not_overwritten_by_accident(tmp_path):
    run("text", 1, {"epochs": 1}, checkpoint=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match=r"holds the state after step 4, .*; resume=True goes on with it"):
        run("text", 1, {}, checkpoint=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_checkpoint_without_an_update_does_not_block_a_corrected_run(tmp_path):
    with interrupted(1), pytest.raises(TrainingInterrupted, match="after step 0"):
        run("text", 1, {"optimizer": Adam(0.5)}, checkpoint=tmp_path)
    reference, history = run("text", 1, {})
    model, corrected = run("text", 1, {}, checkpoint=tmp_path)
    assert bits(model) == bits(reference)
    assert corrected == history


def test_without_a_checkpoint_true_is_an_error_and_auto_begins(tmp_path):
    with pytest.raises(FileNotFoundError, match="with resume=True there must be a checkpoint, got no file .*'auto'"):
        run("text", 1, {}, checkpoint=tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()
    reference, _ = run("text", 1, {})
    model, _ = run("text", 1, {}, checkpoint=tmp_path / "none", resume="auto")
    assert bits(model) == bits(reference)


def test_a_broken_or_foreign_file_is_not_resumed(tmp_path):
    run("text", 1, {"epochs": 1}, checkpoint=tmp_path)
    last = tmp_path / "last.safetensors"
    whole = last.read_bytes()
    for size in (0, 5, len(whole) // 2, len(whole) - 1):
        last.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="^fit: .* a whole .* got .*last.safetensors'.*; remove it, or name"):
            run("text", 1, {}, checkpoint=tmp_path, resume=size > 5)
    shutil.copy(tmp_path / "best.safetensors", last)
    with pytest.raises(ValueError, match=r"must be a checkpoint that this version of fit wrote, .* best.safetensors"):
        run("text", 1, {}, checkpoint=tmp_path, resume=True)


def test_a_checkpoint_is_one_safetensors_file_with_facts_in_json(tmp_path):
    run("text", 1, {"epochs": 1}, checkpoint=tmp_path)
    facts = json.loads(weights.read_metadata(tmp_path / "last.safetensors")["training"])
    assert facts["position"]["step"] == BATCHES
    names = {name.split("/")[0] for name in weights.read_arrays(tmp_path / "last.safetensors")}
    assert names == {"parameters", "optimizer", "best", "carried"}


class Patient(SGD):
    """Keeps the lowest gradient norm that it has seen, at first infinite, and a count of its own."""

    def init(self, parameters):
        return super().init(parameters) | {"lowest": np.array(np.inf), "budget": np.array(-7)}


def test_what_a_users_optimizer_keeps_need_not_be_finite(tmp_path):
    model, data = Line(), line_data()
    options = {"optimizer": Patient(0.01, momentum=0.5), "progress": False, "checkpoint": tmp_path}
    fit(model, data, epochs=1, **options)
    fit(model, data, epochs=2, resume=True, **options)
