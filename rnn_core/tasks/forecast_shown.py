"""What a report shows of forecasts: the last of them beside what came, and scores by step beside seasonal naive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import TimeSeries
from ..scores import Backtest
from ..written import printable
from .task import Exhibit, Picture, Table

DRAWN = 4
"""Series that are drawn, at most."""


def forecast_exhibits(series: Sequence[TimeSeries], report: Backtest, context: int) -> list[Exhibit]:
    """Return a picture of the last forecasts, and a table of scores by step.

    Parameters
    ----------
    series : sequence of TimeSeries
        Whose last steps the last origin's forecast is of.
    report : Backtest
    context : int
        Steps before the forecast that are shown, twice over.
    """
    shown = list(range(min(DRAWN, len(series))))

    def draw(figure: Any) -> None:
        from ..showing.pictures import BLUE, GREY, ORANGE, legend_below

        figure.set_size_inches(7.6, 2.6 * len(shown) + 0.5)
        panels = np.atleast_1d(figure.subplots(len(shown), 1))
        h = report.truth.shape[-1]
        for k, panel in zip(shown, panels, strict=True):
            values = series[k].values
            begin = max(0, len(values) - h - 2 * context)
            steps = np.arange(len(values) - h, len(values))
            panel.plot(np.arange(begin, len(values)), values[begin:], color="black", linewidth=1, label="is")
            if len(report.levels) > 1:
                low, high = report.quantiles[-1, k, :, 0], report.quantiles[-1, k, :, -1]
                share = report.levels[-1] - report.levels[0]
                panel.fill_between(steps, low, high, color=BLUE, alpha=0.2, linewidth=0, label=f"{share:.0%} interval")
            panel.plot(steps, report.forecast[-1, k], color=BLUE, label="forecast")
            panel.plot(steps, report.naive[-1, k], color=ORANGE, linestyle="--", label="seasonal naive")
            panel.axvline(steps[0] - 0.5, color=GREY, linewidth=0.8, linestyle=":")
            panel.set_title(printable(series[k].name, keep="")[:60], fontsize=10, loc="left")
        panels[-1].set_xlabel("step")
        legend_below(figure, panels[0])

    more = "" if len(series) <= DRAWN else f" Of {len(series):,} series the first {DRAWN} are shown."
    picture = Exhibit(
        "Forecasts", Picture("forecasts", draw, "series, the forecast of their last steps, and its interval"),
        f"The last forecast of each: what is behind the dotted line was not known to it.{more}",
    )  # fmt: skip
    return [picture, _by_step(report)]


def without_interval(levels: Sequence[float]) -> list[str]:
    """Return a sentence on forecasts that come without an interval, with the way to one, if they do.

    Parameters
    ----------
    levels : sequence of float
        Of the quantiles that are told.
    """
    if len(levels) > 1:
        return []
    why = "a single quantile is" if levels else "the network was trained by --loss squared, which is"
    return [
        f"no intervals: {why} a number for each step and nothing around it; train with --loss gaussian, or with "
        "--loss quantiles and two levels or more"
    ]


def left_out(report: Backtest) -> list[str]:
    """Return a sentence on forecasts that are in no score, if there are any."""
    if not report.left_out:
        return []
    every = report.naive[..., 0].size
    return [
        f"{report.left_out:,} of {every:,} forecasts, of a series from an origin, are in no score: no value stands "
        f"before them to begin from"
    ]


def _by_step(report: Backtest) -> Exhibit:
    h = report.truth.shape[-1]
    rows = []
    for step in sorted({*np.unique(np.linspace(1, h, min(h, 12)).round().astype(int)).tolist()}):
        if np.isnan(report.truth[..., step - 1]).all():
            continue
        scores = report.scores(step)
        row = [str(step)]
        for name in ("MASE", "sMAPE"):
            row += [_number(scores[name][who]) for who in ("forecast", "seasonal naive")]
        row.append(_number(100 * scores["coverage"]["forecast"]) if "coverage" in scores else "–")
        rows.append(row)
    headings = ("step", "MASE", "of seasonal naive", "sMAPE, %", "of seasonal naive", "within the interval, %")
    nominal = ""
    if len(report.levels) > 1:
        nominal = f" The interval should hold {100 * (report.levels[-1] - report.levels[0]):.4g} % of what comes."
    caption = (
        f"From {len(report.truth):,} origins, each forecast from what was known then. MASE is the error as a share of "
        f"what the season before was wrong by in the history; below its neighbour is better.{nominal}"
    )
    caption += "".join(f" {said[0].upper()}{said[1:]}." for said in without_interval(report.levels))
    if report.left_out:
        caption += f" Left out, with no value to begin from: {report.left_out:,} of {report.naive[..., 0].size:,}."
    return Exhibit("Step by step", Table(headings, rows, (0, 1, 2, 3, 4, 5)), caption)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3g}"
