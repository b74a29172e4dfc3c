"""Every case of the benchmark once, short, on several processes: its kernels are on disk when it is measured.

How a kernel is cut depends on the batch and the sizes, so the grid needs a couple of hundred of them, at a second or
two each. One process would do nothing else for most of the time there is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.cases import Case

from . import ways
from .benchmark import inputs, ours
from .device import Device
from .grid import grid

STEPS = 2


def items(device: Device, quick: bool, only: list[str]) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return every case by name."""
    cases = [Case(**fields) for fields in grid(quick, only)]
    compiled = [(case.name, partial(run, device, case._replace(T=STEPS))) for case in cases]
    return compiled + ways.items(device, quick, only, STEPS)


def run(device: Device, case: Case) -> dict[str, Any]:
    """Run a case."""
    ours(device, case, *inputs(device, case, sets=1)).call(0)
    return {}
