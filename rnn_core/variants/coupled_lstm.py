"""Long short-term memory with coupled gates: what is forgotten makes room for exactly as much that is new.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h              (CL1)  three blocks: a_f, a_g, a_o
    f_t = σ(a_f)                       forget gate       (CL2)
    g_t = tanh(a_g)                    candidate         (CL3)
    o_t = σ(a_o)                       output gate       (CL4)
    c_t = f_t ⊙ c_{t−1} + (1 − f_t) ⊙ g_t                (CL5)
    h_t = o_t ⊙ tanh(c_t)                                (CL6)

c_t lies between c_{t−1} and g_t, so ``|c|`` never passes the larger of 1 and ``|c_0|``; and there are three
quarters of an LSTM's weights.

References
----------
.. [1] K. Greff, R. K. Srivastava, J. Koutník, B. R. Steunebrink, J. Schmidhuber, "LSTM: a search space odyssey",
   IEEE Transactions on Neural Networks and Learning Systems 28 (2017) 2222-2232, arXiv:1503.04069v2: CIFG.
"""

from __future__ import annotations

from typing import NamedTuple

from ..cell import Number, define, sigmoid, tanh


class Gates(NamedTuple):
    """The sums, and the gates that a tape keeps."""

    f: Number
    g: Number
    o: Number


class States(NamedTuple):
    """h, the output, and c."""

    h: Number
    c: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    g: Number


def step(a: Gates, prev: States, d: Masks) -> tuple[States, Gates]:
    """From the sums (CL1) and the previous states to the next states and the gates."""
    f = sigmoid(a.f)  # (CL2)
    g = tanh(a.g)  # (CL3)
    o = sigmoid(a.o)  # (CL4)
    c = f * prev.c + (1 - f) * (d.g * g)  # (CL5), (RG3)
    h = o * tanh(c)  # (CL6)
    return States(h, c), Gates(f, g, o)


def step_backward(kept: Gates, prev: States, state: States, dstate: States, d: Masks) -> tuple[States, Gates]:
    """From dh and dc to what dc_{t−1} gets directly, and da."""
    f, g, o = kept
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c  # (CL6′)
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c)  # (CL6′)
    df = dc * (prev.c - d.g * g)  # (CL5′), (RG3′)
    dg = dc * (1 - f) * d.g  # (CL5′), (RG3′)
    dc_prev = dc * f  # (CL5′)
    da_f = df * (f * (1 - f))  # (CL2′)
    da_g = dg * (1 - g * g)  # (CL3′)
    da_o = do * (o * (1 - o))  # (CL4′)
    return States(h=0, c=dc_prev), Gates(da_f, da_g, da_o)


CoupledLSTM = define("CoupledLSTM", step, step_backward, gates=Gates, states=States, kept=Gates, masks=Masks)
