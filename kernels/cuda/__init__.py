"""The recurrent core on the GPU, in numba.cuda: the backend ``"cuda"``."""

from typing import Any

import numpy as np

from kernels.contract import Cell, DefinedCell, check_precision
from kernels.definition import Definition

from .across import StagedRecurrence
from .recurrence import CELLS, Recurrence
from .running.launch import missing, namespace
from .running.tensor import allow_tf32

NAME = "cuda"

ACROSS = True
"""Cells may look at whole rows of units within a step."""

__all__ = ["CELLS", "NAME", "allow_tf32", "cell", "defined_cell", "describe", "missing", "namespace"]


def cell(name: str, precision: str = "float32") -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`; in float32 alone."""
    if name not in CELLS:
        raise ValueError(f"cuda.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    _check_precision("cuda.cell", precision)
    return Recurrence(name)


def defined_cell(definition: Definition, precision: str = "float32") -> DefinedCell:
    """Return the same of a cell that a user has defined, also if it looks at whole rows of units within a step."""
    _check_precision("cuda.defined_cell", precision)
    return _defined(definition)


def describe(name: str | Definition, T: int, B: int, H: int, dtype: Any = "float32") -> str:
    """Say which ways a cell takes on the current device, forwards and backwards."""
    cell = Recurrence(name) if isinstance(name, str) else _defined(name)
    ways = (cell.choice(direction, B, H, np.dtype(dtype)) for direction in ("forward", "backward"))
    return "; ".join(map(str, ways))


def _defined(definition: Definition) -> Recurrence | StagedRecurrence:
    if definition.across:
        return StagedRecurrence(definition.name, definition)
    return Recurrence(definition.name, definition=definition)


def _check_precision(where: str, precision: str) -> None:
    if check_precision(where, precision) != "float32":
        raise ValueError(
            f"precision must be 'float32' with backend='cuda', got {precision!r}; take backend='cpu', or leave it out"
        )
