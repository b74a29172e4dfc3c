"""Shares of a batch, masks of its rows, and sums that any number of ranks makes alike; without MPI."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_core import LSTM
from rnn_core.layers.dropout import RowsOf, dropout_mask
from rnn_core.parallel.agreement import check_same
from rnn_core.parallel.sending import buckets
from rnn_core.parallel.shares import bounds, cut_state, generator_of, join_states
from rnn_core.parallel.sums import ROOM, SHARES_BITS, fixed, floating
from rnn_core.training import SGD, fit
from tests.training_cases import Line, line_data


@given(st.integers(0, 40), st.integers(1, 12))
def test_shares_are_all_rows_once_and_of_even_sizes(count, shares):
    found = bounds(count, shares)
    assert [row for rows in found for row in range(count)[rows]] == list(range(count))
    sizes = [rows.stop - rows.start for rows in found]
    assert len(sizes) == shares
    assert max(sizes) - min(sizes) <= 1


@given(
    st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=12),
    st.floats(1e-200, 1e200),
    st.randoms(use_true_random=False),
)
def test_sums_in_fixed_point_are_those_of_fractions_in_any_order(numbers, unit, random):
    x = np.array(numbers) * unit
    top = float(np.abs(x).max())
    scale = ROOM - SHARES_BITS - int(np.frexp(top)[1])
    limbs = [fixed(np.array([one]), 1.0, scale) for one in x]
    total = sum(limbs)
    random.shuffle(limbs)
    np.testing.assert_array_equal(total, sum(limbs))
    exact = sum(map(Fraction, x.tolist()))
    error = abs(Fraction(float(floating(total, scale, 1.0)[0])) - exact)
    # Two roundings of the result, and what is cut from each term, 100 bits below the largest.
    assert error <= abs(exact) * Fraction(2) ** -51 + len(x) * Fraction(top) * Fraction(2) ** -100


def test_the_second_limb_is_needed():
    x, scale = np.array([1.0, 2.0**-60]), ROOM - SHARES_BITS - 1
    limbs = fixed(x, 1.0, scale)
    assert limbs[0, 1] == 0
    np.testing.assert_array_equal(floating(limbs, scale, 1.0), x)


def test_parts_of_a_batch_have_the_masks_of_the_batch():
    x = np.zeros((3, 7, 4))
    for axis, count in ((0, 3), (1, 7), (2, 4)):
        whole = dropout_mask(x, 0.5, 3, rows=axis)
        parts = []
        for rows in bounds(count, 3):
            part = np.take(x, range(count)[rows], axis=axis)
            parts.append(dropout_mask(part, 0.5, generator_of([3], rows, count), rows=axis))
        # default_rng(3) and default_rng([3]) are seeded alike
        np.testing.assert_array_equal(np.concatenate(parts, axis=axis), whole)
    with pytest.raises(ValueError, match="axis 0 must be the part's 2 rows"):
        dropout_mask(x, 0.5, RowsOf(np.random.PCG64(0), slice(0, 2), 9))


def test_a_layer_draws_the_rows_of_a_part():
    layer = LSTM(
        2, 3, num_layers=2, dropout=0.4, zoneout=0.3, recurrent_dropout=0.2, weight_drop=0.3, dtype=np.float64, seed=0,
        backend="numpy",
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(5, 6, 2))
    whole, _, _ = layer.forward(x, rng=8)
    parts = [layer.forward(x[:, rows], rng=generator_of([8], rows, 6))[0] for rows in bounds(6, 4)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-14, atol=1e-16)


def test_states_are_cut_and_joined():
    state = tuple(np.random.default_rng(0).normal(size=(2, 5, 3)) for _ in range(2))
    joined = join_states([cut_state(state, rows) for rows in bounds(5, 7)])  # some have no row
    for part, before in zip(joined, state, strict=True):
        np.testing.assert_array_equal(part, before)
    assert join_states([None, None]) is None


def test_buckets_keep_the_order_and_one_dtype_each():
    homes = {name: np.zeros(size, dtype) for name, size, dtype in (
        ("a", 4, np.float32), ("b", 4, np.float32), ("c", 1, np.float32), ("d", 1, np.float64), ("e", 99, np.float64),
    )}  # fmt: skip
    assert buckets(list(homes), homes, 32) == [["a", "b"], ["c"], ["d"], ["e"]]


def test_a_rank_that_differs_is_named():
    with pytest.raises(ValueError, match=r"rank 2 \(b\) differs: seed is 4 there and 3 on rank 0 \(a\)"):
        check_same([{"seed": 3}, {"seed": 3}, {"seed": 4}], ["rank 0 (a)", "rank 1 (a)", "rank 2 (b)"])


def test_what_trains_together_must_be_able_to():
    with pytest.raises(TypeError, match=r"parallel must be None or what rnn_core.parallel.MPI\(\) makes, got str"):
        fit(Line(), line_data(), optimizer=SGD(0.1), epochs=1, parallel="mpi")
