"""Series and sounds on their way into a network: scaled before they are float32, and apart until a batch is made."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core import SequenceClassifier
from rnn_core.data import Ragged, pad_sequences
from rnn_core.data.labelled import Labelled
from rnn_core.inputs.encoding import Encoding, for_numbers
from rnn_core.inputs.reading import Raw
from rnn_core.models.answers import answers
from transfer.methods.on_features import pooled


def raw(rows) -> Raw:
    rows = [np.asarray(row, np.float64).reshape(len(row), -1) for row in rows]
    return Raw(
        "series", rows, np.arange(len(rows)) % 2, ("a", "b"), tuple(f"line {k}" for k in range(1, len(rows) + 1))
    )


def test_a_large_offset_takes_nothing_of_a_small_wave() -> None:
    wave = np.sin(np.arange(200) / 3)
    far, near = raw([1.7e9 + wave, 1.7e9 - wave]), raw([wave, -wave])
    inputs, _ = for_numbers(far, None, 1).encode(far)
    plain, _ = for_numbers(near, None, 1).encode(near)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, plain, atol=1e-6)
    again = Encoding.from_dict(for_numbers(far, None, 1).as_dict())  # as it is saved and loaded
    np.testing.assert_array_equal(again.encode(far)[0], inputs)


def test_small_numbers_are_scaled_as_large_ones_are() -> None:
    wave = np.sin(np.arange(50))
    encoding = for_numbers(raw([1e-12 * wave, -1e-12 * wave]), None, 1)
    assert encoding.scale[0] == pytest.approx(1e-12 * wave.std(), rel=0.05)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.7e9 + 0.1])
def test_what_never_varies_says_nothing(value) -> None:
    some = raw([np.full(7, value), np.full(3, value)])
    encoding = for_numbers(some, None, 1)
    assert encoding.scale == (1.0,)
    assert abs(np.asarray(encoding.encode(some)[0])).max() < 1e-6


def test_what_is_beyond_float32_once_it_is_scaled_is_named() -> None:
    encoding = Encoding("series", mean=(0.0,), scale=(1e-10,))
    with pytest.raises(
        ValueError, match=r"line 2 must be comparable with .*, got 1e\+30 for step 1, 1e\+40 standard dev"
    ):
        encoding.encode(raw([[1, 2], [1, 1e30]]))


def test_rows_of_different_lengths_stay_apart() -> None:
    some = raw([np.arange(5), np.arange(3), np.arange(4), np.arange(2)])
    data = for_numbers(some, 4, 1).labelled(some)
    assert isinstance(data.inputs, Ragged)
    assert (data.features, data.steps.tolist(), data.lengths.tolist()) == (1, [4, 3, 4, 2], [4, 3, 4, 2])
    part = data.rows(np.array([3, 1]))
    assert (part.inputs.shape, part.steps.tolist()) == ((2, 3, 1), [2, 3])
    one, rest = data.split(2, 0)
    assert isinstance(rest.inputs, Ragged)
    assert len(one) == len(rest) == 2
    assert [data.rows([k]).batches(1).batch(0, 0).inputs.shape[1] for k in range(4)] == [4, 3, 4, 2]
    with pytest.raises(ValueError, match=r"Labelled: inputs\[1\] must be finite, got nan at index \(0, 0\)"):
        Labelled(Ragged([np.ones((2, 1)), np.full((1, 1), np.nan)]), np.array([0, 1]), ("a", "b"))
    even = for_numbers(some, 2, 1).labelled(some)
    assert (even.inputs.shape, even.lengths, even.steps.tolist()) == ((4, 2, 1), None, [2, 2, 2, 2])


def test_a_piece_at_a_time_says_what_all_at_once_does(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(T, 2)) for T in (3, 9, 1, 5, 2, 4)]
    padded, lengths = pad_sequences(sequences, dtype=np.float64, padding="post"), np.array([3, 9, 1, 5, 2, 4])
    model = SequenceClassifier(3, 4, input_size=2, pooling="mean", dtype="float64", seed=0)
    whole = answers(model, padded, lengths), pooled(model, padded, lengths)
    monkeypatch.setattr("rnn_core.data.ragged.MOST_STEPS", 10)
    rows = Ragged(sequences)
    for found, wanted in zip((answers(model, rows, rows.lengths), pooled(model, rows, None)), whole, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
