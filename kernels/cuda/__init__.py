"""The recurrent core on the GPU, in numba.cuda: the backend ``"cuda"``."""

from kernels.contract import Cell, check_precision

from .recurrence import CELLS, Recurrence, describe
from .running.launch import missing, namespace
from .running.tensor import allow_tf32

NAME = "cuda"

__all__ = ["CELLS", "NAME", "allow_tf32", "cell", "describe", "missing", "namespace"]


def cell(name: str, precision: str = "float32") -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`; in float32 alone."""
    if name not in CELLS:
        raise ValueError(f"cuda.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    if check_precision("cuda.cell", precision) != "float32":
        raise ValueError(
            f"precision must be 'float32' with backend='cuda', got {precision!r}; take backend='cpu', or leave it out"
        )
    return Recurrence(name)
