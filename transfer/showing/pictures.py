"""The picture of a comparison: every method's gain, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_core.showing.pictures import GREEN, GREY, RED, legend_below

from ..comparing.comparison import Comparison
from ..comparing.verdicts import INCONCLUSIVE, NEGATIVE, POSITIVE, WORSE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VERDICT_LOOKS: dict[str, dict[str, Any]] = {
    POSITIVE: {"color": GREEN, "marker": ">", "markerfacecolor": GREEN},
    INCONCLUSIVE: {"color": GREY, "marker": "o", "markerfacecolor": "white"},
    NEGATIVE: {"color": RED, "marker": "<", "markerfacecolor": RED},
}
"""How a difference is drawn: to the right of zero, to the left of it, or neither."""


def gains(
    figure: Figure,
    comparison: Comparison,
    methods: Sequence[str],
    controls: Sequence[str],
    xlabel: str,
    titles: Sequence[str],
) -> None:
    """Draw each method's paired difference from scratch with its interval, a line for each and a panel for each size.

    Parameters
    ----------
    figure : Figure
    comparison : Comparison
    methods, controls : sequence of str
        Names of arms, from top to bottom; the controls stand apart.
    xlabel : str
    titles : sequence of str
        A title for each size.
    """
    from matplotlib.markers import CARETLEFT, CARETRIGHT

    names = [*methods, *controls]
    places = np.arange(len(names)) + np.where(np.arange(len(names)) < len(methods), 0, 0.8 if methods else 0)
    sizes = comparison.sizes
    figure.set_size_inches(2.4 + 2.8 * max(len(sizes), 2), 1.9 + 0.27 * (places[-1] + 1))
    panels = np.atleast_1d(figure.subplots(1, len(sizes), sharey=True))
    for panel, size, title in zip(panels, sizes, titles, strict=True):
        found = [comparison.difference(name, size) for name in names]
        drawn = [(d, y) for d, y in zip(found, places, strict=True) if np.isfinite(d.mean)]
        # A few seeds make intervals far wider than any gain: beyond this they leave the panel, and an arrow says so.
        reach = 2.5 * max((abs(d.mean) for d, _ in drawn), default=0.0) or 1.0
        ends = [d.mean + sign * min(d.half_width or 0, reach) for d, _ in drawn for sign in (-1, 1)] + [0.0]
        margin = 0.06 * (max(ends) - min(ends)) or 1.0
        most = comparison.span or np.inf  # beyond it there are no differences
        low, high = max(min(ends) - margin, -most), min(max(ends) + margin, most)
        panel.axvline(0, color="black", linewidth=1.2)
        if controls:
            panel.axhspan(places[len(methods)] - 0.7, places[-1] + 0.7, color="#f1f1f1", linewidth=0, zorder=0)
        for d, y in drawn:
            look = VERDICT_LOOKS[NEGATIVE if d.verdict == WORSE else d.verdict]
            half = d.half_width or 0.0
            panel.plot([max(d.mean - half, low), min(d.mean + half, high)], [y, y], color=look["color"])
            for end, at, arrow in ((d.mean - half, low, CARETLEFT), (d.mean + half, high, CARETRIGHT)):
                if not low <= end <= high:
                    panel.plot(at, y, marker=arrow, color=look["color"], markersize=9, clip_on=False)
            panel.plot(d.mean, y, linestyle="none", clip_on=False, **look)
        panel.set_xlim(low, high)
        panel.locator_params(axis="x", nbins=5)
        panel.grid(axis="y", linestyle=":")
        panel.tick_params(axis="y", length=0)
        panel.set_title(title)
        panel.set_xlabel(xlabel)
    panels[0].set_yticks(places, [*methods, *(f"control: {name}" for name in controls)])
    panels[0].set_ylim(places[-1] + 0.7, places[0] - 0.7)
    for verdict, look in VERDICT_LOOKS.items():
        label = f"{NEGATIVE}, of a control: {WORSE}" if verdict == NEGATIVE else verdict
        panels[0].plot([], [], linestyle="-", label=label, **look)
    legend_below(figure, panels[0])
