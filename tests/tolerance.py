"""How far two roads to the same number may lie apart: said, and justified, once."""

from __future__ import annotations

from typing import Any

import numpy as np


def tolerance(dtype: Any, T: int) -> float:
    """Return the largest error, in the sense of `error`, between two right answers after T steps: 8·ε·(T + 16).

    A step rounds a handful of times: a product, a nonlinearity (a rational tanh in float32 is off by 1.5e-7, and
    that is about one ε), three or four products of gates. The weights of the cases amplify nothing, so the roundings
    of T steps add up at worst: 8·ε a step. What does not grow with T is worth sixteen steps more: 1 − h² loses
    digits where a unit is nearly saturated, and a parameter's gradient is one long sum with both signs in it.

    Measured over all cases, cells and results, the equations in float32 against the same in float64: 22 ε at T = 50,
    below 5 ε elsewhere.
    """
    return 8 * float(np.finfo(dtype).eps) * (T + 16)


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error relative to the largest element: of the same time step for a sequence.

    There is no absolute floor, so that a gradient that has become small by the first step counts as much as the
    last one's; where everything expected is zero, only zero will do.
    """
    axes = tuple(range(1, expected.ndim)) if expected.ndim == 3 else None
    scale = np.abs(expected).max(axis=axes, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(actual - expected)
        return float(np.where(difference == 0, 0, difference / scale).max())


def assert_agree(what: str, actual: np.ndarray, expected: np.ndarray, allowed: float) -> None:
    """Assert that the shapes are the same and that `error` is within what is allowed; NaN never is."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape} instead of {expected.shape}"
    found = error(actual, expected)
    assert found <= allowed, f"{what}: error {found:.1e}, allowed {allowed:.1e}"
