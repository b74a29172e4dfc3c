"""Compiled loops: each when it is first called, and kept on disk."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import types
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc


@cache
def _sources() -> str:
    """Return a fingerprint of all that a kernel is made from.

    numba's own key knows a function's file and no other: after a change of the micro-kernel it would go on with the
    machine code of yesterday.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Cache(FunctionCache):
    """numba's cache on disk, with a key that says what was compiled."""

    def __init__(self, function: Callable[..., Any], key: tuple[Any, ...]):
        super().__init__(function)
        self._key = key

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        return (signature, codegen.magic_tuple(), self._key)


SIGNATURE = types.void(types.int64, types.int64)
"""Of every compiled function: which thread this is, and where the arguments are."""


@cache
def compiled(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the function that ``make(*arguments)`` makes as machine code; its `address` is what a thread calls."""
    function = make(*arguments)
    key = (_sources(), make.__qualname__, *(str(getattr(a, "name", a)) for a in arguments))
    made: Any = _new(function)
    try:
        made._cache = _Cache(function, key)
        made.compile()
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"kernels are compiled anew in each process, because they can't be kept on disk: {error}; "
            "set NUMBA_CACHE_DIR to a folder that can be written to",
            RuntimeWarning,
            stacklevel=2,
        )
        made = _new(function)
        made.compile()
    return made


def _new(function: Callable[..., Any]) -> CFunc:
    return CFunc(function, (SIGNATURE.args, SIGNATURE.return_type), {}, {"error_model": "numpy", "nogil": True})
