"""The vanilla recurrent network, with tanh, ReLU or sigmoid: what a tile turns into when its product is complete.

The equations and their numbers are those of rnn_core/equations/rnn.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernels.contract import RNN, RNNGates

from .emitting.cell import KernelCell
from .emitting.pointwise import relu, sigmoid, step_function, tanh


def make_cell(name: str, f: Callable[[Any], Any], df: Callable[[Any], Any]) -> KernelCell:
    """Return the cell with a nonlinearity f, and its derivative df in terms of the output."""

    def step(a: RNNGates, prev: Any) -> tuple[Any, tuple[()]]:
        """From the pre-activation (R1) to the next state; that state is all that the backward needs."""
        h = f(a.h)  # (R2)
        return (h,), ()

    def step_backward(gates: tuple[()], prev: Any, state: Any, dstate: Any) -> tuple[Any, RNNGates]:
        """From dh to da; what dh_{t−1} gets comes through the product alone."""
        da = dstate.h * df(state.h)  # (R2′)
        return (None,), RNNGates(h=da)

    return KernelCell(
        name=name,
        states=RNN.states,
        slots=RNNGates,
        from_x=RNNGates._fields,
        from_h=RNNGates._fields,
        kept=(),
        step=step,
        step_backward=step_backward,
    )


CELLS = {
    "rnn_tanh": make_cell("rnn_tanh", tanh, lambda h: 1 - h * h),
    "rnn_relu": make_cell("rnn_relu", relu, step_function),
    "rnn_sigmoid": make_cell("rnn_sigmoid", sigmoid, lambda h: h * (1 - h)),
}
