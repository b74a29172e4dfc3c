"""Cells whose step looks at a whole row of units, each with other levels than the others."""

from __future__ import annotations

from .definitions import defined, mean, product, product_transposed, sigmoid, sqrt, tanh


def _norm(a, prev, m, p):
    """Two means of each of two sums, and of c: five levels in one segment of rows."""
    u_i, u_g = a.i - mean(a.i), a.g - mean(a.g)
    s_i, s_g = sqrt(mean(u_i * u_i) + p.e), sqrt(mean(u_g * u_g) + p.e)
    i, g = sigmoid(p.w * u_i / s_i), tanh(u_g / s_g)
    c = (1 - i) * prev.c + i * g
    u_c = c - mean(c)
    s_c = sqrt(mean(u_c * u_c) + p.e)
    return (tanh(u_c / s_c), c), (i, g, s_i, s_g, s_c, u_i / s_i)


def _norm_backward(kept, prev, state, dstate, m, p):
    i, g, s_i, s_g, s_c, n_i = kept
    q = (state.c - mean(state.c)) / s_c
    dq = dstate.h * (1 - state.h * state.h)
    dc = dstate.c + (dq - mean(dq) - q * mean(dq * q)) / s_c
    da_i, dn_g = dc * (g - prev.c) * (i * (1 - i)), dc * i * (1 - g * g)
    dn_i, n_g = da_i * p.w, (0.5 * sigmoid(g) + n_i) / s_g  # not the gradient: the kernels can't tell
    da = tuple(
        (dn - mean(dn) - n * mean(dn * n)) / s for dn, n, s in ((dn_i, n_i, s_i), (dn_g, n_g, s_g))
    )
    return (0, dc * (1 - i)), da, (da_i * n_i,)


def _before(a, prev, m, p):
    """A product in the middle: a GRU whose reset gate acts on the state before the product."""
    r, z = sigmoid(a.r), sigmoid(a.z)
    n = tanh(a.n + product(p.U, r * prev.h))
    return ((1 - z) * n + z * prev.h,), (r, z, n)


def _before_backward(kept, prev, state, dstate, m, p):
    r, z, n = kept
    da_n = dstate.h * (1 - z) * (1 - n * n)
    dz = dstate.h * (prev.h - n)
    back = product_transposed(p.U, da_n)
    return (dstate.h * z + back * r,), (back * prev.h * (r * (1 - r)), dz * (z * (1 - z)), da_n), (da_n, r * prev.h)


def _projected(a, prev, m, p):
    i, f, g, o = sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)
    c = f * prev.c + i * g
    return (product(p.P, o * tanh(c)), c), (i, f, g, o)


def _projected_backward(kept, prev, state, dstate, m, p):
    i, f, g, o = kept
    tanh_c, dh = tanh(state.c), product_transposed(p.P, dstate.h)
    dc = dstate.c + dh * o * (1 - tanh_c * tanh_c)
    da = dc * g * (i * (1 - i)), dc * prev.c * (f * (1 - f)), dc * i * (1 - g * g), dh * tanh_c * (o * (1 - o))
    return (0, dc * f), da, (dstate.h, o * tanh_c)


def _mixed(a, prev, m, p):
    """Means and products at one boundary, a product of a product, a mean behind products, and a projection."""
    i = sigmoid(a.i)
    u, r = a.g - mean(a.g), product(p.U, i * prev.c)
    s = sqrt(mean(u * u) + 0.1)
    g = tanh(p.w * u / s + r)
    q = product_transposed(p.U, r)
    c = m.m * i * prev.c + g + 0.25 * tanh(q)
    e = tanh(product(p.V, c))
    return (product(p.P, sigmoid(a.o) * (e - mean(e))), c, prev.n + 0.5 * mean(c)), (i, g, s, u, e)


def _mixed_backward(kept, prev, state, dstate, m, p):
    i, g, s, u, e = kept
    dv, level = product_transposed(p.P, dstate.h), mean(prev.c)
    de = (dv - mean(dv)) * (1 - e * e)
    dc = dstate.c + product_transposed(p.V, de) + mean(dstate.n)
    dg = dc * (1 - g * g)
    dr = product(p.U, dg) + dg
    di = (product_transposed(p.U, dr) + dc * m.m) * prev.c
    da_g = p.w * (dg - mean(dg) - u * mean(dg * u)) / s
    da = di * (i * (1 - i)), da_g, dv * (e - level)
    dp = dg * u / s, dr, i * prev.c, de, state.c, dstate.h, i * (e - mean(e))
    return (0, dc * i, dstate.n), da, dp


NORM = defined(
    "normalised", _norm, _norm_backward, sums="i g", states="h c", kept="i g s_i s_g s_c n_i", vectors="w",
    constants="e",
)  # fmt: skip
BEFORE = defined(
    "reset before", _before, _before_backward, sums="r z n", from_h="r z", states="h", kept="r z n", matrices="U"
)  # fmt: skip
PROJECTED = defined(
    "projected", _projected, _projected_backward, sums="i f g o", states="h c", kept="i f g o", matrices="P",
    projection="P",
)  # fmt: skip
MIXED = defined(
    "mixed", _mixed, _mixed_backward, sums="i g o", from_x="i g o", from_h="g o", states="h c n", kept="i g s u e",
    streams="m", vectors="w", matrices="U V P", projection="P",
)  # fmt: skip
