"""`LanguageModel` and `SequenceClassifier`: names, dropout, dtypes, and what they are used for."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data.batches import Batch
from rnn_core.models import LanguageModel
from rnn_core.training import Adam
from tests.model_cases import (
    CELLS,
    LENGTHS,
    B,
    H,
    T,
    V,
    classifier,
    features,
    language_model,
    text,
    tokens_classifier,
    tokens_with_class,
)

# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_language_model_names():
    model = language_model(cell="gru")
    core = [f"rnn.{kind}_l{k}" for k in range(2) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    assert list(model.parameters) == ["embedding.weight", *core, "head.weight", "head.bias"]
    assert model.groups == {
        "embedding": ("embedding.weight",),
        "rnn.l0": tuple(core[:4]),
        "rnn.l1": tuple(core[4:]),
        "head": ("head.weight", "head.bias"),
    }
    assert model.gate_blocks == {name: 3 if name in core else 1 for name in model.parameters}
    assert model.vocabulary_parameters == ("embedding.weight", "head.weight", "head.bias")
    assert model.gradient_names == ("h0", *model.parameters)


def test_tied_names():
    model = language_model(tied=True)
    assert "head.weight" not in model.parameters
    assert "head.weight" not in model.gate_blocks
    assert model.groups["head"] == ("head.bias",)
    assert model.vocabulary_parameters == ("embedding.weight", "head.bias")
    assert model.gradient_names[:2] == ("h0", "c0")


def test_classifier_names():
    model = classifier(bidirectional=True, num_layers=1)
    assert list(model.groups) == ["rnn.l0", "head"]
    assert "rnn.weight_hh_l0_reverse" in model.groups["rnn.l0"]
    assert model.parameters["head.weight"].shape == (3, 2 * H)
    assert model.vocabulary_parameters == ()
    assert model.gradient_names[0] == "x"
    model = tokens_classifier()
    assert list(model.groups) == ["embedding", "rnn.l0", "rnn.l1", "head"]
    assert model.vocabulary_parameters == ("embedding.weight",)
    assert "x" not in model.gradient_names


@pytest.mark.parametrize(
    "model",
    [
        language_model(tied=True, dropout=0.1),
        language_model(cell="rnn", nonlinearity="relu", embedding_size=3),
        classifier(1, pooling="max", bidirectional=True),
        tokens_classifier(padding_idx=2),
    ],
)
def test_the_config_builds_the_same_again(model):
    twin = type(model)(**model.config)
    assert twin.config == model.config
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(twin.parameters[name], parameter)


def test_layers_and_seeds_draw_different_numbers():
    model, other = LanguageModel(8, 8, seed=0), LanguageModel(8, 8, seed=1)
    first = [array.ravel()[0] for array in (*model.parameters.values(), *other.parameters.values())]
    assert len(set(first)) == len(first)


# ── Dropout ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "model, inputs",
    [
        (language_model(dropout=0.5), text().inputs),
        (tokens_classifier(dropout=0.5), text().inputs),
        (classifier(dropout=0.5), features().inputs),
        (classifier(dropout=0.5, num_layers=1), features().inputs),
    ],
)
def test_masks_are_a_function_of_rng_alone(model, inputs):
    first, same, other = (model.forward(inputs, rng=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(first, model.forward(inputs, rng=np.random.default_rng(0))[0])
    assert not np.array_equal(first, other)
    assert not np.array_equal(*(model.forward(inputs)[0] for _ in range(2)))


def test_without_dropout_forward_and_call_agree():
    model = language_model()
    np.testing.assert_array_equal(model.forward(text().inputs)[0], model(text().inputs)[0])
    other = classifier(pooling="max")
    np.testing.assert_array_equal(other.forward(features().inputs)[0], other(features().inputs))


# ── Arrays ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cell", CELLS)
def test_float32_stays_float32(cell):
    model = language_model(cell=cell, dtype=np.float32, dropout=0.2)
    logits, state, tape = model.forward(text().inputs, lengths=LENGTHS)
    dstate0, grads = model.backward(tape, logits)
    for array in (logits, *np.atleast_1d(state), *np.atleast_1d(dstate0), *grads.values()):
        assert array.dtype == np.float32
    step = model.loss_and_gradients(text(weights=np.ones((B, T)), lengths=LENGTHS))
    assert {gradient.dtype for gradient in step.gradients.values()} == {np.dtype(np.float32)}
    for classes in (1, 3):
        other = classifier(classes, cell=cell, pooling="mean", dtype=np.float32, dropout=0.2)
        x = features().inputs.astype(np.float32)
        logits, tape = other.forward(x, LENGTHS)
        dx, grads = other.backward(tape, logits)
        for array in (logits, dx, other(x), other.predict_proba(x), *grads.values()):
            assert array.dtype == np.float32


def test_nothing_that_comes_in_is_changed():
    for model, batch in (
        (language_model(tied=True), text(lengths=LENGTHS.copy(), weights=np.ones((B, T)))),
        (tokens_classifier(), tokens_with_class(lengths=LENGTHS.copy(), weights=np.ones(B))),
        (classifier(), features(lengths=LENGTHS.copy())),
    ):
        arrays = [array for array in batch[:4] if array is not None]
        arrays += model.parameters.values()
        before = [array.copy() for array in arrays]
        model.loss_and_gradients(batch, rng=0)
        model.evaluate(batch)
        for array, kept in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, kept)


def test_a_tape_can_be_used_again_and_a_second_call_does_not_spoil_it():
    model = language_model(tied=True)
    logits, _, tape = model.forward(text().inputs)
    first = model.backward(tape, logits)[1]
    model.forward(text(seed=9).inputs)
    second = model.backward(tape, logits)[1]
    for name, gradient in first.items():
        np.testing.assert_array_equal(gradient, second[name])
        assert gradient is not second[name]


def test_lists_will_do():
    assert language_model()([[1, 2], [3, 4]])[0].shape == (2, 2, V)
    assert tokens_classifier()([[1, 2], [3, 4]], [2, 1]).shape == (2, 3)
    assert language_model().loss_and_gradients(Batch([[1, 2]], [[2, 3]])).count == 2


# ── Use ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_language_model_learns_a_cycle_and_goes_on_with_it():
    cycle = np.array([0, 3, 1, 4, 4, 2])
    tokens = np.tile(cycle, 4)
    model = LanguageModel(V, 16, seed=0)
    adam = Adam(0.03)
    state = adam.init(model.parameters)
    for _ in range(60):
        step = model.loss_and_gradients(Batch(tokens[None, :-1], tokens[None, 1:]))
        adam.update(model.parameters, step.gradients, state, dict.fromkeys(model.parameters, 0.03))
    assert step.loss < 0.2
    np.testing.assert_array_equal(model.generate(cycle, 12, temperature=0), np.tile(cycle, 2))
    np.testing.assert_array_equal(model.generate([cycle, cycle], 6, temperature=0), [cycle, cycle])


def test_generating_is_seeded_and_keeps_the_shape_of_the_prompt():
    model = language_model()
    drawn = model.generate([1, 2, 3], 20, rng=0)
    assert drawn.shape == (20,)
    assert drawn.dtype.kind == "i"
    np.testing.assert_array_equal(drawn, model.generate([1, 2, 3], 20, rng=0))
    assert not np.array_equal(drawn, model.generate([1, 2, 3], 20, rng=1))
    assert model.generate([[1, 2, 3]] * 4, 2, rng=0).shape == (4, 2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_from_the_softmax(temperature):
    logits = np.array([1.0, 0, -1, 0.5, -np.log(2), 2])
    model = language_model()
    model.load_state_dict({name: np.zeros_like(a) for name, a in model.parameters.items()} | {"head.bias": logits})
    N = 20_000
    counts = np.bincount(model.generate(np.zeros((N, 1), int), 1, temperature=temperature, rng=0).ravel(), minlength=V)
    p = np.exp(logits / temperature)
    p /= p.sum()
    chi_square = ((counts - N * p) ** 2 / (N * p)).sum()
    assert chi_square < 20.5  # exceeded once in a thousand seeds, with V − 1 = 5 degrees of freedom


def test_predictions_follow_from_the_logits():
    model, x = classifier(), features().inputs
    logits, p = model(x, LENGTHS), model.predict_proba(x, LENGTHS)
    np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-13)
    np.testing.assert_array_equal(model.predict(x, LENGTHS), logits.argmax(axis=1))
    one = classifier(1)
    logits = one(x)
    assert logits.shape == (B,)
    np.testing.assert_allclose(one.predict_proba(x), 1 / (1 + np.exp(-logits)), rtol=1e-13)
    np.testing.assert_array_equal(one.predict(x), (logits > 0).astype(int))


@pytest.mark.parametrize("classes", [1, 3])
def test_probabilities_stand_large_logits(classes):
    model = classifier(classes)
    model.parameters["head.bias"][0] = 1e4
    assert model.predict_proba(features().inputs).max() == 1
    model.parameters["head.bias"][0] = -1e4
    assert model.predict_proba(features().inputs).min() == 0


def test_correct_counts_what_predict_gets_right():
    for model, batch in ((classifier(), features()), (classifier(1), features(1))):
        hits = model.predict(batch.inputs) == batch.targets
        assert model.evaluate(batch).correct == hits.sum()
        weighted = model.evaluate(batch._replace(weights=np.array([0.5, 0.25, 2])))
        assert weighted.correct == (hits * [0.5, 0.25, 2]).sum()
        assert weighted.count == 2.75
    batch = text()
    hits = language_model()(batch.inputs)[0].argmax(-1) == batch.targets
    assert language_model().evaluate(batch).correct == hits.sum()


def test_a_language_models_masks_differ_from_seed_to_seed_before_the_head_too():
    model = LanguageModel(5, 20, dropout=0.5, seed=0)
    tokens = np.array([[1, 2, 3, 4]])
    one, other = (model.forward(tokens, rng=seed)[2] for seed in (1, 2))
    assert not np.array_equal(one.dropout_out.mask, other.dropout_out.mask)
    assert not np.array_equal(one.core.dropout_in.mask, other.core.dropout_in.mask)


@pytest.mark.parametrize("make", [language_model, classifier, tokens_classifier])
def test_a_model_of_one_layer_drops_around_its_core_and_warns_of_nothing(make):
    model = make(num_layers=1, dropout=0.5)
    model.astype(np.float32)
    assert (model.dropout.p, model.rnn.dropout, model.config["dropout"]) == (0.5, 0, 0.5)
