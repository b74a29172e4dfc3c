"""The LSTM without recurrence in its gates, and with gates that add up to 1.

::

    δ_t = s(−a_i) − s(−a_f),  a = W_x x_t + b_x,  s(x) = log(1 + eˣ)   (MT1)
    f_t = σ(δ_t)                            share of the old state     (MT2)
    n_t = a_n                               candidate                  (MT3)
    h_t = f_t ⊙ h_{t−1} + (1 − f_t) ⊙ n_t                              (MT4)

f_t is σ(a_f)/(σ(a_f) + σ(a_i)), which the paper divides out; as (MT1) and (MT2) it has its digits also where both gates
are shut. Nothing but (MT4) waits for the step before, and it is linear in h: `scan.py` takes all steps at once.

References
----------
.. [1] L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi, "Were RNNs all we needed?",
   arXiv:2410.01201v3 (2024).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..cell import Number, define, sigmoid
from .scan import Linear
from .softplus import softplus


class Gates(NamedTuple):
    """The sums."""

    f: Number
    i: Number
    n: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Kept(NamedTuple):
    """What a tape keeps: the share, the candidate, and 1 − σ of both gates."""

    f: Number
    n: Number
    not_f: Number
    not_i: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    n: Number


def step(a: Gates, prev: States, d: Masks) -> tuple[States, Kept]:
    """From the sums and the previous state to the next state and the share."""
    f = sigmoid(softplus(-a.i) - softplus(-a.f))  # (MT1), (MT2)
    n = a.n  # (MT3)
    h = f * prev.h + (1 - f) * (d.n * n)  # (MT4), (RG3)
    return States(h), Kept(f, n, sigmoid(-a.f), sigmoid(-a.i))


def step_backward(kept: Kept, prev: States, state: States, dstate: States, d: Masks) -> tuple[States, Gates]:
    """From dh to what dh_{t−1} gets, and da."""
    f, n, not_f, not_i = kept
    df = dstate.h * (prev.h - d.n * n)  # (MT4′), (RG3′)
    dn = dstate.h * (1 - f) * d.n  # (MT4′), (RG3′)
    dh_prev = dstate.h * f  # (MT4′)
    ddelta = df * (f * (1 - f))  # (MT2′)
    return States(h=dh_prev), Gates(f=ddelta * not_f, i=-(ddelta * not_i), n=dn)  # (MT1′), (MT3′)


def linear(a: Any) -> Linear:
    """(MT4) of all steps as h_t = A_t ⊙ h_{t−1} + b_t, from the sums."""
    f = sigmoid(softplus(-a.i) - softplus(-a.f))  # (MT1), (MT2)
    return Linear(A=f, b=(1 - f) * a.n)  # (MT3), (MT4)


MinLSTM = define("MinLSTM", step, step_backward, gates=Gates, states=States, kept=Kept, masks=Masks, from_h=())
