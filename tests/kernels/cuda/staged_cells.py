"""Cells whose units look at one another within a step, in all the ways that there are."""

from __future__ import annotations

from typing import NamedTuple

from rnn_core.cell import Number, define, mean, outer, product, product_transposed, sigmoid, sqrt, tanh


class Matrices(NamedTuple):
    V: Number
    U: Number


def shared(a, prev, m, p):
    centre = mean(a.u)
    d = tanh(a.u - centre)
    s = prev.s + product(p.V, m.keep * d) - centre
    return (tanh(s) + product_transposed(p.U, d) + 0.5 * prev.h, s), (d,)


def shared_backward(kept, prev, state, dstate, m, p):
    (d,) = kept
    ds = dstate.s + dstate.h * (1 - tanh(state.s) ** 2)
    dd = m.keep * product_transposed(p.V, ds) + product(p.U, dstate.h)
    du = dd * (1 - d * d)
    return (0.5 * dstate.h, ds), (du - mean(du + ds),), Matrices(V=outer(ds, m.keep * d), U=outer(d, dstate.h))


Shared = define(
    "Shared", shared, shared_backward, gates=("u",), states=("h", "s"), kept=("d",), streams=("keep",),
    matrices=Matrices, from_h=(),
)  # fmt: skip
"""A mean that a later launch wants as well, matrices read both ways, a stream; no W_h."""


class Gates(NamedTuple):
    i: Number
    f: Number
    g: Number
    o: Number


class Kept(NamedTuple):
    i: Number
    f: Number
    g: Number
    o: Number
    n: Number
    size: Number


class Parameters(NamedTuple):
    gain: Number
    W: Number


def narrow(a, prev, p):
    i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
    c = f * prev.c + i * g
    d = c - mean(c)
    size = sqrt(mean(d * d) + 1e-3)
    n = d / size
    return (product(p.W, o * tanh(p.gain * n)), c), Kept(i, f, g, o, n, size)


def narrow_backward(kept, prev, state, dstate, p):
    i, f, g, o, n, size = kept
    u, dv = tanh(p.gain * n), product_transposed(p.W, dstate.h)
    do, du = dv * u, dv * o * (1 - u * u)
    dn = du * p.gain
    dc = dstate.c + (dn - mean(dn) - n * mean(dn * n)) / size
    da = Gates(dc * g * (i * (1 - i)), dc * prev.c * (f * (1 - f)), dc * i * (1 - g * g), do * (o * (1 - o)))
    return (0, dc * f), da, Parameters(gain=du * n, W=outer(dstate.h, o * u))


Narrow = define(
    "Narrow", narrow, narrow_backward, gates=Gates, states=("h", "c"), kept=Kept, parameters=("gain",),
    matrices=("W",), projection="W",
)  # fmt: skip
"""An LSTM whose c is normalised on its way to an h that is projected."""
