"""Checkpoints that are damaged or lie: refused in one line that names the file, before anything is put back."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rnn_core.training import Adam, History, fit
from rnn_core.training.checkpoint import Checkpoint, read_facts
from rnn_core.weights import read_metadata
from tests.training_cases import bits, classifier, sums

STEPS = 4
"""In an epoch of `sums`."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a checkpoint of one epoch."""
    folder = tmp_path_factory.mktemp("run")
    run(folder, epochs=1)
    return folder / "last.safetensors"


@pytest.fixture
def last(written, tmp_path):
    """Return a copy of it."""
    return shutil.copy(written, tmp_path / "last.safetensors")


def run(folder, model=None, **options):
    options = {"optimizer": Adam(0.01), "epochs": 2, "progress": False, "checkpoint": folder} | options
    return fit(model or classifier(), sums(), validation=sums(9, seed=4), **options)


def refused(last):
    """Return the message of a run that isn't resumed; nothing may have been put back or written."""
    before, model = last.read_bytes(), classifier(3)
    with pytest.raises(ValueError, match="^fit: ") as caught:
        run(last.parent, model, resume=True)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert message.startswith("fit: ")
    assert str(last) in message
    assert last.read_bytes() == before
    assert bits(model) == bits(classifier(3))
    return message


def rewritten(last, change, arrays=None, sums=False):
    """Write a checkpoint again, with other facts and arrays, and without checksums unless the old ones are wanted."""
    strings = {key: value for key, value in read_metadata(last).items() if sums or not key.startswith("rnn_core.")}
    facts = json.loads(strings["training"])
    found = change(facts)
    strings["training"] = found if isinstance(found, str) else json.dumps(facts)
    stored = {**load_file(last), **(arrays or {})}
    save_file({name: array for name, array in stored.items() if array is not None}, last, metadata=strings)


def test_a_flipped_bit_is_found_and_its_array_named(last):
    whole = bytearray(last.read_bytes())
    whole[-1] ^= 1
    last.write_bytes(whole)
    message = refused(last)
    assert " is damaged: the array 'parameters/" in message or " is damaged: the array 'optimizer/" in message
    assert message.endswith("; remove it, or name another folder")
    rewritten(last, lambda facts: None, sums=False)  # one that has no checksums goes on, as before
    assert len(run(last.parent, resume=True)) == 2


def test_facts_that_were_changed_are_found(last):
    rewritten(last, lambda facts: facts["position"].update(step=9), sums=True)
    assert "is damaged: a string of its header is not what was written" in refused(last)
    with pytest.raises(ValueError, match=r"^fit: '.*last.safetensors' is damaged: a string of its header"):
        read_facts(last)


def put(*keys, value):
    """Return a change of facts: a value in place of another."""

    def change(facts):
        for key in keys[:-1]:
            facts = facts[key]
        facts[keys[-1]] = value

    return change


def without(*keys):
    """Return a change of facts: an entry left out."""

    def change(facts):
        for key in keys[:-1]:
            facts = facts[key]
        del facts[keys[-1]]

    return change


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda facts: "[" * 10**5, "training must be JSON of a sensible depth, got '[[["),
        (lambda facts: "{", "training must be JSON, got '{' ("),
        (lambda facts: "[1]", "training must be an object, got [1]"),
        (lambda facts: '{"position": 1, "position": 2}', "the key 'position' comes twice"),
        (without("history"), "training must hold what fit writes, got ['fingerprint', 'position', 'carried is a"),
        (put("extra", value=1), "training must hold what fit writes, got "),
        (put("fingerprint", value=[]), "fingerprint must be an object"),
        (put("carried is a tuple", value=0), "carried is a tuple must be true or false, got 0"),
        (put("position", value=None), "position must be a JSON object, got None"),
        (without("position", "step"), "position must hold step, which Position takes, got none"),
        (without("position", "sums", "clipped"), "sums must hold clipped, which Sums takes, got none"),
        (put("position", "step", value=True), "position: step must be an int of 64 bits, got True"),
        (put("position", "step", value=10**400), "position: step must be an int of 64 bits, got 1000"),
        (put("position", "epoch", value=-1), "position: epoch must be at least 0, got -1"),
        (put("position", "more", value=1), "position must hold what Position takes, got 'more'"),
        (put("position", "sums", value=3), "sums must be a JSON object, got 3"),
        (put("position", "sums", "loss", value="x" * 10**5), "sums: loss must be a number, got 'xxx"),
        (put("position", "sums", "loss", value=float("nan")), "sums must be finite, got {'loss': nan"),
        (put("position", "epoch", value=2), "history must have 2 epochs, as position says"),
        (put("position", "index", value=10**9), "step 4 can't be number 1000000000 of 4 in epoch 2"),
        (put("position", "step", value=5), "step 5 can't be number 0 of 4 in epoch 2"),
        (put("position", "sums", "count", value=3), "step 4 can't be number 0 of 4 in epoch 2"),
        (put("history", value=3), "stored must have the entries monitor and records, got 3"),
        (put("history", value={"records": []}), "stored must have the entries monitor and records, got ["),
        (put("history", "records", value={}), "records must be a list"),
        (put("history", "records", value=[3]), "record 1 must be a JSON object, got 3"),
        (put("history", "records", 0, "loss", value=[]), "record 1: loss must be a number, got []"),
        (put("history", "records", 0, "epoch", value=7), "record 1 must be of epoch 1, got 7"),
        (
            put("history", "records", 0, "validation_loss", value=None),
            "records must all have validation_loss, which is",
        ),
        (
            put("history", "records", 0, "validation_loss", value=float("nan")),
            "which is monitored, got nan in record 1",
        ),
        (
            put("history", "monitor", value=["loss"]),
            "monitor must be one of loss, validation_loss, validation_accuracy",
        ),
        (put("history", "monitor", value="loss"), "its history goes by 'loss'"),
        (put("fingerprint", "seed", value="[\n" * 10**5), "but seed was '[\\n[\\n[\\n"),
    ],
)
def test_facts_that_are_none(change, said, last):
    rewritten(last, change)
    assert said in refused(last)


