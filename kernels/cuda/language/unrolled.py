"""Functions with one expression for each number of a tuple, written out by name: loops over tuples do not unroll."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .device import device_function


def make_read(kind: Callable[..., Any] | None) -> Any:
    """Return a function read(p, at, stride): a NamedTuple of the numbers from `at` on, each `stride` past the last.

    For None it reads nothing and returns ().
    """
    items = ", ".join(f"p[at + {k} * stride]" for k in range(_count(kind)))
    return _function("read(p, at, stride)", f"return kind({items})" if kind else "return ()", kind)


def make_write(kind: Callable[..., Any] | None) -> Any:
    """Return a function write(p, at, stride, values), the reverse of read."""
    items = "; ".join(f"p[at + {k} * stride] = values[{k}]" for k in range(_count(kind)))
    return _function("write(p, at, stride, values)", items or "pass", kind)


def make_vector(length: int, change: Callable[[Any], Any] | None = None) -> Any:
    """Return a function vector(p, at): a tuple of the `length` numbers from `at` on, each changed by a function."""
    items = ", ".join(f"change(p[at + {k}])" if change else f"p[at + {k}]" for k in range(length))
    return _function("vector(p, at)", f"return ({items})", change)


def _count(kind: Callable[..., Any] | None) -> int:
    return len(kind._fields) if kind else 0  # type: ignore[attr-defined]


def _function(head: str, body: str, other: Any) -> Any:
    names: dict[str, Any] = {"kind": other, "change": other}
    exec(f"def {head}:\n    {body}\n", names)
    return device_function(names[head.partition("(")[0]])
