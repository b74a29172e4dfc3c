"""The minimal gated unit, its gate behind the product: one gate that resets and updates.

::

    f_t = σ(W_xf x_t + b_xf + W_hf h_{t−1} + b_hf)   forget gate   (MG1)
    m_t = W_hn h_{t−1} + b_hn                                      (MG2)
    n_t = tanh(W_xn x_t + b_xn + f_t ⊙ m_t)          candidate     (MG3)
    h_t = (1 − f_t) ⊙ h_{t−1} + f_t ⊙ n_t                          (MG4)

The paper has W_hn (f_t ⊙ h_{t−1}) in the place of f_t ⊙ m_t, a second product that must wait for the first. Here the
gate acts on the product, as torch's GRU has it against the GRU's first paper: two thirds of a GRU's weights, and one
product a step.

References
----------
.. [1] G.-B. Zhou, J. Wu, C.-L. Zhang, Z.-H. Zhou, "Minimal gated unit for recurrent neural networks", International
   Journal of Automation and Computing 13 (2016) 226-234, arXiv:1603.09420v1.
"""

from __future__ import annotations

from typing import NamedTuple

from ..cell import Number, define, sigmoid, tanh


class Gates(NamedTuple):
    """The sums, and what a tape keeps: n from the input, f from both, m from the state."""

    n: Number
    f: Number
    m: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    n: Number


def step(a: Gates, prev: States, d: Masks) -> tuple[States, Gates]:
    """From the sums and the previous state to the next state and the gates."""
    f = sigmoid(a.f)  # (MG1)
    m = a.m  # (MG2)
    n = tanh(a.n + f * m)  # (MG3)
    h = (1 - f) * prev.h + f * (d.n * n)  # (MG4), (RG3)
    return States(h), Gates(n, f, m)


def step_backward(kept: Gates, prev: States, state: States, dstate: States, d: Masks) -> tuple[States, Gates]:
    """From dh to what dh_{t−1} gets directly, and da."""
    n, f, m = kept
    dn = dstate.h * f * d.n  # (MG4′), (RG3′)
    dh_prev = dstate.h * (1 - f)  # (MG4′)
    da_n = dn * (1 - n * n)  # (MG3′)
    df = dstate.h * (d.n * n - prev.h) + da_n * m  # (MG4′), (RG3′), (MG3′)
    da_f = df * (f * (1 - f))  # (MG1′)
    dm = da_n * f  # (MG3′)
    return States(h=dh_prev), Gates(n=da_n, f=da_f, m=dm)


MinimalGatedUnit = define(
    "MinimalGatedUnit", step, step_backward,
    gates=Gates, states=States, kept=Gates, masks=Masks, from_x=("n", "f"), from_h=("f", "m"),
)  # fmt: skip
