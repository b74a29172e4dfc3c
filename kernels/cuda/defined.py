"""A cell that a user has defined (kernels/definition.py), as a thread sees it: its programs become functions."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from kernels.contract import CellSpec
from kernels.definition import Definition

from .language.cell import KernelCell, StagedCell
from .language.unrolled import make_halves, make_program, make_sums

_cells: dict[tuple[str, str], KernelCell] = {}
"""Those that have been made, by digest and dtype: two that do the same share what is compiled."""

_staged: dict[str, StagedCell] = {}
"""The same of those whose units look at one another within a step, by digest."""


def staged_cell(definition: Definition) -> StagedCell:
    """Return a cell whose programs become functions in pieces, of a dtype each (kernels/cuda/running/staged.py)."""
    if definition.digest not in _staged:
        _staged[definition.digest] = StagedCell(definition=definition, **_numbers(definition))
    return _staged[definition.digest]


def kernel_cell(definition: Definition, dtype: str) -> KernelCell:
    """Return a cell for numbers of a dtype: of that kind are the constants in its programs."""
    key = definition.digest, dtype
    if key not in _cells:
        _cells[key] = _make(definition, np.dtype(dtype).type)
    return _cells[key]


def _numbers(d: Definition) -> dict[str, Any]:
    """Return the fields of a `CellNumbers`."""
    return {
        "name": f"defined {d.digest}",
        "spec": CellSpec(namedtuple("Sums", d.sums), d.states, d.vectors),
        "from_x": len(d.from_x),
        "from_h": len(d.from_h),
        "kept": len(d.kept),
        "pre_activation": make_sums(d.sums, d.from_x, d.from_h),
        "halves_differ": d.from_x != d.from_h,
        "streams": len(d.streams),
        "parameters": len(d.vectors) + len(d.constants),
        "vectors": len(d.vectors),
    }


def _make(d: Definition, real: Any) -> KernelCell:
    sums, states, kept, vectors = len(d.sums), len(d.states), len(d.kept), len(d.vectors)
    given = {"m": len(d.streams), "p": vectors + len(d.constants)}
    results: tuple[int, ...] = (states, sums, vectors)
    if not any(given.values()):  # as a cell of the contract
        given, results = {}, (states, sums)
    return KernelCell(
        step=make_program(d.step, {"a": sums, "prev": states, **given}, (states, kept), real),
        step_backward=make_program(
            d.step_backward, {"kept": kept, "prev": states, "state": states, "dstate": states, **given}, results, real
        ),
        halves=make_halves(d.sums, d.from_x, d.from_h),
        **_numbers(d),
    )
