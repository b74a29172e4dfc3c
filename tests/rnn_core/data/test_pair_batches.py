"""`Pairs`: batches of similar lengths, each padded to its own longest."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data import Pairs, Ragged
from rnn_core.data import pairs as module


def drawn(count=200, seed=0):
    rng = np.random.default_rng(seed)
    sources = [rng.integers(1, 9, rng.integers(1, 12)) for _ in range(count)]
    return sources, [np.arange(1, len(row) + 1) + 100 * k for k, row in enumerate(sources)]


def rows_of(batch):
    """Return a batch's pairs, without padding and end."""
    for row, n, target in zip(batch.inputs, batch.lengths, batch.targets, strict=True):
        end = int(np.argmax(target == 0))
        assert (row[n:] == 0).all()
        assert (target[end:] == 0).all()
        yield row[:n].tolist(), target[:end].tolist()


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_pair_comes_once_an_epoch_whole_and_with_its_own(shuffle):
    sources, targets = drawn()
    pairs = Pairs(sources, targets, batch_size=16, shuffle=shuffle)
    assert len(pairs) == 13
    for epoch in (0, 1):
        found = [pair for k in range(len(pairs)) for pair in rows_of(pairs.batch(epoch, k))]
        expected = [(a.tolist(), b.tolist()) for a, b in zip(sources, targets, strict=True)]
        assert found == expected if not shuffle else sorted(found) == sorted(expected)


def test_each_target_has_an_end_and_each_batch_is_as_long_as_its_longest():
    pairs = Pairs([[3], [4, 5, 6]], [[1, 2], [7]], shuffle=False)
    batch = pairs.batch(0, 0)
    np.testing.assert_array_equal(batch.inputs, [[3, 0, 0], [4, 5, 6]])
    np.testing.assert_array_equal(batch.targets, [[1, 2, 0], [7, 0, 0]])
    np.testing.assert_array_equal(batch.lengths, [1, 3])
    assert batch.weights is None


def test_what_stands_in_a_batch_is_of_similar_length():
    sources, targets = drawn(3000)
    pairs = Pairs(sources, targets, batch_size=16)
    inside = outside = 0
    for k in range(len(pairs)):
        batch = pairs.batch(0, k)
        inside += batch.lengths.sum()
        outside += batch.inputs.size
    assert inside / outside > 0.97


def test_an_order_depends_on_seed_and_epoch_alone(monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 2)
    sources, targets = drawn(50)
    pairs, same, other = (Pairs(sources, targets, batch_size=4, seed=seed) for seed in (1, 1, 2))
    places = [(2, 5), (0, 0), (2, 6), (1, 12)]
    for epoch, index in places:
        np.testing.assert_array_equal(pairs.batch(epoch, index).targets, same.batch(epoch, index).targets)
    assert any(not np.array_equal(pairs.batch(*at).targets, other.batch(*at).targets) for at in places)
    assert not np.array_equal(pairs.batch(0, 3).targets, pairs.batch(1, 3).targets)


@pytest.mark.parametrize("make", [list, Ragged])
def test_features_and_weights(make):
    rows = [np.full((n, 2), float(n)) for n in (3, 1, 2)]
    pairs = Pairs(make(rows), [[1], [2], [3]], weights=[1.0, 0.0, 2.0], batch_size=2, shuffle=False)
    batch = pairs.batch(0, 0)
    assert batch.inputs.shape == (2, 3, 2)
    np.testing.assert_array_equal(batch.lengths, [3, 1])
    np.testing.assert_array_equal(batch.weights, [1, 0])
    np.testing.assert_array_equal(pairs.batch(0, 1).inputs, rows[2][None])


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Pairs([[1], [2]], [[1]]), ValueError, "Pairs: targets must have 2 rows, one for each source, got 1"),
        (lambda: Pairs([], []), ValueError, "Pairs: sources must have at least one row, got none"),
        (lambda: Pairs([[1], []], [[1], [2]]), ValueError, r"sources\[1\] must have shape \(T,\) with at least one"),
        (lambda: Pairs([[1]], [[]]), ValueError, r"targets\[0\] must have .* got \(0,\); leave such pairs out"),
        (lambda: Pairs([[1]], [[1, 0]]), ValueError, r"targets\[0\] must be at least 1, got 0 at index 1; 0 is the en"),
        (lambda: Pairs([[-1]], [[1]]), ValueError, r"sources\[0\] must be at least 0, got -1 at index 0"),
        (lambda: Pairs([[1]], [[1.5]]), TypeError, r"targets\[0\] must be integers, got float64; a Tokenizer makes"),
        (lambda: Pairs("ab", [[1]]), TypeError, "sources must be a list of arrays, one for each pair, got 'ab'"),
        (lambda: Pairs([np.full((2, 2), np.nan)], [[1]]), ValueError, r"sources\[0\] must be finite, got nan"),
        (lambda: Pairs([[1]], [[1]], weights=[1, 2]), ValueError, r"weights must have shape \(1,\), one for each pair"),
        (lambda: Pairs([[1]], [[1]], weights=[-1.0]), ValueError, "weights must be at least 0, got -1.0 at index 0"),
        (lambda: Pairs([[1]], [[1]], batch_size=0), ValueError, "batch_size must be at least 1"),
        (lambda: Pairs([[1]], [[1]]).batch(0, 1), ValueError, "Pairs.batch: index must be below 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
