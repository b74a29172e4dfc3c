"""The equations, written out: one file a cell, each backward directly below its forward.

The numbers behind the lines, ``(L5)`` and its backward ``(L5′)``, are those of docs/equations.md. Everything
here is plain NumPy and runs on float32, float64 and complex128; complex numbers make the complex step possible.
As a backend (`rnn_core.backends`) these files are called ``"numpy"``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from kernels.contract import CELLS, Cell
from kernels.definition import Definition

from . import gru, lstm, rnn
from .defined import DefinedLoops
from .quantized import QuantizedAffine, QuantizedLoop
from .rounding import rounding

NAME = "numpy"

ACROSS = True
"""All that a definition can have is run here."""

ALONE = True
"""BLAS gives a row other bits beside other rows, so what is to have those that it has alone must be computed alone."""


def cell(name: str, precision: str = "float32") -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`, in a precision."""
    if name not in CELLS:
        raise ValueError(f"equations.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    q = rounding("equations.cell", precision)
    if name == "lstm":
        return _loops(lstm, q=q)
    if name == "gru":
        return _loops(gru, q=q)
    return _loops(rnn, activation=name.removeprefix("rnn_"), q=q)


def _loops(file: Any, **options: Any) -> Loops:
    infer, forward, backward = (partial(loop, **options) for loop in (file.infer, file.forward, file.backward))
    return Loops(infer, forward, backward, file.states)


def defined_cell(definition: Definition, precision: str = "float32") -> DefinedLoops:
    """Return the loops of a cell that a user has defined."""
    return DefinedLoops(definition, rounding("equations.defined_cell", precision))


def quantized_cell(name: str) -> QuantizedLoop:
    """Return the inference of a cell whose weights are int8."""
    return QuantizedLoop(cell(name))


def quantized_affine() -> QuantizedAffine:
    """Return the affine map whose weights are int8."""
    return QuantizedAffine()


class Loops(NamedTuple):
    """A cell's time loops, in a form that can be pickled and copied."""

    infer: Callable[..., Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    states: Callable[..., Any]
