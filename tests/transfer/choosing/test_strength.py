"""Source parameters as start and as regulariser: the penalty as defined, its two ends, and the choice of strengths."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rnn_core import SequenceClassifier
from rnn_core.checking import Problem, gradcheck
from rnn_core.data import Examples
from rnn_core.training import SGD, Adam, Updates, fit
from rnn_core.training.updates import add_penalties
from tests.training_cases import Line, bits, line_data
from transfer import Plan, copy_parameters, select
from transfer.choosing.strength import StrengthChoice, Trial, choose_strength
from transfer.planning.freezing import Unfreezing
from transfer.planning.planned import fit_plan

ALPHA, BETA = 0.3, 0.07


def build(seed=0):
    return SequenceClassifier(2, 4, input_size=2, seed=seed, dtype=np.float64)


def examples(rows=24, seed=0):
    x = np.random.default_rng(seed).standard_normal((rows, 3, 2))
    return Examples(x, (x[..., 0].sum(1) > 0).astype(int), batch_size=8)


@pytest.fixture
def model():
    """A target with the source's core, and a head of its own."""
    target = build(seed=1)
    copy_parameters(build(seed=0), target, include="rnn.*")
    return target


# --- the penalty as defined ---


def penalty_problem(anchors, parameters):
    """The penalty as the definition has it, on complex numbers, beside the gradient that training adds."""

    def twin(dtype):
        values = {name: p.astype(dtype) for name, p in parameters.items()}

        def run():
            total = sum(0.5 * alpha * ((values[name] - home) ** 2).sum() for name, (alpha, home) in anchors.items())
            return {"penalty": np.asarray(total)}

        return values, run

    def gradients(upstreams):
        zeros = {name: np.zeros_like(p) for name, p in parameters.items()}
        _, found = add_penalties(anchors, parameters, zeros)
        return {name: upstreams["penalty"] * gradient for name, gradient in found.items()}

    return Problem("L²-SP", np.dtype(np.float64), twin, gradients)


@pytest.mark.parametrize("method", ["complex-step", "central"])
def test_the_gradient_of_the_penalty_passes_gradcheck(model, method):
    source = {name: array + 0.5 for name, array in model.state_dict().items()}
    updates = Plan(anchors={"rnn.*": ALPHA}, decays={"head": BETA}).resolve(model, source)
    assert set(updates.anchors) == set(model.parameters)
    report = gradcheck(penalty_problem(updates.anchors, model.parameters), method=method)
    assert report.passed, str(report)


def test_the_penalty_is_a_sum_and_not_a_mean(model):
    """Twice as many numbers, twice the penalty; and no square of α."""
    home = {name: array - 2.0 for name, array in model.state_dict().items()}
    for alpha in (1.0, 3.0):
        updates = Plan(anchors={"*": alpha}).resolve(model, home)
        penalty, gradients = add_penalties(updates.anchors, model.parameters, dict.fromkeys(model.parameters, 0.0))
        count = sum(p.size for p in model.parameters.values())
        assert penalty == pytest.approx(0.5 * alpha * 4.0 * count, rel=1e-12)
        for gradient in gradients.values():
            np.testing.assert_allclose(gradient, 2.0 * alpha, rtol=1e-12)


def test_a_decay_pulls_to_zero_what_has_no_source(model):
    updates = Plan(anchors={"rnn.*": ALPHA}, decays={"head": BETA}).resolve(model)
    for name in select(model, "head"):
        strength, home = updates.anchors[name]
        assert strength == BETA
        assert home.dtype == model.parameters[name].dtype
        assert not home.any()
    penalty, _ = add_penalties(updates.anchors, model.parameters, dict.fromkeys(model.parameters, 0.0))
    squares = sum((model.parameters[name] ** 2).sum() for name in select(model, "head"))
    assert penalty == pytest.approx(0.5 * BETA * squares, rel=1e-12)  # the core is where it came from


