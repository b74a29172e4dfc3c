"""Two modules with the same parameters, torch's own and ours, and what comes of the same program with each."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import rnn_core.torch as ours


def pair(kind: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """Return torch's module and ours, of the same parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dropout in a single layer
        theirs = getattr(torch.nn, kind)(*sizes, **options)
        mine = getattr(ours, kind)(*sizes, **options)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def swapped(model: Any) -> tuple[Any, Any]:
    """Return a model, and a copy of it whose recurrent modules are ours."""
    mine = copy.deepcopy(model)
    assert ours.accelerate(mine).swapped
    return model, mine


def states(hx: Any) -> tuple[Any, ...]:
    """Return states as a tuple."""
    return hx if isinstance(hx, tuple) else (hx,)


def _steps(tensor: Any) -> list[int]:
    """Return a tensor's strides along the axes that have any steps."""
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def assert_same(program: Callable[[Any], dict[str, Any]], modules: tuple[Any, Any], allowed: float) -> None:
    """Assert that a program's results, tensors or None by name, agree; each side begins at the same seed."""
    results = []
    for module in modules:
        torch.manual_seed(7)
        results.append(program(module))
    theirs, mine = results
    assert list(theirs) == list(mine)
    largest = max(float(expected.detach().abs().max()) for expected in theirs.values() if expected is not None)
    floor = 0.01 * largest or 1.0  # what few numbers add up to may be a small difference of large ones
    for name, expected in theirs.items():
        actual = mine[name]
        assert (actual is None) == (expected is None), name
        if expected is not None:
            assert actual.dtype == expected.dtype, name
            assert _steps(actual) == _steps(expected), name
            a, b = (np.asarray(found.detach()) for found in (actual, expected))
            assert a.shape == b.shape, name
            each = tuple(range(1, b.ndim)) if b.ndim == 3 else None  # a step, or a layer, at a time
            apart = float((np.abs(a - b) / np.maximum(np.abs(b).max(axis=each, keepdims=True), floor)).max())
            assert apart <= allowed, f"{name}: error {apart:.1e}, allowed {allowed:.1e}"
