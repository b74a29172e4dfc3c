"""Every backend that has a `SoftmaxHead` against every check of tests/head_checks.py."""

from __future__ import annotations

import pytest

from rnn_core import backends
from tests.head_checks import CASES, CHECKS

HERE = [name for name in backends.available() if hasattr(backends.get(name), "softmax_head")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("backend", HERE)
def test_softmax_head(backend, dtype, case, check):
    precision = "bfloat16" if dtype == "bfloat16" else "float32"
    check(backends.get(backend).softmax_head(precision), case.question(dtype))


def test_the_kernels_on_the_host_have_one():
    assert "cpu" in HERE
