"""The nonlinearities, on vectors.

One reduction serves them all: with n = round(x / ln 2) and r = x − n·ln 2, so that r is between ±ln 2 / 2 ≈ ±0.35::

    eˣ     = 2ⁿ + 2ⁿ·p          p = eʳ − 1, the Taylor series
    eˣ − 1 = (2ⁿ − 1) + 2ⁿ·p    which loses nothing where x is small: there n = 0, and p is the result

The series ends where the next term no longer shows: 0.35⁷/8! is 1.5e-8 in float32, 0.35¹³/14! is 1.2e-17 in float64.
So σ keeps its full relative accuracy in the lower tail and tanh near zero, as the equations do.
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

from .simd import Vector


class Reduction(NamedTuple):
    """What differs between float32 and float64."""

    terms: int  # of the series
    ln2_high: float  # ln 2 in two parts: n·high is exact
    ln2_low: float
    largest: float  # |x| is held below this: eˣ and 2ⁿ must stay normal numbers


REDUCTIONS = {
    "float32": Reduction(7, 0.693359375, -2.12194440054690583e-4, 87.33),
    "float64": Reduction(13, 0.693147180369123816490, 1.90821492927058770002e-10, 708.39),
}

LOG2_E = 1.4426950408889634


def _scale_and_series(x: Vector) -> tuple[Vector, Vector]:
    """Return 2ⁿ and p."""
    terms, high, low, largest = REDUCTIONS[x.code.lanes.dtype]
    x = x.clamp(-largest, largest)
    n = (x * LOG2_E).round()
    r = n.fma(-low, n.fma(-high, x))
    series = x.code.splat(1 / factorial(terms))
    for k in range(terms - 1, 1, -1):
        series = series.fma(r, 1 / factorial(k))
    return n.power_of_two(), (r * r).fma(series, r)


def sigmoid(a: Vector) -> Vector:
    """σ(a) = 1/(1 + e^{−a}), and 0 where that is no normal number.  (A1)"""
    scale, p = _scale_and_series(-1 * a)
    smallest = -REDUCTIONS[a.code.lanes.dtype].largest
    return a.where_below(smallest, 0, 1 / (scale.fma(p, scale) + 1))


def tanh(a: Vector) -> Vector:
    """tanh(a), with E = e^{−2|a|}, as (1 − E)/(1 + E) near zero and as 1 − 2E/(1 + E) elsewhere.  (A2)

    The first keeps every digit of a small result, the second every digit of what is missing to 1, and the derivative
    1 − tanh² of a saturated unit is made of nothing else.
    """
    x = abs(a)
    scale, p = _scale_and_series(-2 * x)
    E, near_zero = scale.fma(p, scale), (1 - scale) - scale * p
    quotient = x.where_below(0.55, near_zero, E + E) / (E + 1)
    return x.where_below(0.55, quotient, 1 - quotient).copysign(a)


def relu(a: Vector) -> Vector:
    """max(a, 0); a NaN stays one.  (A3)"""
    return a.where_below(0, 0, a)


def step_function(h: Vector) -> Vector:
    """1 where a ReLU's output is positive, otherwise 0.  (A3′)"""
    return (0 - h).where_below(0, 1, 0)
