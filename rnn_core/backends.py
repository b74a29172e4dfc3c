"""Where the recurrent core runs: ``"numpy"`` (the equations), ``"cpu"`` (numba) or ``"cuda"`` (numba.cuda).

A backend is a module that meets `kernels.contract`. It is imported when it is first asked for, so that a user of
one pays for no other; where it is missing, the reason is kept and told. Three functions of it are optional:
`missing()`, "" or the reason why it can't be used here, `namespace()`, the array module of its arrays, and
`update_kernels()`, its own norms and optimizers.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

BACKENDS = {"cuda": "kernels.cuda", "cpu": "kernels.cpu", "numpy": "rnn_core.equations"}
"""Every backend's module."""

_PREFERENCE = ("cpu", "numpy")
"""The default is the first of these that is present; "cuda" wants arrays on the GPU, so it must be asked for."""


@cache
def _find(name: str) -> tuple[Any, str]:
    """Return the backend's module, or None and the reason why there is none."""
    module = BACKENDS[name]
    try:
        found = importlib.import_module(module)
        reason = found.missing() if hasattr(found, "missing") else ""
        return (None if reason else found), reason
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            return None, "its kernels are not part of this version"
        return None, f"the package {error.name!r} is not installed"
    except (ImportError, RuntimeError, OSError) as error:
        return None, str(error)


def status() -> dict[str, str]:
    """Return every backend's name with "" where it can be used, otherwise the reason why it can't."""
    return {name: _find(name)[1] for name in BACKENDS}


def available() -> tuple[str, ...]:
    """Return the names of the backends that can be used here."""
    return tuple(name for name, reason in status().items() if not reason)


def about(name: str) -> str:
    """Return what a backend says of the machine, "" where it says nothing.

    Raises
    ------
    ValueError, RuntimeError
        As `get`.
    """
    module = get(name)
    return module.about() if hasattr(module, "about") else ""


def default(having: str = "cell") -> str:
    """Return the backend that a layer takes when none is named: the best one present on the host that has this."""
    return next(name for name in _PREFERENCE if not _find(name)[1] and hasattr(_find(name)[0], having))


def get(name: str, where: str = "") -> Any:
    """Return a backend's module; `where` is the function that errors name.

    Raises
    ------
    ValueError
        There is no backend of that name.
    RuntimeError
        The backend can't be used here; the message says why and what to use instead.
    """
    start = f"{where}: " if where else ""
    if not isinstance(name, str) or name not in BACKENDS:
        raise ValueError(f"{start}backend must be one of {', '.join(map(repr, BACKENDS))}, got {name!r}")
    module, reason = _find(name)
    if reason:
        raise RuntimeError(
            f"{start}backend {name!r} is not available: {reason}; use one of {', '.join(map(repr, available()))}, "
            "or leave backend out for the default"
        )
    return module


def namespace(name: str) -> Any:
    """Return the array module in which a backend's arrays live: NumPy, or CuPy for those on the GPU.

    Raises
    ------
    ValueError, RuntimeError
        As `get`.
    """
    module = get(name)
    return module.namespace() if hasattr(module, "namespace") else np


@cache
def update_kernels(where: str, name: str | None) -> Any:
    """Return a backend's own norms and optimizers, the default's for None; or None, where NumPy is to do it.

    Raises
    ------
    ValueError, RuntimeError
        As `get`.
    """
    module = get(default() if name is None else name, where)
    return module.update_kernels() if hasattr(module, "update_kernels") else None
