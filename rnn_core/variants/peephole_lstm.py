"""Long short-term memory whose gates see the cell state, through a weight of its own for each unit.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h          (PL1)  four blocks: a_i, a_f, a_g, a_o
    i_t = σ(a_i + p_i ⊙ c_{t−1})     input gate      (PL2)
    f_t = σ(a_f + p_f ⊙ c_{t−1})     forget gate     (PL3)
    g_t = tanh(a_g)                  candidate       (PL4)
    c_t = f_t ⊙ c_{t−1} + i_t ⊙ g_t                  (PL5)
    o_t = σ(a_o + p_o ⊙ c_t)         output gate     (PL6)
    h_t = o_t ⊙ tanh(c_t)                            (PL7)

With p = 0 it is the LSTM. The output gate sees the new state, the other two the old one.

References
----------
.. [1] F. A. Gers, J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000, vol. 3, 189-194.
.. [2] F. A. Gers, N. N. Schraudolph, J. Schmidhuber, "Learning precise timing with LSTM recurrent networks",
   Journal of Machine Learning Research 3 (2002) 115-143.
"""

from __future__ import annotations

from typing import NamedTuple

from ..cell import Number, define, sigmoid, tanh


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


class Peepholes(NamedTuple):
    """How much each gate of a unit sees of that unit's c."""

    p_i: Number
    p_f: Number
    p_o: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    g: Number


def step(a: Gates, prev: States, d: Masks, p: Peepholes) -> tuple[States, Gates]:
    """From the sums (PL1) and the previous states to the next states and the gates."""
    i = sigmoid(a.i + p.p_i * prev.c)  # (PL2)
    f = sigmoid(a.f + p.p_f * prev.c)  # (PL3)
    g = tanh(a.g)  # (PL4)
    c = f * prev.c + i * (d.g * g)  # (PL5), (RG3)
    o = sigmoid(a.o + p.p_o * c)  # (PL6)
    h = o * tanh(c)  # (PL7)
    return States(h, c), Gates(i, f, g, o)


def step_backward(
    kept: Gates, prev: States, state: States, dstate: States, d: Masks, p: Peepholes
) -> tuple[States, Gates, Peepholes]:
    """From dh and dc to what dc_{t−1} gets directly, da, and what the step gives to dp."""
    i, f, g, o = kept
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c  # (PL7′)
    da_o = do * (o * (1 - o))  # (PL6′)
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c) + da_o * p.p_o  # (PL7′), (PL6′)
    da_i = dc * (d.g * g) * (i * (1 - i))  # (PL5′), (RG3′), (PL2′)
    da_f = dc * prev.c * (f * (1 - f))  # (PL5′), (PL3′)
    da_g = dc * i * d.g * (1 - g * g)  # (PL5′), (RG3′), (PL4′)
    dc_prev = dc * f + da_i * p.p_i + da_f * p.p_f  # (PL5′), (PL2′), (PL3′)
    dp = Peepholes(p_i=da_i * prev.c, p_f=da_f * prev.c, p_o=da_o * state.c)  # (PL2′), (PL3′), (PL6′)
    return States(h=0, c=dc_prev), Gates(da_i, da_f, da_g, da_o), dp


PeepholeLSTM = define(
    "PeepholeLSTM", step, step_backward, gates=Gates, states=States, kept=Gates, parameters=Peepholes, masks=Masks
)
