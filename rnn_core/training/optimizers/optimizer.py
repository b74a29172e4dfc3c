"""`Optimizer`: what the optimizers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ... import backends
from ...layers.embedding import RowGradient, check_gradient


@dataclass(frozen=True)
class Optimizer(ABC):
    """What the optimizers share. One holds only numbers; what it remembers of a run is in the `state`.

    Attributes
    ----------
    lr : float
        Learning rate of the parameters that are given none of their own.
    """

    lr: float

    def __post_init__(self) -> None:
        self._check_number("lr", self.lr)

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The names of the arrays that are kept for each parameter."""

    def init(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Return the state before the first step.

        Parameters
        ----------
        parameters : mapping of str to ndarray

        Returns
        -------
        state : dict of str to ndarray
            ``"name/slot"`` for each parameter and slot: arrays shaped as the parameter, and for Adam a step count of
            shape (). This is all that has to be stored to go on later.
        """
        return {
            key: np.zeros((), np.int64) if slot == "step" else array_namespace(p).zeros_like(p)
            for name, p in parameters.items()
            for slot, key in zip(self.slots, _keys(name, self.slots), strict=True)
        }

    def update(
        self,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array | RowGradient],
        state: dict[str, Array],
        rates: Mapping[str, float] | None = None,
        *,
        scale: float = 1.0,
        backend: str | None = None,
    ) -> None:
        """Take one step: change parameters and state in place.

        The result depends on the arguments alone, bit by bit.

        Parameters
        ----------
        parameters : mapping of str to ndarray
        gradients : mapping of str to ndarray or RowGradient
            A parameter without a gradient stays as it is, and so does its state.
        state : dict of str to ndarray
            From `init`.
        rates : mapping of str to float, optional
            Learning rates by parameter, instead of `lr`.
        scale : float
            What gradients are multiplied by as they are read: `clipping_factor`'s, for one.
        backend : {"numpy", "cpu", "cuda"}, optional
            Whose kernels take the step where arrays are on the host; the best one present by default.

        Raises
        ------
        ValueError
            A gradient has no parameter, no state or another shape, or the rows of a `RowGradient` on the host are not
            ascending, each once, in the parameter; `scale` is negative or not finite. Nothing has changed then.
        TypeError
            Rows are not integers, in one axis; a gradient is no array, or `scale` no number.

        Notes
        -----
        Parameters may share memory, as two names for one array do: they are taken in the order of `gradients`.
        """
        where = f"{type(self).__name__}.update"
        self._check_number("scale", scale, where=where)
        kernels = backends.update_kernels(where, backend)
        found = [self._checked(parameters, name, g, state) for name, g in gradients.items()]
        scale, rates = float(scale), {} if rates is None else rates
        together: list[tuple[Any, list[Array]]] = []
        for name, p, g, slots in found:
            g = _apart(g, p)
            # Python floats: NumPy's own would turn a float32 step into float64.
            step = self._begin(p, g, slots, scale, float(rates.get(name, self.lr)))
            if kernels is not None and kernels.takes(step.g, p, *self._moments(step)):
                together.append((step, slots))
            else:
                self._take(kernels, together)  # they are before it, and may be views of the same memory
                together = []
                self._step(step, g)
                self._end(step, slots)
        self._take(kernels, together)

    def _take(self, kernels: Any, together: list[tuple[Any, list[Array]]]) -> None:
        """Take steps in one pass."""
        if together:
            self._in_one_pass(kernels, [step for step, _ in together])
        for step, slots in together:
            self._end(step, slots)

    def _checked(
        self, parameters: Mapping[str, Array], name: str, g: Array | RowGradient, state: Mapping[str, Array]
    ) -> tuple[str, Array, Array | RowGradient, list[Array]]:
        """Return a name, its parameter, gradient and slots, if they fit together."""
        where = f"{type(self).__name__}.update"
        if name not in parameters:
            raise ValueError(f"{where}: gradients must be of parameters, got {name!r}; there are {_list(parameters)}")
        p = parameters[name]
        check_gradient(where, name, g)
        shape = p.shape
        if g.shape != shape and tuple(g.shape) != tuple(shape):
            raise ValueError(f"{where}: the gradient of {name} must have shape {tuple(shape)}, got {tuple(g.shape)}")
        if isinstance(g, RowGradient) and tuple(g.values.shape) != (g.rows.shape[0], *shape[1:]):
            raise ValueError(
                f"{where}: the gradient of {name} must have values of shape {(g.rows.shape[0], *shape[1:])}, one for "
                f"each element of its rows, got {tuple(g.values.shape)}"
            )
        if isinstance(g, RowGradient) and isinstance(g.rows, np.ndarray):  # on a GPU the host would have to wait
            _check_rows(f"{where}: the gradient of {name}", g.rows, shape[0])
        slots = []
        for slot, key in zip(self.slots, _keys(name, self.slots), strict=True):
            if key not in state:
                raise ValueError(
                    f"{where}: state must hold {key}, got {_list(state)}; "
                    "make it with init, from the same parameters and by the same optimizer"
                )
            slots.append(array := state[key])
            if array.shape != shape and tuple(array.shape) != (() if slot == "step" else tuple(shape)):
                raise ValueError(f"{where}: state must hold {key} of shape {tuple(shape)}, got {tuple(array.shape)}")
        return name, p, g, slots

    @abstractmethod
    def _begin(self, p: Array, g: Array | RowGradient, slots: list[Array], scale: float, lr: float) -> Any:
        """Return all that one parameter's step needs: a `SGDStep` or an `AdamStep`."""

    @abstractmethod
    def _moments(self, step: Any) -> tuple[Array, ...]:
        """Return the arrays that change with the parameter."""

    @abstractmethod
    def _step(self, step: Any, g: Array | RowGradient) -> None:
        """Take one parameter and its moments a step further, in place."""

    @abstractmethod
    def _in_one_pass(self, kernels: Any, steps: list[Any]) -> None:
        """Let a backend do what `_step` does, to all parameters."""

    @abstractmethod
    def _end(self, step: Any, slots: list[Array]) -> None:
        """Count a step that has been taken, and see to moments that have become subnormal."""

    def _check_number(self, name: str, value: Any, below: float = float("inf"), where: str = "") -> None:
        where = where or type(self).__name__
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(f"{where}: {name} must be a number, got {value!r}")
        if not (isfinite(value) and 0 <= value < below):
            bound = "finite" if below == float("inf") else f"below {below:g}"
            raise ValueError(f"{where}: {name} must be at least 0 and {bound}, got {value}")


def scaled(g: Array, scale: float) -> Array:
    """Return a gradient times what `update` was given for it (C2)."""
    return g if scale == 1 else g * scale


def values_and_rows(g: Array | RowGradient) -> tuple[Array, Array | None]:
    """Return the numbers of a gradient, and the rows in which they stand where they don't stand in all."""
    if not isinstance(g, RowGradient):
        return g, None
    rows = array_namespace(g.rows).astype(g.rows, np.int64, copy=False)
    return g.values, np.ascontiguousarray(rows) if isinstance(rows, np.ndarray) else rows


def _apart(g: Array | RowGradient, p: Array) -> Array | RowGradient:
    """Return a gradient no part of which changes before it is read."""
    values = g.values if isinstance(g, RowGradient) else g
    if values is p or not isinstance(values, np.ndarray) or not np.may_share_memory(values, p):
        return g
    return g._replace(values=values.copy()) if isinstance(g, RowGradient) else values.copy()


def _check_rows(where: str, rows: np.ndarray, count: int) -> None:
    """Check that rows are what a `RowGradient` says they are: whoever reads them relies on it."""
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise TypeError(f"{where} must have rows that are integers, in one axis, got {rows.dtype} of {rows.shape}")
    if rows.size and not (rows[0] >= 0 and rows[-1] < count):
        raise ValueError(f"{where} must have rows in 0…{count - 1}, got {rows.min()}…{rows.max()}")
    wrong = np.flatnonzero(rows[1:] <= rows[:-1])
    if wrong.size:
        k = wrong[0]
        raise ValueError(
            f"{where} must have its rows ascending, each once, got {rows[k + 1]} after {rows[k]}; "
            "sort them, and add up the values of equal ones"
        )


@cache
def _keys(name: str, slots: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a parameter's slots are called in the state."""
    return tuple(f"{name}/{slot}" for slot in slots)


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
