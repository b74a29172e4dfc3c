"""The vanilla recurrent network, with tanh, ReLU or sigmoid: what a thread does when its product is complete.

The equations and their numbers are those of rnn_core/equations/rnn.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernels.contract import RNN, RNNGates

from .language.cell import KernelCell
from .language.device import device_function
from .language.pointwise import one, relu, sigmoid, step_function, tanh, zero


@device_function
def pre_activation(x: RNNGates, b_x: RNNGates, h: RNNGates, b_h: RNNGates) -> RNNGates:
    """From x = W_x x_t and h = W_h h_{t−1} to a_t."""
    return RNNGates(h=x.h + b_x.h + h.h + b_h.h)  # (R1)


@device_function
def halves(da: RNNGates) -> tuple[RNNGates, RNNGates]:
    """What W_x x_t and W_h h_{t−1} get: the same, da_t."""
    return da, da  # (R1′)


def make_cell(name: str, f: Callable[[Any], Any], df: Callable[[Any], Any]) -> KernelCell:
    """Return the cell with a nonlinearity f, and its derivative df in terms of the output."""

    @device_function
    def step(a: RNNGates, prev: Any) -> tuple[Any, tuple[()]]:
        """From the pre-activation (R1) to the next state; that state is all that the backward needs."""
        h = f(a.h)  # (R2)
        return (h,), ()

    @device_function
    def step_backward(gates: tuple[()], prev: Any, state: Any, dstate: Any) -> tuple[Any, RNNGates]:
        """From dh to da; what dh_{t−1} gets comes through the product alone."""
        da = dstate.h * df(state.h)  # (R2′)
        return (zero,), RNNGates(h=da)

    return KernelCell(
        name=name,
        spec=RNN,
        from_x=RNNGates,
        from_h=RNNGates,
        kept=0,
        pre_activation=pre_activation,
        step=step,
        step_backward=step_backward,
        halves=halves,
        halves_differ=False,
    )


CELLS = {
    "rnn_tanh": make_cell("rnn_tanh", tanh, device_function(lambda h: one - h * h)),
    "rnn_relu": make_cell("rnn_relu", relu, step_function),
    "rnn_sigmoid": make_cell("rnn_sigmoid", sigmoid, device_function(lambda h: h * (one - h))),
}
