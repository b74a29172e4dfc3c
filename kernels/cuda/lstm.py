"""Long short-term memory: what a thread does when its products are complete.

The equations and their numbers are those of rnn_core/equations/lstm.py. `i`, `f`, … are one hidden unit's of one row
of the batch; the products of (L1) and (L1′) are the loops'.
"""

from __future__ import annotations

from typing import Any

from kernels.contract import LSTM, LSTMGates

from .language.cell import KernelCell
from .language.device import device_function
from .language.pointwise import one, sigmoid, tanh, zero


@device_function
def pre_activation(x: LSTMGates, b_x: LSTMGates, h: LSTMGates, b_h: LSTMGates) -> LSTMGates:
    """From x = W_x x_t and h = W_h h_{t−1}, gate by gate, to a_t."""
    return LSTMGates(
        i=x.i + b_x.i + h.i + b_h.i,  # (L1)
        f=x.f + b_x.f + h.f + b_h.f,  # (L1)
        g=x.g + b_x.g + h.g + b_h.g,  # (L1)
        o=x.o + b_x.o + h.o + b_h.o,  # (L1)
    )


@device_function
def step(a: LSTMGates, prev: Any) -> tuple[Any, LSTMGates]:
    """From the pre-activations (L1) and the previous state to the next state and the gates."""
    i = sigmoid(a.i)  # (L2)
    f = sigmoid(a.f)  # (L3)
    g = tanh(a.g)  # (L4)
    o = sigmoid(a.o)  # (L5)
    c = f * prev.c + i * g  # (L6)
    h = o * tanh(c)  # (L7)
    return (h, c), LSTMGates(i=i, f=f, g=g, o=o)


@device_function
def step_backward(gates: LSTMGates, prev: Any, state: Any, dstate: Any) -> tuple[Any, LSTMGates]:
    """From dh and dc to what dc_{t−1} gets directly, and da; what dh_{t−1} gets comes through the product alone."""
    i, f, g, o = gates
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c  # (L7′)
    dc = dstate.c + dstate.h * o * (one - tanh_c * tanh_c)  # (L7′)
    di = dc * g  # (L6′)
    df = dc * prev.c  # (L6′)
    dg = dc * i  # (L6′)
    dc_prev = dc * f  # (L6′)
    da = LSTMGates(
        i=di * (i * (one - i)),  # (L2′)
        f=df * (f * (one - f)),  # (L3′)
        g=dg * (one - g * g),  # (L4′)
        o=do * (o * (one - o)),  # (L5′)
    )
    return (zero, dc_prev), da


@device_function
def halves(da: LSTMGates) -> tuple[LSTMGates, LSTMGates]:
    """What W_x x_t and W_h h_{t−1} get: the same, da_t."""
    return da, da  # (L1′)


CELL = KernelCell(
    name="lstm",
    spec=LSTM,
    from_x=LSTMGates,
    from_h=LSTMGates,
    kept=LSTMGates,
    pre_activation=pre_activation,
    step=step,
    step_backward=step_backward,
    halves=halves,
    halves_differ=False,
)