WEIGHT = np.zeros((2, 6), np.float32)


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({"parameters/head.weight": None}, "parameters/head.weight is there, or should be, and isn't"),
        ({"parameters/more": WEIGHT}, "parameters/more is there, or should be, and isn't"),
        (
            {"parameters/head.weight": WEIGHT[:1, :1]},
            "parameters/head.weight must be float32 (2, 6), got float32 (1, 1)",
        ),
        (
            {"parameters/head.weight": WEIGHT.astype(float)},
            "parameters/head.weight must be float32 (2, 6), got float64 (2, 6)",
        ),
        ({"parameters/head.weight": WEIGHT + np.float32("nan")}, "parameters: head.weight must be finite, got nan"),
        ({"optimizer/head.weight/m": None}, "optimizer/head.weight/m is there, or should be, and isn't"),
        ({"optimizer/head.weight/step": np.array(-(2**62))}, "optimizer/head.weight/step must be in 0…4, got -4"),
        ({"optimizer/head.weight/step": np.array(5)}, "optimizer/head.weight/step must be in 0…4, got 5"),
        ({"best/head.weight": None}, "best/head.weight is there, or should be, and isn't"),
        ({"elsewhere/w": WEIGHT}, "an array is called 'elsewhere/w'"),
        ({"carried/0": WEIGHT + np.float32("inf")}, "carried: 0 must be finite, got inf"),
        ({"carried/x": WEIGHT}, "the arrays carried are called ['x']"),
        ({"carried/0": WEIGHT, "carried/1": WEIGHT}, "the arrays carried are called ['0', '1']"),
    ],
)
def test_arrays_that_are_not_the_runs(arrays, said, last):
    rewritten(last, lambda facts: None, arrays)
    assert said in refused(last)


def test_an_old_checkpoint_with_every_fact_goes_on(last, written):
    rewritten(last, lambda facts: None)
    stored, whole = Checkpoint.read(last), Checkpoint.read(written)
    assert stored.fingerprint == whole.fingerprint
    assert (stored.position, stored.history) == (whole.position, whole.history)
    model, reference = classifier(3), classifier()
    run(last.parent, model, resume=True)
    run(None, reference)
    assert bits(model) == bits(reference)


def test_many_differences_are_one_line(last):
    with pytest.raises(ValueError, match=r"but model.dropout was 0.0 and is 0.5 and 8 more; undo") as caught:
        run(last.parent, classifier(dropout=0.5), optimizer=Adam(0.02), seed=4, resume=True)
    assert len(str(caught.value)) < 400


def test_a_history_of_a_model_without_accuracies_comes_back():
    stored = {"monitor": None, "records": [{**RECORD, "validation_accuracy": float("nan")}]}
    assert History.from_dict(json.loads(json.dumps(stored)))[0].epoch == 1


RECORD = {"epoch": 1, "step": 4, "loss": 1.0, "penalty": 0, "rate": 0.1, "gradient_norm": 2.0, "clipped": 0}
