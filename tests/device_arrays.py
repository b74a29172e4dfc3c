"""A stand-in for CuPy, for tests on machines without a GPU; as a backend it is called "device".

`Device` arrays hold NumPy's, and refuse what CuPy's refuse: to become NumPy arrays unasked, and to be mixed with them.
What CuPy would let pass, at the price of a copy, they refuse as well: NumPy arrays as indices or as values to assign.
Whatever reaches the host is noted in `TRANSFERS`, by its number of elements. `device`, their namespace, has no more
functions than CuPy has.
"""

from __future__ import annotations

import operator
from types import ModuleType
from typing import Any

import array_api_compat.numpy as numpy_namespace
import numpy as np

from kernels.contract import Parameters
from rnn_core import equations

NAME = "device"

TRANSFERS: list[int] = []
"""The sizes of what was copied to the host."""


class Device:
    """An array on the GPU that isn't there."""

    __array_ufunc__ = None  # NumPy's operators leave the matter to the methods below

    def __init__(self, inner: Any) -> None:
        assert isinstance(inner, np.ndarray | np.generic), type(inner)
        self.inner = np.asarray(inner)

    def __array__(self, *_args: Any, **_options: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_namespace__(self, api_version: str | None = None) -> ModuleType:
        return device

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": self.dtype.str, "version": 3}

    shape = property(lambda self: self.inner.shape)
    dtype = property(lambda self: self.inner.dtype)
    ndim = property(lambda self: self.inner.ndim)
    size = property(lambda self: self.inner.size)
    T = property(lambda self: Device(self.inner.T))

    def get(self) -> np.ndarray:
        """Return a copy on the host."""
        TRANSFERS.append(self.size)
        return self.inner.copy()

    def item(self) -> Any:
        """Return the one number there is."""
        return self.get().item()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    __index__ = __int__

    def __float__(self) -> float:
        return float(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, key: Any) -> Device:
        return Device(self.inner[_index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.inner[_index(key)] = _inner(value)


def _method(name: str) -> Any:
    return lambda self, *arguments, **options: _run(getattr(np.ndarray, name), self, *arguments, **options)


for _name in ("all", "any", "copy", "max", "min", "reshape", "sum", "swapaxes"):
    setattr(Device, _name, _method(_name))


def _operator(function: Any, turned: bool = False) -> Any:
    def apply(self: Device, *other: Any) -> Any:
        return _run(function, *other, self) if turned else _run(function, self, *other)

    return apply


for _name in ("add", "sub", "mul", "truediv", "matmul", "and_", "or_"):
    setattr(Device, f"__{_name.strip('_')}__", _operator(getattr(operator, _name)))
    setattr(Device, f"__r{_name.strip('_')}__", _operator(getattr(operator, _name), turned=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "invert"):
    setattr(Device, f"__{_name}__", _operator(getattr(operator, _name)))


def _in_place(function: Any) -> Any:
    def apply(self: Device, other: Any) -> Device:
        function(self.inner, _inner(other))
        return self

    return apply


for _name in ("iadd", "isub", "imul", "itruediv"):
    setattr(Device, f"__{_name}__", _in_place(getattr(operator, _name)))


def _inner(value: Any) -> Any:
    """Return what a function of NumPy takes for an argument, if CuPy's would take it."""
    if isinstance(value, Device):
        return value.inner
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)(map(_inner, value))
    return value


def _index(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(_index, key))
    if isinstance(key, Device):
        if key.dtype == bool:
            TRANSFERS.append(1)  # how many there are decides the shape of the result
        return key.inner
    assert key is None or key is Ellipsis or isinstance(key, int | np.integer | slice), key
    return key


def _outer(result: Any) -> Any:
    return Device(result) if isinstance(result, np.ndarray | np.generic) else result


def _run(function: Any, *arguments: Any, **options: Any) -> Any:
    return _outer(function(*map(_inner, arguments), **{name: _inner(value) for name, value in options.items()}))


def _asarray(value: Any, **options: Any) -> Device:
    return value if isinstance(value, Device) and not options else Device(
        np.array(value.inner if isinstance(value, Device) else value, **options)
    )  # fmt: skip


device = ModuleType("device")
"""The namespace: what of CuPy rnn_core may use, each with NumPy's meaning."""

WAITING = ("unique_values",)
"""Functions whose result has a shape that the host must learn."""

FUNCTIONS = (
    "abs", "all", "any", "arange", "argmax", "argsort", "astype", "broadcast_to", "concat", "cumulative_sum", "empty",
    "exp", "full", "isfinite", "log", "log1p", "max", "min", "minimum", "moveaxis", "ones",
    "permute_dims", "real", "reshape",
    "searchsorted", "sqrt", "stack", "sum", "take", "take_along_axis", "tanh", "unique_values", "where",
    "zeros", "zeros_like",
)  # fmt: skip
CONSTANTS = ("float32", "float64", "int16", "int32", "int64", "inf", "isdtype")


def _function(name: str) -> Any:
    function = getattr(numpy_namespace, name)

    def apply(*arguments: Any, **options: Any) -> Any:
        if name in WAITING:
            TRANSFERS.append(1)
        return _run(function, *arguments, **options)

    return apply


for _name in FUNCTIONS:
    setattr(device, _name, _function(_name))
for _name in CONSTANTS:
    setattr(device, _name, getattr(numpy_namespace, _name))
device.asarray = _asarray


def namespace() -> ModuleType:
    """Return the array module of this backend."""
    return device


def missing() -> str:
    """Return why this backend can't be used: it can."""
    return ""


def cell(name: str, precision: str = "float32") -> equations.Loops:
    """Return the equations of a cell, on device arrays."""
    loops = equations.cell(name, precision)

    def infer(params, x, state0, lengths=None):
        y, state = loops.infer(_parameters(params), _own(x), tuple(map(_own, state0)), _lengths(lengths))
        return Device(y), tuple(map(Device, state))

    def forward(params, x, state0, lengths=None):
        y, state, tape = loops.forward(_parameters(params), _own(x), tuple(map(_own, state0)), _lengths(lengths))
        return Device(y), tuple(map(Device, state)), tape

    def states(tape):
        return tuple(map(Device, loops.states(tape)))

    def backward(params, tape, dy, dstate_T, needs, dstates=None):
        upstream = _own(dy), tuple(map(_own, dstate_T)), needs, None if dstates is None else tuple(map(_own, dstates))
        dx, dstate0, grads = loops.backward(_parameters(params), tape, *upstream)
        return _outer(dx), tuple(map(_outer, dstate0)), Parameters(*map(_outer, grads))

    return equations.Loops(infer, forward, backward, states)


def _own(value: Device | None) -> np.ndarray | None:
    assert value is None or isinstance(value, Device), type(value)
    return None if value is None else value.inner


def _parameters(params: Parameters) -> Parameters:
    return Parameters(*map(_own, params))


def _lengths(lengths: Any) -> Any:
    assert lengths is None or (isinstance(lengths, np.ndarray) and lengths.dtype == np.int64), lengths
    return lengths
