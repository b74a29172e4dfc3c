"""Checks of the variants, each of which fails with an AssertionError where the code is wrong."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from rnn_core.checking.cells import check_step
from rnn_core.layers.defined import SHIPPED, shipped
from rnn_core.variants import scan


def variant_step(name: str) -> None:
    """The gradient check of a variant's step: complex step, 1e-12; of the functions that its file has now."""
    kind, file = shipped(name), import_module(SHIPPED[name])
    its: Any = kind.dropped or kind.definition
    functions: Any = tuple(each._replace(function=getattr(file, each.function.__name__)) for each in its.functions)
    now: Any = SimpleNamespace(
        __name__=name, file=kind.file, definition=replace(its, functions=functions), defaults=kind.defaults,
        initial=kind.initial, dropped=None,
    )  # fmt: skip
    report = check_step(now)
    assert report, f"\n{report}"


def all_steps_at_once() -> None:
    """The scan's states are the loop's, and its gradient is the complex step's."""
    rng = np.random.default_rng(0)
    A, b, dh = (rng.uniform(0.5, 1, (5, 2, 3)) for _ in range(3))
    h0 = rng.standard_normal((2, 3))

    def loss(A: np.ndarray, b: np.ndarray, h: np.ndarray) -> Any:
        total = 0
        for t in range(len(A)):
            h = A[t] * h + b[t]
            total += (dh[t] * h).sum()
        return total

    h = scan.scan(scan.Linear(A, b), h0)
    assert abs((dh * h).sum() - loss(A, b, h0)) < 1e-12
    gradient, dh0 = scan.scan_backward(scan.Linear(A, b), h0, h, dh)
    for k, found in enumerate((gradient.A, gradient.b, dh0)):
        for place in np.ndindex(found.shape):
            moved = [array.astype(complex) for array in (A, b, h0)]
            moved[k][place] += 1e-30j
            assert abs(loss(*moved).imag / 1e-30 - found[place]) < 1e-12
