"""The vanilla network in continuous time, a step of Euler's at a time: a leaky integrator of its own activation.

::

    a_t = W_x x_t + b_x + W_h h_{t−1} + b_h          (LR1)
    n_t = tanh(a_t)                                  (LR2)
    h_t = (1 − α) h_{t−1} + α n_t                    (LR3)

τ dh/dt = −h + tanh(W_x x + W_h h + b), with α = Δt/τ. With α = 1 it is the RNN, with a small one it follows slowly.

References
----------
.. [1] H. Jaeger, M. Lukoševičius, D. Popovici, U. Siewert, "Optimization and applications of echo state networks with
   leaky-integrator neurons", Neural Networks 20 (2007) 335-352: the leak outside of the nonlinearity.
"""

from __future__ import annotations

from typing import NamedTuple

from ..cell import Number, define, tanh


class Gates(NamedTuple):
    """The one sum."""

    n: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Options(NamedTuple):
    """α: the share of the new activation, above 0 and at most 1."""

    alpha: float = 0.2


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    n: Number


def step(a: Gates, prev: States, d: Masks, p: Options) -> tuple[States, Gates]:
    """From the sum (LR1) and the previous state to the next state and the activation."""
    n = tanh(a.n)  # (LR2)
    h = (1 - p.alpha) * prev.h + p.alpha * (d.n * n)  # (LR3), (RG3)
    return States(h), Gates(n)


def step_backward(
    kept: Gates, prev: States, state: States, dstate: States, d: Masks, p: Options
) -> tuple[States, Gates]:
    """From dh to what dh_{t−1} gets directly, and da."""
    dn = dstate.h * p.alpha * d.n  # (LR3′), (RG3′)
    dh_prev = dstate.h * (1 - p.alpha)  # (LR3′)
    da = dn * (1 - kept.n * kept.n)  # (LR2′)
    return States(h=dh_prev), Gates(n=da)


LeakyRNN = define(
    "LeakyRNN", step, step_backward, gates=Gates, states=States, kept=Gates, options=Options, masks=Masks
)
