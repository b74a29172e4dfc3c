"""Beam search: greedy at one end, brute force at the other, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.models.seq2seq.beams import Beams
from rnn_core.models.seq2seq.decoding import log_softmax
from tests import seq2seq_checks as checks
from tests.seq2seq_checks import LENGTHS, VARIANTS, eager, log_probability, source


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_beam_of_1_is_greedy(variant):
    checks.narrow_beam_is_greedy(variant)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("variant", ["plain", "fed", "no attention"])
def test_a_full_beam_finds_the_best_of_all(alpha, variant):
    checks.full_beam_is_brute_force(alpha, variant)


@pytest.mark.parametrize("variant", ["plain", "fed", "no attention"])
def test_rows_alone_are_rows_together(variant):
    model = eager(**VARIANTS[variant])
    x = source(model)
    together = model.decode(x, LENGTHS, beam=3, n_best=3, max_length=7)
    for row, n, found in zip(x, LENGTHS, together, strict=True):
        (alone,) = model.decode(row[None, :n], beam=3, n_best=3, max_length=7)
        for one, other in zip(found, alone, strict=True):
            np.testing.assert_array_equal(one.tokens, other.tokens)
            assert one.score == pytest.approx(other.score, rel=1e-10)


@pytest.mark.parametrize("variant", ["plain", "fed"])
def test_scores_and_weights_are_those_of_the_network(variant):
    model = eager(**VARIANTS[variant])
    x = source(model)
    for row, n, found in zip(x, LENGTHS, model.decode(x, LENGTHS, beam=4, n_best=4, max_length=6), strict=True):
        for one in found:
            written = [*one.tokens, *([0] if one.ended else [])]
            assert one.log_probability == pytest.approx(log_probability(model, row[:n], written), rel=1e-10)
            penalty = ((5 + len(written)) / 6) ** 0.6
            assert one.score == pytest.approx(one.log_probability / penalty, rel=1e-12)
            weights = model(row[None, :n], np.array([written]))[1][0]
            np.testing.assert_allclose(one.weights, weights, rtol=1e-10)
        assert [one.ended for one in found] == sorted((one.ended for one in found), reverse=True)
        scores = [one.score for one in found if one.ended]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(one.tokens) for one in found}) == len(found)


def test_without_attention_there_are_no_weights():
    model = eager(attention=None)
    assert model.decode(source(model))[0][0].weights is None


def test_what_does_not_end_is_cut_off_and_says_so():
    model = eager()
    model.parameters["head.bias"][0] -= 100
    for found in model.decode(source(model), beam=2, n_best=2, max_length=5):
        assert [(len(one.tokens), one.ended, len(one.weights)) for one in found] == [(5, False, 5)] * 2
    assert {len(tokens) for tokens in model.predict(source(model))} == {2 * 5 + 10}


@pytest.mark.parametrize("variant", ["plain", "fed", "no attention"])
def test_how_long_a_row_may_become_does_not_depend_on_the_padding(variant):
    """Without `max_length` a row is written as it is alone, with its own, wherever it stands."""
    model = eager(**VARIANTS[variant])
    model.parameters["head.bias"][0] -= 3
    x = source(model)
    for options in ({"beam": 1}, {"beam": 3, "n_best": 2}):
        for row, n, found in zip(x, LENGTHS, model.decode(x, LENGTHS, **options), strict=True):
            assert all(len(one.tokens) + one.ended <= 2 * n + 10 for one in found)
            (alone,) = model.decode(row[None, :n], **options)
            same(found, alone)
            (capped,) = model.decode(row[None, :n], max_length=2 * int(n) + 10, **options)
            same(found, capped)
    model.parameters["head.bias"][0] -= 100
    drawn = model.sample(x, LENGTHS, rng=0)
    assert [(len(one.tokens), one.ended) for one in drawn] == [(2 * n + 10, False) for n in LENGTHS]
    for one, row, n in zip(drawn, x, LENGTHS, strict=True):
        assert one.log_probability == pytest.approx(log_probability(model, row[:n], one.tokens), rel=1e-10)


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        assert one.ended == other.ended
        assert one.score == pytest.approx(other.score, rel=1e-10)


def test_a_longer_penalty_prefers_longer_ones():
    model = eager()
    model.parameters["head.bias"][0] += 1.5
    x = source(model)
    short, long = (
        np.mean([len(tokens) for tokens in model.predict(x, beam=50, max_length=5, length_penalty=alpha)])
        for alpha in (0.0, 8.0)
    )
    assert short < long


def test_a_row_ends_when_nothing_left_could_be_better():
    beams = Beams(1, 2, 1, np.ones(9))
    parents = beams.advance(np.array([[0, 0]]), np.array([[1, 0]]), np.array([[-0.5, -1.0]]), None)
    assert parents.tolist() == [[0, 0]]
    assert np.isfinite(beams.scores[0, 0])  # −0.5 goes on, and may yet be better than the −1 that has ended
    beams.advance(np.array([[0, 0]]), np.array([[2, 0]]), np.array([[-1.1, -1.2]]), None)
    assert beams.done
    (best,) = beams.found()[0]
    assert best.tokens.tolist() == [0]
    assert best.log_probability == -1.0


def test_a_row_goes_on_while_it_may_get_better():
    checks.a_row_goes_on_while_it_may_get_better()


def test_one_that_ends_keeps_its_place():
    beams = Beams(1, 2, 2, np.ones(9))
    beams.advance(np.array([[0, 0]]), np.array([[0, 1]]), np.array([[-0.5, -0.6]]), None)
    beams.advance(np.array([[1, 1]]), np.array([[1, 2]]), np.array([[-0.7, -0.8]]), None)
    assert np.isfinite(beams.scores).tolist() == [[True, False]]


@pytest.mark.parametrize("variant", ["plain", "fed", "no attention"])
def test_at_temperature_0_a_draw_is_greedy(variant):
    model = eager(**VARIANTS[variant])
    x = source(model)
    for drawn, (found,) in zip(
        model.sample(x, LENGTHS, temperature=0, max_length=6), model.decode(x, LENGTHS, max_length=6), strict=True
    ):
        np.testing.assert_array_equal(drawn.tokens, found.tokens)
        assert drawn.ended == found.ended
        assert drawn.score == drawn.log_probability == pytest.approx(found.log_probability, rel=1e-12)
        if found.weights is not None:
            np.testing.assert_allclose(drawn.weights, found.weights, rtol=1e-12)


def test_draws_come_as_often_as_they_are_likely():
    model = eager()
    x = np.repeat(source(model)[:1], 4000, axis=0)
    drawn = model.sample(x, max_length=2, rng=0)
    same = model.sample(x, max_length=2, rng=0)
    assert all(np.array_equal(one.tokens, other.tokens) for one, other in zip(drawn, same, strict=True))
    for tokens in ([0], [1, 0], [2, 3], [3, 1]):
        expected = np.exp(log_probability(model, x[0], tokens))
        ended = tokens[-1] == 0
        wanted = tokens[:-1] if ended else tokens
        share = np.mean([one.ended == ended and one.tokens.tolist() == wanted for one in drawn])
        assert share == pytest.approx(expected, abs=5 * np.sqrt(expected / 4000))
    one = drawn[0]
    written = [*one.tokens, *([0] if one.ended else [])]
    assert one.log_probability == pytest.approx(log_probability(model, x[0], written), rel=1e-10)


def test_a_temperature_is_a_number_of_at_least_0():
    model = eager()
    with pytest.raises(ValueError, match="Seq2Seq.sample: temperature must be at least 0 and finite, got -1"):
        model.sample(source(model), temperature=-1)
    with pytest.raises(TypeError, match="Seq2Seq.sample: temperature must be a number, got 'hot'"):
        model.sample(source(model), temperature="hot")


def test_log_softmax():
    z = np.array([[0.0, np.log(3.0)], [1e4, 0.0]])
    np.testing.assert_allclose(log_softmax(z), [[np.log(0.25), np.log(0.75)], [0.0, -1e4]], rtol=1e-12)
