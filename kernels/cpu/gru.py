"""The gated recurrent unit: what a tile turns into when its products are complete.

The equations and their numbers are those of rnn_core/equations/gru.py. The candidate's two halves stay apart in a
tile, because the reset gate acts on one of them alone: a tile of a GRU has four sums a unit, n from the input, r and z
from both, m from the state. In that order the input's three lie side by side, and so do the state's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kernels.contract import GRU

from .emitting.cell import KernelCell
from .emitting.pointwise import sigmoid, tanh


class GRUSlots(NamedTuple):
    """The sums of a tile, the values of a tape, and their gradients."""

    n: Any
    r: Any
    z: Any
    m: Any


def step(a: GRUSlots, prev: Any) -> tuple[Any, GRUSlots]:
    """From the sums and the previous state to the next state and the gates."""
    r = sigmoid(a.r)  # (G1)
    z = sigmoid(a.z)  # (G2)
    m = a.m  # (G3)
    n = tanh(a.n + r * m)  # (G4)
    h = (1 - z) * n + z * prev.h  # (G5)
    return (h,), GRUSlots(n=n, r=r, z=z, m=m)


def step_backward(gates: GRUSlots, prev: Any, state: Any, dstate: Any) -> tuple[Any, GRUSlots]:
    """From dh to what dh_{t−1} gets directly, and da."""
    n, r, z, m = gates
    dn = dstate.h * (1 - z)  # (G5′)
    dz = dstate.h * (prev.h - n)  # (G5′)
    dh_prev = dstate.h * z  # (G5′)
    da_n = dn * (1 - n * n)  # (G4′)
    dr = da_n * m  # (G4′)
    da = GRUSlots(
        n=da_n,
        r=dr * (r * (1 - r)),  # (G1′)
        z=dz * (z * (1 - z)),  # (G2′)
        m=da_n * r,  # (G4′)
    )
    return (dh_prev,), da


CELL = KernelCell(
    name="gru",
    states=GRU.states,
    slots=GRUSlots,
    from_x=("r", "z", "n"),
    from_h=("r", "z", "m"),
    kept=GRUSlots._fields,
    step=step,
    step_backward=step_backward,
)
