"""How pictures of results are drawn: the style, the colours, and a figure as PNG.

Colours are those of Okabe and Ito, which differ for every kind of colour vision; marks and dashes say the same again.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#6b6b6b",
)  # fmt: skip

STYLE: dict[str, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.05,
}


def png(draw: Any, *args: Any, **options: Any) -> bytes:
    """Return the picture that ``draw(figure, …)`` makes, as PNG.

    Parameters
    ----------
    draw : callable
        Its first argument is a figure.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    with style.context(STYLE, after_reset=True), warnings.catch_warnings():  # whatever the user's own settings are
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a box stands for it
        figure = Figure()
        FigureCanvasAgg(figure)
        draw(figure, *args, **options)
        figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight", pad_inches=0.1)  # no label is cut off
    return buffer.getvalue()


LABELS = "DejaVu Sans Mono"
"""The font of a saliency picture's labels, which comes with matplotlib."""


def undrawable(labels: Sequence[str]) -> list[int]:
    """Return the places of labels with a letter that their font lacks: an emoji, say."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(LABELS)).get_charmap()
    return [k for k, label in enumerate(labels) if any(ord(letter) not in known for letter in label if letter > " ")]


def families(labels: Sequence[str]) -> list[str]:
    """Return the font of labels and, behind it, those of this machine that have the letters which it lacks."""
    from matplotlib.font_manager import fontManager, get_font

    lacking = {letter for k in undrawable(labels) for letter in labels[k]}
    found = [LABELS]
    for entry in fontManager.ttflist:
        if entry.name.startswith("Last Resort"):  # it has a box for every letter
            continue
        if not lacking:
            break
        try:
            known = {letter for letter in lacking if ord(letter) in get_font(entry.fname).get_charmap()}
        except (OSError, RuntimeError):  # a file that was a font when matplotlib last looked
            continue
        if known and entry.name not in found:
            found.append(entry.name)
        lacking -= known
    return found


def mean_and_band(values: Any, bounds: tuple[float, float] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean over seeds and the ends of its 95 % t-interval.

    Parameters
    ----------
    values : array, shape (seeds, points)
    bounds : tuple of float, optional
        The lowest and the highest value that there can be: the interval ends there.
    """
    from scipy.special import stdtrit

    values = np.asarray(values, float)
    n = len(values)
    if n == 1:
        return values[0], values[0], values[0]
    mean, half = values.mean(axis=0), stdtrit(n - 1, 0.975) * values.std(axis=0, ddof=1) / n**0.5
    low, high = bounds or (-np.inf, np.inf)
    return mean, np.maximum(mean - half, low), np.minimum(mean + half, high)


def legend_below(figure: Figure, axes: Axes) -> None:
    """Put the legend of one of the axes below all of them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
