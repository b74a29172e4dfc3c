"""Inference in lower precision: ours, torch's and ONNX Runtime's, with errors beside the times.

The error is that against the equations in float64, of the same weights. A way that a library or this machine doesn't
have is left out, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import rnn_core

from ...cases import Case
from ...sides import layer_of
from ...timing import Pair, paired
from ..peers import onnx_side, torch_side
from ..setting import Setting

SHAPES = ((64, 1, 128), (64, 1, 512), (16, 8, 128), (64, 32, 256), (35, 32, 512), (20, 128, 512), (16, 64, 1024))
QUICK = ((7, 8, 16),)
CELLS = ("LSTM", "GRU")

PRECISIONS = ("float32", "bfloat16", "int8")
PASSES = {"float32": 1e-4, "bfloat16": 0.05, "int8": 0.2}
"""Our largest error, relative to the largest element, that passes as rounding."""

ROUNDS = 5

Way = Callable[[], np.ndarray]


class Error(NamedTuple):
    """How far a result is from that in float64."""

    largest: float  # relative to the largest element
    rms: float  # relative to the root mean square


class Row(NamedTuple):
    """A case in every way that there is, by "ours bfloat16" and the like."""

    case: Case
    seconds: dict[str, float]
    errors: dict[str, Error]
    ratios: dict[str, Pair]  # a peer's way: its time over that of ours in the same precision
    absent: dict[str, str]  # with the reason
    others: float | None = None  # what other processes took of the cores meanwhile

    @property
    def agrees(self) -> bool:
        """Whether all that we have works, and our errors are those of rounding."""
        failed = any(_is_ours(name) and not why.startswith("NotImplemented") for name, why in self.absent.items())
        mine = {name.split()[1]: error.largest for name, error in self.errors.items() if _is_ours(name)}
        return not failed and all(largest <= PASSES[name] for name, largest in mine.items())  # nor is NaN

    def line(self) -> str:
        """Return the row as a line of text, for progress."""
        told = [f"{name} {1e3 * self.seconds[name]:.3g} ms ±{self.errors[name].rms:.0e}" for name in self.seconds]
        missing = "".join(f"; no {name}: {why}" for name, why in self.absent.items())
        return f"{self.case.name}: {', '.join(told)}{missing}" + ("" if self.agrees else "; DIFFERS, or fails")

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        ways = {name: {"seconds": self.seconds[name], **error._asdict()} for name, error in self.errors.items()}
        ratios = {name: pair._asdict() for name, pair in self.ratios.items()}
        told = {"agrees": self.agrees, "absent": self.absent, "others": self.others}
        return {**self.case.as_dict(), "ways": ways, "ratios": ratios, **told}


def cases(quick: bool) -> list[Case]:
    """Return every case."""
    shapes = QUICK if quick else SHAPES
    return [Case(cell, "precision", *shape, section="precision") for cell in CELLS for shape in shapes]


def measure(setting: Setting, case: Case) -> Row:
    """Compute a case in every way, then time those in turn."""
    exact = layer_of(case, "numpy").astype(np.float64)(case.input().astype(np.float64))[0]
    ways, absent, errors = {}, {}, {}
    for owner, make in WAYS.items():
        for precision in PRECISIONS:
            name = f"{owner} {precision}"
            try:
                ways[name] = make(setting, case, precision)
                errors[name] = error(ways[name](), exact)
            except Exception as reason:  # noqa: BLE001  # one way's failure is a result; the others go on
                ways.pop(name, None)
                absent[name] = f"{type(reason).__name__}: {' '.join(str(reason).split())[:200]}"
    blocks, others = setting.in_turn(list(ways.values()), pairs=2 if setting.quick else ROUNDS)
    times = dict(zip(ways, blocks, strict=True))
    pairs = {
        name: paired(times[mine], times[name])
        for name in ways
        if not _is_ours(name) and (mine := f"ours {name.split()[-1]}") in times
    }
    seconds = {name: float(np.median(found)) for name, found in times.items()}
    return Row(case, seconds, errors, pairs, absent, others)


def ours(setting: Setting, case: Case, precision: str) -> Way:
    """Return our inference."""
    x, layer = case.input(), layer_of(case, setting.backend)
    if precision == "bfloat16":
        layer = layer.astype(np.float32, precision=precision)
    elif precision == "int8":
        layer = rnn_core.quantize(layer)
    return lambda: layer(x)[0]


WAYS: dict[str, Callable[[Setting, Case, str], Way]] = {
    "ours": ours, "torch": torch_side.inference, "ONNX Runtime": onnx_side.inference,
}  # fmt: skip
"""What makes an inference in a precision, or raises."""


def error(found: np.ndarray, exact: np.ndarray) -> Error:
    """Return how far a result is from the exact one."""
    apart = found - exact
    return Error(float(abs(apart).max() / abs(exact).max()), float(np.sqrt(np.mean(apart**2) / np.mean(exact**2))))


def _is_ours(name: str) -> bool:
    return name.startswith("ours")
