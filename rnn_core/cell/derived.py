"""Definitions that were made of others: a pickle holds how they were made, and no program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from kernels.definition import Definition

from ..layers.defined import cell_named


@dataclass(frozen=True, eq=False)
class Derived(Definition):
    """A definition that was made of others."""

    made: tuple[Callable[..., Definition], tuple[Any, ...]] = (Definition, ())
    """The function that makes it again, and what that takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return self.made


def derived(its: Definition, make: Callable[..., Definition], given: tuple[Any, ...], **changes: Any) -> Derived:
    """Return a definition with some changes, which a pickle makes again by a call of `make`."""
    same = {field.name: getattr(its, field.name) for field in fields(Definition)}
    return Derived(**{**same, **changes, "made": (make, given)})


def dropped_of(name: str, module: str, digest: str) -> Definition:
    """Return a cell with its masks as streams, by what a pickle knows of it."""
    found = cell_named(name, module, digest).dropped
    if found is None:
        raise RuntimeError(f"cell {name!r} names no masks; make the layer again")
    return found
