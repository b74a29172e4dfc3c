"""`LiveParameters`: a layer's arrays by name, each for life. What is assigned to a name is copied into its array.

A layer computes with these very arrays, and a model, an optimizer or tied weights hold them too. Another array under
the same name would be saved, and nothing would compute with it.

They are also where an array is handed out, so they can tell whether one may have been written into: see `Watch`.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from sys import getrefcount
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
        mark = Mark()
        self._known = {name: _known(array, mark) for name, array in super().items() if type(array) is np.ndarray}
        for known in self._known.values():
            known.holders.add(id(self))
            known.mark.token = object()

    def __del__(self) -> None:
        for known in getattr(self, "_known", {}).values():
            known.holders.discard(id(self))
            known.mark.token = object()

    def __getitem__(self, name: str) -> Array:
        array = super().__getitem__(name)
        if name in self._known:
            self._known[name].mark.token = object()  # behind: who asks in between still sees one reference too many
        return array

    def __iter__(self) -> Iterator[str]:  # without it, dict(parameters) and **parameters would not ask `__getitem__`
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the array of a name, or `default`."""
        return self[name] if name in self else default  # noqa: SIM401

    def values(self) -> ValuesView[Array]:  # type: ignore[override]
        """Return a view of the arrays."""
        return ValuesView(self)

    def items(self) -> ItemsView[str, Array]:  # type: ignore[override]
        """Return a view of names and arrays."""
        return ItemsView(self)

    def copy(self) -> dict[str, Array]:
        """Return a dict of the arrays themselves."""
        return dict(self)

    def __or__(self, other: Any) -> Any:
        return dict(self) | dict(other)

    def __ror__(self, other: Any) -> Any:
        return dict(other) | dict(self)

    def one(self) -> Array:
        """Return some array, only to be looked at: it counts as not handed out."""
        return next(iter(super().values()))

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *mapping: Any, **named: Any) -> None:
        """Copy values into the arrays of their names; nothing changes unless all of them fit."""
        values = dict(*mapping, **named)
        # `parameters[name] += 1` has written into the array, and hands it back.
        write(self._where, self, {name: value for name, value in values.items() if self.get(name) is not value})

    def __ior__(self, other: Any) -> LiveParameters:  # type: ignore[override]
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


class Mark:
    """Something of some arrays that is another object each time one of them has been handed out."""

    __slots__ = ("token",)

    def __init__(self) -> None:
        self.token = object()


class _Known:
    """An array of some `LiveParameters`."""

    __slots__ = ("alive", "closed", "holders", "locked", "mark")

    def __init__(self, array: np.ndarray, mark: Mark):
        key = id(array)
        self.alive = weakref.ref(array, lambda _: _KNOWN.pop(key, None))
        self.mark = mark
        self.holders: set[int] = set()  # ids of the `LiveParameters` that refer to it
        self.locked = self.closed = False  # see `lock` and `close`


_KNOWN: dict[int, _Known] = {}


def _known(array: np.ndarray, mark: Mark) -> _Known:
    """Return what is known of an array; one that is new gets this mark."""
    known = _KNOWN.get(id(array))
    if known is None or known.alive() is not array:
        known = _KNOWN[id(array)] = _Known(array, mark)
    return known


def lock(arrays: Mapping[str, Array]) -> None:
    """Make parameters read-only for all but `LiveParameters`, which goes on copying into them what is assigned."""
    for array in arrays.values():
        array.flags.writeable = False
        _KNOWN[id(array)].locked = True


def close(arrays: Mapping[str, Array]) -> None:
    """Let nobody write into locked parameters any more: what computes with them has its own order of them."""
    for array in arrays.values():
        _KNOWN[id(array)].closed = True


def fill(parameter: Array, value: Array) -> None:
    """Copy a value that fits into a parameter, locked or not."""
    known = _KNOWN.get(id(parameter))
    if known is None or not known.locked:
        parameter[...] = value
        return
    parameter.flags.writeable = True
    try:
        parameter[...] = value
    finally:
        parameter.flags.writeable = False


COUNTED = sys.implementation.name == "cpython" and "free-threading" not in sys.version
"""Whether `getrefcount` tells, at every moment, how many references there are."""

[_ITSELF] = map(getrefcount, (np.empty(0),))
"""What `getrefcount` says of an array that a tuple refers to and nobody else."""


class Watch:
    """Tells whether a layer's arrays can have been written into, without a look at what is in them.

    Who writes into an array has a reference to it: the array itself, or a view, a memoryview, a tensor that shares its
    memory, each of which holds one. It came from `LiveParameters`, where that leaves a new token. So as long as the
    token is the same, and nobody but the library refers to the arrays, they hold what they held. An address alone,
    ``array.ctypes.data``, is no reference: who writes through it has to hold the array meanwhile, as NumPy demands.

    Parameters
    ----------
    arrays : iterable of ndarray
        Of one `LiveParameters`. The layer has, beside it, one reference of its own to each.
    """

    def __init__(self, arrays: Iterable[Array]):
        self._arrays = tuple(arrays)
        self._seen: tuple[Any, list[int]] = (None, [])

    def stamp(self) -> object:
        """Return the same object while nobody can have written into any array, or None where that isn't known."""
        known = _KNOWN.get(id(self._arrays[0]))
        if known is None or not COUNTED:
            return None
        token = known.mark.token  # before the references are counted
        if token is not self._seen[0]:
            self._seen = token, self._alone(known.mark)
        return token if list(map(getrefcount, self._arrays)) == self._seen[1] else None

    def _alone(self, mark: Mark) -> list[int]:
        """Return how many references to each array there are if only the library has some; 0, never, if unknown."""
        own = [(_KNOWN.get(id(array)), array.flags.owndata) for array in self._arrays]
        return [
            _ITSELF + 1 + len(known.holders) if known is not None and known.mark is mark and memory else 0
            for known, memory in own
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._arrays,)


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
        fill(parameters[name], value)


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
    if (known := _KNOWN.get(id(parameter))) is not None and known.closed:
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
