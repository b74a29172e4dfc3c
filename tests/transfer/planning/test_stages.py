"""Schedules as parts of a plan: rates by group, stages, the course of the rate, and a resumption to the last bit."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rnn_core import LanguageModel
from rnn_core.data import Examples
from rnn_core.training import SGD, Adam, Cosine, SlantedTriangular, TrainingInterrupted, fit
from rnn_core.training.schedules import OneCycle
from tests.rnn_core.training.test_resume import interrupted
from tests.training_cases import bits, language_model, text_streams
from transfer import Plan, freeze, select
from transfer.planning.freezing import Unfreezing
from transfer.planning.planned import fit_plan
from transfer.planning.rates import discriminative_rates

TOKENS = np.array([[0, 1, 2, 3, 4, 2], [4, 3, 3, 0, 1, 1], [1, 1, 2, 0, 3, 4], [2, 4, 0, 0, 1, 3]])
GRADUAL = Plan(unfreezing=Unfreezing(epochs=1))


@pytest.fixture
def model():
    return fresh()


def fresh(seed=0, **options):
    return LanguageModel(5, 3, num_layers=2, seed=seed, dtype=np.float64, **options)


def data(batch_size=1):
    return Examples(TOKENS, (TOKENS + 1) % 5, batch_size=batch_size)


def train(model, plan, epochs=5, optimizer=None, **options):
    return fit_plan(
        model, data(), plan, optimizer=optimizer or SGD(0.1), epochs=epochs, **{"progress": False, **options}
    )


# --- one cycle ---


@pytest.mark.parametrize(
    "schedule, factors",
    [
        (OneCycle(10, peak=0.4, start=0.2, floor=0.1), {0: 0.2, 2: 0.6, 4: 1, 7: 0.55, 10: 0.1, 99: 0.1}),
        (OneCycle(8, peak=0.5, start=0), {0: 0, 1: (1 - math.sqrt(0.5)) / 2, 4: 1, 8: 4e-6}),
        (OneCycle(1000), {0: 0.04, 300: 1, 1000: 4e-6}),
        (OneCycle(1), {0: 0.04, 1: 4e-6}),
    ],
)
def test_one_cycle_by_hand(schedule, factors):
    for step, factor in factors.items():
        assert schedule(step) == pytest.approx(factor, abs=1e-15)
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_one_cycle_rises_and_falls_and_is_never_outside():
    factors = [OneCycle(60)(step) for step in range(70)]
    top = factors.index(max(factors))
    assert top == 18
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert min(factors) > 0
    assert max(factors) == 1


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: OneCycle(0), ValueError, "OneCycle: steps must be at least 1, got 0"),
        (lambda: OneCycle(5, peak=0), ValueError, "OneCycle: peak must be between 0 and 1, got 0"),
        (lambda: OneCycle(5, start=-1), ValueError, "OneCycle: start must be finite and at least 0, got -1"),
        (lambda: OneCycle(5, floor="low"), TypeError, "OneCycle: floor must be a number, got 'low'"),
        (lambda: Unfreezing(), ValueError, "either epochs or steps must be given, got epochs=None, steps=None"),
        (lambda: Unfreezing(1, 2), ValueError, "either epochs or steps must be given, got epochs=1, steps=2"),
        (lambda: Unfreezing(epochs=0), ValueError, "Unfreezing: epochs must be at least 1, got 0"),
        (lambda: Unfreezing(steps=1.5), TypeError, "Unfreezing: steps must be an int"),
        (lambda: Plan(unfreezing=1), TypeError, "unfreezing must be an Unfreezing or None, got 1"),
        (lambda: Plan(schedule=Cosine(5)), TypeError, r"schedule must make a schedule .*got Cosine\(steps=5"),
        (lambda: Plan(schedule="cosine"), TypeError, "as the class SlantedTriangular does, got 'cosine'"),
        (lambda: discriminative_rates(fresh(), 0), ValueError, "lr must be above 0 and finite, got 0"),
        (
            lambda: discriminative_rates(fresh(), 1, math.nan),
            ValueError,
            "decay must be at least 1 and finite, got nan",
        ),
        (lambda: discriminative_rates(fresh(), 1, 0.5), ValueError, "decay must be at least 1 and finite, got 0.5"),
        (lambda: discriminative_rates(fresh(), "1"), TypeError, "lr must be a number, got '1'"),
        (lambda: discriminative_rates({}, 1), TypeError, "discriminative_rates: model must be a Model"),
    ],
)
def test_mistakes_are_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


# --- rates ---


def test_each_group_below_has_a_share_of_the_rate(model):
    rates = discriminative_rates(model, 0.4, decay=2)
    assert rates == {"embedding": 0.05, "rnn.l0": 0.1, "rnn.l1": 0.2, "head": 0.4}
    assert discriminative_rates(model, 1.0)["rnn.l0"] == pytest.approx(2.6**-2, rel=1e-15)
    assert set(Plan(rates=rates).resolve(model).rates.values()) == set(rates.values())


def test_a_decay_of_1_is_one_rate_to_the_last_bit(model):
    train(model, Plan(rates=discriminative_rates(model, 0.1, decay=1)), optimizer=SGD(0.7))
    plain = fresh()
    fit(plain, data(), optimizer=SGD(0.1), epochs=5, progress=False)
    assert bits(model) == bits(plain)


def test_the_step_of_a_group_shrinks_by_the_decay(model):
    """One step of gradient descent on one batch: each group moves by its rate times the same gradient."""
    before, whole = model.state_dict(), data(batch_size=4)
    plan = Plan(rates=discriminative_rates(model, 0.1, decay=3))
    fit_plan(model, whole, plan, optimizer=SGD(1.0), epochs=1, progress=False)
    plain = fresh()
    fit(plain, whole, optimizer=SGD(0.1), epochs=1, progress=False)
    for depth, group in enumerate(["head", "rnn.l1", "rnn.l0", "embedding"]):
        for name in select(model, group):
            step, full = (m.parameters[name] - before[name] for m in (model, plain))
            np.testing.assert_allclose(step, full / 3**depth, rtol=1e-9, atol=1e-16)


def test_tied_weights_leave_no_group_without_parameters():
    tied = LanguageModel(5, 3, tied=True, seed=0)
    rates = discriminative_rates(tied, 1.0, decay=2)
    assert Plan(rates=rates).resolve(tied).rates["embedding.weight"] == 2.0 ** -(len(rates) - 1)


# --- stages ---


def test_a_plan_without_stages_is_fit_to_the_last_bit(model):
    plan = Plan(frozen="embedding", rates={"head": 0.2}, anchors={"rnn.*": 0.1}, decays={"head": 0.01})
    (history,) = train(model, plan, optimizer=Adam(0.01), validation=data(2), clip_norm=0.5, seed=3)
    plain = fresh()
    options = {"validation": data(2), "clip_norm": 0.5, "seed": 3, "progress": False}
    expected = fit(plain, data(), optimizer=Adam(0.01), epochs=5, updates=plan.resolve(plain), **options)
    assert bits(model) == bits(plain)
    assert history == expected


def test_groups_are_let_go_from_the_top(model):
    """Interrupted after each stage, the parameters show who has trained."""
    moved = []

    class Watch(Examples):
        def batch(self, epoch, index):
            if index == 0:
                moved.append({name for name, p in model.parameters.items() if (p != before[name]).any()})
            return super().batch(epoch, index)

    before = model.state_dict()
    histories = fit_plan(
        model,
        Watch(TOKENS, (TOKENS + 1) % 5, batch_size=2),
        GRADUAL,
        optimizer=SGD(0.1),
        epochs=6,
        progress=False,
    )
    assert [len(history) for history in histories] == [1, 1, 1, 3]
    expected = [(), "head", ["rnn.l1", "head"], ["rnn.*", "head"], "*", "*"]
    assert moved == [set(select(model, patterns)) if patterns else set() for patterns in expected]
    assert not model.frozen


def test_stages_are_runs_of_fit_one_after_the_other(model):
    plan = replace(GRADUAL, anchors={"rnn.*": 0.3}, rates={"head": 0.05})
    train(model, plan, restore_best=False)
    by_hand, order = fresh(), ["embedding", "rnn.l0", "rnn.l1", "head"]
    home = by_hand.state_dict()

    class Later(Examples):
        offset = 0

        def batch(self, epoch, index):
            return super().batch(epoch + self.offset, index)

    for k in range(4):
        by_hand.frozen = frozenset(select(by_hand, order[: 3 - k])) if k < 3 else frozenset()
        source = Later(TOKENS, (TOKENS + 1) % 5, batch_size=1)
        source.offset = k
        updates = Plan(anchors={"rnn.*": 0.3}, rates={"head": 0.05}).resolve(by_hand, home)
        fit(by_hand, source, optimizer=SGD(0.1), epochs=1 if k < 3 else 2, updates=updates, progress=False)
    assert bits(model) == bits(by_hand)


def test_a_group_that_is_frozen_makes_no_stage(model):
    freeze(model, "rnn.l1")
    before = model.state_dict()
    histories = train(model, replace(GRADUAL, frozen="embedding"), epochs=4)
    assert [len(history) for history in histories] == [1, 3]
    assert all((model.parameters[name] == before[name]).all() for name in select(model, ["rnn.l1", "embedding"]))
    assert model.frozen == set(select(model, "rnn.l1"))


@pytest.mark.parametrize("steps, epochs, expected", [(1, 2, [1, 1, 1, 4]), (3, 4, [3, 3, 3, 6]), (5, 4, [5, 5, 5, 1])])
def test_stages_can_be_counted_in_steps(model, steps, epochs, expected):
    """Of 4 batches an epoch, never more than the budget; what is left over is less than a step a pass."""
    seen = []

    class Watch(Examples):
        def batch(self, epoch, index):
            seen.append((epoch, index))
            return super().batch(epoch, index)

    watched = Watch(TOKENS, (TOKENS + 1) % 5, batch_size=1)
    plan = Plan(unfreezing=Unfreezing(steps=steps))
    histories = fit_plan(model, watched, plan, optimizer=SGD(0.1), epochs=epochs, progress=False)
    assert [history[-1].step for history in histories] == expected
    made = sum(expected)
    assert seen == [divmod(k, 4) for k in range(made)]  # the data go on where the stage before stopped
    assert 0 <= 4 * epochs - made < epochs


def test_the_schedule_spans_all_stages(model):
    asked = []

    def recorded(steps):
        def factor(step):
            asked.append((steps, step))
            return 1.0

        return factor

    train(model, replace(GRADUAL, schedule=recorded))
    assert {steps for steps, _ in asked} == {20}
    assert set(range(20)) <= {step for _, step in asked}
    plain = fresh()
    train(plain, GRADUAL)
    assert bits(model) == bits(plain)


@pytest.mark.parametrize("kind", [SlantedTriangular, OneCycle, partial(SlantedTriangular, peak=0.3, ratio=10)])
def test_a_schedule_in_a_plan_is_that_of_fit(model, kind):
    train(model, Plan(schedule=kind))
    plain = fresh()
    fit(plain, data(), optimizer=SGD(0.1), epochs=5, schedule=kind(20), progress=False)
    assert bits(model) == bits(plain)


def test_stages_draw_different_dropout():
    model, drawn = fresh(dropout=0.5), []
    loss_and_gradients = model.loss_and_gradients

    def watched(batch, *, state, needs, rng):
        drawn.append(rng.bit_generator.state["state"]["state"])
        return loss_and_gradients(batch, state=state, needs=needs, rng=rng)

    model.loss_and_gradients = watched
    train(model, GRADUAL)
    assert len(set(drawn)) == 20


# --- resuming ---

WHOLE = Plan(
    rates={"head": 0.02},
    anchors={"rnn.*": 0.1},
    decays={"head": 0.01},
    unfreezing=Unfreezing(epochs=1),
    schedule=SlantedTriangular,
)


def run(plan=WHOLE, epochs=4, **options):
    """Three groups: a stage of an epoch of 4 batches for each of the upper two, then two epochs."""
    model, (source, validation) = language_model(1, dropout=0.2), text_streams()
    options = {"optimizer": Adam(0.01), "validation": validation, "clip_norm": 1.0, "progress": False} | options
    return model, fit_plan(model, source, plan, epochs=epochs, **options)


@pytest.mark.parametrize("stages", [Unfreezing(epochs=1), Unfreezing(steps=3)])
def test_stopped_at_any_step_and_resumed(stages, tmp_path):
    plan = replace(WHOLE, unfreezing=stages)
    reference, histories = run(plan)
    steps = sum(history[-1].step for history in histories)
    assert steps >= 14
    for stop in (1, 3, 4, 5, 7, 9, 13, steps):  # a stage's first step, its last, and in between
        folder = tmp_path / str(stop)
        with interrupted(stop), pytest.raises(TrainingInterrupted):
            run(plan, checkpoint=folder, checkpoint_every=1)
        with interrupted(2):  # again after one more step, if as many are left
            if stop < steps:
                with pytest.raises(TrainingInterrupted):
                    run(plan, checkpoint=folder, checkpoint_every=1, resume=True)
        resumed, again = run(plan, checkpoint=folder, checkpoint_every=1, resume=True)
        assert bits(resumed) == bits(reference)
        assert again == histories
    assert sorted(path.name for path in folder.iterdir()) == ["stage-1", "stage-2", "stage-3"]


def test_auto_begins_and_then_goes_on(tmp_path):
    reference, histories = run()
    first, _ = run(checkpoint=tmp_path, resume="auto")
    with interrupted(1):  # nothing is left to do
        second, again = run(checkpoint=tmp_path, resume="auto")
    assert bits(first) == bits(second) == bits(reference)
    assert again == histories


def test_the_last_stage_can_be_made_longer(tmp_path):
    plan = replace(WHOLE, schedule=None)
    reference, histories = run(plan, epochs=5)
    run(plan, epochs=4, checkpoint=tmp_path)
    longer, again = run(plan, epochs=5, checkpoint=tmp_path, resume=True)
    assert bits(longer) == bits(reference)
    assert again == histories


def test_nothing_is_overwritten_or_mixed_up(tmp_path):
    run(checkpoint=tmp_path)
    held = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    with pytest.raises(FileExistsError, match="stage-1"):
        run(checkpoint=tmp_path)
    with pytest.raises(
        FileExistsError, match=r"hold a stage to its end before the next, got 1 of 2 epochs in .*stage-1"
    ):
        run(replace(WHOLE, unfreezing=Unfreezing(epochs=2)), epochs=6, checkpoint=tmp_path, resume=True)
    with pytest.raises(ValueError, match="schedule was"):
        run(epochs=5, checkpoint=tmp_path, resume=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")} == held
    (tmp_path / "stage-1" / "last.safetensors").unlink()
    for resume in (False, "auto", True):
        with pytest.raises(FileExistsError, match=r"got 0 of 1 epochs in .*stage-1'.*stage-2"):
            run(checkpoint=tmp_path, resume=resume)


# --- errors, and the plan as plain data ---


class Empty:
    def __len__(self):
        return 0

    def batch(self, epoch, index):
        raise AssertionError


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"epochs": 3}, ValueError, r"leave something for the last of 4 stages, got epochs=3: 12 steps, .* take 12"),
        ({"epochs": 0}, ValueError, "fit_plan: epochs must be at least 1, got 0"),
        ({"checkpoint": ""}, ValueError, "fit_plan: checkpoint must name a folder, got ''"),
        ({"plan": {"frozen": "head"}}, TypeError, "fit_plan: plan must be a Plan, got dict"),
        ({"plan": Plan(schedule=float)}, TypeError, r"plan\.schedule must return a function of the step"),
        ({"train": 3}, TypeError, "fit_plan: train must be batches, such as Examples or TextStream, got int"),
        ({"train": Empty()}, ValueError, "fit_plan: train must have at least one batch, got none"),
        ({"model": 3}, TypeError, "fit_plan: model must be a Model"),
        ({"resume": True}, ValueError, "fit: resume must come with a folder"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_trains(model, options, error, says):
    before = bits(model)
    given = {"model": model, "train": data(), "plan": GRADUAL, "epochs": 5, "optimizer": SGD(0.1), "progress": False}
    with pytest.raises(error, match=says):
        fit_plan(**given | options)
    assert bits(model) == before


@pytest.mark.parametrize(
    "part, says", [({"unfreezing": Unfreezing(1)}, "an unfreezing"), ({"schedule": Cosine}, "a schedule")]
)
def test_what_changes_on_the_way_is_not_left_out_in_silence(model, part, says):
    with pytest.raises(ValueError, match=f"Plan.resolve: .* got {says}; train with fit_plan"):
        Plan(**part).resolve(model)


def test_the_whole_plan_is_data(model):
    assert pickle.loads(pickle.dumps(WHOLE)) == WHOLE
    assert hash(pickle.loads(pickle.dumps(WHOLE))) == hash(WHOLE)
    assert eval(repr(WHOLE)) == WHOLE
    assert WHOLE != replace(WHOLE, schedule=OneCycle)
    assert json.loads(json.dumps(WHOLE.as_dict())) == {
        "frozen": [],
        "rates": {"head": 0.02},
        "anchors": {"rnn.*": 0.1},
        "decays": {"head": 0.01},
        "unfreezing": {"epochs": 1, "steps": None},
        "schedule": "SlantedTriangular",
    }
    assert Plan().as_dict() == {"frozen": [], "rates": {}, "anchors": {}}
    text = str(WHOLE)
    for words in ("decay", "unfreezing", "a group more after each epoch", "schedule", "SlantedTriangular"):
        assert words in text
    described = WHOLE.describe(model)
    assert "unfreezing: a group more after each epoch" in described
    assert "schedule: SlantedTriangular" in described
    assert str(Unfreezing(steps=20)) == "a group more after every 20 steps"
