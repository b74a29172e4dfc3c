"""Compiled loops: each when it is first called, and kept on disk."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc


def _fingerprint() -> str:
    """Return a fingerprint of all that a kernel is made from.

    numba's own key knows a function's file and no other: after a change of the micro-kernel it would go on with the
    machine code of yesterday.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCES = _fingerprint()
"""What this process has imported; a file that changes later must not lend its name to the older code."""


class _Cache(FunctionCache):
    """numba's cache on disk, with a key that says what was compiled, and files of its own for every key.

    numba has one index for all that comes from a line of source. Two processes that add to it at the same time may
    take the same name for two files, and then one loads what the other has compiled.
    """

    def __init__(self, function: Callable[..., Any], key: tuple[Any, ...]):
        super().__init__(function)
        self._key = key
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=f"{self._impl.filename_base}-{name}",
            source_stamp=self._impl.locator.get_source_stamp(),
        )

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        return (signature, codegen.magic_tuple(), self._key)


SIGNATURE = types.void(types.int64, types.int64)
"""Of every compiled function: which thread this is, and where the arguments are."""


@cache
def compiled(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the function that ``make(*arguments)`` makes as machine code; its `address` is what a thread calls."""
    function = make(*arguments)
    key = (SOURCES, make.__qualname__, *(str(getattr(a, "name", a)) for a in arguments))
    made: Any = _new(function)
    try:
        made._cache = _Cache(function, key)
        made.compile()
    except (OSError, RuntimeError) as error:
        _warn(str(error))
        made = _new(function)
        made.compile()
    return made


_warned = False


def _warn(reason: str) -> None:
    """Say once why nothing is kept."""
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"kernels are compiled anew in each process, because they can't be kept on disk: {reason}; "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        RuntimeWarning,
        stacklevel=3,
    )


def helper(function: Callable[..., Any]) -> Any:
    """Compile a small function that Python calls by itself, and keep it on disk where that is possible."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba has found no folder; `compiled` tells the user
        return njit(nogil=True)(function)


def _new(function: Callable[..., Any]) -> CFunc:
    return CFunc(function, (SIGNATURE.args, SIGNATURE.return_type), {}, {"error_model": "numpy", "nogil": True})
