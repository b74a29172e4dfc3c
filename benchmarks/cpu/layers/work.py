"""What a case needs at least: operations, bytes, and so the share of the machine's limits that a time comes to.

A layer is a few matrix products, and little else. Each is bound by arithmetic or by the stream of its weights,
whichever takes longer:

    least time = Σ over products of max(flops ÷ peak, bytes of weights ÷ rate)        share = least time ÷ time

The recurrent product, and its transpose on the way back, reads W_h anew at each step, so at B = 1 the stream binds it.
The product with W_x and the two that give the weights' gradients are one product each for the whole sequence.
"""

from __future__ import annotations

from typing import NamedTuple

from ...cases import Case
from ..limits import Limits


class Product(NamedTuple):
    """A matrix product over the whole sequence."""

    flops: float
    bytes: float  # of its weights, as often as they must be read


class Work(NamedTuple):
    """What a case needs, and the share of the limits that its time comes to."""

    flops: float
    bytes: float
    share: float  # of the least time
    bound: str  # "FMA" or "stream": which takes the larger part of the least time

    @property
    def intensity(self) -> float:
        """Operations for each byte of weights."""
        return self.flops / self.bytes


def products(case: Case) -> list[Product]:
    """Return the products of a case; training wants the parameters' gradients and not the input's."""
    lengths = case.lengths()
    rows = case.T * case.B if lengths is None else int(lengths.sum())  # valid steps
    size = 8 if case.dtype == "float64" else 4
    w_x, w_h = case.G * case.H * case.I, case.G * case.H * case.H
    input_product = Product(2.0 * rows * w_x, float(size * w_x))
    recurrent = Product(2.0 * rows * w_h, float(size * w_h * case.T))
    if case.task == "inference":
        return [input_product, recurrent]
    gradients = [input_product, Product(2.0 * rows * w_h, float(size * w_h))]
    return [input_product, recurrent, recurrent, *gradients]


def footprint(case: Case) -> int:
    """Return the bytes of the recurrent weights."""
    return case.G * case.H * case.H * (8 if case.dtype == "float64" else 4)


def work(case: Case, seconds: float, limits: Limits) -> Work:
    """Compare a time with the least time that the machine's limits allow."""
    peak, rate = limits.peak(case.dtype), limits.rate(footprint(case))
    needed = products(case)
    least = [(p.flops / peak, p.bytes / rate) for p in needed]
    streaming = sum(max(pair) for pair in least if pair[1] > pair[0])
    total = sum(map(max, least))
    return Work(
        sum(p.flops for p in needed),
        sum(p.bytes for p in needed),
        total / seconds,
        "stream" if streaming > total / 2 else "FMA",
    )
