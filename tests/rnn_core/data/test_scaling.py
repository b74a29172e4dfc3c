"""`Scaling`: there and back, far from zero, and what was not seen."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.data.scaling import Scaling


def test_there_and_back() -> None:
    rows = [np.random.default_rng(k).normal(5, 3, (7 + k, 2)) for k in range(3)]
    scaling = Scaling.of(rows)
    every = scaling.apply(np.concatenate(rows))
    assert every.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert every.std(axis=0) == pytest.approx([1, 1], rel=1e-12)
    np.testing.assert_allclose(scaling.undo(every), np.concatenate(rows), rtol=1e-14)
    assert Scaling.from_dict(scaling.as_dict()) == scaling


def test_what_is_far_from_zero_keeps_its_deviation() -> None:
    wave = np.sin(np.arange(100))[:, None]
    assert Scaling.of([1.7e9 + wave]).scale[0] == pytest.approx(wave.std(), rel=1e-6)
    assert Scaling.of([np.full((9, 1), 1.7e9)]).scale == (1.0,)  # what never varies is left as it is


def test_what_was_not_seen_counts_nothing() -> None:
    row = np.array([[1.0], [3.0], [999.0]])
    scaling = Scaling.of([row], [np.array([[1.0], [1.0], [0.0]])])
    assert scaling == Scaling((2.0,), (1.0,))


@pytest.mark.parametrize(
    ("mean", "scale"),
    [((0.0,), ()), ((), ()), ((0.0,), (0.0,)), ((0.0,), (-1.0,)), ((np.nan,), (1.0,)), ((0.0,), (np.inf,))],
)
def test_what_scales_nothing_is_refused(mean, scale) -> None:
    with pytest.raises(ValueError, match="Scaling: "):
        Scaling(mean, scale)
