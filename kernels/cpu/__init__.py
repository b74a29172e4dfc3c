"""The recurrent core on the CPU, in numba: the backend ``"cpu"``."""

from collections.abc import Sequence
from typing import Any, cast

from kernels.contract import (
    Cell,
    DefinedCell,
    Multiply,
    Parameters,
    QuantizedAffine,
    QuantizedCell,
    SoftmaxHead,
    UpdateKernels,
    check_precision,
)
from kernels.definition import Definition

from .defined import kernel_cell
from .emitting.bfloat16 import operands
from .emitting.host import host
from .emitting.simd import Lanes, host_width
from .recurrence import CELLS, DefinedRecurrence, Recurrence
from .small import Prepared
from .stacks import FloatStack

NAME = "cpu"

ACROSS = True
"""Cells with operations across the units of a row have kernels, too."""


def about() -> str:
    """Return what the kernels have found of this machine, and chosen by it."""
    from .int8.dots import ways  # whoever has no such weights pays nothing for them

    name, near, estimates, asks = host()
    divided = "estimated and mended" if estimates else "divided"
    asking = "every tile asks" if asks else "tiles of one row ask"
    width = host_width()
    dots = ways(Lanes("float32", width))[0]
    return (
        f"{name}: vectors of {width} bytes; weights up to {near >> 10} KiB count as near; 1/x is {divided}; "
        f"{asking} for weights ahead; bfloat16 as {operands('bfloat16', width)}; int8 by {dots}"
    )


def cell(name: str, precision: str = "float32") -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`, in a precision."""
    if name not in CELLS:
        raise ValueError(f"cpu.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    return Recurrence(name, check_precision("cpu.cell", precision))


def defined_cell(definition: Definition, precision: str = "float32") -> DefinedCell:
    """Return the `infer`, `forward` and `backward` of a cell that a user has defined, in a precision."""
    return DefinedRecurrence(definition, check_precision("cpu.defined_cell", precision))


def prepare(name: str | Definition, stack: Sequence[Sequence[Any]], precision: str = "float32") -> Prepared:
    """Return desks for small inferences of a whole stack of cells, [layer][direction], in a precision.

    A cell is its `Parameters`, or what the `prepare` of a `QuantizedCell` has returned; of one that a user has defined,
    which has its definition in the place of a name, its `DefinedParameters`.
    """
    cells, directions = [cell for layer in stack for cell in layer], len(stack[0])
    if isinstance(name, Definition) or isinstance(cells[0], Parameters):
        cell = kernel_cell(name) if isinstance(name, Definition) else CELLS[name]
        return Prepared(FloatStack(cell, cells, check_precision("cpu.prepare", precision)), directions)
    from .int8.stack import Int8Stack

    return Prepared(Int8Stack(CELLS[name], cells), directions)


def quantized_cell(name: str) -> QuantizedCell:
    """Return the inference of a cell whose weights are int8."""
    from .int8.recurrence import QuantizedRecurrence  # whoever has no such weights pays nothing for them

    return QuantizedRecurrence(name)


def quantized_affine() -> QuantizedAffine:
    """Return the affine map whose weights are int8."""
    from .int8.affine import QuantizedAffine

    return QuantizedAffine()


def multiply(precision: str = "float32") -> Multiply:
    """Return the product of two matrices in the kernels' pool, in a precision."""
    from .products.multiply import Multiply

    return Multiply(check_precision("cpu.multiply", precision))


def softmax_head(precision: str = "float32") -> SoftmaxHead:
    """Return softmax cross-entropy of an affine map; what it is made of is imported when it is first asked for."""
    from .products.calls import Head

    return Head(check_precision("cpu.softmax_head", precision))


def update_kernels() -> UpdateKernels:
    """Return norms, optimizers and sums of rows in compiled loops."""
    from . import updates  # whoever only computes needs none of it

    return cast(UpdateKernels, updates)
