"""Long short-term memory with a recurrent projection: what is said, and heard in the next step, is narrower than c.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h          (PJ1)  four blocks: a_i, a_f, a_g, a_o
    i_t = σ(a_i)                     input gate      (PJ2)
    f_t = σ(a_f)                     forget gate     (PJ3)
    g_t = tanh(a_g)                  candidate       (PJ4)
    o_t = σ(a_o)                     output gate     (PJ5)
    c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t                  (PJ6)
    m_t = o_t ⊙ tanh(c_t)                            (PJ7)
    h_t = W_r m_t                                    (PJ8)

c and m have H numbers, h has P, `proj_size`: W_r is (P, H), `weight_hr`, and W_h is (4 H, P). It is the LSTM of torch
with its `proj_size`, by the same names.

The paper calls h r, and has two things more: gates that see c, as in `PeepholeLSTM`, and a second projection of m, for
the output alone. Torch has neither.

References
----------
.. [1] H. Sak, A. Senior, F. Beaufays, "Long short-term memory based recurrent neural network architectures for large
   vocabulary speech recognition", arXiv:1402.1128v1 (2014): equations (7)–(12).
"""

from __future__ import annotations

from typing import NamedTuple

from ...cell import Number, define, outer, product, product_transposed, sigmoid, tanh


class Gates(NamedTuple):
    """The sums, and the gates that a tape keeps."""

    i: Number
    f: Number
    g: Number
    o: Number


class States(NamedTuple):
    """h, the output, and c."""

    h: Number
    c: Number


class Projection(NamedTuple):
    """W_r."""

    weight_hr: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    g: Number


def step(a: Gates, prev: States, d: Masks, p: Projection) -> tuple[States, Gates]:
    """From the sums (PJ1) and the previous states to the next states and the gates."""
    i = sigmoid(a.i)  # (PJ2)
    f = sigmoid(a.f)  # (PJ3)
    g = tanh(a.g)  # (PJ4)
    o = sigmoid(a.o)  # (PJ5)
    c = f * prev.c + i * (d.g * g)  # (PJ6), (RG3)
    m = o * tanh(c)  # (PJ7)
    h = product(p.weight_hr, m)  # (PJ8)
    return States(h, c), Gates(i, f, g, o)


def step_backward(
    kept: Gates, prev: States, state: States, dstate: States, d: Masks, p: Projection
) -> tuple[States, Gates, Projection]:
    """From dh and dc to what dc_{t−1} gets, da, and what the step gives to dW_r."""
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    dm = product_transposed(p.weight_hr, dstate.h)  # (PJ8′)
    dW_r = outer(dstate.h, o * tanh_c)  # (PJ8′)
    do = dm * tanh_c  # (PJ7′)
    dc = dstate.c + dm * o * (1 - tanh_c * tanh_c)  # (PJ7′)
    da_i = dc * (d.g * g) * (i * (1 - i))  # (PJ6′), (RG3), (PJ2′)
    da_f = dc * prev.c * (f * (1 - f))  # (PJ6′), (PJ3′)
    da_g = dc * i * d.g * (1 - g * g)  # (PJ6′), (RG3′), (PJ4′)
    da_o = do * (o * (1 - o))  # (PJ5′)
    dc_prev = dc * f  # (PJ6′)
    return States(h=0, c=dc_prev), Gates(da_i, da_f, da_g, da_o), Projection(weight_hr=dW_r)


ProjectedLSTM = define(
    "ProjectedLSTM", step, step_backward,
    gates=Gates, states=States, kept=Gates, matrices=Projection, projection="weight_hr", masks=Masks,
)  # fmt: skip
