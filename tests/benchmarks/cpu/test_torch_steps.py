"""Whole training steps beside torch's: the same model, the same numbers, and where the time goes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.cpu.steps import cases, measuring, ours, theirs
from benchmarks.cpu.steps.parts import PARTS, parts
from benchmarks.sides import disagreement

QUICK = [case for case in cases.chosen(quick=True) if case.precision == "float32"]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_both_sides_train_the_same(case):
    """After a step the parameters agree as well: it is the same clipping and the same Adam."""
    model, batch = ours.model_of(case, "numpy"), case.batch()
    trainer = theirs.Trainer(torch, case, batch, model.state_dict(), "fused")
    assert disagreement(ours.loss_and_gradients(model, batch), trainer.loss_and_gradients()) < 1e-5
    before = {name: array.copy() for name, array in model.parameters.items()}
    ours.run_of(model, batch).step()
    trainer.step()
    for name, parameter in trainer.module.named_parameters():
        moved = model.parameters[name] - before[name]
        assert abs(moved).max() > 1e-4
        np.testing.assert_allclose(moved, parameter.detach().numpy() - before[name], atol=2e-5)


def test_a_run_goes_on_and_on():
    model, batch = ours.model_of(QUICK[0], "numpy"), QUICK[0].batch()
    run = ours.run_of(model, batch)
    losses = [float(model.loss_and_gradients(batch).loss)]
    for _ in range(5):
        run.step()
        losses.append(float(model.loss_and_gradients(batch).loss))
    assert all(after < before for before, after in itertools.pairwise(losses))


def test_the_parts_are_those_of_a_step():
    run = ours.run_of(ours.model_of(QUICK[0], "numpy"), QUICK[0].batch())
    found = parts(run, steps=3)
    assert tuple(found) == PARTS
    assert all(seconds > 0 for seconds in found.values())
    assert run.position.step == 3
    assert "forward" not in vars(run.model.rnn)  # the clocks are gone


def test_what_differs_is_not_timed(monkeypatch):
    monkeypatch.setattr(measuring, "disagreement", lambda *_: float("nan"))
    row = measuring.measure(measuring.Setting(torch, "numpy", 1, None, True), QUICK[0])
    assert not row.agrees
    assert "DIFFERS" in row.line()
    assert "ratio" not in row.as_dict()


class Trainer:
    """A trainer that takes so many seconds a step, or can't."""

    def __init__(self, name, seconds):
        self.name, self.seconds = name, seconds

    def step(self):
        if self.seconds is None:
            raise RuntimeError("no bfloat16 here")
        Trainer.now += self.seconds


def test_the_fastest_way_of_torchs_is_taken_of_those_that_it_has():
    Trainer.now = 0.0
    ways = [Trainer("plain", 3.0), Trainer("autocast", None), Trainer("fused", 2.0)]
    assert theirs.fastest(ways, clock=lambda: Trainer.now).name == "fused"
    with pytest.raises(RuntimeError, match="torch can train this in no way; autocast: no bfloat16 here"):
        theirs.fastest(ways[1:2])
