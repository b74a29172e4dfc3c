"""A stack that reads its parameters where torch has them: views of tensors, and no copies."""

from __future__ import annotations

import atexit
import operator
import weakref
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from kernels.contract import CELLS, DefinedParameters, Parameters

from .. import backends
from ..layers.passes import Cells
from ..layers.small.calls import SmallCalls

BACKEND = "cpu"
"""Where it runs."""


class Options(NamedTuple):
    """What a module of torch's says of its stack."""

    cell: str  # as the contract calls it
    projected: bool  # an LSTM whose h is a product of what it would be, as `ProjectedLSTM`
    names: tuple[str, ...]  # of the parameters, in torch's order
    num_layers: int
    directions: int
    bias: bool
    dropout: float  # 0 where nothing is dropped
    batch_sizes: torch.Tensor | None = None  # of a packed batch: the rows of each step
    precision: str = "float32"  # or "bfloat16": in what products read their operands

    @property
    def states(self) -> int:
        """How many states the cell has."""
        return len(CELLS[self.cell].states)


class Borrowed(Cells):
    """The passes of a stack over parameters that belong to torch."""

    def __init__(self, options: Options, views: tuple[np.ndarray, ...], lasting: bool):
        arrays = dict(zip(options.names, views, strict=True))
        self.num_layers, self.directions = options.num_layers, options.directions
        self.cell, self.spec = options.cell, CELLS[options.cell]
        self._core, self._own = _core_of(options)
        self.parameters = arrays
        at = [[(k, d) for d in range(self.directions)] for k in range(self.num_layers)]
        self._cell_parameters = [[self._gathered_at(*place) for place in layer] for layer in at]
        self.made, self.views = _made(options), views
        self._desks: SmallCalls | None = None
        if lasting and not self._own:
            made_of = BACKEND, self.cell, self._cell_parameters, views[0].dtype, False, _Unwatched(), options.precision
            self._desks = SmallCalls(*made_of)

    def are(self, options: Options, views: tuple[np.ndarray, ...]) -> bool:
        """Return whether a module of these options with these parameters has this stack."""
        return self.made == _made(options) and all(map(operator.is_, self.views, views))

    def infer(
        self, x: np.ndarray, states: tuple[np.ndarray, ...], lengths: np.ndarray | None
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Return y and the final states, of small shapes by a call of its own."""
        small = None if lengths is not None else self._desks
        if small is not None and (found := small(x, states if len(states) > 1 else states[0])) is not None:
            return found[0], found[1] if len(states) > 1 else (found[1],)
        (y,), finals = self._through_cells(x, states, lengths, every=False)
        if small is not None:
            small.met(x)
        return y, finals

    def _gathered_at(self, layer: int, direction: int) -> Parameters | DefinedParameters:
        """Return the parameters of a layer in a direction, as its core reads them."""

        def found(fields: tuple[str, ...]) -> tuple[np.ndarray | None, ...]:
            return tuple([self.parameters.get(self._name(field, layer, direction)) for field in fields])

        usual = Parameters(*found(Parameters._fields))
        return DefinedParameters(*usual, found(self._own)) if self._own else usual

    @property
    def _fields(self) -> tuple[str, ...]:
        return (*Parameters._fields, *self._own)

    def _taken(self, gradients: Any, field: str) -> Any:
        return gradients.extra[self._own.index(field)] if field in self._own else getattr(gradients, field)


def borrowed(options: Options, weights: Sequence[torch.Tensor]) -> Borrowed:
    """Return the stack of a module's weights: if they are parameters, the same again while they are where they were."""
    views, key = tuple(map(kept_view, weights)), id(weights[0])
    if any(type(weight) is not torch.nn.Parameter for weight in weights):
        return Borrowed(options, views, lasting=False)
    stack = _stacks.get(key)
    if stack is None or not stack.are(options, views):
        stack = _stacks[key] = Borrowed(options, views, lasting=True)
    return stack


def _made(options: Options) -> tuple[Any, ...]:
    """Return what a stack is made of besides parameters: several may share these."""
    return (*options[:6], options.precision)


@cache
def _core(cell: str, precision: str) -> Any:
    """Return the time loops of a cell."""
    return backends.get(BACKEND).cell(cell, precision)


@cache
def _projected_core(precision: str) -> tuple[Any, tuple[str, ...]]:
    """Return the time loops of an LSTM with a projection, and the name of its matrix."""
    from ..variants import ProjectedLSTM  # whoever has no such module pays nothing for it

    its = ProjectedLSTM.definition
    return backends.get(BACKEND).defined_cell(its, precision), its.matrices


def _core_of(options: Options) -> tuple[Any, tuple[str, ...]]:
    """Return the time loops, and the parameters that a cell has beside the usual ones."""
    precision = options.precision
    return _projected_core(precision) if options.projected else (_core(options.cell, precision), ())


def view(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's memory as an array."""
    return tensor.detach().numpy()  # type: ignore[no-any-return, unused-ignore]


class _Kept(NamedTuple):
    """The view of a parameter."""

    of: weakref.ref[torch.Tensor]
    place: tuple[Any, ...]  # address, shape and strides: all of them can be assigned to
    array: np.ndarray


_views: dict[int, _Kept] = {}


class _Unwatched:
    """Weights that torch may write into at any time: each call looks at them."""

    def stamp(self) -> None:
        """Return what stands for that."""


_stacks: dict[int, Borrowed] = {}
"""By the first parameter, as in `_views`."""


@atexit.register
def _end() -> None:
    """Let views go while the kernels, which keep something of each, are still there."""
    _stacks.clear()
    _views.clear()


def kept_view(tensor: torch.Tensor) -> np.ndarray:
    """Return a parameter's view, the same again while it lives: by that the kernels know weights they have packed."""
    if type(tensor) is not torch.nn.Parameter:
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
        _stacks.pop(key, None)
