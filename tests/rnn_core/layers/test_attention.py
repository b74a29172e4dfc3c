"""`Attention`: its weights, its gradients, the papers by hand, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.layers import Attention
from rnn_core.layers.attention import scores
from tests import seq2seq_checks as checks
from tests.seq2seq_checks import LENGTHS, SCORES, TX, TY, B, attention


@pytest.mark.parametrize("own_values", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_gradients(score, own_values):
    checks.attention_gradients(score, own_values)


@pytest.mark.parametrize("score", SCORES)
def test_rows_add_up_to_1_and_are_0_past_the_length(score):
    checks.attention_looks_at_what_is_there(score)


@pytest.mark.parametrize("score", SCORES)
def test_the_papers_by_hand(score):
    checks.attention_by_hand(score)


@pytest.mark.parametrize("score", SCORES)
def test_what_is_not_needed_is_not_computed(score):
    layer, inputs = attention(score, own_values=True)
    y, _, tape = layer.forward(**inputs, lengths=LENGTHS)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    *whole, grads = layer.backward(tape, dy)
    all_of_it = dict(zip(("queries", "keys", "values"), whole, strict=True)) | grads
    for name in layer.gradient_names:
        *some, grads = layer.backward(tape, dy, needs={name})
        found = dict(zip(("queries", "keys", "values"), some, strict=True)) | grads
        assert [key for key, array in found.items() if array is not None] == [name]
        np.testing.assert_array_equal(found[name], all_of_it[name])
    assert layer.backward(tape, dy, needs=()) == (None, None, None, {})


@pytest.mark.parametrize("score", SCORES)
def test_float32_stays_float32_and_inputs_stay_as_they_are(score):
    layer, inputs = attention(score, dtype=np.float32)
    inputs = {name: array.astype(np.float32) for name, array in inputs.items()}
    kept = {name: array.copy() for name, array in inputs.items()}
    y, alpha, tape = layer.forward(**inputs, lengths=LENGTHS)
    dq, dk, _, grads = layer.backward(tape, np.ones_like(y), np.ones_like(alpha))
    assert {array.dtype.name for array in (y, alpha, dq, dk, *grads.values())} == {"float32"}
    for name, array in inputs.items():
        np.testing.assert_array_equal(array, kept[name])


def test_the_additive_score_in_small_pieces_is_the_same(monkeypatch):
    layer, inputs = attention("additive")
    results = []
    for chunk in (scores.CHUNK, 1, 2 * B * TX * 3):
        monkeypatch.setattr(scores, "CHUNK", chunk)
        y, alpha, tape = layer.forward(**inputs, lengths=LENGTHS)
        dq, dk, _, grads = layer.backward(tape, np.ones_like(y))
        results.append([y, alpha, dq, dk, *grads.values()])
    for whole, *pieces in zip(*results, strict=True):
        for some in pieces:
            np.testing.assert_allclose(some, whole, rtol=1e-12, atol=1e-15)


def test_the_additive_score_is_never_kept_whole():
    assert [(some.start, some.stop) for some in scores._chunks(2, 5, 3, scores.CHUNK // 12)] == [(0, 2), (2, 4), (4, 5)]
    layer, inputs = attention("additive")
    tape = layer.forward(**inputs, lengths=LENGTHS)[2]
    sizes = [array.size for part in (tape.memory, tape.attend) for array in part if isinstance(array, np.ndarray)]
    assert max(sizes) < B * TY * TX * 3


@pytest.mark.parametrize("score", SCORES)
def test_large_scores_overflow_nothing(score):
    layer, inputs = attention(score)
    for array in layer.parameters.values():
        array *= 1e3
    y, alpha, tape = layer.forward(inputs["queries"] * 1e3, inputs["keys"], lengths=LENGTHS)
    np.testing.assert_allclose(alpha.sum(axis=2), 1, rtol=1e-14)
    assert np.isfinite(layer.backward(tape, np.ones_like(y))[1]).all()


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Attention(0, 3), ValueError, "Attention: query_size must be at least 1, got 0"),
        (lambda: Attention(3, 3, score="cosine"), ValueError, "score must be one of 'dot', 'general', 'additive', got"),
        (lambda: Attention(3, 4), ValueError, "with score='dot' key_size must be query_size, got 4 and 3; 'general'"),
        (lambda: Attention(3, 3, attention_size=4), ValueError, "attention_size must be left out with score='dot'"),
        (lambda: Attention(3, 3, dtype=int), TypeError, "Attention: dtype must be float32 or float64"),
        (lambda: called(queries=np.ones((2, 3))), ValueError, r"queries must have shape \(B, T, 3\).*got \(2, 3\)"),
        (lambda: called(keys=np.ones((B, 1, 4))), ValueError, r"keys must have shape \(B, T, 3\).*key_size is 3"),
        (lambda: called(keys=np.ones((1, TX, 3))), ValueError, "keys must have 3 rows, as the queries, got 1"),
        (lambda: called(lengths=[9, 1, 1]), ValueError, "lengths must be between 1 and T = 5, got 9 in row 0"),
        (lambda: called(queries=np.ones((B, TY, 3), np.float32)), TypeError, "queries must be float64, got float32"),
        (lambda: called(queries=np.full((B, TY, 3), np.nan)), ValueError, "queries must be finite, got nan"),
        (lambda: called(values=np.ones((B, TX, 2))), ValueError, r"values must have shape \(3, 5, 3\)"),
        (lambda: Attention(3, 3, 2, dtype=float)(np.ones((1, 1, 3)), np.ones((1, 1, 3))), ValueError,
         "values must be given where their size, 2, is not the keys', 3"),
        (lambda: backward(np.ones((B, TY, 3))), ValueError, r"dy must have shape \(3, 4, 2\), got \(3, 4, 3\)"),
        (lambda: backward(np.ones((B, TY, 2)), needs={"x"}), ValueError, "needs must name some of queries, keys, val"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def called(**other):
    layer, inputs = attention("dot")
    return layer.forward(**{**inputs, **other})


def backward(dy, **options):
    layer, inputs = attention("dot")
    return layer.backward(layer.forward(**inputs)[2], dy, **options)
