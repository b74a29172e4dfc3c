"""Jacobian-vector products: against the backward, of which they are the other side, and against differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_core import GRU, LSTM, RNN, LanguageModel, Linear, SequenceClassifier, jvp
from rnn_core.layers import Attention, Embedding
from tests.sensitivity_checks import (
    EXACT,
    LENGTHS,
    TOKENS,
    B,
    H,
    I,
    T,
    V,
    direction,
    inner,
    normal,
    tangents_meet_the_backward,
)
from tests.seq2seq_checks import LENGTHS as READ
from tests.seq2seq_checks import TARGETS as WRITTEN
from tests.seq2seq_checks import seq2seq, source

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def state_of(arrays):
    return tuple(arrays) if len(arrays) > 1 else arrays[0]


@given(
    cell=st.sampled_from(list(LAYERS)), layers=st.integers(1, 2), both=st.booleans(), first=st.booleans(),
    ragged=st.booleans(), hidden=st.integers(1, 4), steps=st.integers(1, 5), rows=st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_forwards_and_backwards_are_the_same_jacobian(cell, layers, both, first, ragged, hidden, steps, rows):
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for every shape, option and input."""
    layer = LAYERS[cell](I, hidden, layers, bidirectional=both, batch_first=first, **EXACT)
    shape = (rows, steps, I) if first else (steps, rows, I)
    lengths = np.random.default_rng(0).integers(1, steps + 1, rows) if ragged else None
    x, dx = normal(*shape), normal(*shape, seed=1)
    stacked = (layers * layer.directions, rows, hidden)
    state0, dstate0 = (state_of([normal(*stacked, seed=k + s) for k in range(len(layer.spec.states))]) for s in (2, 5))
    dparameters = direction(layer.parameters, 3)
    dy, dstate = jvp(layer, x, dx=dx, dparameters=dparameters, dstate0=dstate0, state0=state0, lengths=lengths)
    y, state, tape = layer.forward(x, state0, lengths)
    assert dy.shape == y.shape
    u, us = normal(*y.shape, seed=8), [normal(*part.shape, seed=9) for part in parts(state)]
    gx, gstate0, grads = layer.backward(tape, u, state_of(us))
    forwards = (u * dy).sum() + sum((a * b).sum() for a, b in zip(us, parts(dstate), strict=True))
    backwards = (gx * dx).sum() + inner(grads, dparameters)
    backwards += sum((a * b).sum() for a, b in zip(parts(gstate0), parts(dstate0), strict=True))
    np.testing.assert_allclose(forwards, backwards, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("cell", LAYERS)
def test_everything_moves_at_once(cell):
    tangents_meet_the_backward(cell)


@pytest.mark.parametrize("cell", LAYERS)
def test_against_differences(cell):
    layer, x, dx, h = LAYERS[cell](I, H, **EXACT), normal(T, B, I), normal(T, B, I, seed=1), 1e-6
    dy, _ = jvp(layer, x, dx=dx)
    np.testing.assert_allclose(dy, (layer(x + h * dx)[0] - layer(x - h * dx)[0]) / (2 * h), rtol=0, atol=1e-9)


def test_causes_come_before_effects():
    layer, dx = LSTM(I, H, **EXACT), np.zeros((T, 1, I))
    dx[3] = 1
    dy, (dh, dc) = jvp(layer, normal(T, 1, I), dx=dx)
    assert not dy[:3].any()
    assert dy[3:].all()
    assert dh.all()
    assert dc.all()


@pytest.mark.parametrize("cell", LAYERS)
def test_through_resets_and_to_every_state(cell):
    layer, x, dx, h = LAYERS[cell](I, H, **EXACT), normal(T, B, I), normal(T, B, I, seed=1), 1e-6
    resets = np.zeros((T, B), bool)
    resets[3, 1] = resets[2, 0] = True
    whole = jvp(layer, x, dx=dx, resets=resets, all_states=True)
    sides = [layer(x + sign * h * dx, resets=resets, all_states=True) for sign in (1, -1)]
    for found, above, below in zip(*map(flat, (whole, *sides)), strict=True):
        np.testing.assert_allclose(found, (above - below) / (2 * h), rtol=0, atol=1e-9)
    early = np.zeros_like(dx)
    early[:3, 1] = 1
    dy, _ = jvp(layer, x, dx=early, resets=resets)
    assert dy[:3, 1].all()
    assert not dy[3:, 1].any()


def flat(nested):
    return [array for part in nested for array in flat(part)] if isinstance(nested, tuple) else [nested]


def test_an_lstms_states_one_by_one():
    layer, x, d = LSTM(I, H, **EXACT), normal(T, B, I), normal(1, B, H, seed=1)
    both, _ = jvp(layer, x, dstate0=(d, d))
    h, _ = jvp(layer, x, dstate0=(d, None))
    c, _ = jvp(layer, x, dstate0=(None, d))
    np.testing.assert_allclose(h + c, both, rtol=1e-12)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_a_model_answers_as_it_is_called(pooling):
    model = SequenceClassifier(3, H, input_size=I, pooling=pooling, dropout=0.0, **EXACT)
    x, dx, v = normal(B, T, I), normal(B, T, I, seed=1), direction(model.parameters)
    tangent = jvp(model, x, dx=dx, dparameters=v, lengths=LENGTHS)
    logits, tape = model.forward(x, LENGTHS)
    u = normal(*logits.shape, seed=2)
    gx, grads = model.backward(tape, u)
    np.testing.assert_allclose((u * tangent).sum(), (gx * dx).sum() + inner(grads, v), rtol=1e-11)


def test_tokens_and_a_carried_state():
    model = LanguageModel(V, H, tied=True, **EXACT)
    state = tuple(normal(1, B, H, seed=k) for k in range(2))
    v = direction(model.parameters)
    dlogits, (dh, dc) = jvp(model, TOKENS, dparameters=v, dstate0=state, state0=state, lengths=LENGTHS)
    logits, _, tape = model.forward(TOKENS, state, LENGTHS)
    u = normal(*logits.shape, seed=2)
    gstate, grads = model.backward(tape, u)
    expected = inner(grads, v) + sum((a * b).sum() for a, b in zip(gstate, state, strict=True))
    np.testing.assert_allclose((u * dlogits).sum(), expected, rtol=1e-11)
    assert dh.shape == dc.shape == (1, B, H)


def test_what_reads_and_writes():
    model = seq2seq("gru", vocab_size=6, backend="numpy")
    v = direction(model.parameters)
    dlogits, dweights = jvp(model, x := source(model), dparameters=v, lengths=READ, targets=WRITTEN)
    logits, _, tape = model.forward(x, WRITTEN, READ)
    u = np.where((np.cumsum(WRITTEN == 0, axis=1) - (WRITTEN == 0) > 0)[..., None], 0, normal(*logits.shape, seed=2))
    np.testing.assert_allclose((u * dlogits).sum(), inner(model.backward(tape, u)[1], v), rtol=1e-11)
    np.testing.assert_allclose(dweights.sum(axis=-1), 0, atol=1e-12)  # what is looked at always sums to one


def test_a_padding_row_does_not_move():
    layer = Embedding(4, 2, padding_idx=0, dtype=np.float64, seed=0)
    tangent = jvp(layer, np.array([[0, 1]]), dparameters={"weight": np.ones((4, 2))})
    np.testing.assert_array_equal(tangent, [[[0, 0], [1, 1]]])


def test_dtypes_are_kept():
    layer = GRU(I, H, backend="numpy", seed=0)
    x = normal(T, B, I).astype(np.float32)
    dy, dh = jvp(layer, x, dx=x)
    assert dy.dtype == dh.dtype == np.float32
    exact, _ = jvp(layer.astype(np.float64), x.astype(np.float64), dx=x)
    np.testing.assert_allclose(dy, exact, rtol=1e-6)


X = normal(T, B, I)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda m: jvp(m, X), ValueError, "jvp: dx, dparameters or dstate0 must be given, got none"),
        (lambda m: jvp(None, X, dx=X), TypeError, "jvp: target must have parameters and astype and __call__, got None"),
        (lambda m: jvp(m, X, dx=X[:2]), ValueError, r"jvp: dx must have shape \(6, 3, 2\), got \(2, 3, 2\)"),
        (lambda m: jvp(m, X, dparameters={"w": 1}), ValueError, "dparameters must name some of weight_ih_l0, .* got w"),
        (lambda m: jvp(m, X, dx=X, targets=TOKENS), TypeError, "jvp: targets must be left out, as LSTM takes none"),
        (lambda m: jvp(Linear(2, 2), X, dx=X, state0=X), TypeError, "state0 must be left out, as Linear takes none"),
        (lambda m: jvp(m, X, dstate0=X), ValueError, r"LSTM.__call__: state0 must be a pair \(h, c\)"),
        (
            lambda m: jvp(m, X, dstate0=(X, X), state0=(X, X, X)),
            ValueError,
            "jvp: dstate0 must be as state0 is, got a tuple of 2 for a tuple of 3",
        ),
        (lambda m: jvp(LanguageModel(V, H), TOKENS, dx=TOKENS), TypeError, "dx must be left out where x is tokens"),
        (lambda m: jvp(Attention(2, 2), (X, X), dx=X), TypeError, "jvp: x must be one array, got a tuple of 2"),
    ],
)  # fmt: skip
def test_errors(call, error, says):
    with pytest.raises(error, match=says):
        call(LSTM(I, H, **EXACT))
