"""Contextual features where arrays live on another device than the host: the same numbers, and nothing brought back."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data import Batch
from rnn_core.layers import Highway, ScalarMix
from rnn_core.models import BidirectionalLanguageModel, SequenceClassifier
from tests.contextual_checks import LENGTHS, B, H, T, V, letters, token_batch, words
from tests.rnn_core.test_device_arrays import at, backend, compared, random  # noqa: F401  # a fixture that is used


@pytest.mark.parametrize("layer_norm", [False, True])
def test_the_mix_and_the_highway(layer_norm):
    def run(layer, where):
        y, tape = layer.forward(at(where, random(4, 3, 5)))
        return y, layer.backward(tape, y)

    compared(lambda where: ScalarMix(3, layer_norm, backend=where, dtype=float), run)
    compared(lambda where: Highway(5, backend=where, dtype=float, seed=0), run)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("front", [None, letters(highways=1, features=H)])
def test_a_pair_of_language_models(front, lengths):
    batch = token_batch()._replace(lengths=lengths)
    inputs = batch.inputs if front is None else words()

    def build(where):
        return BidirectionalLanguageModel(V, H, front=front, dropout=0.2, backend=where, dtype=float, seed=1)

    def run(model, where):
        step = model.loss_and_gradients(batch._replace(inputs=inputs), rng=0)
        return model(inputs, lengths), model.states(inputs, lengths), step.gradients

    compared(build, run, largest=1)  # the loss


def test_letters_may_be_there_already():
    def build(where):
        return BidirectionalLanguageModel(V, H, front=letters(features=H), backend=where, dtype=float, seed=1)

    compared(build, lambda model, where: model(at(where, words()), LENGTHS), largest=B * T)  # the words' lengths


def test_a_classifier_mixes():
    def build(where):
        front = {"kind": "mix", "num_layers": 3, "input_size": 4, "layer_norm": True}
        return SequenceClassifier(3, H, front=front, backend=where, dtype=float, seed=1)

    def run(model, where):
        batch = Batch(at(where, random(B, T, 3, 4)), np.array([0, 2, 1]), LENGTHS)
        return model.loss_and_gradients(batch).gradients, model(batch.inputs, LENGTHS)

    compared(build, run, largest=1)
