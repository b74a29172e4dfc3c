"""Gradients of whole models: by the complex step, of both uses of tied weights, of what is needed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.model_cases import (
    CELLS,
    LENGTHS,
    B,
    T,
    classifier,
    complex_state,
    features,
    language_model,
    random_state,
    text,
    tokens_classifier,
    tokens_with_class,
)


def complex_step(loss, array):
    """Return ∂loss/∂array, element by element; `array` is complex, and `loss` reads it where it lies."""
    gradient = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        array[place] += 1e-30j
        gradient[place] = loss().imag / 1e-30
        array[place] -= 1e-30j
    return gradient


def assert_close(name, actual, expected, allowed=1e-12):
    """Assert that the difference is small beside the largest element of the same row."""
    scale = np.abs(expected).max(axis=-1, keepdims=True)
    error = np.abs(actual - expected)
    assert (error <= allowed * scale).all(), f"{name}: {(error / np.where(scale, scale, 1)).max():.1e}"


def assert_gradients(model, batch, state=None):
    """Assert that every gradient of the batch's loss is that of the complex step, dropout included."""
    step = model.loss_and_gradients(batch, state=state, rng=3)
    twin = model.astype(np.complex128, backend="numpy")
    state = None if state is None else complex_state(state)
    if batch.inputs.dtype.kind == "f":
        batch = batch._replace(inputs=batch.inputs.astype(complex))

    def loss():
        return twin.loss_and_gradients(batch, state=state, needs=(), rng=3).loss

    assert list(step.gradients) == list(model.parameters)
    assert step.loss == pytest.approx(loss().real, rel=1e-14)
    for name, parameter in twin.parameters.items():
        assert_close(name, step.gradients[name], complex_step(loss, parameter))


# ── By the complex step ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("cell", CELLS)
def test_language_model_gradients(cell, tied):
    model = language_model(cell=cell, tied=tied, dropout=0.3, **({} if tied else {"embedding_size": 3}))
    weights = np.random.default_rng(1).uniform(0, 2, (B, T))
    assert_gradients(model, text(lengths=LENGTHS, weights=weights), random_state(model))


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", CELLS)
def test_classifier_gradients(cell, pooling):
    model = tokens_classifier(cell=cell, pooling=pooling, bidirectional=True, dropout=0.3)
    assert_gradients(model, tokens_with_class(lengths=LENGTHS, weights=np.array([0.5, 2, 1])))


@pytest.mark.parametrize("nonlinearity", ["relu", "sigmoid"])
def test_binary_classifier_gradients(nonlinearity):
    model = classifier(1, cell="rnn", nonlinearity=nonlinearity, pooling="mean", dropout=0.3)
    assert_gradients(model, features(1, lengths=LENGTHS))
    assert_gradients(model, features(1)._replace(targets=np.array([0.2, 0.9, 1])))


@pytest.mark.parametrize("classes", [1, 3])
def test_the_gradient_of_features(classes):
    model, batch = classifier(classes, bidirectional=True), features()
    logits, tape = model.forward(batch.inputs, LENGTHS)
    dlogits = np.random.default_rng(1).standard_normal(logits.shape)
    dx, grads = model.backward(tape, dlogits)
    assert list(grads) == list(model.parameters)
    twin, moving = model.astype(np.complex128, backend="numpy"), batch.inputs.astype(complex)
    assert_close("x", dx, complex_step(lambda: (dlogits * twin(moving, LENGTHS)).sum(), moving))
    assert not dx[np.arange(T) >= LENGTHS[:, None]].any()


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_the_initial_state(cell):
    model = language_model(cell=cell)
    state0, dstate = random_state(model), random_state(model, seed=3)
    logits, _, tape = model.forward(text().inputs, state0, LENGTHS)
    dlogits = np.random.default_rng(1).standard_normal(logits.shape)
    dstate0, _ = model.backward(tape, dlogits, dstate)
    twin, moving = model.astype(np.complex128, backend="numpy"), complex_state(state0)

    def value():
        z, state = twin(text().inputs, moving, LENGTHS)
        return (dlogits * z).sum() + np.sum(np.asarray(dstate) * np.asarray(state))

    for part, gradient in zip(*((s if isinstance(s, tuple) else (s,)) for s in (moving, dstate0)), strict=True):
        assert_close("state0", gradient, complex_step(value, part))


def test_the_padding_row_has_no_gradient():
    model = tokens_classifier(padding_idx=0)
    batch = tokens_with_class()
    assert (batch.inputs == 0).any()
    gradient = model.loss_and_gradients(batch).gradients["embedding.weight"]
    assert not gradient[0].any()
    assert gradient[1:].any()


