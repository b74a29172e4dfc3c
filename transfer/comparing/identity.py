"""What a study is, in a few facts: its data, its options, and the code and the machine that its numbers come from.

Two studies of the same facts give the same bits. So runs that were kept are taken for a study's own only where they
are the same.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

import kernels
import rnn_core
from rnn_core import backends
from rnn_core.foreign import one_line
from rnn_core.layers.base import Layer
from rnn_core.layers.defined import cells_of
from rnn_core.layers.first_values import undrawn
from rnn_core.layers.home import to_host
from rnn_core.showing.surroundings import machine

from .study import Study

NUMBERS = ("numpy", "numba", "scipy", "scikit-learn")
"""Packages of others that a number may depend on."""

DEEPEST = 2
"""So far down a study's attributes are facts of their own, which a message can name; below they are digested."""

MOST_BATCHES = 1000
"""Of a source that are looked at."""

MANY = 64
"""Facts of one attribute, at most."""


def identity(study: Study) -> dict[str, Any]:
    """Return the facts of a study, in types that JSON has: the same in every process.

    Raises
    ------
    TypeError
        An attribute is nothing that can be known again, an open file for instance.
    """
    facts: dict[str, Any] = {"study": _name(type(study))}
    for name, value in sorted(_state(study).items()):
        try:
            facts.update(_facts(name, value, DEEPEST))
        except (TypeError, RecursionError) as error:
            raise TypeError(
                f"{type(study).__name__}: attributes must be plain data, arrays or models for its runs to be kept, got "
                f"{name} ({one_line(error)})"
            ) from error
    facts |= {name: getattr(study, name) for name in ("metric", "higher_is_better")}
    facts["core"] = digest(study.core)
    with undrawn():
        facts |= {f"cell {kind.__name__}": kind.definition.digest for kind in cells_of(study.build(0))}
    if theirs := _their_code(type(study)):
        facts["the study's own code"] = theirs
    return facts | surroundings()


def surroundings() -> dict[str, Any]:
    """Return what numbers depend on beside a study: code, packages, backend and processor."""
    return {
        "backend": backends.default(),
        "processor": machine()["processor"],
        "code": f"{rnn_core.__version__}, {_our_code()}",
        **{package: _version(package) for package in NUMBERS},
    }


def digest(value: Any) -> str:
    """Return a short digest of a value: of all that it is made of, and of nothing that changes from call to call.

    Raises
    ------
    TypeError
        It can't be known again.
    """
    found = blake2b(digest_size=8)
    for part in _parts(value, ()):
        found.update(part)
    return found.hexdigest()


def _facts(name: str, value: Any, depth: int) -> dict[str, Any]:
    """Return what an attribute says: itself where it is plain, its parts where they are few, or else a digest."""
    if value is None or (isinstance(value, bool | int | float | str) and len(repr(value)) <= MANY):
        return {name: repr(value) if isinstance(value, float) and not isfinite(value) else value}
    if isinstance(value, Path):
        return {name: str(value)}
    inside: Mapping[Any, Any] | None = None
    if isinstance(value, Mapping):
        inside = value
    elif is_dataclass(value) and not isinstance(value, type):
        inside = _state(value)
    if inside is None or not depth or len(inside) > MANY or not all(isinstance(key, str) for key in inside):
        return {name: digest(value)}
    found: dict[str, Any] = {name: type(value).__name__}
    for key, part in inside.items():
        found.update(_facts(f"{name}.{key}", part, depth - 1))
    return found


