"""What a file says of the cells of a user's own, and whether those defined here are still the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ..foreign import one_line, parse_json, shown
from ..layers.base import Layer
from ..layers.defined import DEFINED, SHIPPED, Cell, cells_of, place_of, shipped
from .file import Contents

CELLS = "cells"
"""The key under which a file says which cells of a user's own it is made of, what they are, and where they were
defined."""

NAMES = ("gates", "from_x", "from_h", "states", "parameters")
"""What must be as it was for parameters to mean the same."""

MORE = ("matrices", "projection", "traits")
"""The same, of which a file says only what there is."""


class UndefinedCell(RuntimeError):
    """A file has a cell that is not defined in this process.

    Attributes
    ----------
    cell, file : str
        What the file calls it, and the file that it was defined in, on one line; "" where it doesn't say.
    """

    def __init__(self, message: str, cell: str = "", file: str = "") -> None:
        super().__init__(message)
        self.cell, self.file = cell, file


def described(target: Layer) -> dict[str, dict[str, Any]]:
    """Return what a file says of the cells of a layer or model, by name; a layer's own options are in its config."""
    return {
        kind.__name__: {
            "place": place_of(kind), **_names(kind), "step": kind.definition.step_digest,
            "options": _options(target, kind.__name__),
        }
        for kind in cells_of(target)
    }  # fmt: skip


def check_cells(contents: Contents) -> dict[str, dict[str, Any]]:
    """Return what a file says of its cells, if these are defined here and have the same names.

    Raises
    ------
    UndefinedCell
        A cell is not defined in this process.
    ValueError
        Its gates, states or parameters are others than they were.

    Warns
    -----
    UserWarning
        Its step is another: it may have been written in another way, or computes something else.
    """
    if CELLS not in contents.metadata:
        return {}
    cells = parse_json("load", f"{CELLS} in {contents.path!r}", contents.metadata[CELLS], unique=True)
    found: dict[str, dict[str, Any]] = {}
    for name, said in cells.items() if isinstance(cells, dict) else ():
        said = said if isinstance(said, dict) else {"place": said}  # versions before this one said no more
        place = said.get("place")
        if name not in DEFINED and not (name in SHIPPED and place == place_of(shipped(name))):
            said = f"load: {contents.path!r} has a cell {shown(name)}, which is not defined here; {_import(place)}"
            raise UndefinedCell(said, name, _place(place)[1])
        if len(said) > 1:
            _check_same(contents.path, DEFINED[name], said)
            found[name] = said
    return found


def check_options(contents: Contents, cells: dict[str, dict[str, Any]], target: Layer) -> None:
    """Raise ValueError where a model's cells have other options than those of its file, which are the defaults."""
    for name, said in cells.items():
        was, now = said.get("options"), _options(target, name)
        was = was if isinstance(was, dict) else {}
        for option in [*now, *was]:
            if was.get(option) != now.get(option):
                raise ValueError(
                    f"load: {contents.path!r} has a cell {name!r} whose option {shown(option)} was "
                    f"{shown(was.get(option))}, and is {now.get(option)} by its definition here; give the option the "
                    "default that it had"
                )


def _check_same(path: str, kind: type[Cell], said: dict[str, Any]) -> None:
    its = _names(kind)
    for what in (*NAMES, *MORE):
        was, names = said.get(what, [] if what in MORE else None), its.get(what, [])
        if was != names:
            raise ValueError(
                f"load: {path!r} has a cell {kind.__name__!r} whose {what} were {_listed(was)}, and are "
                f"{_listed(names)} as it is defined here; define it as it was"
            )
    if said.get("step") != kind.definition.step_digest:
        warnings.warn(
            f"load: {path!r} has a cell {kind.__name__!r} whose step was another than it is here: the outputs may be "
            "others, too; save it again where they are as they should be",
            stacklevel=4,
        )


def _names(kind: type[Cell]) -> dict[str, list[str]]:
    its = kind.definition
    traits = [said for said, there in (("heads", kind.heads), ("no bias", not kind.biased)) if there]
    more = its.matrices, (its.projection,) if its.projection else (), traits
    every = zip(NAMES + MORE, (its.sums, its.from_x, its.from_h, its.states, its.vectors, *more), strict=True)
    return {what: [*names] for what, names in every if names or what in NAMES}


def _options(target: Layer, name: str) -> dict[str, float]:
    """Return the options of a model's layers of a cell, as "rnn.leak"."""
    return {
        f"{path}.{option}": value
        for path, layer in _cells(target, "")
        if path and type(layer).__name__ == name
        for option, value in layer.options.items()
    }


def _cells(target: Any, path: str) -> Iterator[tuple[str, Cell]]:
    """Yield the layers of a user's own cells in a layer or model, with their dotted names."""
    if isinstance(target, Cell):
        yield path, target
    for name, part in getattr(target, "layers", {}).items():
        yield from _cells(part, f"{path}.{name}" if path else name)


def _import(place: Any) -> str:
    """Return what to import, of what a file says."""
    module, file = _place(place)
    if not file:
        return "define it first"
    if not module:
        return f"run or import {file} first, where it was defined"
    return f"import {module} first (its cell was defined in {file})"


def _place(place: Any) -> tuple[str, str]:
    """Return the module and the file that a file says of a cell, "" where it doesn't."""
    if not isinstance(place, str):
        return "", ""
    module, _, file = one_line(place, 100).partition(" (")
    return (module, file.removesuffix(")")) if file else ("", module)


def _listed(names: Any) -> str:
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return one_line(", ".join(names) or "none", 80)
    return shown(names)
