"""SGD with and without momentum, of all parameters together, in one pass."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numba import carray

from kernels.contract import SGDStep

from ..emitting.addresses import make_pointer
from .table import Part, block_of, in_turn, make_each_block, make_each_piece, phase, places, run

WORK = 40
"""What a number costs: about as much as so many operations of a product."""


def make_sgd(dtype: str) -> Any:
    """Return the loop, uncompiled: (C2), (O1)–(O4). Of momentum's numbers μ is `beta1`, Nesterov's step `beta2` = 1."""
    number, numbers_at, size = np.dtype(dtype).type, make_pointer(dtype), np.dtype(dtype).itemsize

    @phase
    def step(part, begin, end, g_at):
        n = end - begin
        p, g = carray(numbers_at(part.p + begin * size), n), carray(numbers_at(g_at), n)
        scale, decay, momentum = number(part.scale), number(part.decay), number(part.beta1)
        nesterov, rate = part.beta2 != 0, number(part.rate)
        if part.m == 0:
            for k in range(n):
                s = scale * g[k]  # (C2)
                if decay != 0:
                    s += decay * p[k]  # (O1)
                p[k] -= rate * s  # (O4)
        else:
            u = carray(numbers_at(part.m + begin * size), n)
            for k in range(n):
                s = scale * g[k]  # (C2)
                if decay != 0:
                    s += decay * p[k]  # (O1)
                u_k = momentum * u[k] + s  # (O2)
                u[k] = u_k
                if nesterov:
                    u_k = s + momentum * u_k  # (O3)
                p[k] -= rate * u_k  # (O4)

    return make_each_block(make_each_piece(step, dtype))


def sgd(steps: list[SGDStep]) -> None:
    """As `UpdateKernels` has it."""
    for dtype, some in groupby((step for step in steps if step.p.size), key=lambda step: step.p.dtype):
        for parts in in_turn([_part(step) for step in some], dtype):
            run(make_sgd, dtype, parts, WORK)


def _part(step: SGDStep) -> Part:
    return Part(
        *places(step.p, step.g, step.rows, step.u, step.u), step.decay == 0, block_of(step.p, step.rows),
        scale=step.scale, decay=step.decay, beta1=step.momentum, beta2=float(step.nesterov), rate=step.rate,
    )  # fmt: skip
