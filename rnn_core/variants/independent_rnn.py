"""The independently recurrent network: each unit hears of the step before from itself alone.

::

    a_t = W_x x_t + b_x                              (IR1)
    h_t = relu(a_t + u ⊙ h_{t−1})                    (IR2)

u has one number a unit, and there is no W_h: ∂h_t/∂h_{t−1} is u where the unit is at work, so a gradient's growth over
T steps is in plain sight, ``|u|^T``. Units meet in the layer above.

References
----------
.. [1] S. Li, W. Li, C. Cook, C. Zhu, Y. Gao, "Independently recurrent neural network (IndRNN): building a longer and
   deeper RNN", CVPR 2018, arXiv:1803.04831v3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..cell import Number, define, relu, where_less


class Gates(NamedTuple):
    """The one sum."""

    h: Number


class States(NamedTuple):
    """h, the output."""

    h: Number


class Recurrence(NamedTuple):
    """The weight of a unit's own past."""

    u: Number


class Masks(NamedTuple):
    """What the candidate is multiplied by where it is dropped, (RG3)."""

    h: Number


def step(a: Gates, prev: States, d: Masks, p: Recurrence) -> tuple[States, tuple[()]]:
    """From the sum (IR1) and the previous state to the next state, which is all that the backward needs."""
    return States(h=d.h * relu(a.h + p.u * prev.h)), ()  # (IR2), (RG3)


def step_backward(
    kept: tuple[()], prev: States, state: States, dstate: States, d: Masks, p: Recurrence
) -> tuple[States, Gates, Recurrence]:
    """From dh to what dh_{t−1} gets, da, and what the step gives to du."""
    da = where_less(0, state.h, dstate.h * d.h, 0)  # (IR2′), (RG3′); a mask is never below 0
    return States(h=da * p.u), Gates(h=da), Recurrence(u=da * prev.h)  # (IR2′)


def _uniform(rng: np.random.Generator, shape: Any) -> np.ndarray:
    """From U(0, 1), as the paper has it for ReLU."""
    return rng.uniform(0, 1, shape)


IndRNN = define(
    "IndRNN", step, step_backward,
    gates=Gates, states=States, parameters=Recurrence, masks=Masks, from_h=(), initial={"u": _uniform},
)  # fmt: skip
