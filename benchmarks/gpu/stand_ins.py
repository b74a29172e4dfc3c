"""For packages that `import rnn_core` wants and that the GPU's machine may lack, as it can't reach any registry.

- array_api_compat: NumPy's and CuPy's own namespaces have been the array API's since NumPy 2 and CuPy 14, so that the
  few functions below are all that is left to do. Other arrays than these two need the package itself.
- safetensors, rich: imported, and not used by anything that runs here. Whoever does use them is told.

A machine without NumPy gets no stand-ins: nothing would run there with them either.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

IDLE = ("safetensors", "safetensors.numpy", "rich", "rich.console", "rich.progress", "rich.table", "rich.live")
"""Modules of which nothing but names is needed."""


def _module_of(array: Any) -> str:
    return type(array).__module__.partition(".")[0]


def is_array_api_obj(value: Any) -> bool:
    """Return whether `value` is an array of NumPy's or CuPy's."""
    return _module_of(value) in ("numpy", "cupy") and hasattr(value, "dtype")


def array_namespace(*arrays: Any) -> Any:
    """Return the module whose functions take these arrays; numbers and None are passed over."""
    modules = {_module_of(array) for array in arrays} - {"builtins"}
    if len(modules) != 1 or not modules <= {"numpy", "cupy"}:
        raise TypeError(
            f"array_namespace: arrays must all be NumPy's or all CuPy's, got {', '.join(sorted(modules)) or 'none'}; "
            "for others install array-api-compat"
        )
    return importlib.import_module(modules.pop())


def is_numpy_namespace(xp: Any) -> bool:
    """Return whether a namespace is NumPy's."""
    return bool(xp.__name__ == "numpy")


def is_cupy_namespace(xp: Any) -> bool:
    """Return whether a namespace is CuPy's."""
    return bool(xp.__name__ == "cupy")


def device(array: Any) -> Any:
    """Return where an array lives."""
    return array.device


def to_device(array: Any, device: Any) -> Any:
    """Return an array where it is, or on the host for the device "cpu"."""
    return array.get() if device == "cpu" and hasattr(array, "get") else array


ARRAY_API = (
    is_array_api_obj, array_namespace, is_numpy_namespace, is_cupy_namespace, device, to_device,
)  # fmt: skip
"""What there is of array_api_compat."""


class _Idle(ModuleType):
    """A module that has every name, and nothing behind it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package = self.__name__.partition(".")[0]

        def refuse(self: Any, *args: Any, **options: Any) -> None:
            raise RuntimeError(f"{name} must come from the package {package!r}, which is not installed; pip install it")

        return type(name, (Exception,), {"__init__": refuse})  # to be caught as well as to be called


def _missing(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return True
    return False


def install() -> None:
    """Put a stand-in into `sys.modules` for each package that is missing."""
    if _missing("numpy"):
        return
    if _missing("array_api_compat"):
        module = ModuleType("array_api_compat")
        vars(module).update({function.__name__: function for function in ARRAY_API})
        sys.modules["array_api_compat"] = module
    for name in IDLE:
        if _missing(name):
            sys.modules[name] = _Idle(name)
