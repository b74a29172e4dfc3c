"""What is to be reached, as plain data, and how far the rows of a run have come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import exp, log
from typing import Any, NamedTuple

from .setting import BUSY

Row = dict[str, Any]
"""A row as plain data, as it stands in a file of results."""

Sections = dict[str, list[Row]]


def ratio(row: Row) -> Iterator[tuple[str, float]]:
    """Yield how much faster than its peer ours is, with the case's name."""
    if "ratio" in row:
        yield row["name"], row["ratio"]


def of(key: str) -> Callable[[Row], Iterator[tuple[str, float]]]:
    """Return what yields the ratio of one of several pairs of times in a row."""

    def ratio(row: Row) -> Iterator[tuple[str, float]]:
        if key in row:
            yield row["name"], row[key]["ratio"]

    return ratio


def bfloat16(row: Row) -> Iterator[tuple[str, float]]:
    """Yield torch's time in bfloat16 over ours."""
    if pair := row["ratios"].get("torch bfloat16"):
        yield row["name"], pair["ratio"]


def bfloat16_rms(row: Row) -> Iterator[tuple[str, float]]:
    """Yield torch's error in bfloat16 over ours."""
    if "torch bfloat16" in row["ratios"]:
        yield row["name"], row["ways"]["torch bfloat16"]["rms"] / row["ways"]["ours bfloat16"]["rms"]


def gradients_rms(row: Row) -> Iterator[tuple[str, float]]:
    """Yield the error of torch's gradients over that of ours, in bfloat16."""
    if row["errors"]:
        yield row["name"], row["errors"]["theirs"] / row["errors"]["ours"]


def share(row: Row) -> Iterator[tuple[str, float]]:
    """Yield the share of the machine's limit."""
    if "share" in row:
        yield row["name"], row["share"]


def rms(row: Row) -> Iterator[tuple[str, float]]:
    """Yield torch's error over ours, array by array."""
    for name, e in row["errors"].items():
        yield f"{row['name']}: {name}", e["their_rms"] / e["our_rms"]


class Target(NamedTuple):
    """A line of the summary: which rows it speaks of, what of them, and what that is to be."""

    name: str
    unit: str
    mean: float | None  # of the geometric mean, at least
    worst: float | None  # of each case
    sections: tuple[str, ...]
    selects: Callable[[Row], bool] = lambda row: True
    values: Callable[[Row], Iterator[tuple[str, float]]] = ratio


TORCH, ONNX, LIMIT = "torch ÷ ours", "ONNX Runtime ÷ ours", "share of the limit"


def _is(task: str, *cells: str) -> Callable[[Row], bool]:
    return lambda row: row["task"] == task and row["cell"] in cells


def _alone(least: int, most: int = 1 << 20) -> Callable[[Row], bool]:
    return lambda row: row["B"] == 1 and row["task"] == "inference" and least <= row["H"] <= most


def _small(row: Row) -> bool:
    return row["T"] <= 64 and row["B"] <= 8 and row["H"] <= 256


