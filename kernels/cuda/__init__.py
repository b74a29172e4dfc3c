"""The recurrent core on the GPU, in numba.cuda: the backend ``"cuda"``."""

from kernels.contract import Cell, DefinedCell, check_precision
from kernels.definition import Definition, check_within

from .recurrence import CELLS, Recurrence, describe
from .running.launch import missing, namespace
from .running.tensor import allow_tf32

NAME = "cuda"

__all__ = ["CELLS", "NAME", "allow_tf32", "cell", "defined_cell", "describe", "missing", "namespace"]


def cell(name: str, precision: str = "float32") -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`; in float32 alone."""
    if name not in CELLS:
        raise ValueError(f"cuda.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    _check_precision("cuda.cell", precision)
    return Recurrence(name)


def defined_cell(definition: Definition, precision: str = "float32") -> DefinedCell:
    """Return the same of a cell that a user has defined."""
    check_within("cuda.defined_cell", definition)
    _check_precision("cuda.defined_cell", precision)
    return Recurrence(definition.name, definition=definition)


def _check_precision(where: str, precision: str) -> None:
    if check_precision(where, precision) != "float32":
        raise ValueError(
            f"precision must be 'float32' with backend='cuda', got {precision!r}; take backend='cpu', or leave it out"
        )
