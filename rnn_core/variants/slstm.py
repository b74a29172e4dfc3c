"""The LSTM with exponential gates, a normaliser, and a stabiliser that keeps them within range.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h                            (SL1)  four blocks: a_i, a_f, a_z, a_o
    z_t = tanh(a_z)                               candidate            (SL2)
    o_t = σ(a_o)                                  output gate          (SL3)
    φ_t = log σ(a_f) + m_{t−1}                                         (SL4)
    m_t = max(φ_t, a_i)                           stabiliser           (SL5)
    i_t = exp(a_i − m_t),   f_t = exp(φ_t − m_t)                       (SL6)
    c_t = f_t ⊙ c_{t−1} + i_t ⊙ z_t                                    (SL7)
    n_t = f_t ⊙ n_{t−1} + i_t                     normaliser           (SL8)
    h_t = o_t ⊙ c_t / n_t                                              (SL9)

Were it not for overflow, m could be left out: i = exp(a_i) and f = σ(a_f) give c and n that are e^m times as large, and
the same h. At the first step, where n_0 = 0, m_1 is a_i; so one of i_t and f_t is always 1, and n_t never below 1.

With `num_heads` the units are parted into heads that don't hear of each other: each block of W_h is block-diagonal.

References
----------
.. [1] M. Beck et al., "xLSTM: extended long short-term memory", arXiv:2405.04517v2 (2024), section 2.2.
"""

from __future__ import annotations

from typing import NamedTuple

from ..cell import Number, define, exp, maximum, minimum, sigmoid, tanh, where_less
from .softplus import softplus


class Gates(NamedTuple):
    """The sums."""

    i: Number
    f: Number
    z: Number
    o: Number


class States(NamedTuple):
    """h, the output; c, n and m."""

    h: Number
    c: Number
    n: Number
    m: Number


class Kept(NamedTuple):
    """What a tape keeps: the gates, 1 − σ(a_f), and 1 where m_t is φ_t, 0 where it is a_i."""

    i: Number
    f: Number
    z: Number
    o: Number
    not_f: Number
    of_f: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    z: Number


def step(a: Gates, prev: States, d: Masks) -> tuple[States, Kept]:
    """From the sums (SL1) and the previous states to the next states and the gates."""
    z = tanh(a.z)  # (SL2)
    o = sigmoid(a.o)  # (SL3)
    phi = prev.m - softplus(-a.f)  # (SL4)
    begun = prev.n * prev.n
    m = where_less(0, begun, maximum(phi, a.i), a.i)  # (SL5)
    of_f = where_less(0, begun, where_less(a.i, phi, 1, 0), 0)
    i = exp(a.i - m)  # (SL6)
    f = exp(minimum(phi - m, 0))  # (SL6); above 0 it is at the first step alone, where it meets zeros
    c = f * prev.c + i * (d.z * z)  # (SL7), (RG3)
    n = f * prev.n + i  # (SL8)
    h = o * c / n  # (SL9)
    return States(h, c, n, m), Kept(i, f, z, o, sigmoid(-a.f), of_f)


def step_backward(kept: Kept, prev: States, state: States, dstate: States, d: Masks) -> tuple[States, Gates]:
    """From the gradients of the states to what those before get directly, and da.

    Where h alone is asked for, all that comes through m adds up to 0; where the last c, n or m is, it does not.
    """
    i, f, z, o, not_f, of_f = kept
    mean = state.c / state.n
    do = dstate.h * mean  # (SL9′)
    dc = dstate.c + dstate.h * o / state.n  # (SL9′)
    dn = dstate.n - dstate.h * o * mean / state.n  # (SL9′)
    d_f = (dc * prev.c + dn * prev.n) * f  # (SL7′), (SL8′), (SL6′): of φ_t − m_t
    d_i = (dc * (d.z * z) + dn) * i  # (SL7′), (RG3′), (SL8′), (SL6′): of a_i − m_t
    dz = dc * i * d.z  # (SL7′), (RG3′)
    dm = dstate.m - d_f - d_i  # (SL6′)
    dphi = d_f + of_f * dm  # (SL6′), (SL5′)
    da_i = d_i + (1 - of_f) * dm  # (SL6′), (SL5′)
    da_f = dphi * not_f  # (SL4′)
    da_z = dz * (1 - z * z)  # (SL2′)
    da_o = do * (o * (1 - o))  # (SL3′)
    return States(h=0, c=dc * f, n=dn * f, m=dphi), Gates(da_i, da_f, da_z, da_o)  # (SL7′), (SL8′), (SL4′)


SLSTM = define("SLSTM", step, step_backward, gates=Gates, states=States, kept=Kept, heads=True, masks=Masks)
