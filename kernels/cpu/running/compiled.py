"""Compiled loops: each when it is first called, and kept on disk."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit, types
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc

from .kept import Files


def _fingerprint() -> str:
    """Return a fingerprint of all that a kernel is made from.

    numba's own key knows a function's file and no other: after a change of the micro-kernel it would go on with the
    machine code of yesterday.
    """
    digest = hashlib.sha256()
    folder = Path(__file__).parents[1]  # with all its rooms
    shared = (folder.parent / name for name in ("contract.py", "definition.py"))
    for path in (*shared, *sorted(folder.rglob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


SOURCES = _fingerprint()
"""What this process has imported; a file that changes later must not lend its name to the older code."""


class _Cache(FunctionCache):
    """numba's cache on disk; where it can't be written to, there is a warning and no error.

    What has been kept counts as long as no file of the kernels has changed, and as it is whole (kept.py).
    """

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._keep_in(self._impl.filename_base)

    def _keep_in(self, name: str) -> None:
        self._cache_file = Files(self._cache_path, name, SOURCES)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what has been compiled."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn(str(error))


class _OwnFiles(_Cache):
    """The same with a key that says what was compiled, and files of its own for every key.

    numba has one index for all that comes from a line of source. Two processes that add to it at the same time may
    take the same name for two files, and then one loads what the other has compiled.
    """

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._key = (function.__qualname__, SOURCES)
        self._keep_in(function.__name__)

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        return (signature, codegen.magic_tuple(), self._key)


SIGNATURE = types.void(types.int64, types.int64)
"""Of every compiled function: which thread this is, and where the arguments are."""


def distinguish(function: Callable[..., Any], *made_for: Any) -> Callable[..., Any]:
    """Give a function that was made for something a name that nothing else has, in this process or another.

    numba tells functions apart by name and by a number that begins anew in each process. Of two functions that come
    from one line of source and from two processes' caches, the second may be taken for the first.
    """
    what = repr([str(getattr(one, "name", one)) for one in made_for])
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    function.__qualname__ = f"{function.__qualname__}_{digest}"
    function.__name__ = f"{function.__name__}_{digest}"
    return function


@cache
def compiled(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the function that ``make(*arguments)`` makes as machine code; its `address` is what a thread calls."""
    function = distinguish(make(*arguments), make.__qualname__, *arguments)
    made: Any = _new(function)
    try:
        made._cache = _OwnFiles(function)
    except RuntimeError as error:  # numba has found no folder
        _warn(str(error))
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
    """Compile a small function that Python calls by itself, when it is first called, and keep it on disk."""
    made: Any = njit(nogil=True)(function)
    with suppress(RuntimeError):  # no folder: `compiled` tells the user
        made._cache = _Cache(function)
    return made


def _new(function: Callable[..., Any]) -> CFunc:
    return CFunc(function, (SIGNATURE.args, SIGNATURE.return_type), {}, {"error_model": "numpy", "nogil": True})
