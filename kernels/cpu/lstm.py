"""Long short-term memory: what a tile turns into when its products are complete.

The equations and their numbers are those of rnn_core/equations/lstm.py. `i`, `f`, … are vectors of hidden units of one
row of the batch; the products of (L1) and (L1′) are the micro-kernel's.
"""

from __future__ import annotations

from typing import Any

from kernels.contract import LSTM, LSTMGates

from .emitting.cell import KernelCell
from .emitting.pointwise import sigmoid, tanh


def step(a: LSTMGates, prev: Any) -> tuple[Any, LSTMGates]:
    """From the pre-activations (L1) and the previous state to the next state and the gates."""
    i = sigmoid(a.i)  # (L2)
    f = sigmoid(a.f)  # (L3)
    g = tanh(a.g)  # (L4)
    o = sigmoid(a.o)  # (L5)
    c = f * prev.c + i * g  # (L6)
    h = o * tanh(c)  # (L7)
    return (h, c), LSTMGates(i=i, f=f, g=g, o=o)


def step_backward(gates: LSTMGates, prev: Any, state: Any, dstate: Any) -> tuple[Any, LSTMGates]:
    """From dh and dc to what dc_{t−1} gets directly, and da; what dh_{t−1} gets comes through the product alone."""
    i, f, g, o = gates
    tanh_c = tanh(state.c)
    do = dstate.h * tanh_c  # (L7′)
    dc = dstate.c + dstate.h * o * (1 - tanh_c * tanh_c)  # (L7′)
    di = dc * g  # (L6′)
    df = dc * prev.c  # (L6′)
    dg = dc * i  # (L6′)
    dc_prev = dc * f  # (L6′)
    da = LSTMGates(
        i=di * (i * (1 - i)),  # (L2′)
        f=df * (f * (1 - f)),  # (L3′)
        g=dg * (1 - g * g),  # (L4′)
        o=do * (o * (1 - o)),  # (L5′)
    )
    return (None, dc_prev), da


CELL = KernelCell(
    name="lstm",
    states=LSTM.states,
    slots=LSTMGates,
    from_x=LSTMGates._fields,
    from_h=LSTMGates._fields,
    kept=LSTMGates._fields,
    step=step,
    step_backward=step_backward,
)
