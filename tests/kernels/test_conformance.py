"""Every backend, cell, dtype and case against every check of tests/conformance.py.

A backend that is not there is not tried; a new one needs no change here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pytest

from kernels.contract import CELLS, Parameters
from rnn_core import backends
from tests.cases import CASES, Case
from tests.conformance import CHECKS

EXPECTED_FAILURES: dict[str, str] = {}
"""Patterns of test ids (backend/cell/dtype/case/check) that must fail, each with its reason."""


ROUNDED = ("plain", "tails-of-tiles", "no-biases", "ragged-odd-H", "ragged-from-states")
"""Cases in precision "bfloat16", whose layouts, limits and checks are those of float32."""


def cases(backend: str, dtype: str) -> list[Case]:
    """Return what is tried of a backend and dtype."""
    if dtype == "bfloat16":
        return [case for case in CASES if backend != "cuda" and case.name in ROUNDED]
    return list(CASES)


def grid() -> Iterator[Any]:
    for backend in backends.available():
        for cell in CELLS:
            for dtype in ("float32", "float64", "bfloat16"):
                for case in cases(backend, dtype):
                    for check in CHECKS:
                        name = "/".join((backend, cell, dtype, case.name, check.__name__.removeprefix("check_")))
                        reasons = [r for pattern, r in EXPECTED_FAILURES.items() if fnmatchcase(name, pattern)]
                        marks = [pytest.mark.xfail(reason=reason) for reason in reasons]
                        yield pytest.param(backend, cell, dtype, case, check, id=name, marks=marks)


@pytest.mark.parametrize(("backend", "cell", "dtype", "case", "check"), list(grid()))
def test_cell(backend, cell, dtype, case, check):
    problem = case.problem(cell, dtype, backends.namespace(backend))
    check(backends.get(backend).cell(cell, problem.precision), problem)


@pytest.mark.parametrize("backend", backends.available())
def test_backend(backend):
    """Rules 1 and 2: a backend knows its name, provides every cell, and refuses another by a list of them."""
    module = backends.get(backend)
    assert backend == module.NAME
    for cell in CELLS:
        assert all(callable(getattr(module.cell(cell), function)) for function in ("infer", "forward", "backward"))
    with pytest.raises(ValueError, match=", ".join(CELLS)):
        module.cell("perceptron")
    with pytest.raises(ValueError, match="precision must be 'float32' or 'bfloat16', got 'float16'"):
        module.cell("gru", "float16")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", backends.available())
def test_limits(backend, dtype):
    """(A1), (A2): far out, and at infinity, σ is 0 or 1 and tanh −1 or 1, to the bit and on every backend."""
    xp, module = backends.namespace(backend), backends.get(backend)
    ends = np.array([-np.inf, -1e30, -1e4, -104, 104, 1e4, 1e30, np.inf])
    x = ends if dtype == "float32" else np.where(np.isinf(ends), ends, ends * 10)
    x = xp.asarray(x.reshape(1, -1, 1), dtype=dtype)
    high = (x > 0).astype(dtype)[0]

    def infer(cell: str, weight: float, c0: float = 0.0) -> tuple[Any, ...]:
        spec = CELLS[cell]
        W_x = xp.full((spec.gate_count, 1), weight, dtype=dtype)
        W_h = xp.zeros((spec.gate_count, 1), dtype=dtype)
        state0 = tuple(xp.full((x.shape[1], 1), c0, dtype=dtype) for _ in spec.states)
        return module.cell(cell).infer(Parameters(W_x, W_h, None, None), x, state0)[1]

    assert (infer("rnn_sigmoid", 1.0)[0] == high).all()
    assert (infer("rnn_tanh", 1.0)[0] == 2 * high - 1).all()
    assert (infer("lstm", 1.0, 3.0)[1] == high * 4).all()  # f·3 + i·g is 1·3 + 1·1, or 0·3 − 0·1
    assert (infer("gru", 1.0, 3.0)[0] == high * 3 - (1 - high)).all()  # (1 − z)·n + z·3


def test_every_expected_failure_is_one():
    """A pattern that matches no test of a backend that is there has outlived its reason."""
    names = [parameters.id for parameters in grid()]
    here = [pattern for pattern in EXPECTED_FAILURES if pattern.split("/")[0] in backends.available()]
    assert all(any(fnmatchcase(name, pattern) for name in names) for pattern in here)
