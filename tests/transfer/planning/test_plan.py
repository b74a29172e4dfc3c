"""`Plan`: rules that agree, rules that don't, and what training makes of them."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from rnn_core import LSTM, LanguageModel, quantize
from rnn_core.data import Examples
from rnn_core.training import SGD, fit
from transfer import Plan, discriminative_rates, freeze, freeze_to, select, unfreeze

TOKENS = np.array([[0, 1, 2, 3, 4, 2], [4, 3, 3, 0, 1, 1]])


@pytest.fixture
def model():
    return LanguageModel(5, 3, num_layers=2, seed=0, dtype=np.float64)


def train(model, updates=None, lr=0.1, epochs=3):
    data = Examples(TOKENS, (TOKENS + 1) % 5)
    fit(model, data, optimizer=SGD(lr), epochs=epochs, updates=updates, progress=False)
    return model.state_dict()


def moved(model, before):
    return {name for name, array in model.parameters.items() if (array != before[name]).any()}


def test_an_empty_plan_trains_everything(model):
    updates = Plan().resolve(model)
    assert updates.trainable == tuple(model.parameters)
    assert not updates.rates
    assert not updates.anchors
    plain = train(LanguageModel(5, 3, num_layers=2, seed=0, dtype=np.float64))
    assert all((array == plain[name]).all() for name, array in train(model, updates).items())


def test_a_plan_resolves_to_names(model):
    plan = Plan(frozen="embedding", rates={"rnn.l0": 1e-4, "rnn.*_l1": 1e-3}, anchors={"*.weight_hh_*": 0.5})
    updates = plan.resolve(model)
    assert updates.trainable == select(model, ["rnn.*", "head"])
    assert updates.rates == {name: 1e-4 if name.endswith("l0") else 1e-3 for name in select(model, "rnn.*")}
    assert list(updates.anchors) == ["rnn.weight_hh_l0", "rnn.weight_hh_l1"]
    strength, home = updates.anchors["rnn.weight_hh_l0"]
    assert strength == 0.5
    np.testing.assert_array_equal(home, model.parameters["rnn.weight_hh_l0"])


def test_frozen_parameters_keep_their_bits(model):
    before = model.state_dict()
    train(model, Plan(frozen=["embedding", "rnn.l0"]).resolve(model))
    assert moved(model, before) == set(select(model, ["rnn.l1", "head"]))


def test_what_the_model_has_frozen_stays_frozen(model):
    freeze(model, "head")
    updates = Plan(frozen=["embedding"], rates={"head": 1.0, "rnn.l0": 0.2}, anchors={"head": 1.0}).resolve(model)
    assert updates.trainable == select(model, "rnn.*")
    assert set(updates.rates) == set(select(model, "rnn.l0"))
    assert not updates.anchors


@pytest.mark.parametrize(
    "call",
    [
        lambda model: freeze(model, "head"),
        lambda model: unfreeze(model, "head"),
        lambda model: freeze_to(model, -1),
        lambda model: Plan().resolve(model),
        lambda model: discriminative_rates(model, 0.1),
    ],
)
def test_what_is_for_inference_has_nothing_to_plan(call):
    small = quantize(LanguageModel(5, 4, seed=0))
    with pytest.raises(TypeError, match=r"^\S+: model must be in float32 .* quantized; take the model that quantize"):
        call(small)
    assert not small.frozen


def test_one_plan_serves_gradual_unfreezing(model):
    plan = Plan(rates={"head": 0.1, "rnn.l1": 0.05, "rnn.l0": 0.02})
    for lowest, trains in ((-1, "head"), (-2, ["rnn.l1", "head"]), (0, "*")):
        freeze_to(model, lowest)
        before = model.state_dict()
        train(model, plan.resolve(model))
        assert moved(model, before) == set(select(model, trains))


def test_a_rate_is_the_groups_own(model):
    before = model.state_dict()
    data = Examples(TOKENS, (TOKENS + 1) % 5)
    updates = Plan(frozen=["embedding", "rnn.*"], rates={"head.weight": 0.05}).resolve(model)
    fit(model, data, optimizer=SGD(0.2), epochs=1, updates=updates, progress=False)
    other = LanguageModel(5, 3, num_layers=2, seed=0, dtype=np.float64)
    fit(other, data, optimizer=SGD(0.2), epochs=1, progress=False)
    for name, ratio in (("head.weight", 0.25), ("head.bias", 1.0)):
        step, full = (m.parameters[name] - before[name] for m in (model, other))
        np.testing.assert_allclose(step, ratio * full, rtol=1e-9)


def test_an_anchor_is_a_sum_over_the_numbers(model):
    """One step of gradient descent from θ with the loss left out moves by −lr·α·(θ − θ_s), whatever the size."""
    home = {name: array + 1.0 for name, array in model.parameters.items()}
    before = model.state_dict()
    alpha, lr = 0.5, 0.01
    with_anchor = Plan(anchors={"rnn.*": alpha}).resolve(model, reference=home)
    train(model, with_anchor, lr=lr, epochs=1)
    free = LanguageModel(5, 3, num_layers=2, seed=0, dtype=np.float64)
    train(free, lr=lr, epochs=1)
    for name in select(model, "rnn.*"):
        pull = model.parameters[name] - free.parameters[name]
        np.testing.assert_allclose(pull, -lr * alpha * (before[name] - home[name]), rtol=1e-9)


def test_a_strong_anchor_keeps_a_parameter_where_it_came_from(model):
    before = model.state_dict()
    distances = []
    for alpha in (0.0, 1.0, 9.0, 19.0):
        model.load_state_dict(before)
        train(model, Plan(anchors={"rnn.*": alpha}).resolve(model), lr=0.05, epochs=200)
        distances.append(
            np.sqrt(sum(((model.parameters[name] - before[name]) ** 2).sum() for name in select(model, "rnn.*")))
        )
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.05 * distances[0]


def test_strength_zero_is_no_anchor(model):
    assert not Plan(anchors={"*": 0}).resolve(model).anchors


def test_anchors_are_copies(model):
    home = {name: array.copy() for name, array in model.parameters.items()}
    for reference in (None, home, model):
        _, anchored = Plan(anchors={"head.bias": 1}).resolve(model, reference).anchors["head.bias"]
        expected = anchored.copy()
        model.parameters["head.bias"] += 1
        home["head.bias"] += 1
        np.testing.assert_array_equal(anchored, expected)


@pytest.mark.parametrize(
    "plan, says",
    [
        (Plan(rates={"rnn.*": 0.1, "rnn.l0": 0.2}), r"got rates 'rnn\.\*': 0\.1 and 'rnn\.l0': 0\.2 for rnn\.w"),
        (Plan(anchors={"*": 1, "head": 2}), r"got anchors '\*': 1 and 'head': 2 for head\.weight"),
        (Plan(frozen="rnn.*", rates={"rnn.l1": 0.1}), r"got frozen 'rnn\.\*' and rates 'rnn\.l1' for rnn\.weight_ih"),
        (Plan(frozen="rnn.*", anchors={"*": 0.1}), r"got frozen 'rnn\.\*' and anchors '\*'"),
        (Plan(frozen="rnm.*"), r"frozen must match a parameter, got 'rnm\.\*'"),
        (Plan(rates={"rnn": 1}), r"rates must match a parameter, got 'rnn'; did you mean 'rnn\.\*'"),
        (Plan(anchors={"rnn.l2": 1}), "anchors must match a parameter, got 'rnn.l2'"),
        (Plan(frozen="*"), "a parameter must be left to train, got all 11 frozen"),
    ],
)
def test_rules_must_match_agree_and_leave_something(model, plan, says):
    with pytest.raises(ValueError, match=says):
        plan.resolve(model)


def test_rules_that_agree_may_overlap(model):
    plan = Plan(frozen=["head", "head.bias"], rates={"rnn.*": 0.1, "rnn.l0": 0.1})
    assert set(plan.resolve(model).rates.values()) == {0.1}


@pytest.mark.parametrize(
    "rules, error, says",
    [
        ({"rates": {"head": 0}}, ValueError, r"rates\['head'\] must be above 0 and finite, got 0; frozen=\['head'\]"),
        ({"rates": {"head": float("nan")}}, ValueError, "above 0 and finite, got nan"),
        ({"rates": {"head": "fast"}}, TypeError, "must be a number, got 'fast'"),
        ({"rates": {"head": True}}, TypeError, "must be a number, got True"),
        ({"rates": 0.1}, TypeError, "rates must be a mapping of patterns to numbers, got float"),
        ({"anchors": {"head": -1}}, ValueError, "at least 0 and finite, got -1"),
        ({"anchors": {"head": float("inf")}}, ValueError, "at least 0 and finite, got inf"),
        ({"anchors": {3: 1.0}}, TypeError, "anchors must be strings, got int 3"),
        ({"frozen": [3]}, TypeError, "frozen must be strings, got int 3"),
    ],
)
def test_a_plan_is_checked_when_it_is_made(rules, error, says):
    with pytest.raises(error, match=says):
        Plan(**rules)


@pytest.mark.parametrize(
    "reference, error, says",
    [
        ({}, ValueError, "got none for head.bias"),
        ({"head.bias": np.zeros(4)}, ValueError, r"reference\['head\.bias'\] must have shape \(5,\), got \(4,\)"),
        ({"head.bias": np.full(5, np.inf)}, ValueError, "must be finite, got inf"),
        ({"head.bias": np.zeros(5, complex)}, TypeError, "must be float64 or narrower"),
        (3, TypeError, "reference must be a model, a layer or a mapping of names to arrays, got int"),
    ],
)
def test_a_reference_must_fit(model, reference, error, says):
    with pytest.raises(error, match=says):
        Plan(anchors={"head.bias": 1}).resolve(model, reference)


def test_a_layer_has_no_plan():
    with pytest.raises(TypeError, match=r"Plan\.resolve: model must be a Model"):
        Plan().resolve(LSTM(2, 3))


def test_a_plan_does_not_change():
    rates, frozen = {"head": 0.1}, ["embedding"]
    plan = Plan(frozen, rates)
    rates["head"] = 0.2
    frozen.append("head")
    assert plan == Plan("embedding", {"head": 0.1})
    with pytest.raises(FrozenInstanceError):
        plan.__setattr__("frozen", ())
    with pytest.raises(TypeError):
        plan.rates["head"] = 0.3
    assert replace(plan, anchors={"*": 1}).rates == {"head": 0.1}


def test_a_plan_can_be_pickled_hashed_and_read():
    plan = Plan("embedding", {"head": 0.1}, {"rnn.*": 0.01})
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert hash(plan) == hash(Plan("embedding", {"head": 0.1}, {"rnn.*": 0.01}))
    assert repr(plan) == "Plan(frozen=('embedding',), rates={'head': 0.1}, anchors={'rnn.*': 0.01})"
    assert eval(repr(plan)) == plan


def test_a_plan_is_a_table(model):
    plan = Plan("embedding", {"head": 0.1}, {"rnn.*_l0": 0.01})
    text = str(plan)
    for rule, pattern, value in (("frozen", "embedding", ""), ("rate", "head", "0.1"), ("anchor", "rnn.*_l0", "0.01")):
        assert any(line.replace("│", "").split() == [rule, pattern, *value.split()] for line in text.splitlines())
    assert str(Plan()) == "Plan: every parameter trains, at the optimizer's rate"
    described = plan.describe(model)
    rows = {line.replace("│", "").split()[0]: line for line in described.splitlines() if "│" in line}
    assert set(model.parameters) <= set(rows)
    assert "frozen" in rows["embedding.weight"]
    assert "0.01" in rows["rnn.bias_hh_l0"]
    assert "0.1" in rows["head.bias"]
    total = sum(array.size for array in model.parameters.values())
    assert f"{total - 15:,} of {total:,} numbers train" in described
