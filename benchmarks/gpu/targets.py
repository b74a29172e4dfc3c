"""What the kernels are to reach, as plain data, how far the rows have come, and the least time of a step."""

from __future__ import annotations

from collections.abc import Callable
from statistics import geometric_mean
from typing import Any, NamedTuple

from .grid import grid

Row = dict[str, Any]
"""A timed case, as benchmark.py returns it."""

L2_RATE = 5.5e12
"""Bytes a second out of the level-2 cache of an H100: an estimate from published measurements, not measured here."""

MULTIPROCESSORS = 132
"""An H100's, where the device was not asked."""


class Target(NamedTuple):
    """A line of the summary: which rows it speaks of, and what torch ÷ ours is to be in every one of them."""

    name: str
    least: float
    selects: Callable[[Row], bool]


def _headline(cell: str, task: str) -> Callable[[Row], bool]:
    return lambda row: (
        (row["cell"], row["task"], row["dtype"], row["ragged"]) == (cell, task, "float32", False)
        and 256 <= row["H"] <= 1024
        and row["B"] <= 32
        and row["T"] >= 128
    )


TARGETS = (
    *(Target(f"{cell} inference", 2.0, _headline(cell, "inference")) for cell in ("LSTM", "GRU", "RNN")),
    *(Target(f"{cell} training step", 1.5, _headline(cell, "training")) for cell in ("LSTM", "GRU")),
    Target("RNN training step", 2.0, _headline("RNN", "training")),
    Target("the whole grid", 0.8, lambda row: True),
)
"""torch (cuDNN, TF32 off) ÷ ours. All but the last: float32, H 256 to 1024, B ≤ 32, T ≥ 128."""


def summary(rows: list[Row]) -> list[dict[str, Any]]:
    """Return a line for each target, as plain data.

    A target is reached if every case of the grid that it speaks of was measured and none is below it. A row that
    differs from torch's results has no time, and leaves its target behind.
    """
    lines = []
    for target in TARGETS:
        chosen = [row for row in rows if target.selects(row)]
        found = {row["name"]: row["ratio"] for row in chosen if row["agrees"]}
        wanted = sum(map(target.selects, grid()))
        worst = min(found, key=lambda name: found[name], default=None)
        good = worst is not None and found[worst] >= target.least and len(found) == len(chosen)
        verdict = "behind" if not good else "reached" if len(found) >= wanted else "reached so far"
        lines.append(
            {
                "what": target.name,
                "cases": len(found),
                "planned": wanted,
                "wrong": len(chosen) - len(found),
                "mean": geometric_mean(found.values()) if found else None,
                "worst": found[worst] if worst else None,
                "worst_case": worst,
                "target": target.least,
                "verdict": verdict if chosen else "not run",
            }
        )
    return lines


def floor(row: Row, facts: dict[str, Any]) -> float | None:
    """Return the least seconds of a step of the recurrence, None where the device's rates are not known.

    ::

        inference    max(2·B·G·H² / rate,          SMs · B·H·size / L2)
        training     max(3 · the same,             SMs · (1 + G) · B·H·size / L2)

    In the forward every multiprocessor reads all of h_{t−1} through the level-2 cache; in the backward all of da_{t+1},
    G times as long. A training step has three products as large as h·W_h. The input's products are not counted.
    """
    rate = facts.get(f"{row['dtype']}_flops_per_second")
    if rate is None:
        return None
    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[row["cell"]]
    B, H, size = row["B"], row["H"], 8 if row["dtype"] == "float64" else 4
    arithmetic = 2.0 * B * gates * H * H / rate
    reading = (facts.get("multiprocessors") or MULTIPROCESSORS) * B * H * size / L2_RATE
    if row["task"] == "training":
        arithmetic, reading = 3 * arithmetic, (1 + gates) * reading
    return max(arithmetic, reading)
