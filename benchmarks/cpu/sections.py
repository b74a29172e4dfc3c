"""Every part of the benchmark by the name that ``--section`` takes: its cases, and what measures one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .. import cases
from .layers import accuracy, frozen, grid, last_step, memory, onnx_grid, precision
from .setting import Setting
from .steps import cases as steps
from .steps import measuring


class Section(NamedTuple):
    """A part of the benchmark. Its cases have a `name`; its rows have `line()` and `as_dict()`."""

    cases: Callable[[bool], Sequence[Any]]  # of a quick run, or of a full one
    measure: Callable[[Setting, Any], Any]
    threads: int | None = None  # None: as many as the run has


OTHERWISE = {"frozen": frozen.measure, "memory": memory.measure, "accuracy": accuracy.measure}
"""What measures the sections of `benchmarks.cases` that are no times beside torch's."""


def _of_cells(name: str) -> Section:
    """Return a section of `benchmarks.cases`."""

    def chosen(quick: bool) -> list[cases.Case]:
        return list(cases.cases(quick, [name]))

    return Section(chosen, OTHERWISE.get(name, grid.measure), cases.SECTIONS[name].threads)


SECTIONS: dict[str, Section] = {
    **{name: _of_cells(name) for name in cases.SECTIONS},
    "last-step": Section(last_step.cases, last_step.measure),
    "onnxruntime": Section(onnx_grid.cases, onnx_grid.measure),
    "precision": Section(precision.cases, precision.measure),
    "steps": Section(steps.chosen, measuring.measure),
}
"""In the order in which they are measured."""
