"""The rules of `kernels.contract` on the device: every check, cell, dtype and case of tests/, and some large ones.

Before each check the memory that the next arrays get is filled with NaN: nothing may be taken for zero that nobody
has written.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from kernels.contract import CELLS
from kernels.definition import Definition
from rnn_core import backends, equations
from tests.cases import CASES, Case, Problem
from tests.conformance import CHECKS, check_equations, check_infer, host
from tests.conformance import run as run_problem
from tests.kernels.cuda.defined_cells import Apart, Call, Held, Masked, assert_equations
from tests.kernels.cuda.staged_cells import Narrow, Shared

from . import small
from .device import Device


def ragged(T: int, B: int) -> tuple[int, ...]:
    """Return lengths of rows, any order, the longest among them."""
    lengths = np.random.default_rng(B).integers(1, T + 1, B)
    lengths[B // 2] = T
    return tuple(int(length) for length in lengths)


LARGE = (
    Case("large-odd", T=33, B=31, I=100, H=200, lengths=ragged(33, 31)),
    Case("large-one-row", T=64, B=1, I=1024, H=1024),
    Case("large-batch", T=20, B=64, I=64, H=257),
    Case("large", T=64, B=64, I=512, H=1024, lengths=ragged(64, 64)),
    Case("large-few-rows", T=64, B=8, I=256, H=512, lengths=ragged(64, 8)),
)
"""Shapes that fill the device, for the first check alone: the equations on the host take their time."""

TENSOR_ERROR = 1e-2
"""Of TF32's ten bits, through some steps and sums: relative to the largest number of a result."""


def items(device: Device, quick: bool, only: list[str]) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """Return every check by name. Cells and dtypes take turns: of ten processes each has its own."""
    backends.get(device.backend)
    pairs: list[tuple[Callable[..., None], Case]]
    # The sanitizer's first: their kernels are on disk then, and its time is not spent on compiling.
    pairs = [(check, case) for check in (check_equations, check_infer) for case in small.CASES]
    pairs += [(check_equations, case) for case in (CASES[:2] if quick else (*CASES, *LARGE))]
    if not quick:
        pairs += [(check, case) for check in CHECKS if check is not check_equations for case in CASES]
    found: list[tuple[str, Callable[[], dict[str, Any]]]] = []
    for (check, case), dtype, cell in product(pairs, ("float32", "float64"), CELLS):
        if case in LARGE and (cell, dtype) == ("rnn_relu", "float32"):
            # Of millions of units some are so near 0 that rounding decides the sign, and with it the gradient.
            check = check_infer
        name = f"{cell}/{dtype}/{case.name}/{check.__name__.removeprefix('check_')}"
        found.append((name, partial(run, device, check, case, cell, dtype)))
    if device.backend == "cuda":
        for way, case, dtype, cell in product(("stepwise", "tensor"), (*CASES, *LARGE), ("float32", "float64"), CELLS):
            if way == "stepwise" and cell != "rnn_relu":
                name, check = f"{cell}/{dtype}/{case.name}/stepwise", check_equations
            elif way == "tensor" and (dtype, case.saturation) == ("float32", 0) and cell != "rnn_relu":
                name, check = f"{cell}/{dtype}/{case.name}/tensor", check_three_digits
            else:
                continue
            found.append((name, partial(run, device, check, case, cell, dtype, way)))
    ways = ("", "stepwise") if device.backend == "cuda" else ("",)
    for kind, dtype, way in product((Held, Apart, Masked), ("float32", "float64"), ways):
        name = f"{kind.__name__}/{dtype}/defined{f'/{way}' if way else ''}"
        found.append((name, partial(run_defined, device, kind.definition, dtype, way)))
    if device.backend == "cuda":
        for kind, dtype in product((Shared, Narrow), ("float32", "float64")):
            found.append((f"{kind.__name__}/{dtype}/defined", partial(run_defined, device, kind.definition, dtype, "")))
    return found


def check_three_digits(cell: Any, problem: Problem) -> None:
    """In the tensor cores every result is that of the equations, up to the rounding to TF32."""
    found = run_problem(cell, problem)
    exact = problem.map(lambda array: host(array).astype(np.float64))
    for name, expected in run_problem(equations.cell(problem.cell), exact).items():
        error = np.abs(host(found[name]) - expected).max()
        if not error <= TENSOR_ERROR * np.abs(expected).max() + 1e-30:
            raise AssertionError(f"{name}: off by {error:.1e}")


def run(
    device: Device, check: Callable[..., None], case: Case, cell: str, dtype: str, way: str = ""
) -> dict[str, Any]:
    """Make one check; it raises where a rule is broken. `way` is one that the plan might not take."""
    problem = case.problem(cell, dtype, device.xp)
    device.poison()
    core = backends.get(device.backend).cell(cell)
    check(core._replace(way=way) if way else core, problem)
    return {}


def run_defined(device: Device, definition: Definition, dtype: str, way: str) -> dict[str, Any]:
    """Check a cell that a user has defined: every result is that of its equations."""
    call = Call(definition, dtype, T=9, B=7, I=5, H=40, lengths=ragged(9, 7)).map(device.xp.asarray)
    device.poison()
    core: Any = backends.get(device.backend).defined_cell(definition)
    assert_equations(call.run(core._replace(way=way) if way else core), call)
    return {}
