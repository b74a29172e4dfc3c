"""Adam and AdamW, of all parameters together, in one pass: each number is read and written once."""

from __future__ import annotations

from itertools import groupby
from math import sqrt
from typing import Any

import numpy as np
from numba import carray

from kernels.contract import AdamStep

from ..emitting.addresses import make_pointer
from .table import Part, block_of, in_turn, make_each_block, make_each_piece, phase, places, run

WORK = 60
"""What a number costs: about as much as so many operations of a product."""

TINY = 1e-36
"""An ε above it is more than 0 in float32, too."""


def make_adam(dtype: str) -> Any:
    """Return the loop, uncompiled: (C2), (O1), (O5)–(O8)."""
    number, numbers_at, size = np.dtype(dtype).type, make_pointer(dtype), np.dtype(dtype).itemsize

    @phase
    def step(part, begin, end, g_at):
        n = end - begin
        p, g = carray(numbers_at(part.p + begin * size), n), carray(numbers_at(g_at), n)
        m, v = carray(numbers_at(part.m + begin * size), n), carray(numbers_at(part.v + begin * size), n)
        scale, decay, keep = number(part.scale), number(part.decay), number(part.keep)
        beta1, rest1, beta2, rest2 = number(part.beta1), number(part.rest1), number(part.beta2), number(part.rest2)
        eps, rate = number(part.eps), number(part.rate)
        for k in range(n):
            s = scale * g[k]  # (C2)
            if decay != 0:
                s += decay * p[k]  # (O1)
            m_k = beta1 * m[k] + rest1 * s  # (O6)
            v_k = beta2 * v[k] + rest2 * (s * s)  # (O7)
            m[k], v[k] = m_k, v_k
            p[k] = keep * p[k] - rate * (m_k / (sqrt(v_k) + eps))  # (O5), (O8)

    return make_each_block(make_each_piece(step, dtype))


def adam(steps: list[AdamStep]) -> None:
    """As `UpdateKernels` has it."""
    for dtype, some in groupby((step for step in steps if step.p.size), key=lambda step: step.p.dtype):
        for parts in in_turn([_part(step) for step in some], dtype):
            run(make_adam, dtype, parts, WORK)


def _part(step: AdamStep) -> Part:
    # Of a row with m = v = 0 and no gradient nothing changes, unless 0/(0 + ε) is no number, or θ itself decays.
    rests = step.eps > TINY and step.decay == 0 and step.keep == 1
    return Part(
        *places(step.p, step.g, step.rows, step.m, step.v), rests, block_of(step.p, step.rows), step.scale, step.decay,
        step.keep, step.beta1, 1 - step.beta1, step.beta2, 1 - step.beta2, step.eps, step.rate,
    )  # fmt: skip
