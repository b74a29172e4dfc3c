"""The recurrent core on the CPU, in numba: the backend ``"cpu"``."""

from kernels.contract import Cell

from .recurrence import CELLS, Recurrence

NAME = "cpu"


def cell(name: str) -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`."""
    if name not in CELLS:
        raise ValueError(f"cpu.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    return Recurrence(name)
