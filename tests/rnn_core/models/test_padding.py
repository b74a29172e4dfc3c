"""Padding, weights and carried states of models: what must have no influence, and what must add up."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data.batches import Batch
from tests.model_cases import CELLS, LENGTHS, T, classifier, features, language_model, text, tokens_classifier


@pytest.mark.parametrize("cell", CELLS)
def test_padding_of_a_text_has_no_influence(cell):
    model, batch = language_model(cell=cell), text(lengths=LENGTHS)
    padding = np.arange(T) >= LENGTHS[:, None]
    other = batch._replace(
        inputs=np.where(padding, -1, batch.inputs),
        targets=np.where(padding, -100, batch.targets),
        weights=np.where(padding, np.nan, 1),
    )
    step, padded = model.loss_and_gradients(batch), model.loss_and_gradients(other)
    assert step.loss == padded.loss
    assert step.count == padded.count == LENGTHS.sum()
    for name, gradient in step.gradients.items():
        np.testing.assert_array_equal(gradient, padded.gradients[name])
    np.testing.assert_array_equal(step.state, padded.state)
    assert model.evaluate(batch)[:3] == model.evaluate(other)[:3]


def test_rows_of_a_text_are_what_they_are_alone():
    model, batch = language_model(), text(lengths=LENGTHS)
    alone = [
        model.evaluate(Batch(batch.inputs[b : b + 1, :n], batch.targets[b : b + 1, :n])) for b, n in enumerate(LENGTHS)
    ]
    together = model.evaluate(batch)
    assert together.loss == pytest.approx(sum(row.loss for row in alone), rel=1e-13)
    assert together.count == sum(row.count for row in alone)
    assert together.correct == sum(row.correct for row in alone)
    for b, row in enumerate(alone):
        np.testing.assert_allclose(together.state[0][:, b], row.state[0][:, 0], rtol=1e-12)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_padding_of_rows_to_classify_has_no_influence(pooling):
    model, batch = classifier(pooling=pooling, bidirectional=True), features(lengths=LENGTHS)
    padded = batch.inputs.copy()
    padded[np.arange(T) >= LENGTHS[:, None]] = np.nan
    np.testing.assert_array_equal(model(batch.inputs, LENGTHS), model(padded, LENGTHS))
    tokens = tokens_classifier(pooling=pooling)
    junk = np.where(np.arange(T) >= LENGTHS[:, None], 10**6, text().inputs)
    np.testing.assert_array_equal(tokens(text().inputs, LENGTHS), tokens(junk, LENGTHS))


@pytest.mark.parametrize(
    "model, batch, weights",
    [
        (language_model(), text(lengths=LENGTHS), [2, 0, 1]),
        (classifier(), features(lengths=LENGTHS), [2, 0, 1]),
        (classifier(1), features(1), [1, 3, 0]),
    ],
)
def test_whole_weights_are_repeated_rows(model, batch, weights):
    repeated = Batch(*(None if field is None else np.repeat(field, weights, axis=0) for field in batch[:3]))
    weighted = batch._replace(weights=weights)
    ours, theirs = model.evaluate(weighted), model.evaluate(repeated)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-13)
    assert ours[1:3] == theirs[1:3]
    ours, theirs = model.loss_and_gradients(weighted), model.loss_and_gradients(repeated)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-13)
    assert ours.count == theirs.count
    for name, gradient in ours.gradients.items():
        np.testing.assert_allclose(gradient, theirs.gradients[name], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_in_two_pieces_is_the_text_in_one(cell):
    model, batch = language_model(cell=cell), text()
    whole = model.evaluate(batch)
    first = model.evaluate(Batch(batch.inputs[:, :2], batch.targets[:, :2]))
    second = model.evaluate(Batch(batch.inputs[:, 2:], batch.targets[:, 2:]), state=first.state)
    assert first.loss + second.loss == pytest.approx(whole.loss, rel=1e-13)
    np.testing.assert_allclose(second.state, whole.state, rtol=1e-12)
    step = model.loss_and_gradients(Batch(batch.inputs[:, 2:], batch.targets[:, 2:]), state=first.state)
    np.testing.assert_array_equal(step.state, second.state)


@pytest.mark.parametrize(
    "model, batch",
    [(language_model(), text(lengths=LENGTHS)), (classifier(), features()), (classifier(1), features(1))],
)
def test_evaluating_sums_what_training_averages(model, batch):
    step, evaluation = model.loss_and_gradients(batch), model.evaluate(batch)
    assert evaluation.loss == pytest.approx(step.loss * step.count, rel=1e-14)
    assert evaluation.count == step.count
    assert isinstance(evaluation.count, int)
    assert isinstance(evaluation.correct, int)
    assert isinstance(step.loss, float)
