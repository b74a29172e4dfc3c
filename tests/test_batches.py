"""Batches: every example once, any batch at any time, and a text whose rows go on where they stopped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data import Batch, Examples, TextStream


def rows(n, T=4):
    """n rows of tokens; row k holds k·T, k·T + 1, …"""
    return np.arange(n * T).reshape(n, T)


@given(n=st.integers(1, 20), batch_size=st.integers(1, 25), shuffle=st.booleans(), epoch=st.integers(0, 5))
def test_an_epoch_has_every_example_once(n, batch_size, shuffle, epoch):
    examples = Examples(rows(n), np.arange(n), batch_size=batch_size, shuffle=shuffle, seed=3)
    batches = [examples.batch(epoch, k) for k in range(len(examples))]
    seen = np.concatenate([batch.targets for batch in batches])
    assert sorted(seen) == list(range(n))
    assert shuffle or list(seen) == list(range(n))
    assert [len(batch.targets) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    for batch in batches:
        np.testing.assert_array_equal(batch.inputs[:, 0], 4 * batch.targets)
        assert not batch.carry


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(examples, epoch):
        return [list(examples.batch(epoch, k).targets) for k in range(len(examples))]

    one, two = (Examples(rows(50), np.arange(50), batch_size=7, seed=1) for _ in range(2))
    last_first = [list(two.batch(2, k).targets) for k in reversed(range(len(two)))]
    assert order(one, 2) == last_first[::-1]
    assert order(one, 2) == order(one, 2)
    assert order(one, 0) != order(one, 1)
    assert order(one, 0) != order(Examples(rows(50), np.arange(50), batch_size=7, seed=2), 0)
    expected = np.random.default_rng([1, 2]).permutation(50)[:7]
    np.testing.assert_array_equal(one.batch(2, 0).targets, expected)


def test_lengths_and_weights_stay_with_their_rows():
    n = 9
    lengths = np.arange(n) % 4 + 1
    weights = np.linspace(0, 1, n)
    examples = Examples(rows(n), np.arange(n), lengths=lengths, weights=weights, batch_size=4)
    for k in range(len(examples)):
        batch = examples.batch(0, k)
        np.testing.assert_array_equal(batch.lengths, lengths[batch.targets])
        np.testing.assert_array_equal(batch.weights, weights[batch.targets])


def test_features_keep_their_dtype_and_padding_may_hold_anything():
    x = np.ones((3, 4, 2), dtype=np.float32)
    x[1, 2:] = np.nan
    batch = Examples(x, np.zeros(3), lengths=[4, 2, 4], batch_size=3, shuffle=False).batch(0, 0)
    assert batch.inputs.dtype == np.float32
    assert batch.inputs.shape == (3, 4, 2)


@given(n=st.integers(3, 60), batch_size=st.integers(1, 5), steps=st.integers(1, 9))
def test_a_text_is_read_in_rows_that_go_on(n, batch_size, steps):
    if n <= batch_size:
        return
    stream = TextStream(np.arange(n), batch_size=batch_size, steps=steps)
    batches = [stream.batch(0, k) for k in range(len(stream))]
    assert [batch.carry for batch in batches] == [False] + [True] * (len(batches) - 1)
    for batch in batches:
        np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
        assert batch.inputs.shape[1] <= steps
    read = np.concatenate([batch.inputs for batch in batches], axis=1)
    length = (n - 1) // batch_size
    np.testing.assert_array_equal(read, np.arange(batch_size * length).reshape(batch_size, length))


def test_a_text_by_hand():
    stream = TextStream([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], batch_size=2, steps=3)  # rows of 4, 10 is the last target
    first, second = stream.batch(0, 0), stream.batch(7, 1)
    np.testing.assert_array_equal(first.inputs, [[1, 2, 3], [5, 6, 7]])
    np.testing.assert_array_equal(first.targets, [[2, 3, 4], [6, 7, 8]])
    np.testing.assert_array_equal(second.inputs, [[4], [8]])
    np.testing.assert_array_equal(second.targets, [[5], [9]])
    assert len(stream) == 2
    assert first.lengths is None
    assert first.weights is None


def test_a_batch_needs_only_inputs_and_targets():
    assert Batch(1, 2) == (1, 2, None, None, False)


NAN_ROWS = np.ones((2, 3, 1))
NAN_ROWS[1, 2, 0] = np.nan


@pytest.mark.parametrize(
    "arguments, options, error, message",
    [
        ((np.arange(3), np.arange(3)), {}, ValueError, r"inputs must have shape \(N, T\) or \(N, T, I\)"),
        ((rows(0), np.arange(0)), {}, ValueError, "at least one number"),
        ((rows(3), np.arange(2)), {}, ValueError, "targets must have 3 rows"),
        ((rows(3), 1), {}, ValueError, "targets must have 3 rows"),
        ((rows(3), np.arange(3)), {"weights": [1.0]}, ValueError, "weights must have 3 rows"),
        ((rows(3), np.arange(3)), {"weights": [1, -1, 1]}, ValueError, r"at least 0, got -1 at index \(1,\)"),
        ((rows(3), np.arange(3)), {"weights": [1, np.inf, 1]}, ValueError, r"weights must be finite, got inf at"),
        ((rows(3), [1, np.nan, 1]), {}, ValueError, r"targets must be finite, got nan at index \(1,\)"),
        ((NAN_ROWS, [0, 1]), {}, ValueError, r"inputs must be finite, got nan at index \(1, 2, 0\)"),
        ((rows(3), np.arange(3)), {"lengths": [1, 5, 1]}, ValueError, "got 5 in row 1"),
        ((rows(3), np.arange(3)), {"lengths": [1, 2, 0]}, ValueError, "got 0 in row 2"),
        ((rows(3), np.arange(3)), {"lengths": [1.0, 2, 1]}, TypeError, "lengths must be integers"),
        ((rows(3), np.arange(3)), {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ((rows(3), np.arange(3)), {"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ((rows(3), np.arange(3)), {"seed": None}, TypeError, "seed must be an int, got None"),
    ],
)
def test_examples_that_do_not_fit_are_named(arguments, options, error, message):
    with pytest.raises(error, match=f"Examples: .*{message}"):
        Examples(*arguments, **options)


@pytest.mark.parametrize(
    "tokens, options, error, message",
    [
        ([1, 2, 3], {"batch_size": 3}, ValueError, "at least batch_size \\+ 1 = 4, got 3"),
        ([], {}, ValueError, "at least batch_size \\+ 1 = 2, got 0"),
        ([[1, 2, 3]], {}, ValueError, r"must have shape \(N,\), one long text, got \(1, 3\)"),
        ([1.0, 2.0, 3.0], {}, TypeError, "tokens must be integers, got float64"),
        ([1, 2, 3], {"steps": 0}, ValueError, "steps must be at least 1, got 0"),
    ],
)
def test_texts_that_do_not_fit_are_named(tokens, options, error, message):
    with pytest.raises(error, match=f"TextStream: .*{message}"):
        TextStream(tokens, **{"batch_size": 1, "steps": 2, **options})


@pytest.mark.parametrize(
    "source", [Examples(rows(3), np.arange(3), batch_size=2), TextStream(np.arange(9), batch_size=2, steps=2)]
)
def test_a_batch_that_is_not_there_is_named(source):
    where = f"{type(source).__name__}.batch"
    with pytest.raises(ValueError, match=f"{where}: index must be below 2, the batches of an epoch, got 2"):
        source.batch(0, 2)
    with pytest.raises(ValueError, match=f"{where}: epoch must be at least 0, got -1"):
        source.batch(-1, 0)
    with pytest.raises(TypeError, match=f"{where}: index must be an int, got 0.0"):
        source.batch(0, 0.0)
