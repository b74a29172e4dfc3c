"""Groups, patterns and freezing: what is chosen, in which order, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnn_core import GRU, LSTM, LanguageModel, SequenceClassifier
from rnn_core.data import Batch
from transfer import freeze, freeze_to, parameter_groups, select, unfreeze


@pytest.fixture
def model():
    return LanguageModel(5, 3, num_layers=2, seed=0)


@pytest.mark.parametrize(
    "model",
    [
        LanguageModel(5, 3, num_layers=3),
        LanguageModel(5, 3, tied=True),
        SequenceClassifier(2, 3, input_size=2, num_layers=2, bidirectional=True),
        LSTM(2, 3, num_layers=2, bias=False),
    ],
)
def test_every_parameter_is_in_one_group_and_in_order(model):
    assert [name for names in parameter_groups(model).values() for name in names] == list(model.parameters)


def test_groups_stand_bottom_to_top(model):
    assert list(parameter_groups(model)) == ["embedding", "rnn.l0", "rnn.l1", "head"]


@pytest.mark.parametrize(
    "patterns, expected",
    [
        ("head", ["head.weight", "head.bias"]),
        (["head", "embedding"], ["embedding.weight", "head.weight", "head.bias"]),
        ("rnn.l1", [f"rnn.{f}_l1" for f in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]),
        ("rnn.*_l1", [f"rnn.{f}_l1" for f in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]),
        ("*.weight", ["embedding.weight", "head.weight"]),
        (["*.bias", "head.bias"], ["head.bias"]),
        ("rnn.bias_[ih]h_l?", ["rnn.bias_ih_l0", "rnn.bias_hh_l0", "rnn.bias_ih_l1", "rnn.bias_hh_l1"]),
        ((), []),
    ],
)
def test_patterns_choose_whole_names_and_groups(model, patterns, expected):
    assert list(select(model, patterns)) == expected


def test_names_alone_have_no_groups():
    assert select(["a.x", "a.y", "b"], "a.*") == ("a.x", "a.y")
    with pytest.raises(ValueError, match=r"did you mean 'a\.\*'\? there are a\.x, a\.y$"):
        select(["a.x", "a.y"], "a")


def test_a_glob_does_not_match_a_groups_name():
    model = SequenceClassifier(2, 3, input_size=2, bidirectional=True)
    assert not any(name.endswith("_reverse") for name in select(model, "*l0")), "rnn.l0 is a group, and *l0 is not it"


@pytest.mark.parametrize(
    "pattern, says",
    [
        ("rnn", r"got 'rnn'; did you mean 'rnn\.\*'\? there are embedding\.weight, .* in the groups embedding, rnn"),
        ("rnn.weigth_ih_l0", r"did you mean 'rnn\.weight_ih_l0'"),
        ("HEAD.*", "there are embedding.weight"),
        ("weight", "there are embedding.weight"),
        ("", "there are embedding.weight"),
    ],
)
def test_a_pattern_that_matches_nothing_lists_the_names_there_are(model, pattern, says):
    with pytest.raises(ValueError, match=says):
        select(model, ["embedding", pattern])


def test_a_pattern_must_be_a_string(model):
    patterns: list[Any] = ["head", 3]
    with pytest.raises(TypeError, match="patterns must be strings, got int 3"):
        select(model, patterns)


def test_groups_are_of_models_and_layers():
    with pytest.raises(TypeError, match="model must be a model or a layer, got dict"):
        parameter_groups({})


def test_freezing_adds_and_unfreezing_takes_away(model):
    assert freeze(model, "head") == ("head.weight", "head.bias")
    assert freeze(model, "embedding", "*.bias") == ("embedding.weight", "head.weight", "head.bias")
    assert unfreeze(model, "head.weight") == ("embedding.weight", "head.bias")
    assert model.frozen == {"embedding.weight", "head.bias"}
    assert unfreeze(model, "*") == ()


def test_frozen_parameters_have_no_gradient(model):
    freeze(model, "embedding", "rnn.l0")
    tokens = np.array([[0, 1, 2], [3, 4, 0]])
    assert set(model.loss_and_gradients(Batch(tokens, tokens)).gradients) == set(select(model, ["rnn.l1", "head"]))


@pytest.mark.parametrize(
    "group, trains",
    [
        (-1, ["head"]),
        ("head", ["head"]),
        (-2, ["rnn.l1", "head"]),
        (2, ["rnn.l1", "head"]),
        ("rnn.l1", ["rnn.l1", "head"]),
        (0, ["embedding", "rnn.l0", "rnn.l1", "head"]),
        (-4, ["embedding", "rnn.l0", "rnn.l1", "head"]),
    ],
)
def test_freeze_to_leaves_a_group_and_those_above_it(model, group, trains):
    freeze(model, "head.bias")
    frozen = freeze_to(model, group)
    assert set(model.parameters) - set(frozen) == set(select(model, trains))
    assert model.frozen == set(frozen)


@pytest.mark.parametrize(
    "group, error, says",
    [
        (4, ValueError, r"group must be in -4…3, got 4; the groups are embedding, rnn\.l0, rnn\.l1, head"),
        (-5, ValueError, "got -5"),
        ("rnn", ValueError, r"got 'rnn'; there are embedding, rnn\.l0, rnn\.l1, head"),
        (1.0, TypeError, "name or place, got 1.0"),
        (True, TypeError, "got True"),
    ],
)
def test_freeze_to_wants_a_group_there_is(model, group, error, says):
    freeze(model, "head")
    with pytest.raises(error, match=says):
        freeze_to(model, group)
    assert model.frozen == {"head.weight", "head.bias"}


def test_freezing_nothing_is_a_mistake(model):
    with pytest.raises(ValueError, match=r"freeze: patterns must be at least one, .* freeze\(model, '\*'\)"):
        freeze(model)
    with pytest.raises(ValueError, match="freeze: patterns must be at least one"):
        freeze(model, [])


def test_patterns_may_come_in_one_iterable(model):
    expected = select(model, ["rnn.l0", "head"])
    assert freeze(model, ["rnn.l0", "head"]) == expected == freeze(model, "rnn.l0", "head")
    assert unfreeze(model, iter(["rnn.l0", "head"])) == ()
    with pytest.raises(TypeError, match="freeze: patterns must be a string or several, got int 3"):
        freeze(model, 3)
    with pytest.raises(TypeError, match="freeze: patterns must be strings, got list"):
        freeze(model, ["rnn.l0"], "head")


def test_a_failed_freeze_freezes_nothing(model):
    with pytest.raises(ValueError, match="freeze: patterns must match"):
        freeze(model, "head", "hat")
    assert model.frozen == frozenset()


def test_a_layer_keeps_no_account_of_what_is_frozen():
    with pytest.raises(TypeError, match="freeze: model must be a Model, such as LanguageModel, got GRU"):
        freeze(GRU(2, 3), "*")


def test_tied_weights_have_one_name():
    model = LanguageModel(5, 3, tied=True)
    assert freeze(model, "head.*") == ("head.bias",)
    with pytest.raises(ValueError, match=r"got 'head\.weight'.* there are embedding\.weight"):
        freeze(model, "head.weight")
