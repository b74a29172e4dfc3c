"""Cells as users define them: the built-in ones written the public way, and others."""

from __future__ import annotations

from typing import NamedTuple

from rnn_core.cell import Number, define, exp, log, maximum, relu, sigmoid, sqrt, tanh, where_less


class Gates(NamedTuple):
    i: Number
    f: Number
    g: Number
    o: Number


class States(NamedTuple):
    h: Number
    c: Number


class Peepholes(NamedTuple):
    p_i: Number
    p_f: Number
    p_o: Number


class Kept(NamedTuple):
    i: Number
    f: Number
    g: Number
    o: Number


def step(a, prev, p):
    i = sigmoid(a.i + p.p_i * prev.c)
    f = sigmoid(a.f + p.p_f * prev.c)
    g = tanh(a.g)
    c = f * prev.c + i * g
    o = sigmoid(a.o + p.p_o * c)
    return States(h=o * tanh(c), c=c), Kept(i, f, g, o)


def step_backward(kept, prev, state, dstate, p):
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    da_o = dstate.h * tanh_c * o * (1 - o)
    dc = dstate.c + dstate.h * o * (1 - tanh_c**2) + da_o * p.p_o
    da_i = dc * g * i * (1 - i)
    da_f = dc * prev.c * f * (1 - f)
    da_g = dc * i * (1 - g**2)
    dc_prev = dc * f + da_i * p.p_i + da_f * p.p_f
    dp = Peepholes(p_i=da_i * prev.c, p_f=da_f * prev.c, p_o=da_o * state.c)
    return States(h=0, c=dc_prev), Gates(i=da_i, f=da_f, g=da_g, o=da_o), dp


Peephole = define(
    "Peephole", step, step_backward, gates=Gates, states=States, kept=Kept, parameters=Peepholes
)


def lstm(a, prev):
    i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
    c = f * prev.c + i * g
    return States(h=o * tanh(c), c=c), Kept(i, f, g, o)


def lstm_backward(kept, prev, state, dstate):
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c)
    di, df, dg = dc * g, dc * prev.c, dc * i
    da = Gates(di * (i * (1 - i)), df * (f * (1 - f)), dg * (1 - g * g), do * (o * (1 - o)))
    return States(h=0, c=dc * f), da


OwnLSTM = define("OwnLSTM", lstm, lstm_backward, gates=Gates, states=States, kept=Kept)


class GRUGates(NamedTuple):
    r: Number
    z: Number
    n: Number
    m: Number


class Output(NamedTuple):
    h: Number


class GRUKept(NamedTuple):
    r: Number
    z: Number
    n: Number
    m: Number


def gru(a, prev):
    r, z = sigmoid(a.r), sigmoid(a.z)
    n = tanh(a.n + r * a.m)
    return Output((1 - z) * n + z * prev.h), GRUKept(r, z, n, a.m)


def gru_backward(kept, prev, state, dstate):
    r, z, n, m = kept
    dn = dstate.h * (1 - z)
    dz = dstate.h * (prev.h - n)
    da_n = dn * (1 - n * n)
    dr = da_n * m
    da_z = dz * (z * (1 - z))
    da_r = dr * (r * (1 - r))
    return Output(dstate.h * z), GRUGates(r=da_r, z=da_z, n=da_n, m=da_n * r)


OwnGRU = define(
    "OwnGRU", gru, gru_backward, gates=GRUGates, states=Output, kept=GRUKept,
    from_x=("r", "z", "n"), from_h=("r", "z", "m"),
)  # fmt: skip


def rnn(a, prev):
    return (tanh(a.a),), ()


def rnn_backward(kept, prev, state, dstate):
    return (0,), (dstate.h * (1 - state.h * state.h),)


OwnRNN = define("OwnRNN", rnn, rnn_backward, gates=("a",), states=("h",))


def rectified(a, prev):
    return (relu(a.a),)


def rectified_backward(kept, prev, state, dstate):
    return (0,), (where_less(0, state.h, dstate.h, 0),)


OwnReLU = define("OwnReLU", rectified, rectified_backward, gates=("a",), states=("h",))


class Leak(NamedTuple):
    leak: float = 0.25


def independent(a, prev, p):
    h = (1 - p.leak) * prev.h + p.leak * relu(a.s + p.u * prev.h)
    return (h,), (a.s + p.u * prev.h,)


def independent_backward(kept, prev, state, dstate, p):
    da = where_less(0, kept.s, p.leak * dstate.h, 0)
    return ((1 - p.leak) * dstate.h + da * p.u,), (da,), (da * prev.h,)


Independent = define(
    "Independent", independent, independent_backward, gates=("s",), states=("h",), kept=("s",), parameters=("u",),
    options=Leak, from_h=(), initial={"u": lambda rng, shape: rng.uniform(-1, 1, shape), "bias_ih": 0.5},
)  # fmt: skip
"""No product with h, one vector, an option, and beginnings of its own."""


class Three(NamedTuple):
    h: Number
    c: Number
    n: Number


class StrangeGates(NamedTuple):
    u: Number
    v: Number
    w: Number


class Gains(NamedTuple):
    gain: Number
    decay: Number


class StrangeKept(NamedTuple):
    u: Number
    e: Number
    w: Number
    raw: Number


def strange(a, prev, p):
    u = sigmoid(a.u + p.decay * prev.n)
    e = exp(tanh(a.v))
    w, _ = tanh(a.w), exp(a.w)  # of the second nothing comes
    c = u * prev.c + e * w
    n = u * prev.n + e
    raw = p.gain * c / sqrt(1 + n**2)
    h = maximum(raw, -0.5) + log(1 + n * n)
    return Three(h, c, n), StrangeKept(u, e, w, raw)


def strange_backward(kept, prev, state, dstate, p):
    u, e, w, raw = kept
    size = 1 + state.n**2
    draw = where_less(raw, -0.5, 0, dstate.h)
    dc = dstate.c + draw * p.gain / sqrt(size)
    dn = dstate.n + dstate.h * 2 * state.n / size - draw * raw * state.n / size
    du = (dc * prev.c + dn * prev.n) * u * (1 - u)
    de = dc * w + dn
    dv = de * e * (1 - log(e) ** 2)
    dw = dc * e * (1 - w**2)
    dprev = Three(h=0, c=dc * u, n=dn * u + du * p.decay)
    dp = Gains(gain=draw * state.c / sqrt(size), decay=du * prev.n)
    return dprev, StrangeGates(du, dv, dw), dp


Strange = define(
    "Strange", strange, strange_backward, gates=StrangeGates, states=Three, kept=StrangeKept, parameters=Gains,
    from_x=("w", "u"), from_h=("u", "v"), initial={"gain": 1.0},
)  # fmt: skip
"""Three states, two vectors, sums of different origin, and every operator there is."""

ALL = {kind.__name__: kind for kind in (Peephole, OwnLSTM, OwnGRU, OwnRNN, OwnReLU, Independent, Strange)}
