"""Layers of a cell that a user has defined, and the register of such cells."""

from .cell import (
    DEFINED,
    Cell,
    Defining,
    cell_named,
    cells_of,
    place_of,
    register,
    signature,
    spec_of,
    taken_names,
)
from .parameters import Initial
from .shipped import SHIPPED, cells_by_name, shipped

__all__ = [
    "DEFINED",
    "SHIPPED",
    "Cell",
    "Defining",
    "Initial",
    "cell_named",
    "cells_by_name",
    "cells_of",
    "place_of",
    "register",
    "shipped",
    "signature",
    "spec_of",
    "taken_names",
]
