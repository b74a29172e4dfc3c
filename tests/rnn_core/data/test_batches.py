"""Batches: every example once, any batch at any time, and a text whose rows go on where they stopped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.data import Augmented, Batch, Examples, Repeated, TextStream


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


@given(n=st.integers(1, 12), batch_size=st.integers(1, 5), length=st.integers(1, 9))
def test_what_is_repeated_goes_on_where_the_epoch_before_stopped(n, batch_size, length):
    examples = Examples(rows(n), np.arange(n), batch_size=batch_size, seed=3)
    batches = Repeated(examples, length)
    readings = -(-3 * length // len(examples))
    straight = [examples.batch(epoch, k) for epoch in range(readings) for k in range(len(examples))]
    for place, (epoch, index) in enumerate((e, k) for e in range(3) for k in range(len(batches))):
        np.testing.assert_array_equal(batches.batch(epoch, index).targets, straight[place].targets)


def test_a_part_goes_on_where_the_part_before_stopped():
    examples = Examples(rows(7), np.arange(7), batch_size=2, seed=3)
    whole, later = Repeated(examples, 9), Repeated(examples, 3, start=6)
    for index in range(3):
        np.testing.assert_array_equal(later.batch(0, index).targets, whole.batch(0, 6 + index).targets)
    for place in ((0, 3), (0, -1), (-1, 0)):
        with pytest.raises(ValueError, match="Repeated.batch: "):
            later.batch(*place)


def test_a_text_that_is_repeated_begins_without_a_state():
    text = Repeated(TextStream(np.arange(41), batch_size=2, steps=8), 7)
    assert [text.batch(0, k).carry for k in range(7)] == [False, True, True, False, True, True, False]


@pytest.mark.parametrize(
    ("data", "length", "kind", "message"),
    [
        ([], 3, TypeError, r"Repeated: data must be batches, such as Examples or TextStream, got list"),
        (Examples(rows(3), np.arange(3)), 0, ValueError, r"Repeated: length must be at least 1, got 0"),
        (Examples(rows(3), np.arange(3)), 2.0, TypeError, r"Repeated: length must be an int"),
    ],
)
def test_what_cannot_be_repeated(data, length, kind, message):
    with pytest.raises(kind, match=message):
        Repeated(data, length)


def test_each_reading_is_augmented_in_its_own_way_and_can_be_had_again():
    examples = Examples(rows(6).astype(float), np.arange(6), batch_size=3, shuffle=False, lengths=np.full(6, 2))
    data = Augmented(examples, lambda x, rng: x + rng.random(x.shape), seed=1)
    assert len(data) == 2
    first, again, other, later = (data.batch(*place) for place in ((0, 0), (0, 0), (0, 1), (1, 0)))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    added = [batch.inputs - rows(6)[batch.targets] for batch in (first, other, later)]
    assert not any(np.allclose(a, b) for a, b in ((added[0], added[1]), (added[0], added[2])))
    assert all(0 <= a.min() and a.max() < 1 for a in added)
    np.testing.assert_array_equal(first.lengths, [2, 2, 2])
    assert examples.inputs.max() == 23  # what was given is not changed


@pytest.mark.parametrize(
    ("data", "change", "message"),
    [
        ([], np.add, "Augmented: data must be batches, such as Examples or TextStream, got list"),
        (Examples(rows(3), np.arange(3)), 1, "Augmented: change must be a function of inputs and a generator, got 1"),
    ],
)
def test_what_cannot_be_augmented(data, change, message):
    with pytest.raises(TypeError, match=message):
        Augmented(data, change)