def test_a_decay_is_the_optimizers_weight_decay_for_some_parameters():
    """½ β Σ θ² under plain gradient descent: the weight decay that SGD has for all."""
    ours, other = build(), build()
    fit(ours, examples(), optimizer=SGD(0.1), epochs=3, updates=Plan(decays={"*": BETA}).resolve(ours), progress=False)
    fit(other, examples(), optimizer=SGD(0.1, weight_decay=BETA), epochs=3, progress=False)
    for name, array in ours.parameters.items():
        np.testing.assert_allclose(array, other.parameters[name], rtol=1e-12, atol=1e-15)


def test_the_minimum_is_that_of_the_definition():
    """Least squares with both penalties have a closed solution: (2 XᵀX/n + αI) w = 2 Xᵀ(y − b)/n + α w_s, and so on."""
    data = line_data(batch_size=24)
    x, y, n = data.inputs, data.targets, len(data.inputs)
    source = np.array([0.5, 0.25, -1.0])
    anchors = {"w": (ALPHA, source), "b": (BETA, np.zeros(()))}
    model = Line()
    fit(model, data, optimizer=SGD(0.2), epochs=400, updates=Updates(("w", "b"), {}, anchors), progress=False)
    design = np.column_stack([x, np.ones(n)])
    strengths = np.array([ALPHA] * 3 + [BETA])
    expected = np.linalg.solve(
        2 * design.T @ design / n + np.diag(strengths), 2 * design.T @ y / n + strengths * np.append(source, 0)
    )
    np.testing.assert_allclose(np.append(model.parameters["w"], model.parameters["b"]), expected, atol=1e-8)


# --- its two ends ---


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.01)], ids=repr)
def test_strength_zero_is_plain_fine_tuning_to_the_last_bit(model, optimizer):
    plain = build()
    plain.load_state_dict(model.state_dict())
    plan = Plan(anchors={"rnn.*": 0.0}, decays={"head": 0.0})
    histories = fit_plan(model, examples(), plan, optimizer=optimizer, epochs=3, clip_norm=1.0, progress=False)
    expected = fit(plain, examples(), optimizer=optimizer, epochs=3, clip_norm=1.0, progress=False)
    assert bits(model) == bits(plain)
    assert histories == [expected]


@pytest.mark.parametrize("alpha", [1e9, 1e12])
def test_an_infinite_strength_gives_the_source(model, alpha):
    """From a start elsewhere, at the rate that such a spring allows; the head decays to nothing."""
    source = build(seed=5).state_dict()
    plan = Plan(anchors={"rnn.*": alpha}, decays={"head": alpha})
    fit_plan(model, examples(), plan, optimizer=SGD(1 / alpha), epochs=5, reference=source, progress=False)
    for name, array in model.parameters.items():
        np.testing.assert_allclose(array, source[name] if name.startswith("rnn.") else 0.0, rtol=0, atol=1e-8)


def test_the_source_may_be_a_model_and_stays_as_it_is(model):
    source = build(seed=5)
    before = bits(source)
    plan = Plan(anchors={"rnn.*": 1.0}, unfreezing=Unfreezing(epochs=1))
    fit_plan(model, examples(), plan, optimizer=SGD(0.5), epochs=30, reference=source, progress=False)
    assert bits(source) == before
    far = build(seed=1)
    for name in select(model, "rnn.*"):
        way, start = (np.linalg.norm(m.parameters[name] - source.parameters[name]) for m in (model, far))
        assert way < 0.2 * start


# --- rules ---


@pytest.mark.parametrize(
    "plan, says",
    [
        (Plan(anchors={"*": 1}, decays={"head": 1}), "got an anchor and a decay for head.weight, head.bias; narrow"),
        (Plan(frozen="head", decays={"head": 1}), r"got frozen 'head' and decays 'head' for head\.weight"),
        (Plan(decays={"*": 1, "head": 2}), r"got decays '\*': 1 and 'head': 2 for head\.weight"),
        (Plan(decays={"haed": 1}), "decays must match a parameter, got 'haed'; did you mean 'head'"),
    ],
)
def test_decays_must_match_and_agree(model, plan, says):
    with pytest.raises(ValueError, match=says):
        plan.resolve(model)


