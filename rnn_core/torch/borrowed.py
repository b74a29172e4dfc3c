"""A stack that reads its parameters where torch has them: views of tensors, and no copies."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from kernels.contract import CELLS, Parameters

from .. import backends
from ..layers.passes import Cells

BACKEND = "cpu"
"""Where it runs."""


class Options(NamedTuple):
    """What a module of torch's says of its stack."""

    cell: str  # as the contract calls it
    names: tuple[str, ...]  # of the parameters, in torch's order
    num_layers: int
    directions: int
    bias: bool
    dropout: float  # 0 where nothing is dropped
    batch_sizes: torch.Tensor | None = None  # of a packed batch: the rows of each step

    @property
    def states(self) -> int:
        """How many states the cell has."""
        return len(CELLS[self.cell].states)


class Borrowed(Cells):
    """The passes of a stack over parameters that belong to torch."""

    def __init__(self, options: Options, weights: Sequence[torch.Tensor]):
        arrays = dict(zip(options.names, map(kept_view, weights), strict=True))
        self.num_layers, self.directions = options.num_layers, options.directions
        self.cell, self.spec = options.cell, CELLS[options.cell]
        self._core = backends.get(BACKEND).cell(options.cell)
        self.parameters = arrays
        self._cell_parameters = [
            [
                Parameters(*(arrays.get(self._name(field, k, d)) for field in Parameters._fields))
                for d in range(self.directions)
            ]
            for k in range(self.num_layers)
        ]


def view(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's memory as an array."""
    return tensor.detach().numpy()  # type: ignore[no-any-return, unused-ignore]


class _Kept(NamedTuple):
    """The view of a parameter."""

    of: weakref.ref[torch.Tensor]
    place: tuple[Any, ...]  # address, shape and strides: all of them can be assigned to
    array: np.ndarray


_views: dict[int, _Kept] = {}


def kept_view(tensor: torch.Tensor) -> np.ndarray:
    """Return a parameter's view, the same again while it lives: by that the kernels know weights they have packed."""
    if not isinstance(tensor, torch.nn.Parameter):
        return view(tensor)
    key, place = id(tensor), (tensor.data_ptr(), tensor.shape, tensor.stride())
    kept = _views.get(key)
    if kept is None or kept.of() is not tensor or kept.place != place:
        kept = _views[key] = _Kept(weakref.ref(tensor, lambda of: _forget(key, of)), place, view(tensor))
    return kept.array


def _forget(key: int, of: weakref.ref[torch.Tensor]) -> None:
    """Forget the view of a parameter that is gone, unless the place is another's by now."""
    kept = _views.get(key)
    if kept is not None and kept.of is of:
        del _views[key]
