"""The picture: torch ÷ ours by shape, and a roofline."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.atomic import write_atomically

from ...cases import CELLS, SECTIONS, TIMED
from ..limits import LEVELS
from ..targets import Row, disturbed
from .tables import Data, size_in_words

COLOURS = {"RNN": "#0072b2", "LSTM": "#d55e00", "GRU": "#009e73"}
MARKS = {"RNN": "o", "LSTM": "s", "GRU": "^"}
"""Told apart without colour too."""

TASKS = ("inference", "training")


def write(path: Path, data: Data) -> None:
    """Draw the float32 section, or the first that was timed where there is none, without disturbed rows."""
    timed = [[row for row in data["sections"].get(name, []) if "ratio" in row and not disturbed(row)] for name in TIMED]
    rows = next(filter(None, timed), [])
    if not rows:
        raise ValueError("--picture needs rows that agree and were not disturbed; there are none")
    machine = data["machine"]
    limits = data["limits"][str(SECTIONS[rows[0]["section"]].threads or machine["threads"])]
    # The object-oriented way: no window system, no global state.
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(15, 15), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=(1, 1, 1.15))
    for k, task in enumerate(TASKS):
        _ratios(figure.add_subplot(grid[k, :]), task, [row for row in rows if row["task"] == task])
    for k, task in enumerate(TASKS):
        _roofline(figure.add_subplot(grid[2, k]), task, [row for row in rows if row["task"] == task], limits)
    figure.suptitle(
        f"rnn_core beside torch {machine['torch']} on {machine['cpu']}, {machine['threads']} threads, "
        f"{machine['date']}; {rows[0]['dtype']}"
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomically(path, buffer.getvalue(), where="benchmarks --picture")


def _ratios(axes: Any, task: str, rows: list[Row]) -> None:
    """Draw one point for each shape and cell, the quartiles as a bar."""
    shapes = sorted({_sizes(row) for row in rows}, key=lambda shape: (shape[1], shape[3], shape[0], shape[2]))
    for offset, cell in zip((-0.2, 0.0, 0.2), CELLS, strict=True):
        points = _of(rows, cell)
        if points:
            x = [shapes.index(_sizes(row)) + offset for row in points]
            ratio, low, high = (np.array([row[key] for row in points]) for key in ("ratio", "low", "high"))
            spread = [ratio - low, high - ratio]
            axes.errorbar(
                x, ratio, yerr=np.maximum(spread, 0), fmt=MARKS[cell], color=COLOURS[cell], label=cell, ms=6, lw=1
            )
    axes.axhline(1, color="black", lw=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(_ticker("LogLocator")(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(_ticker("FormatStrFormatter")("%g"))
    axes.yaxis.set_minor_formatter(_ticker("NullFormatter")())
    axes.set_xticks(range(len(shapes)), [", ".join(map(str, shape)) for shape in shapes], rotation=60, ha="right")
    axes.set_xlim(-0.6, max(len(shapes), 1) - 0.4)
    axes.set_xlabel("T, B, I, H")
    axes.set_ylabel("torch's time ÷ ours")
    axes.set_title(f"{task}: above 1 ours is faster")
    axes.grid(alpha=0.3)
    if rows:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)  # above: it hides no point


def _roofline(axes: Any, task: str, rows: list[Row], limits: dict[str, Any]) -> None:
    """Draw achieved operations a second against operations for each byte of weights, under the measured limits."""
    for cell in CELLS:
        points = [(row["flops"] / row["bytes"], row["flops"] / row["ours"] / 1e9) for row in _of(rows, cell)]
        if points:
            axes.plot(*zip(*points, strict=True), MARKS[cell], color=COLOURS[cell], label=cell, alpha=0.8)
    if rows:
        peak = limits["flops_per_second"][rows[0]["dtype"]] / 1e9
        reach = [row["flops"] / row["bytes"] for row in rows]
        low, high = min(*reach, 0.5) / 2, max(reach) * 2
        axes.plot((low, high), (peak, peak), color="black", lw=1.5, label=f"FMA peak, {peak:.0f} GFLOP/s")
        rates = limits["bytes_per_second_by_bytes_a_thread"]
        for level, style in zip(LEVELS, ("-", "--", "-.", ":"), strict=True):
            if str(level) in rates:
                rate = rates[str(level)] / 1e9
                name = f"{size_in_words(level)} a thread, {rate:.0f} GB/s"
                ridge = min(max(peak / rate, low), high)
                axes.plot((low, ridge), (low * rate, ridge * rate), style, color="grey", lw=1.2, label=name)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=9, frameon=False)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations for each byte of weights read")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"{task}: what the machine allows, and what is reached")
    axes.grid(alpha=0.3, which="both")


def _of(rows: list[Row], cell: str) -> list[Row]:
    return [row for row in rows if row["cell"] == cell]


def _sizes(row: Row) -> tuple[int, int, int, int]:
    return row["T"], row["B"], row["I"], row["H"]


def _ticker(name: str) -> Any:
    return getattr(importlib.import_module("matplotlib.ticker"), name)
