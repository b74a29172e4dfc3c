"""What the tests of the CPU kernels share: settings forced for a test, and functions run in other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

from kernels.cpu import plan, shapes
from kernels.cpu.emitting import bfloat16
from kernels.cpu.products import calls, multiply
from tests.cases import Problem
from tests.conformance import Results

DOT = bool(llvm.get_host_cpu_features().get("avx512bf16"))
"""Whether this processor can multiply pairs of bfloat16."""

ROOT = Path(__file__).resolve().parents[3]


def forget_shapes() -> None:
    """Let the next call work out its plan anew."""
    for found in (shapes.forward_shape, shapes.backward_shape, calls.head_shape, multiply.plan):
        found.cache_clear()


@contextmanager
def settings(*, width: int | None = None, rounded: str | None = None, **of_plan: Any) -> Iterator[None]:
    """Force a vector width, a way to bfloat16 and constants of kernels.cpu.plan, such as SUM, on what runs inside."""
    with pytest.MonkeyPatch.context() as patch:
        if rounded is not None:
            patch.setattr(bfloat16, "host_operands", lambda: rounded)
        if width is not None:
            for module in (shapes, calls, multiply):
                patch.setattr(module, "host_width", lambda: width)
        for name, value in of_plan.items():
            patch.setattr(plan, name, value)
        forget_shapes()
        try:
            yield
        finally:
            forget_shapes()


def rows_of(problem: Problem, rows: slice) -> Problem:
    """Return a problem with some rows of its batch alone."""
    return problem._replace(
        x=problem.x[:, rows],
        state0=tuple(state[rows] for state in problem.state0),
        lengths=None if problem.lengths is None else problem.lengths[rows],
        dy=None if problem.dy is None else problem.dy[:, rows],
        dstate_T=tuple(None if d is None else d[rows] for d in problem.dstate_T),
    )


def results_of(results: Results, rows: slice) -> Results:
    """Return the part of some results that belongs to rows of the batch; parameters' gradients belong to no row."""
    ours = {name: value for name, value in results.items() if not name.startswith(("dweight", "dbias"))}
    return {name: value[:, rows] if value.ndim == 3 else value[rows] for name, value in ours.items()}


def keeps_subnormals() -> bool:
    """Whether this thread's arithmetic takes subnormal numbers for what they are."""
    numbers = np.full(64, 1e-40, np.float32)
    return bool((numbers * np.float32(1)).view(np.int32).all())


def in_a_process(function: Callable[[], None], limit: float = 300, **environment: str) -> str:
    """Run a test module's function in a process of its own, with warnings as errors; return what it has complained of.

    The limit in seconds measures nothing: a thread that waits in vain in compiled code can't be ended from inside.
    """
    code = f"from {function.__module__} import {function.__name__} as function; function()"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, env={**os.environ, **environment}, text=True,
        capture_output=True, timeout=limit, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stderr
