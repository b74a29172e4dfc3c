"""Cells as users define them that look at the whole row: means, matrices, a projection, heads."""

from __future__ import annotations

from typing import NamedTuple

from rnn_core.cell import (
    Number,
    define,
    mean,
    outer,
    product,
    product_transposed,
    sigmoid,
    sqrt,
    tanh,
    where_less,
)
from tests.rnn_core.cell.cells import Gates, Kept, States, lstm, lstm_backward


class Scales(NamedTuple):
    gain: Number
    shift: Number


class Normal(NamedTuple):
    n: Number
    size: Number


def normed(a, prev, p):
    d = a.a - mean(a.a)
    size = sqrt(mean(d * d) + 0.01)
    n = d / size
    return (tanh(p.gain * n + p.shift) + 0.5 * prev.h,), Normal(n, size)


def normed_backward(kept, prev, state, dstate, p):
    n, size = kept
    ds = dstate.h * (1 - (state.h - 0.5 * prev.h) ** 2)
    dn = ds * p.gain
    da = (dn - mean(dn) - n * mean(dn * n)) / size
    return (0.5 * dstate.h,), (da,), Scales(gain=ds * n, shift=ds)


Normed = define(
    "Normed", normed, normed_backward, gates=("a",), states=("h",), kept=Normal, parameters=Scales, bias=False,
    initial={"gain": lambda rng, shape: rng.uniform(0.5, 1.5, shape)},
)  # fmt: skip
"""Two means, one of them of what the other has made; no biases."""


class BeforeKept(NamedTuple):
    r: Number
    z: Number
    n: Number


def before(a, prev, p):
    r, z = sigmoid(a.r), sigmoid(a.z)
    n = tanh(a.n + product(p.U, r * prev.h))
    return ((1 - z) * n + z * prev.h,), BeforeKept(r, z, n)


def before_backward(kept, prev, state, dstate, p):
    r, z, n = kept
    da_n = dstate.h * (1 - z) * (1 - n**2)
    dq = product_transposed(p.U, da_n)
    da_r = dq * prev.h * r * (1 - r)
    da_z = dstate.h * (prev.h - n) * z * (1 - z)
    return (dstate.h * z + dq * r,), (da_r, da_z, da_n), (outer(da_n, r * prev.h),)


Before = define(
    "Before", before, before_backward, gates=("r", "z", "n"), states=("h",), kept=BeforeKept, matrices=("U",),
    from_h=("r", "z"),
)  # fmt: skip
"""A product of what a gate has let through."""


def projected(a, prev, p):
    i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
    c = f * prev.c + i * g
    return States(h=product(p.weight_hr, o * tanh(c)), c=c), Kept(i, f, g, o)


def projected_backward(kept, prev, state, dstate, p):
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    dv = product_transposed(p.weight_hr, dstate.h)
    dc = dstate.c + dv * o * (1 - tanh_c * tanh_c)
    di, df, dg, do = dc * g, dc * prev.c, dc * i, dv * tanh_c
    da = Gates(di * (i * (1 - i)), df * (f * (1 - f)), dg * (1 - g * g), do * (o * (1 - o)))
    return States(h=0, c=dc * f), da, (outer(dstate.h, o * tanh_c),)


Projected = define(
    "Projected", projected, projected_backward, gates=Gates, states=States, kept=Kept, matrices=("weight_hr",),
    projection="weight_hr",
)  # fmt: skip
"""torch's LSTM with proj_size."""

Heads = define("Heads", lstm, lstm_backward, gates=Gates, states=States, kept=Kept, heads=True)
"""An LSTM whose W_h has blocks."""


class Parameters(NamedTuple):
    gain: Number
    V: Number
    W: Number


class Slope(NamedTuple):
    slope: float = 0.25


def blended(a, prev, p):
    u = tanh(a.u)
    m = product(p.V, u * (1 + prev.c))
    s = m - mean(m * p.gain)
    c = where_less(s, 0, p.slope * s, s) + prev.c / 2
    return States(h=product(p.W, c), c=c), (u, s, m)


def blended_backward(kept, prev, state, dstate, p):
    u, s, m = kept
    dc = dstate.c + product_transposed(p.W, dstate.h)
    ds = where_less(s, 0, p.slope * dc, dc)
    dmean = mean(ds)
    dm = ds - p.gain * dmean
    dv = product_transposed(p.V, dm)
    dp = Parameters(gain=-m * dmean, V=outer(dm, u * (1 + prev.c)), W=outer(dstate.h, state.c))
    return States(h=0, c=dc / 2 + dv * u), (dv * (1 + prev.c) * (1 - u**2),), dp


Blended = define(
    "Blended", blended, blended_backward, gates=("u",), states=States, kept=("u", "s", "m"), parameters=("gain",),
    matrices=("V", "W"), options=Slope, projection="W", heads=True,
)  # fmt: skip
"""A vector, two matrices, an option, and a mean of a product; h projected, and W_h in heads."""

ALL = {kind.__name__: kind for kind in (Normed, Before, Projected, Heads, Blended)}
