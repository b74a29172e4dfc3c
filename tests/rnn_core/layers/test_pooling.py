"""`Pooling`: values against loops, gradients by the complex step, lengths, both directions, and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core.layers.pooling import POOLINGS, Pooling
from tests import checks


def by_loops(kind: str, bidirectional: bool, y: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Pool (T, B, F) one number at a time."""
    _, B, F = y.shape
    pooled = np.empty((B, F), y.dtype)
    for b in range(B):
        for f in range(F):
            valid = y[: lengths[b], b, f]
            first = bidirectional and f >= F // 2
            pooled[b, f] = {"last": valid[0 if first else -1], "mean": sum(valid) / len(valid), "max": max(valid)}[kind]
    return pooled


@given(
    kind=st.sampled_from(POOLINGS),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    units=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_are_those_of_loops_and_gradients_those_of_the_complex_step(
    kind, bidirectional, batch_first, lengths, units, seed
):
    rng = np.random.default_rng(seed)
    lengths = np.array(lengths)
    y = rng.standard_normal((max(lengths), len(lengths), 2 * units))
    dpooled = rng.standard_normal(y.shape[1:])
    pooling = Pooling(kind, bidirectional, batch_first)

    def laid_out(sequence):
        return sequence.swapaxes(0, 1) if batch_first else sequence

    pooled, tape = pooling.forward(laid_out(y), lengths)
    np.testing.assert_allclose(pooled, by_loops(kind, bidirectional, y, lengths), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(pooling(laid_out(y), lengths), pooled)
    dy = pooling.backward(tape, dpooled)
    expected, moving = np.empty_like(y), y.astype(complex)
    for place in np.ndindex(y.shape):
        moving[place] += 1e-30j
        expected[place] = (dpooled * pooling(laid_out(moving), lengths)).sum().imag / 1e-30
        moving[place] -= 1e-30j
    np.testing.assert_allclose(dy, laid_out(expected), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("kind", POOLINGS)
def test_the_dtype_stays(kind, dtype):
    pooling = Pooling(kind)
    pooled, tape = pooling.forward(np.ones((4, 2, 3), dtype), [4, 2])
    assert pooled.dtype == dtype
    assert pooling.backward(tape, pooled).dtype == dtype


@pytest.mark.parametrize("kind", POOLINGS)
def test_padding_has_no_influence_and_no_gradient(kind):
    rng = np.random.default_rng(0)
    y, lengths = rng.standard_normal((5, 3, 4)), np.array([5, 2, 1])
    padding = np.arange(5)[:, None] >= lengths
    pooling = Pooling(kind, bidirectional=True)
    pooled = pooling(y, lengths)
    for junk in (np.nan, np.inf, 1e300):
        y[padding] = junk
        found, tape = pooling.forward(y, lengths)
        np.testing.assert_array_equal(found, pooled)
        assert not pooling.backward(tape, np.ones_like(pooled))[padding].any()


@pytest.mark.parametrize("kind", POOLINGS)
def test_full_lengths_are_no_lengths(kind):
    y = np.random.default_rng(0).standard_normal((4, 3, 2))
    np.testing.assert_array_equal(Pooling(kind)(y, [4, 4, 4]), Pooling(kind)(y))


def test_last_means_where_each_direction_arrives():
    y = np.arange(12.0).reshape(3, 2, 2)
    np.testing.assert_array_equal(Pooling("last")(y, [3, 1]), [y[2, 0], y[0, 1]])
    np.testing.assert_array_equal(Pooling("last", bidirectional=True)(y, [2, 3]), [[y[1, 0, 0], 1], [y[2, 1, 0], 3]])


def test_equal_maxima_padding_and_nan():
    checks.equal_maxima_go_to_the_first()


def test_of_equal_maxima_the_first_has_the_gradient():
    pooling = Pooling("max")
    pooled, tape = pooling.forward(np.array([1.0, 3, 3, 2]).reshape(4, 1, 1))
    assert pooled == 3
    np.testing.assert_array_equal(pooling.backward(tape, np.ones((1, 1))).ravel(), [0, 1, 0, 0])


def test_complex_maxima_are_those_of_the_real_part():
    y = np.array([1 + 9j, 2 - 9j, -3 + 9j]).reshape(3, 1, 1)
    assert Pooling("max")(y) == 2 - 9j


@pytest.mark.parametrize("kind", POOLINGS)
def test_nothing_is_changed_and_a_tape_can_be_used_again(kind):
    y = np.random.default_rng(0).standard_normal((4, 3, 2))
    dpooled = np.ones((3, 2))
    kept = y.copy()
    pooling = Pooling(kind)
    _, tape = pooling.forward(y, [4, 2, 3])
    first = pooling.backward(tape, dpooled)
    pooling.forward(y + 1, [1, 1, 1])
    np.testing.assert_array_equal(pooling.backward(tape, dpooled), first)
    np.testing.assert_array_equal(y, kept)
    np.testing.assert_array_equal(dpooled, 1)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: Pooling("first"), ValueError, "kind must be one of 'last', 'mean', 'max', got 'first'"),
        (lambda: Pooling("mean")(np.ones((3, 2))), ValueError, r"shape \(T, B, F\) .* got \(3, 2\)"),
        (lambda: Pooling("mean", batch_first=True)(np.ones((3, 2))), ValueError, r"shape \(B, T, F\)"),
        (lambda: Pooling("mean")(np.ones((0, 2, 2))), ValueError, "at least one number"),
        (lambda: Pooling("last", bidirectional=True)(np.ones((3, 2, 3))), ValueError, "F even, got"),
        (lambda: Pooling("last")(np.ones((3, 2, 3)), [3, 0]), ValueError, "got 0 in row 1"),
        (lambda: Pooling("last")(np.ones((3, 2, 3)), [4, 3]), ValueError, "got 4 in row 0"),
        (lambda: Pooling("last")(np.ones((3, 2, 3)), [1.0, 3.0]), TypeError, "lengths must be integers"),
        (
            lambda: Pooling("last").backward(Pooling("last").forward(np.ones((3, 2, 3)))[1], np.ones((3, 2))),
            ValueError,
            r"dpooled must have shape \(2, 3\).* got \(3, 2\)",
        ),
    ],
)
def test_errors_say_what_to_change(call, error, message):
    with pytest.raises(error, match=message):
        call()
