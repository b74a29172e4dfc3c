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
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from .simd import Vector


class Reduction(NamedTuple):
    """What differs between float32 and float64."""

    q: tuple[float, ...]  # its coefficients, that of r⁰ first
    ln2: tuple[float, ...]  # ln 2 in two parts: n·(the first) is exact
    ln2_near: tuple[float, ...]  # for n up to 2, or where an error that grows with n doesn't show
    largest: float  # |x| is held below this: eˣ and 2ⁿ must stay normal numbers
    infinite: float  # from here on eˣ is too large a number, and 2ⁿ⁻¹ is not


LN2_PARTS = (0.693147180369123816490, 1.90821492927058770002e-10)

REDUCTIONS = {
    "float32": Reduction(
        q=(0.5, -0.16666543, 0.04166628, -0.00836661, 0.00139465),
        ln2=(0.693359375, -2.12194440054690583e-4),
        ln2_near=(0.693147182464599609375,),  # this number of 24 bits is 1.9e-9 from ln 2
        largest=87.33,
        infinite=89.0,
    ),
    "float64": Reduction(
        q=tuple((-1) ** k / factorial(k) for k in range(2, 14)), ln2=LN2_PARTS, ln2_near=LN2_PARTS, largest=708.39,
        infinite=710.0,
    ),
}

LOG2_E = 1.4426950408889634


def _scale_and_series(
    x: Vector, q: tuple[float, ...], ln2: tuple[float, ...], largest: float, less: Vector | None = None
) -> tuple[Vector, Vector]:
    """Return 2ⁿ and p, for x from −`largest` on; what is above `largest` counts as that.

    With `less`, it is a smaller power of 2.
    """
    x = x.at_most(largest)
    if less is None:
        n, scale = (x * -LOG2_E).round_and_power()
    else:
        n, scale = (x * -LOG2_E - less).round_and_power()
        n = n + less
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


def exponential(a: Vector) -> Vector:
    """e^a of any number: infinity where that is too large, and 0 where it is no normal number."""
    reduction = REDUCTIONS[a.code.lanes.dtype]
    x, high = -a.at_most(reduction.infinite), reduction.largest - 1
    less, factor = a.where_below(high, 0, 1), a.where_below(high, 1, 2)  # 2ⁿ itself may be too large where eᵃ is not
    scale, p = _scale_and_series(x, reduction.q, reduction.ln2, reduction.largest, less)
    return a.where_below(-reduction.largest, 0, scale.fma(p, scale) * factor)


LOG_TERMS = {"float32": 4, "float64": 10}
"""Terms of the series in `log` after which the next one no longer shows: z is at most 0.0295."""


def _exponent_and_rest(x: Vector) -> tuple[Vector, Vector]:
    """Return n and m with x = 2ⁿ·m and m from √½ to √2, for x above 0 and below infinity; of others anything."""
    code, builder, lanes = x.code, x.code.builder, x.code.lanes
    dtype, kind = np.dtype(lanes.dtype), np.dtype(f"i{lanes.size}")
    mantissa, raised = (23, 24) if lanes.size == 4 else (52, 54)

    def every(number: Any) -> ir.Constant:
        return ir.Constant(lanes.int_type, [ir.Constant(ir.IntType(8 * lanes.size), int(number))] * lanes.count)

    def bits_of(number: float) -> ir.Constant:
        return every(dtype.type(number).view(kind))

    tiny = float(np.finfo(dtype).tiny)
    bits = builder.bitcast(x.where_below(tiny, x * 2.0**raised, x).value, lanes.int_type)
    n = builder.ashr(builder.sub(bits, bits_of(0.5**0.5)), every(mantissa))
    rest = Vector(code, builder.bitcast(builder.sub(bits, builder.shl(n, every(mantissa))), lanes.type))
    large = 1.5 * 2.0**mantissa  # with n in its last bits it is n more
    whole = Vector(code, builder.bitcast(builder.add(n, bits_of(large)), lanes.type)) - large
    return whole - x.where_below(tiny, raised, 0), rest


def log(a: Vector) -> Vector:
    """The natural logarithm; −∞ of 0, and a NaN of what is below. Where subnormal numbers count as 0, −∞ of those too.

    With a = 2ⁿ·m, f = m − 1 and s = f/(2 + f), log m = 2 artanh s = f − s·(f − R), R = 2z/3 + 2z²/5 + …, z = s². As
    R is small and f exact, what is rounded on the way is small beside the result.
    """
    reduction, terms = REDUCTIONS[a.code.lanes.dtype], LOG_TERMS[a.code.lanes.dtype]
    n, m = _exponent_and_rest(a)
    f = m - 1
    s = _over_one_plus(m, f)
    z = s * s
    R = z * _polynomial(z, tuple(2 / (2 * k + 1) for k in range(1, terms + 1)))
    high, low = reduction.ln2
    found = n.fma(high, f + n.fma(low, -(s * (f - R))))
    positive = a.where_below(float("inf"), found, a)
    others = a.where_below(0, float("nan"), a * 0 - float("inf"))  # of a NaN this is one
    return (0 - a).where_below(0, positive, others)


def sqrt(a: Vector) -> Vector:
    """√a, rounded as IEEE has it; a NaN of what is below 0."""
    return a.code.call("sqrt", a)


def maximum(a: Vector, b: Vector) -> Vector:
    """The larger of two numbers, the first where they are equal; a NaN where either is one."""
    return b.extreme(a, ">")


def minimum(a: Vector, b: Vector) -> Vector:
    """The smaller of two numbers, the first where they are equal; a NaN where either is one."""
    return b.extreme(a, "<")


def where_less(a: Vector, b: Vector, x: Vector, y: Vector) -> Vector:
    """The third where the first is less than the second, and the fourth elsewhere; a NaN is not less."""
    return a.where_below(b, x, y)


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
