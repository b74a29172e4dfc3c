"""The recurrent core on the CPU, in numba: the backend ``"cpu"``."""

from kernels.contract import Cell, QuantizedAffine, QuantizedCell

from .recurrence import CELLS, Recurrence

NAME = "cpu"


def cell(name: str) -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`."""
    if name not in CELLS:
        raise ValueError(f"cpu.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    return Recurrence(name)


def quantized_cell(name: str) -> QuantizedCell:
    """Return the inference of a cell whose weights are int8."""
    from .int8.recurrence import QuantizedRecurrence  # whoever has no such weights pays nothing for them

    return QuantizedRecurrence(name)


def quantized_affine() -> QuantizedAffine:
    """Return the affine map whose weights are int8."""
    from .int8.affine import QuantizedAffine

    return QuantizedAffine()
