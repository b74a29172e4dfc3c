"""The equations, written out: one file a cell, each backward directly below its forward.

The numbers behind the lines, ``(L5)`` and its backward ``(L5′)``, are those of docs/equations.md. Everything
here is plain NumPy and runs on float32, float64 and complex128; complex numbers make the complex step possible.
As a backend (`rnn_core.backends`) these files are called ``"numpy"``.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import cast

from kernels.contract import CELLS, Cell

from . import gru, lstm, rnn

NAME = "numpy"


def cell(name: str) -> Cell:
    """Return the `infer`, `forward` and `backward` of a cell named in `kernels.contract.CELLS`."""
    if name not in CELLS:
        raise ValueError(f"equations.cell: name must be one of {', '.join(CELLS)}, got {name!r}")
    if name == "lstm":
        return cast(Cell, lstm)
    if name == "gru":
        return cast(Cell, gru)
    activation = name.removeprefix("rnn_")
    loops = {f: partial(getattr(rnn, f), activation=activation) for f in ("infer", "forward", "backward")}
    return cast(Cell, SimpleNamespace(**loops))