TARGETS = (
    Target("LSTM float32, inference", TORCH, 1.6, 1.05, ("float32",), _is("inference", "LSTM")),
    Target("LSTM float32, training", TORCH, 1.6, 1.1, ("float32",), _is("training", "LSTM")),
    Target("LSTM float32, odd shapes, inference", TORCH, 1.6, 1.05, ("odd",), _is("inference", "LSTM")),
    Target("LSTM float32, odd shapes, training", TORCH, 1.6, 1.1, ("odd",), _is("training", "LSTM")),
    Target("GRU and RNN, inference", TORCH, 4.0, 1.5, ("float32",), _is("inference", "GRU", "RNN")),
    Target("GRU and RNN, training", TORCH, 5.0, 1.5, ("float32",), _is("training", "GRU", "RNN")),
    Target("GRU and RNN, odd shapes, inference", TORCH, 4.0, 1.5, ("odd",), _is("inference", "GRU", "RNN")),
    Target("GRU and RNN, odd shapes, training", TORCH, 5.0, 1.5, ("odd",), _is("training", "GRU", "RNN")),
    Target("float64, all cells", TORCH, 2.5, 1.3, ("float64",)),
    Target("ragged, training", TORCH, 6.0, 2.0, ("ragged",), lambda row: row["task"] == "training"),
    Target("B = 1 inference, H 32–256", TORCH, 3.0, 1.4, ("float32", "single"), _alone(32, 256)),
    Target("LSTM float32, one thread, B ≥ 24", TORCH, 1.15, 1.0, ("one-thread",), lambda row: row["cell"] == "LSTM"),
    Target("LSTM and GRU inference, T 1–64, B 1–8, H 16–256", ONNX, 1.5, 1.0, ("onnxruntime",), _small),
    Target("LSTM and GRU inference, larger", ONNX, 1.1, 1.0, ("onnxruntime",), lambda row: not _small(row)),
    Target("whole training steps, float32", TORCH, 2.0, 1.2, ("steps",), lambda row: row["precision"] == "float32"),
    Target("whole training steps, bfloat16", TORCH, 1.5, 0.9, ("steps",), lambda row: row["precision"] == "bfloat16"),
    Target("bfloat16, inference", TORCH, 1.2, 0.9, ("precision",), values=bfloat16),
    Target("bfloat16 rms error", "torch's ÷ ours", None, 1 / 1.2, ("precision",), values=bfloat16_rms),
    Target("bfloat16 rms error of the gradients", "torch's ÷ ours", None, 1 / 1.2, ("steps",), values=gradients_rms),
    Target("loss at the last step, T = 256", TORCH, 10.0, None, ("last-step",), values=of("torch")),
    Target("loss at the last step, T = 256", "at every step ÷ at the last", None, 1 / 1.15, ("last-step",),
           values=of("every")),
    Target("FMA peak, one thread, B ≥ 32, H ≥ 256", LIMIT, 0.85, 0.8, ("one-thread",),
           lambda row: row["B"] >= 32 and row["H"] >= 256, share),
    Target("FMA peak, B ≥ 32, H ≥ 256", LIMIT, 0.85, 0.8, ("float32",),
           lambda row: row["B"] >= 32 and row["H"] >= 256, share),
    Target("streaming, B = 1", LIMIT, None, 0.7, ("float32", "single"), _alone(1), share),
    Target("streaming, B = 1, H ≥ 256", LIMIT, None, 0.7, ("float32", "single"), _alone(256), share),
    Target("float32 rms error", "torch's ÷ ours", None, 1.0, ("accuracy",), values=rms),
)  # fmt: skip
"""Each line's geometric mean and worst case."""


def geometric_mean(ratios: Iterable[float]) -> float:
    """Return the mean that treats twice as fast and half as fast alike."""
    logarithms = [log(ratio) for ratio in ratios]
    return exp(sum(logarithms) / len(logarithms))


def disturbed(row: Row) -> bool:
    """Whether other processes took so much of the cores that a ratio tells nothing."""
    return (row.get("others") or 0) > BUSY


def summary(sections: Sections) -> list[dict[str, Any]]:
    """Return the lines that have rows, as plain data. Disturbed rows are left out: they would flatter us."""
    lines: list[dict[str, Any]] = []
    for target in TARGETS:
        rows = [row for name in target.sections for row in sections.get(name, [])]
        rows = [row for row in rows if target.selects(row) and not disturbed(row)]
        found = dict(value for row in rows for value in target.values(row))
        if not found:
            continue
        mean, worst = geometric_mean(found.values()), min(found, key=lambda name: found[name])
        lines.append(
            {
                "what": target.name,
                "unit": target.unit,
                "cases": len(found),
                "mean": mean,
                "mean_target": target.mean,
                "worst": found[worst],
                "worst_target": target.worst,
                "worst_case": worst,
                "reached": mean >= (target.mean or 0) and found[worst] >= (target.worst or 0),
            }
        )
    return lines
