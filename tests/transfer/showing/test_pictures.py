"""Pictures keep to what there can be: no accuracy beyond 0 and 100 %, no difference of two beyond 100 points."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnn_core.showing.pictures import mean_and_band
from transfer import Arm, Comparison
from transfer.comparing.runs import Run
from transfer.demo import figures
from transfer.showing import pictures

TUNED, SCRATCH = Arm("fine-tuned", "trained"), Arm("scratch")


def two_seeds(metric: str = "accuracy in %") -> Comparison:
    """Return a comparison of two seeds that differ much: gains of 2 and 47 points, ± 286."""
    scores = {"fine-tuned": (52.0, 97.0), "scratch": (50.0, 50.0)}
    runs = [
        Run(name, size, seed, score, {"updates": [0, 8], "accuracy": [score, score]})
        for name, column in scores.items()
        for size in (5, 10)
        for seed, score in enumerate(column)
    ]
    return Comparison(metric, True, ("rnn.*",), (TUNED, SCRATCH), (5, 10), (0, 1), tuple(runs))


def test_bands_end_where_values_do() -> None:
    mean, low, high = mean_and_band([[2.0, 50.0], [98.0, 51.0]], (0.0, 100.0))
    assert mean.tolist() == [50.0, 50.5]
    assert (low[0], high[0]) == (0.0, 100.0)
    assert high[1] - 50.5 == pytest.approx(12.706205 * 0.5**0.5 / 2**0.5, rel=1e-6)  # t(0.975, 1), from the tables
    assert [ends[0] for ends in mean_and_band([[2.0], [98.0]])[1:]] == pytest.approx([50 - 609.9, 50 + 609.9], abs=0.1)


def test_the_band_of_an_accuracy_stays_within_0_and_100() -> None:
    figure = Figure()
    figures.learning_curves(figure, two_seeds(), ["fine-tuned"], "accuracy", ["a", "b"], "accuracy in %")
    for panel in figure.axes:
        (band,) = panel.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == (0, 100)


def test_intervals_of_differences_end_at_100_points_with_an_arrow() -> None:
    figure = Figure()
    figures.differences(figure, two_seeds(), ["fine-tuned"], "points", "shots")
    low, high = figure.axes[0].get_ylim()
    assert -112 < low < -99 < 99 < high < 112
    assert {line.get_marker() for line in figure.axes[0].lines} >= {"^", "v"}
    figure = Figure()
    pictures.gains(figure, two_seeds(), ["fine-tuned"], [], "gain", ["a", "b"])
    for panel in figure.axes:
        low, high = panel.get_xlim()
        assert -100 <= low < 0 < high <= 100


def test_a_metric_without_bounds_has_none() -> None:
    assert two_seeds("bits").bounds is None
    assert two_seeds("bits").difference("fine-tuned", 5).note == ""
    assert two_seeds("accuracy").bounds is None  # whatever its name says, it goes beyond 1
    assert two_seeds().bounds == (0.0, 100.0)
    shares = Comparison("accuracy", True, (), (SCRATCH,), (5,), (0,), (Run("scratch", 5, 0, 0.5, None),))
    assert shares.bounds == (0.0, 1.0)


def test_an_interval_as_wide_as_the_scale_is_not_printed() -> None:
    found = two_seeds().difference("fine-tuned", 5)
    assert found.half_width == pytest.approx(285.9, abs=0.1)
    assert (found.verdict, found.note) == ("inconclusive", "too few seeds to say")
    assert found.said(1) == "+24.5"
    cells = [[cell.strip() for cell in line.split("│")] for line in str(two_seeds()).splitlines()]
    assert ["", "5", "fine-tuned", "74.50", "+24.50", "inconclusive (too few seeds to say)", ""] in cells
    assert np.isfinite(found.half_width)  # the results keep it
