"""The GRU without recurrence in its gates: a state that is a weighted mean of candidates, known ahead.

::

    z_t = σ(W_xz x_t + b_xz)               update gate   (MN1)
    n_t = W_xn x_t + b_xn                  candidate     (MN2)
    h_t = (1 − z_t) ⊙ h_{t−1} + z_t ⊙ n_t                (MN3)

Nothing but (MN3) waits for the step before, and it is linear in h: `scan.py` takes all steps at once.

References
----------
.. [1] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi, "Were RNNs all we needed?",
   arXiv:2410.01201v3 (2024).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..cell import Number, define, sigmoid
from .scan import Linear


class Gates(NamedTuple):
    """The sums, and what a tape keeps."""

    z: Number
    n: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    n: Number


def step(a: Gates, prev: States, d: Masks) -> tuple[States, Gates]:
    """From the sums and the previous state to the next state and the gate."""
    z = sigmoid(a.z)  # (MN1)
    n = a.n  # (MN2)
    h = (1 - z) * prev.h + z * (d.n * n)  # (MN3), (RG3)
    return States(h), Gates(z, n)


def step_backward(kept: Gates, prev: States, state: States, dstate: States, d: Masks) -> tuple[States, Gates]:
    """From dh to what dh_{t−1} gets, and da."""
    z, n = kept
    dz = dstate.h * (d.n * n - prev.h)  # (MN3′), (RG3′)
    dn = dstate.h * z * d.n  # (MN3′), (RG3′)
    dh_prev = dstate.h * (1 - z)  # (MN3′)
    return States(h=dh_prev), Gates(z=dz * (z * (1 - z)), n=dn)  # (MN1′), (MN2′)


def linear(a: Any) -> Linear:
    """(MN3) of all steps as h_t = A_t ⊙ h_{t−1} + b_t, from the sums."""
    z = sigmoid(a.z)  # (MN1)
    return Linear(A=1 - z, b=z * a.n)  # (MN2), (MN3)


MinGRU = define("MinGRU", step, step_backward, gates=Gates, states=States, kept=Gates, masks=Masks, from_h=())