# ── Tied weights ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_array_for_both_uses():
    model = language_model(tied=True)
    parameter = model.parameters["embedding.weight"]
    assert model.embedding.parameters["weight"] is parameter
    assert model.head.parameters["weight"] is parameter
    other = language_model(tied=True, seed=2)
    model.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(model(text().inputs)[0], other(text().inputs)[0])


def test_a_tied_gradient_is_the_sum_of_both_uses():
    tied, untied = language_model(tied=True), language_model()
    untied.load_state_dict(tied.state_dict() | {"head.weight": tied.parameters["embedding.weight"]})
    ours, theirs = (model.loss_and_gradients(text()).gradients for model in (tied, untied))
    np.testing.assert_allclose(
        ours.pop("embedding.weight"), theirs.pop("embedding.weight") + theirs.pop("head.weight"), rtol=1e-14
    )
    for name, gradient in ours.items():
        np.testing.assert_array_equal(gradient, theirs[name])


# ── What is needed ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_each_gradient_is_the_same_alone(tied):
    model = language_model(tied=tied, dropout=0.2)
    full = model.loss_and_gradients(text(), rng=0).gradients
    for name in model.parameters:
        alone = model.loss_and_gradients(text(), rng=0, needs=[name]).gradients
        assert list(alone) == [name]
        np.testing.assert_array_equal(alone[name], full[name])


class Spy:
    """Stands for a layer's backward, and keeps the `needs` of each call."""

    def __init__(self, monkeypatch, layer):
        self.needs: list[set[str]] = []
        backward = layer.backward

        def watched(tape, dy, *args, needs=None, **kwargs):
            self.needs.append(set(needs))
            return backward(tape, dy, *args, needs=needs, **kwargs)

        monkeypatch.setattr(layer, "backward", watched)


@pytest.mark.parametrize(
    "model, batch", [(language_model(), text()), (tokens_classifier(), tokens_with_class()), (classifier(), features())]
)
def test_a_frozen_core_is_not_walked_back_through(model, batch, monkeypatch):
    full = model.loss_and_gradients(batch).gradients
    monkeypatch.setattr(model, "frozen", frozenset(n for n in model.parameters if not n.startswith("head")))
    spy = Spy(monkeypatch, model.rnn)
    gradients = model.loss_and_gradients(batch).gradients
    assert list(gradients) == ["head.weight", "head.bias"]
    np.testing.assert_array_equal(gradients["head.weight"], full["head.weight"])
    assert not spy.needs


@pytest.mark.parametrize(
    "model, batch", [(language_model(), text()), (tokens_classifier(), tokens_with_class()), (classifier(), features())]
)
def test_the_core_is_asked_for_no_more_than_is_needed(model, batch, monkeypatch):
    spy = Spy(monkeypatch, model.rnn)
    frozen = {"embedding.weight", "rnn.weight_hh_l0", *model.groups["rnn.l1"]}
    monkeypatch.setattr(model, "frozen", frozenset(frozen.intersection(model.parameters)))
    model.loss_and_gradients(batch)
    assert spy.needs == [{"weight_ih_l0", "bias_ih_l0", "bias_hh_l0"}]


def test_a_trainable_embedding_wants_the_gradient_of_its_vectors(monkeypatch):
    model = tokens_classifier()
    spy = Spy(monkeypatch, model.rnn)
    model.loss_and_gradients(tokens_with_class(), needs=["embedding.weight"])
    assert spy.needs == [{"x"}]


def test_what_is_asked_for_is_computed_though_frozen():
    model = classifier()
    model.frozen = frozenset(model.parameters)
    assert model.loss_and_gradients(features()).gradients == {}
    assert list(model.loss_and_gradients(features(), needs=["head.bias"]).gradients) == ["head.bias"]
    logits, tape = model.forward(features().inputs)
    assert list(model.backward(tape, np.ones_like(logits))[1]) == list(model.parameters)


def test_unwanted_states_have_no_gradient():
    for cell, nothing in (("lstm", (None, None)), ("gru", None)):
        model = language_model(cell=cell)
        logits, _, tape = model.forward(text().inputs)
        for needs in (["head.bias"], ["rnn.weight_hh_l1"], []):
            dstate0, grads = model.backward(tape, np.ones_like(logits), needs=needs)
            assert dstate0 == nothing
            assert list(grads) == needs


def test_nothing_is_frozen_at_first_and_a_twin_keeps_what_is():
    model = classifier()
    assert model.frozen == frozenset()
    model.frozen = frozenset(["head.bias"])
    assert model.astype(np.float32).frozen == {"head.bias"}
