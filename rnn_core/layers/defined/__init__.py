"""Layers of a cell that a user has defined, and the register of such cells."""

from .cell import (
    DEFINED,
    Cell,
    Defining,
    Initial,
    cell_named,
    cells_of,
    place_of,
    register,
    signature,
    spec_of,
    taken_names,
)

__all__ = [
    "DEFINED",
    "Cell",
    "Defining",
    "Initial",
    "cell_named",
    "cells_of",
    "place_of",
    "register",
    "signature",
    "spec_of",
    "taken_names",
]
