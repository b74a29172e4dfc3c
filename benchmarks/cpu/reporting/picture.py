"""The picture: torch ÷ ours by shape, and a roofline."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from rnn_core.atomic import write_atomically

from ...cases import CELLS
from ..limits import LEVELS
from ..rows import Findings, Row
from .report import size_in_words

COLOURS = {"RNN": "#0072b2", "LSTM": "#d55e00", "GRU": "#009e73"}
MARKS = {"RNN": "o", "LSTM": "s", "GRU": "^"}
"""Told apart without colour too."""

TASKS = ("inference", "training")


def write(path: Path, found: Findings) -> None:
    """Draw the float32 section, or whatever was timed where there is none, without disturbed rows."""
    timed = [row for row in found.rows if row.pair and not row.disturbed]
    rows = [row for row in timed if row.case.section == "float32"] or timed
    if not rows:
        raise ValueError("--picture needs rows that agree and were not disturbed; there are none")
    # The object-oriented way: no window system, no global state.
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(15, 15), layout="constrained")
    grid = figure.add_gridspec(3, 2, height_ratios=(1, 1, 1.15))
    for k, task in enumerate(TASKS):
        _ratios(figure.add_subplot(grid[k, :]), task, [row for row in rows if row.case.task == task])
    for k, task in enumerate(TASKS):
        _roofline(figure.add_subplot(grid[2, k]), task, [row for row in rows if row.case.task == task], found.limits)
    machine = found.machine
    figure.suptitle(
        f"rnn_core beside torch {machine['torch']} on {machine['cpu']}, {machine['threads']} threads, "
        f"{machine['date']}; {rows[0].case.dtype}, input size = hidden size"
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_atomically(path, buffer.getvalue(), where="benchmarks --picture")


def _ratios(axes: Any, task: str, rows: list[Row]) -> None:
    """Draw one point for each shape and cell, the quartiles as a bar."""
    shapes = list(dict.fromkeys((row.case.T, row.case.B, row.case.H) for row in rows))
    shapes.sort(key=lambda shape: (shape[1], shape[2], shape[0]))
    for offset, cell in zip((-0.2, 0.0, 0.2), CELLS, strict=True):
        points = [(shapes.index((c.T, c.B, c.H)) + offset, pair) for c, _, _, pair, *_ in _of(rows, cell) if pair]
        if points:
            x, ratio = [x for x, _ in points], np.array([pair.ratio for _, pair in points])
            spread = [ratio - [pair.low for _, pair in points], [pair.high for _, pair in points] - ratio]
            axes.errorbar(
                x, ratio, yerr=np.maximum(spread, 0), fmt=MARKS[cell], color=COLOURS[cell], label=cell, ms=6, lw=1
            )
    axes.axhline(1, color="black", lw=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(_ticker("LogLocator")(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(_ticker("FormatStrFormatter")("%g"))
    axes.yaxis.set_minor_formatter(_ticker("NullFormatter")())
    axes.set_xticks(range(len(shapes)), [f"{T}, {B}, {H}" for T, B, H in shapes], rotation=60, ha="right")
    axes.set_xlim(-0.6, max(len(shapes), 1) - 0.4)
    axes.set_xlabel("T, B, H")
    axes.set_ylabel("torch's time ÷ ours")
    axes.set_title(f"{task}: above 1 ours is faster")
    axes.grid(alpha=0.3)
    if rows:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)  # above: it hides no point


def _roofline(axes: Any, task: str, rows: list[Row], limits: dict[str, Any]) -> None:
    """Draw achieved operations a second against operations for each byte of weights, under the measured limits."""
    for cell in CELLS:
        timed = [(row.work, row.pair) for row in _of(rows, cell) if row.work and row.pair]
        points = [(work.intensity, work.flops / pair.ours / 1e9) for work, pair in timed]
        if points:
            axes.plot(*zip(*points, strict=True), MARKS[cell], color=COLOURS[cell], label=cell, alpha=0.8)
    if rows:
        peak = limits["flops_per_second"][rows[0].case.dtype] / 1e9
        reach = [row.work.intensity for row in rows if row.work]
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
    return [row for row in rows if row.case.cell == cell]


def _ticker(name: str) -> Any:
    return getattr(importlib.import_module("matplotlib.ticker"), name)
