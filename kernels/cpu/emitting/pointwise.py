"""The nonlinearities, on vectors.

One reduction serves them all: with n = round(−x / ln 2) and r = x + n·ln 2, so that r is between ±ln 2 / 2 ≈ ±0.35::

    e⁻ˣ     = 2ⁿ + 2ⁿ·p          p = e⁻ʳ − 1 = −r + r²·q(r)
    e⁻ˣ − 1 = (2ⁿ − 1) + 2ⁿ·p    which loses nothing where x is small: there n = 0, and p is the result

So σ keeps its full relative accuracy in the lower tail and tanh near zero, as the equations do.

q is a polynomial. In float64 it is the Taylor series 1/2! − r/3! + …, which ends where the next term no longer shows:
0.35¹³/14! is 1.2e-17. In float32 it has the five coefficients that make the largest error of p, relative to r, smallest
on the interval: 1.3e-8, a quarter of a rounding. The series would need six.

What counts are the multiplications: a core of today starts as many additions, bit operations and shifts beside them.
"""

from __future__ import annotations

from math import factorial
from typing import NamedTuple

from .simd import Vector


class Reduction(NamedTuple):
    """What differs between float32 and float64."""

    q: tuple[float, ...]  # its coefficients, that of r⁰ first
    ln2: tuple[float, ...]  # ln 2 in two parts: n·(the first) is exact
    ln2_near: tuple[float, ...]  # for n up to 2, or where an error that grows with n doesn't show
    largest: float  # |x| is held below this: eˣ and 2ⁿ must stay normal numbers


LN2_PARTS = (0.693147180369123816490, 1.90821492927058770002e-10)

REDUCTIONS = {
    "float32": Reduction(
        q=(0.5, -0.16666543, 0.04166628, -0.00836661, 0.00139465),
        ln2=(0.693359375, -2.12194440054690583e-4),
        ln2_near=(0.693147182464599609375,),  # this number of 24 bits is 1.9e-9 from ln 2
        largest=87.33,
    ),
    "float64": Reduction(
        q=tuple((-1) ** k / factorial(k) for k in range(2, 14)), ln2=LN2_PARTS, ln2_near=LN2_PARTS, largest=708.39
    ),
}

LOG2_E = 1.4426950408889634


def _scale_and_series(x: Vector, q: tuple[float, ...], ln2: tuple[float, ...], largest: float) -> tuple[Vector, Vector]:
    """Return 2ⁿ and p, for x from −`largest` on; what is above `largest` counts as that."""
    x = x.at_most(largest)
    n, scale = (x * -LOG2_E).round_and_power()
    r = x
    for part in ln2:
        r = n.fma(part, r)
    square = r * r
    even, odd = (_polynomial(square, q[first::2]) for first in (0, 1))  # two chains: neither waits for the other
    return scale, square.fma(odd.fma(r, even), -r)


def _polynomial(x: Vector, coefficients: tuple[float, ...]) -> Vector:
    """Return Σ coefficients[k]·xᵏ."""
    result = x.code.splat(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        result = result.fma(x, coefficient)
    return result


def _over_one_plus(E: Vector, numerator: Vector | float) -> Vector:
    """Return numerator/(1 + E), by a division, or where that takes longer by an estimate to 14 bits and a Newton step.

    The step adds what is missing of the numerator, and takes it from E itself: so no rounding of 1 + E shows.
    """
    estimate = (E + 1).estimated_reciprocal()
    if estimate is None:
        return numerator / (E + 1)
    quotient = numerator * estimate
    missing = (-quotient).fma(E, numerator - quotient)
    return missing.fma(estimate, quotient)


def exp(a: Vector) -> Vector:
    """e^a of a number below `largest`, and 0 where that is no normal number."""
    reduction = REDUCTIONS[a.code.lanes.dtype]
    scale, p = _scale_and_series(-a, reduction.q, reduction.ln2, reduction.largest)
    return a.where_below(-reduction.largest, 0, scale.fma(p, scale))


def sigmoid(a: Vector) -> Vector:
    """σ(a) = 1/(1 + e^{−a}), and 0 where that is no normal number.  (A1)"""
    reduction = REDUCTIONS[a.code.lanes.dtype]
    scale, p = _scale_and_series(a, reduction.q, reduction.ln2, reduction.largest)
    return a.where_below(-reduction.largest, 0, _over_one_plus(scale.fma(p, scale), 1))


def tanh(a: Vector) -> Vector:
    """tanh(a), with E = e^{−2|a|}, as (1 − E)/(1 + E) near zero and as 1 − 2E/(1 + E) elsewhere.  (A2)

    The first keeps every digit of a small result, the second every digit of what is missing to 1, and the derivative
    1 − tanh² of a saturated unit is made of nothing else.
    """
    reduction, x = REDUCTIONS[a.code.lanes.dtype], abs(a)
    scale, p = _scale_and_series(x + x, reduction.q, reduction.ln2_near, reduction.largest)
    E, below_zero = scale.fma(p, scale), scale.fma(p, scale - 1)
    numerator, rest = x.where_below(0.55, below_zero, E + E), x.where_below(0.55, 0, 1)
    return (rest - _over_one_plus(E, numerator)).copysign(a)


def relu(a: Vector) -> Vector:
    """max(a, 0); a NaN stays one.  (A3)"""
    return a.where_below(0, 0, a)


def step_function(h: Vector) -> Vector:
    """1 where a ReLU's output is positive, otherwise 0.  (A3′)"""
    return (0 - h).where_below(0, 1, 0)