def test_a_decay_is_checked_when_the_plan_is_made():
    with pytest.raises(ValueError, match=r"decays\['head'\] must be at least 0 and finite, got -1"):
        Plan(decays={"head": -1})


def test_a_plan_shows_anchors_and_decays_apart(model):
    text = Plan(anchors={"rnn.*": 0.25}, decays={"head": 0.125}).describe(model)
    rows = {
        cells[0]: cells for line in text.splitlines() if len(cells := [c.strip() for c in line.split("│")[1:-1]]) == 5
    }
    assert rows["rnn.weight_hh_l0"][3:] == ["0.25", ""]
    assert rows["head.bias"][3:] == ["", "0.125"]


# --- choosing ---


def choose(model, **options):
    given = {"optimizer": SGD(0.2), "epochs": 3, "anchored": "rnn.*", "alphas": (0.0, 0.1, 1.0)} | options
    return choose_strength(model, examples(), examples(16, seed=9), **given)


def test_every_trial_is_a_run_from_the_same_start(model):
    start = model.state_dict()
    choice = choose(model, alphas=(0.0, 0.5), decayed="head", betas=(0.0, 0.2))
    assert [(trial.alpha, trial.beta) for trial in choice.trials] == [(0, 0), (0, 0.2), (0.5, 0), (0.5, 0.2)]
    for trial in choice.trials:
        alone = build()
        alone.load_state_dict(start)
        plan = Plan(anchors={"rnn.*": trial.alpha}, decays={"head": trial.beta})
        options = {"validation": examples(16, seed=9), "optimizer": SGD(0.2), "epochs": 3, "progress": False}
        history = fit(alone, examples(), updates=plan.resolve(alone), **options)
        assert trial.score == history.best.validation_loss
        assert trial.epoch == history.best.epoch
        squares = [((alone.parameters[name] - start[name]) ** 2).sum() for name in select(alone, "rnn.*")]
        assert trial.distance == pytest.approx(math.sqrt(sum(squares)), rel=1e-12)
        if trial is choice.best:
            assert bits(model) == bits(alone)
    assert choice.best.score == min(trial.score for trial in choice.trials)
    assert choice.plan == Plan(anchors={"rnn.*": choice.best.alpha}, decays={"head": choice.best.beta})


def test_a_stronger_anchor_keeps_the_core_nearer(model):
    distances = [trial.distance for trial in choose(model, alphas=(0.0, 0.1, 1.0, 8.0)).trials]
    assert distances == sorted(distances, reverse=True)


def test_a_helpful_source_is_held_to_and_a_harmful_one_let_go():
    """Few points, every third label wrong, and a source that knows the answer, or has it the wrong way round."""
    clean, validation = examples(12, seed=1), examples(80, seed=2)
    train = Examples(clean.inputs, np.where(np.arange(12) % 3, clean.targets, 1 - clean.targets), batch_size=12)
    source = build(seed=3)
    fit(source, examples(80, seed=4), optimizer=Adam(0.03), epochs=20, progress=False)
    wrong = {name: -array if name.startswith("rnn.weight_ih") else array for name, array in source.state_dict().items()}
    found = []
    for reference in (source.state_dict(), wrong):
        model = build()
        model.load_state_dict(reference)
        options = {"optimizer": SGD(0.1), "epochs": 40, "anchored": "*", "alphas": (0.0, 0.1, 10.0)}
        found.append(choose_strength(model, train, validation, **options).best.alpha)
    good, bad = found
    assert good > bad
    assert bad == 0


