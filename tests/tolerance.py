"""How far two roads to the same number may lie apart: said, and justified, once."""

from __future__ import annotations

from typing import Any, NamedTuple

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


FLIPPED = 2.0**-7
"""Largest error in precision "bfloat16": a step of the coarser numbers, for a step and all that comes of it.

Two right answers round the same sums, which differ in the last digits of a float32. Now and then, in one number of some
ten thousand, these decide which of two neighbours a bfloat16 is, and then that number is off by 2⁻⁸ of itself, and what
is summed from it by less. So most elements agree as float32's do; and a number that ought to be rounded and is not, or
is rounded and ought not to be, shows in every element.
"""


class Allowed(NamedTuple):
    """How far two right answers may lie apart, in the sense of `error`: anywhere, and in half of all places or more."""

    largest: float
    median: float

    @classmethod
    def of(cls, dtype: Any, T: int) -> Allowed:
        """Return what is allowed after T steps, in a dtype or in "bfloat16"."""
        if str(dtype) == "bfloat16":
            return cls(FLIPPED, tolerance("float32", T))
        return cls(tolerance(dtype, T), tolerance(dtype, T))


def errors(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return every element's error, as `error` has them."""
    axes = tuple(range(1, expected.ndim)) if expected.ndim == 3 else None
    scale = np.abs(expected).max(axis=axes, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.abs(actual - expected)
        return np.where(difference == 0, 0, difference / scale)


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error relative to the largest element: of the same time step for a sequence.

    There is no absolute floor, so that a gradient that has become small by the first step counts as much as the
    last one's; where everything expected is zero, only zero will do.
    """
    return float(errors(actual, expected).max())


def assert_agree(what: str, actual: np.ndarray, expected: np.ndarray, allowed: Allowed | float) -> None:
    """Assert that the shapes are the same and that `error` is within what is allowed; NaN never is."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape} instead of {expected.shape}"
    largest, median = allowed if isinstance(allowed, Allowed) else (allowed, allowed)
    found = errors(actual, expected)
    assert found.max() <= largest, f"{what}: error {found.max():.1e}, allowed {largest:.1e}"
    typical = np.median(found)
    assert typical <= median, f"{what}: half of the errors are {typical:.1e} or more, allowed {median:.1e}"
