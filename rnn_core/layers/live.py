"""`LiveParameters`: a layer's arrays by name, each for life. What is assigned to a name is copied into its array.

A layer computes with these very arrays, and a model, an optimizer or tied weights hold them too. Another array under
the same name would be saved, and nothing would compute with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from kernels.contract import Array

from ..foreign import one_line, shown
from .checks import FLOATS, as_found, check_finite
from .home import move, to_host


class LiveParameters(dict[str, Array]):
    """Arrays by name that stay what they are: new values are checked and copied into them, all or none.

    Parameters
    ----------
    where : str
        Whose they are, for messages: ``"LSTM.parameters"``.
    arrays : mapping of str to ndarray

    Raises
    ------
    ValueError
        On assignment: a name is unknown, a shape differs, or a value is NaN or infinite.
    TypeError
        On assignment, if a value can't be represented in the array's dtype without loss; and wherever an entry would
        be taken out.
    """

    def __init__(self, where: str, arrays: Mapping[str, Array]) -> None:
        super().__init__(arrays)
        self._where = where

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *mapping: Any, **named: Any) -> None:
        """Copy values into the arrays of their names; nothing changes unless all of them fit."""
        values = dict(*mapping, **named)
        # `parameters[name] += 1` has written into the array, and hands it back.
        write(self._where, self, {name: value for name, value in values.items() if self.get(name) is not value})

    def __ior__(self, other: Any) -> LiveParameters:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, name: str, default: Any = None) -> Array:
        """Return the array of a name; an unknown name is an error."""
        if name not in self:
            write(self._where, self, {name: default})
        return self[name]

    def __delitem__(self, name: str) -> None:
        self._stay()

    def pop(self, *_: Any) -> NoReturn:
        """Raise TypeError."""
        self._stay()

    def popitem(self) -> NoReturn:
        """Raise TypeError."""
        self._stay()

    def clear(self) -> None:
        """Raise TypeError."""
        self._stay()

    def _stay(self) -> NoReturn:
        raise TypeError(
            f"{self._where}: parameters must stay, all {len(self)} of them, as the computation uses each; "
            "dict(parameters) is a dict to take them out of"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._where, dict(self))


def keep(where: str, old: Mapping[str, Array], new: Mapping[str, Array]) -> LiveParameters:
    """Return `new` as live parameters, if the arrays that were there before are all still there."""
    if changed := [name for name in old if new.get(name) is not old[name]]:
        raise ValueError(
            f"{where}: the arrays must stay, as the computation uses them, got others for "
            f"{one_line(', '.join(changed))}; write into them with parameters[name] = values or load_state_dict"
        )
    return LiveParameters(where, new)


def write(where: str, parameters: Mapping[str, Array], values: Mapping[str, Any]) -> None:
    """Copy values into the parameters of their names; nothing changes unless every name, shape and dtype fits."""
    if unknown := [name for name in values if name not in parameters]:
        raise ValueError(
            f"{where}: names must be those of the parameters, got {one_line(', '.join(map(shown, unknown)))}; "
            f"there are {one_line(', '.join(parameters))}"
        )
    # Copies, because a value may be a view of a parameter that is about to be written.
    copies = {name: _checked(where, name, value, parameters[name]).copy() for name, value in values.items()}
    for name, value in copies.items():
        parameters[name][...] = value


def _checked(where: str, name: str, value: Any, parameter: Array) -> Array:
    """Return `value` as an array where the parameter lives, if it can be written into it."""
    xp = array_namespace(parameter)
    value = move(as_found(where, name, to_host(value) if is_numpy_namespace(xp) else value, xp), xp)
    if value.shape != parameter.shape:
        raise ValueError(f"{where}: {name} must have shape {parameter.shape}, got {tuple(value.shape)}")
    if not np.can_cast(value.dtype, parameter.dtype, "safe"):
        if parameter.dtype == np.int8:
            raise TypeError(f"{where}: {name} must be int8, got {value.dtype}; rnn_core.quantize makes integers")
        raise TypeError(
            f"{where}: {name} must be {parameter.dtype} or narrower, got {value.dtype}; "
            f"convert it with astype(np.{parameter.dtype}){or_build(where.partition('.')[0], value.dtype)}"
        )
    if type(parameter) is np.ndarray and not parameter.flags.writeable:
        raise ValueError(
            f"{where}: {name} must not be written into any more: its layer is quantized and has been called; "
            "quantize another, or load the file again"
        )
    check_finite(where, name, value)
    return value


def or_build(kind: str, dtype: np.dtype) -> str:
    """Return the other way out of a wrong dtype: a layer that has it, where there is such a layer."""
    if dtype.name not in FLOATS or kind.startswith("Quantized"):  # which are float32 but for their weights
        return ""
    return f", or build the {kind} with dtype=np.{dtype}"
