"""A cell's matrices on their way to a loop, and their gradients on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.contract import DefinedParameters, Parameters

from ..emitting.cell import KernelCell
from ..emitting.simd import Lanes
from ..running.memory import Block, array
from ..running.packing import Panels, prepared
from .schedule import LevelledCell, Product


class ProductPanels(NamedTuple):
    """Panels for the products within a step, and the table in which a loop finds them."""

    blocks: tuple[Block, ...]  # which must live as long as the loop runs
    table: np.ndarray

    def addresses(self, memory: int, parts: Mapping[str, int]) -> dict[str, int]:
        """Return what a loop has to know, by a job's names."""
        found = {name: memory + parts[name] for name in ("row", "factors") if name in parts}
        return {**found, "products": self.table.ctypes.data}


class MatrixGradients(NamedTuple):
    """Memory for the matrices' gradients; None where one isn't wanted."""

    gradients: tuple[np.ndarray | None, ...]
    table: np.ndarray

    @property
    def addresses(self) -> dict[str, int]:
        """Return what a loop has to know."""
        return {"dmatrices": self.table.ctypes.data}


def matrices_of(cell: KernelCell, params: Parameters | DefinedParameters) -> tuple[np.ndarray, ...]:
    """Return a cell's matrices."""
    extra: Any = params[-1] if cell.matrices else ()
    return tuple(extra[cell.numbers :]) if cell.matrices else ()


def suited(cell: KernelCell, params: Parameters | DefinedParameters) -> KernelCell:
    """Return the cell that is made for such constants: of those that are the same for all units there is less to do."""
    if not isinstance(cell, LevelledCell) or cell.apart is None or not cell.constants:
        return cell
    extra: Any = params[-1]
    constants = extra[len(cell.vectors) : cell.numbers]
    return cell if all((one == one[0]).all() for one in constants) else cell.apart


def panels_of(
    cell: KernelCell, params: Parameters | DefinedParameters, plan: Any, lanes: Lanes, *, forward: bool
) -> ProductPanels:
    """Return a matrix packed for each product of a step: for W v panels of its rows, for Wᵀ d of its columns."""
    products: tuple[Product, ...] = ()
    if isinstance(cell, LevelledCell):
        products = (cell.forward if forward else cell.backward).products
        if forward and cell.projection is not None:
            products += (Product(0, cell.projection, False, 0),)
    matrices, count = matrices_of(cell, params), plan.groups * plan.members
    blocks = tuple(
        prepared((matrices[one.matrix],), (Panels(not one.transposed, (0,), plan.back_panel, lanes),), count)[0]
        for one in products
    )
    return ProductPanels(blocks, np.array([block.address for block in blocks], np.int64))


def wanted_of(cell: KernelCell, params: Parameters | DefinedParameters, needs: frozenset[str]) -> MatrixGradients:
    """Return memory for the gradients of the matrices."""
    pairs = zip(cell.matrices, matrices_of(cell, params), strict=True)
    found = tuple(array(W.shape, W.dtype) if name in needs else None for name, W in pairs)
    return MatrixGradients(found, np.array([0 if one is None else one.ctypes.data for one in found], np.int64))
