"""Compiled loops: each when it is first called, and kept on disk.

What many loops call, such as the tiles of the micro-kernel, is compiled once and in machine code of its own; a loop
knows it by name. So a loop's file says what has to be there before its code can be loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba import njit, types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary

from ..emitting.integers import Shared, linked_by
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


_linked: dict[Shared, Any] = {}
"""Those that have names in this process. Their code stays: other code calls it."""


def link(shared: Shared) -> None:
    """Give functions their names, compiled before if need be; numba's lock is held where loops are made or loaded."""
    if shared in _linked:
        return
    tell = compiled(shared.make, *shared.arguments)
    addresses = (ctypes.c_int64 * len(shared.names))()
    tell.ctypes(0, ctypes.addressof(addresses))
    for name, address in zip(shared.names, addresses, strict=True):
        llvm.add_symbol(name, address)
    _linked[shared] = tell


class _WithShared(CompileResultCacheImpl):
    """What is kept of a loop: its code, and before it what this calls by name."""

    wanted: tuple[Shared, ...] = ()

    def reduce(self, cres: Any) -> Any:
        return self.wanted, super().reduce(cres)

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        wanted, kept = payload
        for shared in wanted:
            link(shared)
        return super().rebuild(target_context, kept)


class _OnePass(JITCodeLibrary):
    """numba's machine code of a module, optimised once.

    numba goes through a module twice: first at small cost, to bring the counting of references together and prune it.
    A loop counts none; without that pass its machine code is the same to the last byte, and a quarter sooner there.
    """

    def _optimize_final_module(self) -> None:
        passes, builder = self._codegen._module_pass_manager()
        passes.run(self._final_module, builder)


class _Loop(CFunc):
    """numba's function for C, which takes down what its code calls by name."""

    def _compile_uncached(self) -> Any:
        this: Any = self
        base: Any = super()
        codegen = this._targetdescr.target_context.codegen()
        before, codegen._library_class = codegen._library_class, _OnePass
        wanted: dict[Shared, None] = {}

        def want(shared: Shared) -> None:
            wanted[shared] = None
            link(shared)

        try:
            with linked_by(want):
                made = base._compile_uncached()
        finally:
            codegen._library_class = before
        if isinstance(this._cache, _OwnFiles):
            this._cache.wants(wanted)
        return made


class _OwnFiles(_Cache):
    """The same with a key that says what was compiled, and files of its own for every key.

    numba has one index for all that comes from a line of source. Two processes that add to it at the same time may
    take the same name for two files, and then one loads what the other has compiled.
    """

    _impl_class: Any = _WithShared

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._key = (function.__qualname__, SOURCES)
        self._keep_in(function.__name__)

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        return (signature, codegen.magic_tuple(), self._key)

    def wants(self, shared: Iterable[Shared]) -> None:
        """Keep these with what is saved next."""
        self._impl.wanted = tuple(shared)


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
    return _Loop(function, (SIGNATURE.args, SIGNATURE.return_type), {}, {"error_model": "numpy", "nogil": True})
