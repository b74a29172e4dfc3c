"""Rows of different lengths: what is computed from them is what is computed from the padded array."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import SequenceClassifier
from rnn_core.data import Examples, Ragged, pad_sequences
from rnn_core.data.ragged import MOST_STEPS, pieces
from rnn_core.training import Adam, fit

LENGTHS = (3, 7, 1, 5, 2)


def sequences(dtype: str = "float64") -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(T, 2)).astype(dtype) for T in LENGTHS]


def test_they_stand_for_the_padded_array() -> None:
    rows, padded = Ragged(sequences()), pad_sequences(sequences(), dtype=np.float64, padding="post")
    assert (len(rows), rows.shape, rows.ndim) == (5, (5, 7, 2), 3)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(np.asarray(rows), padded)
    np.testing.assert_array_equal(rows[[0, 2, 3]], padded[[0, 2, 3], :5])
    np.testing.assert_array_equal(rows[1:3], padded[1:3])
    np.testing.assert_array_equal(rows[np.array(LENGTHS) < 3], padded[[2, 4], :2])
    assert rows.take([3, 0]).lengths.tolist() == [5, 3]
    assert [len(row) for row in rows] == list(LENGTHS)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_a_model_trained_on_them_is_that_of_the_padded_array(pooling) -> None:
    """In float64, where the order of sums is all that may differ."""
    padded = pad_sequences(sequences(), dtype=np.float64, padding="post")
    found = []
    for inputs, lengths in ((Ragged(sequences()), None), (padded, np.array(LENGTHS))):
        model = SequenceClassifier(2, 4, input_size=2, pooling=pooling, dtype="float64", seed=0)
        data = Examples(inputs, np.array([0, 1, 0, 1, 1]), lengths=lengths, batch_size=2)
        assert data.lengths.tolist() == list(LENGTHS)
        fit(model, data, optimizer=Adam(0.1), epochs=3, progress=False)
        found.append(model)
    for name, array in found[0].parameters.items():
        np.testing.assert_allclose(array, found[1].parameters[name], rtol=1e-10, atol=1e-12)


def test_a_batch_is_as_long_as_its_longest() -> None:
    data = Examples(Ragged(sequences()), np.arange(5), batch_size=2, shuffle=False)
    assert [data.batch(0, k).inputs.shape for k in range(3)] == [(2, 7, 2), (2, 5, 2), (1, 2, 2)]
    assert data.batch(0, 1).lengths.tolist() == [1, 5]


def test_what_is_not_finite_is_named_by_its_row() -> None:
    rows = sequences()
    rows[3][4, 1] = np.nan
    with pytest.raises(ValueError, match=r"Examples: inputs\[3\] must be finite, got nan at index \(4, 1\)"):
        Examples(Ragged(rows), np.arange(5))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"Ragged: rows must have at least one sequence, got none"),
        ([np.ones(3)], r"Ragged: rows must have shape \(T, I\) with at least one number, got \(3,\) in row 0"),
        ([np.ones((2, 1)), np.ones((0, 1))], r"got \(0, 1\) in row 1"),
        ([np.ones((2, 1)), np.ones((2, 3))], r"Ragged: rows must have 1 features of float64, as the first, got 3 of"),
        ([np.ones((2, 1)), np.ones((2, 1), "f4")], r"got 1 of float32 in row 1"),
    ],
)
def test_rows_that_are_none(rows, message) -> None:
    with pytest.raises(ValueError, match=message):
        Ragged(rows)


def test_pieces_are_short_where_rows_are_long() -> None:
    lengths = np.array([1, 1, 1, 1, MOST_STEPS, 1, 1])
    assert [(part.start, part.stop) for part in pieces(lengths, 3)] == [(0, 3), (3, 4), (4, 5), (5, 7)]
    assert [(part.start, part.stop) for part in pieces(np.array([10, 10]), 512)] == [(0, 2)]
    assert sum(part.stop - part.start for part in pieces(np.full(100, MOST_STEPS // 10), 512)) == 100
