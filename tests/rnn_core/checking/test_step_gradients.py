"""`gradcheck` of a model with a batch: the loss that `fit` makes small, and the penalty of anchors apart from it."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import LSTM, gradcheck
from rnn_core.data import Batch
from rnn_core.training import Updates
from tests.model_cases import (
    LENGTHS,
    B,
    T,
    classifier,
    features,
    language_model,
    random_state,
    text,
    tokens_classifier,
    tokens_with_class,
)
from tests.mutations import Mutation
from tests.training_cases import Line, bits, line_data

W = np.array([0.5, 2.0, 1.0])


def accept(report):
    assert report.passed, str(report)


@pytest.mark.parametrize("method", ["complex-step", "central"])
def test_a_classifier_with_its_batch(method):
    accept(gradcheck(classifier(cell="rnn"), features(weights=W, lengths=LENGTHS), method=method))


@pytest.mark.parametrize("weights", [None, W, np.random.default_rng(0).uniform(0, 2, (B, T))], ids=str)
@pytest.mark.parametrize("tied", [False, True])
def test_a_language_model_with_its_batch_and_a_state_that_is_carried(tied, weights):
    model = language_model(cell="lstm", tied=tied, dropout=0.3)
    accept(gradcheck(model, text(lengths=LENGTHS, weights=weights, carry=True), state0=random_state(model)))


def test_the_padding_row_is_a_constant():
    model, batch = tokens_classifier(padding_idx=0, num_layers=1), tokens_with_class()
    assert (batch.inputs == 0).any()
    accept(gradcheck(model, batch))


def test_a_float32_model_in_its_own_precision():
    batch = features()._replace(inputs=features().inputs.astype(np.float32))
    report = gradcheck(classifier(dtype=np.float32, num_layers=1), batch)
    accept(report)
    assert report.dtype == "float32"
    assert report.worst.error > 1e-9


def away(model, by=0.5):
    return {name: array + by for name, array in model.parameters.items()}


def anchored(model, home=None):
    home = away(model) if home is None else home
    return Updates(("head.weight", "rnn.bias_hh_l1"), {}, {name: (0.3, home[name]) for name in ("head.weight",)})


def test_a_penalty_is_an_output_of_its_own():
    model = classifier()
    before = bits(model)
    report = gradcheck(model, features(), updates=anchored(model))
    accept(report)
    assert [(row.upstream, row.name) for row in report.rows] == [
        (upstream, name) for upstream in ("loss", "penalty") for name in ("rnn.bias_hh_l1", "head.weight")
    ]
    assert bits(model) == before


def test_without_anchors_updates_say_what_is_looked_at():
    report = gradcheck(classifier(), features(), updates=Updates(("head.bias",)))
    accept(report)
    assert [row.name for row in report.rows] == ["head.bias"]


ADD = "rnn_core.training.updates:add_penalties"
STEP = "rnn_core.models.single_head:OneLoss.loss_and_gradients"
LOSS = "rnn_core.models.single_head:OneLoss._loss"


@pytest.mark.parametrize(
    "bug",
    [
        Mutation("a factor in the anchor's gradient", ADD, "+ strength * way", "+ 2 * strength * way", accept, ()),
        Mutation("0.1 % of the anchor's gradient", ADD, "+ strength * way", "+ 1.001 * strength * way", accept, ()),
        Mutation("the anchor as a mean", ADD, "+ strength * way", "+ strength * way / way.size", accept, ()),
        Mutation("a step away from the source", ADD, "+ strength * way", "- strength * way", accept, ()),
        Mutation("weights left out of the gradient", LOSS, "self.loss.backward(tape)",
                 "self.loss.backward(self.loss.forward(logits, targets)[1])", accept, ()),
        Mutation("padding in the gradient", STEP, "state, batch.lengths, rng)",
                 "state, batch.lengths if not needs else None, rng)", accept, ()),
    ],
    ids=lambda bug: bug.bug,
)  # fmt: skip
def test_a_planted_bug_is_caught(bug):
    model = classifier(num_layers=2)

    def report():
        return gradcheck(model, features(lengths=LENGTHS, weights=W), updates=anchored(model))

    accept(report())
    with bug.planted():
        assert not report().passed
    accept(report())


@pytest.mark.parametrize(
    "target, x, options, error, says",
    [
        (Line(), line_data().batch(0, 0), {}, TypeError, "target must have astype to be checked with a batch, got"),
        (3, features(), {}, TypeError, "target must have parameters and loss_and_gradients and astype .* got int"),
        (LSTM(2, 3), features(), {}, TypeError, "target must have loss_and_gradients to be checked with a batch"),
        (classifier(), features(), {"weights": W}, ValueError, "lengths, targets and weights must be left out with a"),
        (classifier(), features().inputs, {"updates": Updates(())}, ValueError, "updates must come with a batch"),
        (classifier(), features(), {"updates": Updates(())}, ValueError, "updates.trainable must name a parameter"),
        (classifier(), features(), {"updates": anchored(classifier(), away(classifier(), 0))}, ValueError,
         "updates must hold a parameter to other values than it has, got anchors that pull nowhere.*another reference"),
        (classifier(), Batch(features().inputs, np.zeros(2, int)), {}, ValueError, r"targets must have shape \(3,\)"),
    ],
)  # fmt: skip
def test_what_is_refused(target, x, options, error, says):
    with pytest.raises(error, match=says):
        gradcheck(target, x, **options)
