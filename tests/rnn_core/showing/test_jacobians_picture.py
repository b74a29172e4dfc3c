"""Singular values as a picture: what is drawn, and what does not fit."""

from __future__ import annotations

import builtins
import io

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import image
from matplotlib.figure import Figure

from rnn_core import LSTM, state_jacobian_singular_values
from rnn_core.showing import jacobians
from rnn_core.showing.jacobians import singular_values_picture

VALUES = np.array([[2.0, 1.0, 0.5], [4.0, 1.0, 1e-17], [8.0, 1.0, 0.0]])


def test_it_is_a_picture():
    found = state_jacobian_singular_values(LSTM(2, 3, seed=0), np.ones((6, 2)))
    pixels = image.imread(io.BytesIO(singular_values_picture({"LSTM": found, "$x$": VALUES}, title="$one$")))
    assert pixels.ndim == 3
    assert pixels[..., :3].min() < 0.5
    assert pixels[..., :3].max() == 1


def test_what_is_drawn():
    figure = Figure()
    jacobians._draw(figure, {"RNN": VALUES, "LSTM": VALUES / 10}, "")
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert left.get_title() == "RNN"
    assert right.get_title() == "LSTM"
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    np.testing.assert_array_equal(lines["largest"], [2, 4, 8])
    np.testing.assert_array_equal(lines["median"], [1, 1, 1])
    smallest = left.lines[1].get_ydata()
    assert smallest[0] == 0.5
    assert np.isnan(smallest[1:]).all()


@pytest.mark.parametrize(
    "panels, error, says",
    [
        ([VALUES], TypeError, "singular_values_picture: panels must be a dict of singular values by title, got list"),
        ({}, ValueError, "singular_values_picture: panels must be at least one, got none"),
        ({"a": VALUES[0]}, ValueError, r"panels\['a'\] must have shape \(T, S\), a row for each lag, got \(3,\)"),
        ({"a": -VALUES}, ValueError, r"panels\['a'\] must be finite and at least 0, got -8"),
        ({"a": VALUES * np.nan}, ValueError, "must be finite and at least 0"),
        ({"a": "x"}, TypeError, "must be an array of numbers"),
    ],
)
def test_errors(panels, error, says):
    with pytest.raises(error, match=says):
        singular_values_picture(panels)


def test_without_matplotlib(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **options):
        if name.startswith("matplotlib"):
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(
        RuntimeError, match=r"singular_values_picture: matplotlib must be installed, got .*rnn_core\[report\]"
    ):
        singular_values_picture({"a": VALUES})
