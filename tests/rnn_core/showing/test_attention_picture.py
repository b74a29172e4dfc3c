"""Attention as a picture: its labels, its fonts, and what does not fit."""

from __future__ import annotations

import builtins
import io

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import image
from matplotlib.figure import Figure

from rnn_core.showing import attention
from rnn_core.showing.attention import attention_picture, draw_attention
from rnn_core.showing.pictures import LABELS, families

WEIGHTS = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])


def drawn(weights=WEIGHTS, **options):
    """Return the axes of a picture."""
    figure = Figure()
    columns = attention._labels("", "read", options.get("read"), (weights.shape[1],))
    rows = attention._labels("", "written", options.get("written"), (weights.shape[0], weights.shape[0] - 1))
    attention._draw(figure, weights, columns, rows, options.get("title", ""))
    return figure.axes[0]


def words(labels):
    return [label.get_text() for label in labels]


def test_it_is_a_picture():
    pixels = image.imread(io.BytesIO(attention_picture(WEIGHTS, read="a b", written=["x"], title="$one$")))
    assert pixels.ndim == 3
    assert pixels[..., :3].min() < 0.5
    assert pixels[..., :3].max() == 1


def test_rows_are_written_and_columns_are_read():
    axes = drawn(read=["ein", " ", "\n"], written=["x", "$y$"])
    assert words(axes.get_xticklabels()) == ["ein", "·", "↵"]
    assert words(axes.get_yticklabels()) == ["x", "$y$"]
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {45.0}
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    assert axes.images[0].get_clim() == (0, 1)
    assert {label.get_rotation() for label in drawn(read="abc").get_xticklabels()} == {0.0}


def test_of_many_steps_some_have_labels():
    weights = np.full((2, 150), 1 / 150)
    assert words(drawn(weights).get_xticklabels()) == [str(k) for k in range(0, 150, 3)]


def test_one_row_more_than_tokens_is_the_end(monkeypatch):
    seen: dict[str, list[str]] = {}
    monkeypatch.setattr(attention, "_draw", lambda figure, weights, columns, rows, title: seen.update(rows=rows))
    attention_picture(WEIGHTS, written=["x"])
    assert seen["rows"] == ["x", "end"]
    attention_picture(WEIGHTS, written=["x", "y"])
    assert seen["rows"] == ["x", "y"]


def test_letters_that_the_font_lacks_come_from_another_if_there_is_one():
    assert families(["abc", "Übung"]) == [LABELS]
    found = families(["a", "\N{ROMAN NUMERAL ONE THOUSAND C D}", "\U0010fffd"])  # no font has the last one
    assert found[0] == LABELS
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: attention_picture(WEIGHTS[0]), ValueError, r"attention_picture: weights must have shape \(Ty, Tx\)"),
        (lambda: attention_picture(WEIGHTS - 1), ValueError, "weights must be from 0 to 1, got -1 to 0"),
        (lambda: attention_picture(WEIGHTS * np.nan), ValueError, "weights must be from 0 to 1"),
        (lambda: attention_picture("x"), TypeError, "weights must be an array of numbers"),
        (lambda: attention_picture(WEIGHTS, read="ab"), ValueError, "read must be 3 labels, got 2"),
        (lambda: attention_picture(WEIGHTS, written="abc"), ValueError, "written must be 2 or 1 labels, got 3"),
    ],
)
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RuntimeError, match=r"matplotlib must be installed.*pip install 'rnn_core\[report\]'"):
        attention_picture(WEIGHTS)


def test_a_figure_that_is_there_already_gets_the_same_squares() -> None:
    weights = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    figure = Figure()
    draw_attention(figure, weights, ["a", "\n"], ["b", " "])
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "↵"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "·"]
    with pytest.raises(ValueError, match=r"draw_attention: read must be 2 labels, got 1"):
        draw_attention(Figure(), weights, ["a"], ["b", "c"])
