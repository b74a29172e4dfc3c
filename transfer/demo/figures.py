"""The pictures of the demonstration's report. Marks and dashes say what colours say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnn_core.showing.pictures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, legend_below, mean_and_band

from ..comparing.comparison import Comparison
from .vanishing import Norms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS: dict[str, dict[str, Any]] = {
    "fine-tuned": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "scratch": {"color": RED, "marker": "s", "linestyle": "--"},
    "frozen core": {"color": GREEN, "marker": "^", "linestyle": "-"},
    "random core": {"color": GREY, "marker": "v", "linestyle": ":"},
    "shuffled source": {"color": ORANGE, "marker": "D", "linestyle": "-."},
}
"""How each arm is drawn, in every picture."""


def learning_curves(
    figure: Figure,
    comparison: Comparison,
    arms: Sequence[str],
    key: str,
    titles: Sequence[str],
    ylabel: str,
    level: tuple[float, str] | None = None,
) -> None:
    """Draw a curve with its band for each arm, and a panel for each target size."""
    figure.set_size_inches(10.4, 3.9)
    panels = np.atleast_1d(figure.subplots(1, len(comparison.sizes), sharey=True))
    for panel, size, title in zip(panels, comparison.sizes, titles, strict=True):
        for arm in arms:
            records = [run.record for run in comparison.runs if run.arm == arm and run.size == size]
            mean, low, high = mean_and_band([record[key] for record in records], comparison.bounds)
            updates, look = records[0]["updates"], {**LOOKS[arm], "marker": None}
            panel.plot(updates, mean, label=arm, **look)
            panel.fill_between(updates, low, high, color=look["color"], alpha=0.2, linewidth=0)
        if level is not None:
            panel.axhline(level[0], color=GREY, linewidth=1.2, linestyle=":", label=level[1])
        panel.set_title(title)
        panel.set_xlabel("updates")
    panels[0].set_ylabel(ylabel)
    legend_below(figure, panels[0])


def differences(figure: Figure, comparison: Comparison, arms: Sequence[str], unit: str, xlabel: str) -> None:
    """Draw each arm's paired difference from scratch with its interval, at every target size."""
    figure.set_size_inches(8.2, 4.6)
    axes = figure.subplots()
    axes.axhline(0, color="black", linewidth=1.2)
    places = np.arange(len(comparison.sizes))
    most = comparison.span or np.inf  # beyond it there are no differences: an interval that goes on ends in an arrow
    for k, arm in enumerate(arms):
        found = [comparison.difference(arm, size) for size in comparison.sizes]
        look = {**LOOKS[arm], "linestyle": "none"}
        at, mean = places + 0.16 * (k - (len(arms) - 1) / 2), np.array([d.mean for d in found])
        half = np.array([d.half_width or 0.0 for d in found])
        ends = np.clip([mean - half, mean + half], -most, most)
        axes.errorbar(at, mean, yerr=abs(ends - mean), capsize=4, elinewidth=2, label=arm, **look)
        for end, goes_on, arrow in ((ends[0], mean - half < -most, "v"), (ends[1], mean + half > most, "^")):
            if goes_on.any():  # a line without points would have the layout make room for it
                axes.plot(at[goes_on], end[goes_on], arrow, color=look["color"], clip_on=False)
    axes.set_xticks(places, [str(size) for size in comparison.sizes])
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.grid(axis="x", visible=False)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(f"better than scratch by ({unit})")
    legend_below(figure, axes)


def data_needed(figure: Figure, comparison: Comparison, untouched: float, reached_at: int, worth: float | None) -> None:
    """Draw bits a character against the characters trained on, and what the transfer is worth in characters."""
    figure.set_size_inches(7.4, 4.6)
    axes = figure.subplots()
    sizes = np.array(comparison.sizes)
    for arm in ("fine-tuned", "scratch"):
        scores = np.stack([comparison.scores(arm, size) for size in sizes], axis=1)
        mean, low, high = mean_and_band(scores, (0.0, np.inf))
        axes.errorbar(sizes, mean, yerr=[mean - low, high - mean], capsize=4, label=arm, **LOOKS[arm])
    axes.axhline(untouched, color=GREY, linestyle=":", linewidth=1.4, label="source model, untouched")
    level = float(comparison.scores("fine-tuned", reached_at).mean())
    end = float(sizes[-1]) if worth is None else worth
    if end > reached_at:
        arrow = {"arrowstyle": "->", "color": "black", "linewidth": 1.4, "shrinkA": 8, "shrinkB": 2}
        axes.annotate("", xy=(end, level), xytext=(reached_at, level), arrowprops=arrow)
        factor = f"more than {end / reached_at:.0f}" if worth is None else f"{end / reached_at:.1f}"
        axes.annotate(
            f"{factor} times the data",
            xy=((reached_at * end) ** 0.5, level),
            xytext=(0, -42),
            textcoords="offset points",
            ha="center",
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.margins(x=0.08, y=0.16)
    axes.set_xlabel("characters of docstrings to train on")
    axes.set_ylabel("bits a character, test text")
    legend_below(figure, axes)


def fading_gradient(figure: Figure, curves: Sequence[Norms]) -> None:
    """Draw ‖∂L/∂h_t‖ against t: fresh layers on the left, layers whose gates keep the state on the right."""
    figure.set_size_inches(10.4, 4.4)
    panels = figure.subplots(1, 2, sharey=True)
    colors = {"RNN": RED, "LSTM": BLUE, "GRU": GREEN}
    dashes = {"RNN": "--", "LSTM": "-", "GRU": "-."}
    T = len(curves[0].values) - 1
    for panel, kinds, title in (
        (panels[0], ("fresh",), "fresh layers"),
        (panels[1], ("open", "trained"), "gates that keep the state"),
    ):
        for curve in curves:
            if curve.kind in kinds:
                color = PURPLE if curve.kind == "trained" else colors[curve.cell]
                dash = ":" if curve.kind == "trained" else dashes[curve.cell]
                panel.plot(np.arange(T + 1), curve.values, color=color, linestyle=dash, label=curve.label)
        panel.set_title(title)
        panel.set_xlabel(f"time step t (the loss sees step {T} alone)")
        panel.set_yscale("log")
        panel.set_xlim(0, T)
        panel.legend(loc="lower right")
    panels[0].set_ylabel("‖∂L/∂h$_t$‖ / ‖∂L/∂h$_T$‖")


def state_map(figure: Figure, states: np.ndarray, text: str) -> None:
    """Draw hidden units over a text as a heat map, a column for each character."""
    units, T = states.shape
    figure.set_size_inches(0.115 * T + 1.6, 0.1 * units + 1.5)
    axes = figure.subplots()
    axes.grid(visible=False)
    image = axes.imshow(states, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    shown = [{" ": "·", "\n": "↵"}.get(character, character) for character in text]
    axes.set_xticks(np.arange(T), shown, fontfamily="DejaVu Sans Mono", fontsize=8, parse_math=False)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, pad=2)
    axes.set_xlabel("character read  (· is a space, ↵ a line's end)")
    axes.set_ylabel(f"{units} hidden units: fast ← → slow")
    figure.colorbar(image, ax=axes, pad=0.01, label="h$_t$", ticks=[-1, 0, 1])