def test_a_plan_holds_in_every_trial(model):
    plan = Plan(rates={"head": 0.5}, frozen="rnn.bias_*", unfreezing=Unfreezing(epochs=1))
    before = model.state_dict()
    choice = choose(model, anchored="rnn.weight_*", plan=plan)
    assert choice.plan == replace(plan, anchors={"rnn.weight_*": choice.best.alpha})
    assert {name for name in before if (model.parameters[name] != before[name]).any()} == set(
        select(model, ["rnn.weight_*", "head"])
    )


def test_accuracy_can_decide_and_of_equals_the_first_is_best():
    trials = (Trial(0.0, 0.0, 0.5, 1, 0.0), Trial(0.1, 0.0, 0.75, 2, 0.0), Trial(1.0, 0.0, 0.75, 1, 0.0))
    assert StrengthChoice("validation_accuracy", trials, Plan()).best is trials[1]
    assert StrengthChoice("validation_loss", trials, Plan()).best is trials[0]


def test_a_choice_is_a_table_and_plain_data(model):
    choice = choose(model, monitor="validation_accuracy")
    assert json.loads(json.dumps(choice.as_dict()))["best"]["alpha"] == choice.best.alpha
    assert str(choice).count("best") == 1 + ("largest" in str(choice))
    assert "validation_accuracy" in str(choice)
    assert "distance" in str(choice)


def test_the_end_of_the_grid_is_pointed_out():
    trials = (Trial(0.0, 0.0, 2.0, 1, 0.0), Trial(0.1, 0.0, 1.0, 2, 0.0))
    assert "the best alpha is the largest of those tried" in str(StrengthChoice("validation_loss", trials, Plan()))
    inner = StrengthChoice("validation_loss", (*trials, Trial(1.0, 0.0, 3.0, 1, 0.0)), Plan())
    assert inner.caution == ""


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"alphas": ()}, ValueError, r"alphas must be different numbers, and not none, got \(\)"),
        ({"alphas": (1, 1.0)}, ValueError, r"alphas must be different numbers"),
        ({"alphas": 1.0}, TypeError, "alphas must be several numbers, got 1.0"),
        ({"alphas": (-1,)}, ValueError, r"anchors\['rnn\.\*'\] must be at least 0 and finite, got -1"),
        ({"alphas": ("strong",)}, TypeError, "must be a number, got 'strong'"),
        ({"betas": (1,)}, ValueError, r"betas must come with what they pull to 0, got decayed=\(\)"),
        ({"anchored": ()}, ValueError, "anchored must name a parameter at least, got none"),
        ({"anchored": "rnm.*"}, ValueError, "anchors must match a parameter, got 'rnm"),
        ({"decayed": "*"}, ValueError, "got an anchor and a decay for rnn"),
        (
            {"monitor": "loss"},
            ValueError,
            "monitor must be one of 'validation_loss', 'validation_accuracy', got 'loss'",
        ),
        ({"plan": Plan(anchors={"head": 1})}, ValueError, "plan must leave anchors and decays to anchored and decayed"),
        ({"plan": 3}, TypeError, "plan must be a Plan or None, got int"),
        ({"reference": {}}, ValueError, "reference must have every anchored parameter, got none for rnn"),
        ({"epochs": 0}, ValueError, "choose_strength: at alpha=0, beta=0: fit_plan: epochs must be at least 1, got 0"),
        ({"alphas": (0.0, 1e5), "epochs": 30}, ValueError, "at alpha=100000, beta=0: .* must be finite"),
    ],
)
def test_mistakes_are_named_and_the_model_is_as_it_was(model, options, error, says):
    before = bits(model)
    with pytest.raises(error, match=says):
        choose(model, **options)
    assert bits(model) == before


def test_training_data_alone_can_not_choose(model):
    with pytest.raises(TypeError, match="validation must be batches, such as Examples, got None"):
        choose_strength(model, examples(), None, optimizer=SGD(0.1), epochs=1, anchored="rnn.*", alphas=(0.0,))
