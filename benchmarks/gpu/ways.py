"""Each way through a sequence beside what the plan expects of it.

The constants of kernels/cuda/planning/plan.py are set from this. Ours alone, one cell, no layer around it: a forward
that keeps a tape, and the backward; microseconds a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from rnn_core import backends
from tests.cases import Case

from .device import Device

WAYS = ("persistent", "tensor", "stepwise")
SHAPES = tuple((B, H) for H in (512, 1024, 256) for B in (32, 1, 8, 128))
T, CALLS = 64, 7


def items(device: Device, quick: bool, only: list[str], steps: int = T) -> list[tuple[str, Callable[[], Any]]]:
    """Return every cell and shape by name; none where the backend has one way alone."""
    if device.backend != "cuda":
        return []
    shapes = SHAPES[:1] if quick else SHAPES
    return [
        (f"{cell} B={B} H={H}", partial(run, device, cell, B, H, steps))
        for cell in ("lstm", "gru", "rnn_tanh")
        for B, H in shapes
    ]


def run(device: Device, cell: str, B: int, H: int, steps: int) -> dict[str, Any]:
    """Time each way that there is."""
    return {"cell": cell, "B": B, "H": H, "T": steps, "ways": dict(ways(device, cell, B, H, steps))}


def ways(device: Device, cell: str, B: int, H: int, steps: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the times and the estimates of each way that there is, in microseconds a step."""
    problem = Case("timed", T=steps, B=B, I=16, H=H).problem(cell, "float32", device.xp)
    backend = backends.get(device.backend)
    for way in WAYS:
        ours = backend.cell(cell)._replace(way=way)
        try:
            expected = [ours.choice(direction, B, H, np.dtype("float32")) for direction in ("forward", "backward")]
        except ValueError:
            continue  # the weights don't fit on the chip
        *_, tape = ours.forward(problem.params, problem.x, problem.state0)
        backward = problem.params, tape, problem.dy, problem.dstate_T, frozenset({"h0"})
        calls: dict[str, Callable[[], Any]] = {
            "forward": partial(ours.forward, problem.params, problem.x, problem.state0),
            "backward": partial(ours.backward, *backward),
        }
        times = {name: 1e6 / steps * median(device.times([call] * CALLS)[0][1:]) for name, call in calls.items()}
        yield way, times | {f"expected {name}": e.microseconds for name, e in zip(calls, expected, strict=True)}