def _parts(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    """Yield what a value is made of, each part with its kind and its length before it."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield _part(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))
    elif isinstance(value, type | types.BuiltinFunctionType | types.ModuleType | np.ufunc):
        yield _part("name", _name(value).encode())
    elif isinstance(value, types.FunctionType):
        yield from _function(value, within)
    elif id(value) in within:
        yield _part("again", str(within.index(id(value))).encode())
    elif isinstance(value, Layer):
        yield from _parts((_name(type(value)), value.config, dict(value.parameters)), within)
    elif hasattr(value, "dtype") and hasattr(value, "shape"):
        yield from _array(value, within)
    elif callable(getattr(value, "batch", None)) and hasattr(value, "__len__"):
        yield from _batches(value)
    else:
        within = (*within, id(value))
        if isinstance(value, Mapping):
            yield _part("mapping", f"{_name(type(value))} {len(value)}".encode())
            for pair in value.items():
                yield from _parts(pair, within)
        elif isinstance(value, set | frozenset):
            yield _part("set", "".join(sorted(digest(one) for one in value)).encode())
        elif isinstance(value, list | tuple):
            yield _part("sequence", f"{_name(type(value))} {len(value)}".encode())
            for one in value:
                yield from _parts(one, within)
        else:
            yield from _object(value, within)


def _part(kind: str, content: bytes) -> bytes:
    return f"{kind}:{len(content)}:".encode() + content


def _array(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    array = np.asarray(to_host(value), order="C")
    if array.dtype.hasobject:
        yield from _parts(array.tolist(), within)
    else:
        yield _part(f"{array.dtype.str}{array.shape}", array.tobytes())


def _batches(value: Any) -> Iterator[bytes]:
    """Yield what a training loop eats, by what it gives: it may keep what it has given last."""
    count = len(value)
    places = [(0, k) for k in range(0, count, -(-count // MOST_BATCHES))] + [(1, 0), (1, count - 1)]
    yield from _parts((_name(type(value)), count, [tuple(value.batch(*place)) for place in places]), ())


def _function(value: types.FunctionType, within: tuple[int, ...]) -> Iterator[bytes]:
    """Yield a function: its name and code, and what it has taken along."""
    code = value.__code__
    yield _part("function", _name(value).encode() + code.co_code)
    constants = tuple(one for one in code.co_consts if not isinstance(one, types.CodeType))
    closed = tuple(cell.cell_contents for cell in value.__closure__ or ())
    yield from _parts((constants, code.co_names, value.__defaults__, value.__kwdefaults__, closed), within)


def _object(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    """Yield any other object by what it would be pickled as."""
    if isinstance(value, types.MethodType):
        yield from _parts((value.__func__, value.__self__), within)
        return
    reduced = value.__reduce_ex__(4)
    if isinstance(reduced, str):
        yield _part("name", reduced.encode())
        return
    made, arguments, *state = reduced
    yield from _parts((made, arguments), within)
    for one in state:
        yield from _parts(list(one) if isinstance(one, Iterator) else one, within)


def _state(value: Any) -> dict[str, Any]:
    """Return the attributes of an object."""
    if hasattr(value, "__dict__"):
        return dict(vars(value))
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _name(value: Any) -> str:
    module = getattr(value, "__module__", None)
    name: str = getattr(value, "__qualname__", None) or value.__name__
    return f"{module}.{name}" if module else name


OURS = (Path(kernels.__path__[0]), Path(rnn_core.__path__[0]), Path(__file__).resolve().parent.parent)
"""Where our code is."""

OUR_NAMES = ("builtins", "abc", "kernels", "rnn_core", "transfer")
"""Packages whose code is known by their version, or by `_our_code`."""


@cache
def _our_code() -> str:
    """Return a digest of all our files: the next version may compute other bits, and so may a changed line."""
    found = blake2b(digest_size=8)
    for folder in OURS:
        for path in sorted(folder.rglob("*.py")):
            found.update(_part(path.relative_to(folder).as_posix(), path.read_bytes()))
    return found.hexdigest()


def _their_code(kind: type) -> str:
    """Return a digest of the files that a study's class, and those above it, come from, where they aren't ours."""
    found, known = blake2b(digest_size=8), False
    for one in kind.__mro__:
        if one.__module__.partition(".")[0] in OUR_NAMES:
            continue
        try:
            text = Path(inspect.getfile(one)).read_bytes()
        except (TypeError, OSError):  # it was typed in
            text = one.__qualname__.encode()
        found.update(_part(one.__qualname__, text))
        known = True
    return found.hexdigest() if known else ""


def file_digest(value: Any) -> str:
    """Return a digest of the file that a function or an object's class comes from, "" where that is ours."""
    if not isinstance(value, types.FunctionType):
        return _their_code(type(value))
    if value.__module__.partition(".")[0] in OUR_NAMES:
        return ""
    try:
        text = Path(inspect.getfile(value)).read_bytes()
    except (TypeError, OSError):  # it was typed in, and its own code is in `digest`
        return ""
    return blake2b(text, digest_size=8).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
