"""Every backend, cell, dtype and case against every check of tests/conformance.py.

A backend that is not there is not tried; a new one needs no change here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from kernels.contract import CELLS
from rnn_core import backends
from tests.cases import CASES
from tests.conformance import CHECKS

EXPECTED_FAILURES: dict[str, str] = {}
"""Patterns of test ids (backend/cell/dtype/case/check) that must fail, each with its reason."""


def grid() -> Iterator[Any]:
    for backend in backends.available():
        for cell in CELLS:
            for dtype in ("float32", "float64"):
                for case in CASES:
                    for check in CHECKS:
                        name = "/".join((backend, cell, dtype, case.name, check.__name__.removeprefix("check_")))
                        reasons = [r for pattern, r in EXPECTED_FAILURES.items() if fnmatchcase(name, pattern)]
                        marks = [pytest.mark.xfail(reason=reason) for reason in reasons]
                        yield pytest.param(backend, cell, dtype, case, check, id=name, marks=marks)


@pytest.mark.parametrize(("backend", "cell", "dtype", "case", "check"), list(grid()))
def test_cell(backend, cell, dtype, case, check):
    check(backends.get(backend).cell(cell), case.problem(cell, dtype, backends.namespace(backend)))


@pytest.mark.parametrize("backend", backends.available())
def test_backend(backend):
    """Rules 1 and 2: a backend knows its name, provides every cell, and refuses another by a list of them."""
    module = backends.get(backend)
    assert backend == module.NAME
    for cell in CELLS:
        assert all(callable(getattr(module.cell(cell), function)) for function in ("infer", "forward", "backward"))
    with pytest.raises(ValueError, match=", ".join(CELLS)):
        module.cell("perceptron")


def test_every_expected_failure_is_one():
    """A pattern that matches no test of a backend that is there has outlived its reason."""
    names = [parameters.id for parameters in grid()]
    here = [pattern for pattern in EXPECTED_FAILURES if pattern.split("/")[0] in backends.available()]
    assert all(any(fnmatchcase(name, pattern) for name in names) for pattern in here)
