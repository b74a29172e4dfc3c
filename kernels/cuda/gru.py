"""The gated recurrent unit: what a thread does when its products are complete.

The equations and their numbers are those of rnn_core/equations/gru.py. The candidate's two halves stay apart, because
the reset gate acts on one of them alone: n comes from the input, r and z from both, m from the state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kernels.contract import GRU, GRUGates

from .language.cell import KernelCell
from .language.device import device_function
from .language.pointwise import one, sigmoid, tanh


class GRUSlots(NamedTuple):
    """The sums of a step, the values of a tape, and their gradients."""

    n: Any
    r: Any
    z: Any
    m: Any


@device_function
def pre_activation(x: GRUGates, b_x: GRUGates, h: GRUGates, b_h: GRUGates) -> GRUSlots:
    """From x = W_x x_t and h = W_h h_{t−1}, gate by gate, to the sums in the equations."""
    return GRUSlots(
        n=x.n + b_x.n,  # (G4)
        r=x.r + b_x.r + h.r + b_h.r,  # (G1)
        z=x.z + b_x.z + h.z + b_h.z,  # (G2)
        m=h.n + b_h.n,  # (G3)
    )


@device_function
def step(a: GRUSlots, prev: Any) -> tuple[Any, GRUSlots]:
    """From the sums and the previous state to the next state and the gates."""
    r = sigmoid(a.r)  # (G1)
    z = sigmoid(a.z)  # (G2)
    m = a.m  # (G3)
    n = tanh(a.n + r * m)  # (G4)
    h = (one - z) * n + z * prev.h  # (G5)
    return (h,), GRUSlots(n=n, r=r, z=z, m=m)


@device_function
def step_backward(gates: GRUSlots, prev: Any, state: Any, dstate: Any) -> tuple[Any, GRUSlots]:
    """From dh to what dh_{t−1} gets directly, and da."""
    n, r, z, m = gates
    dn = dstate.h * (one - z)  # (G5′)
    dz = dstate.h * (prev.h - n)  # (G5′)
    dh_prev = dstate.h * z  # (G5′)
    da_n = dn * (one - n * n)  # (G4′)
    dr = da_n * m  # (G4′)
    da = GRUSlots(
        n=da_n,
        r=dr * (r * (one - r)),  # (G1′)
        z=dz * (z * (one - z)),  # (G2′)
        m=da_n * r,  # (G4′)
    )
    return (dh_prev,), da


@device_function
def halves(da: GRUSlots) -> tuple[GRUGates, GRUGates]:
    """What W_x x_t and W_h h_{t−1} get, in the order of the gates."""
    return GRUGates(r=da.r, z=da.z, n=da.n), GRUGates(r=da.r, z=da.z, n=da.m)


CELL = KernelCell(
    name="gru",
    spec=GRU,
    from_x=GRUGates,
    from_h=GRUGates,
    kept=GRUSlots,
    pre_activation=pre_activation,
    step=step,
    step_backward=step_backward,
    halves=halves,
    halves_differ=True,
)
