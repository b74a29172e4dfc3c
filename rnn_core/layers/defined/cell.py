"""`Cell`: the stack over a cell that a user has defined, and the register of those that there are.

`rnn_core.cell.define` makes a subclass of `Cell` for each definition. What is a cell's own here are its parameters
(parameters.py), and what its layers are made with: options, the size of a projected h, heads.
"""

from __future__ import annotations

import copyreg
import importlib
import inspect
from collections import namedtuple
from collections.abc import Mapping
from math import isfinite
from typing import Any, ClassVar

import numpy as np

from kernels.contract import CellSpec
from kernels.definition import DEFINITIONS, Definition, check_digest

from ...foreign import shown
from ..base import Layer
from ..checks import flag, positive_int
from ..regularised import Zoneout
from .parameters import DefinedStack


class DefinedSpec(CellSpec):
    """What a defined cell looks like from outside; it is pickled by the cell's name and digest."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _spec_of, (self.gates.__name__, self.gates.__module__, self.gates._digest)  # type: ignore[attr-defined]

    def __copy__(self) -> DefinedSpec:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> DefinedSpec:
        return self


def _spec_of(name: str, module: str, digest: str = "") -> DefinedSpec:
    return cell_named(name, module, digest).its_spec


class Defining(type):
    """The class of `Cell` and its subclasses, which are pickled by the name and digest of their cell."""


class Cell(DefinedStack, metaclass=Defining):
    """A stack of cells that a user has defined. Made through the classes that `rnn_core.cell.define` returns.

    Parameters and errors are those of `RNN`, without the nonlinearity; the options that the cell was defined with are
    taken by keyword, too. The state is a tuple of the cell's states or, where there is one, h.

    Attributes
    ----------
    definition : Definition
        The cell: its names, and its two functions written down.
    dropped : Definition or None
        The same with the masks of its candidates as streams, if it has any.
    defaults : dict of str to float
        The options, and what they are if nothing is said.
    options : dict of str to float
        What this layer was made with.
    proj_size : int
        How many numbers h has where the cell projects it; 0 where it doesn't, and h has `hidden_size`.
    num_heads : int
        Blocks of W_h, of a cell with heads; 1 without.
    """

    dropped: ClassVar[Definition | None]
    defaults: ClassVar[dict[str, float]]
    its_spec: ClassVar[DefinedSpec]
    file: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
        zoneout: Zoneout = 0.0,
        recurrent_dropout: float = 0.0,
        candidate_dropout: float = 0.0,
        weight_drop: float = 0.0,
        **options: float,
    ) -> None:
        self._check_made()
        sizes = self._checked_sizes(hidden_size, options)
        self.options = self._checked_options(options)
        bias = flag(type(self).__name__, "bias", bias) and self.biased
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            backend=backend, dtype=dtype, precision=precision, seed=seed, zoneout=zoneout,
            recurrent_dropout=recurrent_dropout, candidate_dropout=candidate_dropout, weight_drop=weight_drop,
        )  # fmt: skip
        self.config |= sizes | self.options

    def _check_made(self) -> None:
        if not hasattr(self, "definition"):
            raise TypeError("Cell: it must be made through a class that rnn_core.cell.define returns, got Cell itself")

    def _checked_sizes(self, hidden_size: Any, given: dict[str, Any]) -> dict[str, int]:
        """Take proj_size and num_heads out of what was given by keyword, and return those that the cell has."""
        name, found = type(self).__name__, {}
        H = positive_int(name, "hidden_size", hidden_size)
        self.proj_size, self.num_heads = 0, 1
        if self.definition.projection:
            if given.get("proj_size") is None:
                raise TypeError(
                    f"{name}: proj_size must be given, how many numbers {self.definition.projection} makes of the "
                    f"hidden_size = {H}; it is at least 1 and below that"
                )
            found["proj_size"] = self.proj_size = positive_int(name, "proj_size", given.pop("proj_size"))
            if self.proj_size >= H:
                raise ValueError(f"{name}: proj_size must be below hidden_size = {H}, got {self.proj_size}")
        if self.heads:
            found["num_heads"] = self.num_heads = positive_int(name, "num_heads", given.pop("num_heads", 1))
            for size, what in ((H, "hidden_size"), (self.proj_size, "proj_size")):
                if size % self.num_heads:
                    raise ValueError(f"{name}: num_heads must divide {what} = {size}, got {self.num_heads}")
        return found

    def _checked_options(self, given: Mapping[str, Any]) -> dict[str, float]:
        """Return every option, those given and those left as they are."""
        name = type(self).__name__
        if unknown := [key for key in given if key not in self.defaults]:
            known = f"its options are {', '.join(self.defaults)}" if self.defaults else "the cell has no options"
            raise TypeError(f"{name}: an option must be one of the cell's, got {shown(unknown[0])}; {known}")
        for key, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
                raise TypeError(f"{name}: {key} must be a number, got {type(value).__name__} {shown(value)}")
            if not isfinite(value):
                raise ValueError(f"{name}: {key} must be finite, got {value}")
        return {key: float(given.get(key, default)) for key, default in self.defaults.items()}

    def _spec(self) -> CellSpec:
        return self.its_spec

    @property
    def _its_cell(self) -> Definition:
        return self.definition if self._held is None else self._held

    def _defined(self, dropped: bool = False) -> Definition | None:
        return self.dropped if dropped else self.definition

    def _core_of(self, backend: Any, precision: str) -> Any:
        if not hasattr(backend, self._needs):
            across = ", ".join(self.definition.across)
            what = f"that look at a whole row of units ({across})" if across else "of a user's own"
            raise RuntimeError(f"backend must be one that runs cells {what}, got {self.backend!r}; 'numpy' runs all")
        if self.definition.streams:
            raise ValueError(
                f"cell {self.cell!r} reads streams ({', '.join(self.definition.streams)}), which a layer doesn't have; "
                "its time loops alone take them, by the backend's defined_cell"
            )
        return backend.defined_cell(self._its_cell, precision)


DEFINED: dict[str, type[Cell]] = {}
"""The layers of every cell that is defined here, by name."""


def register(kind: type[Cell]) -> None:
    """Take note of a cell. Another definition out of the same file or module takes the place of the one before.

    Raises
    ------
    ValueError
        A cell of this name was defined in another file, or rnn_core has a layer or model of this name.
    """
    name, before = kind.__name__, DEFINED.get(kind.__name__)
    if before and before.file != kind.file and before.definition.module != kind.definition.module:
        raise ValueError(
            f"there is a cell {name!r} already, of {place_of(before)}; a name is for one file, as saved files name "
            "their cell by it: give this one another"
        )
    DEFINITIONS[name] = kind.definition
    DEFINED[name] = kind


def place_of(kind: type[Cell]) -> str:
    """Return where a cell is defined, as a file says it: the module, and its file's name."""
    module, file = kind.definition.module, kind.file.replace("\\", "/").rpartition("/")[2]
    return f"{module} ({file})" if module != "__main__" else file


def cells_of(target: Any) -> list[type[Cell]]:
    """Return the cells of a user's own that a layer or model is made of."""
    if isinstance(target, Cell):
        return [type(target)]
    return list(dict.fromkeys(kind for part in getattr(target, "layers", {}).values() for kind in cells_of(part)))


def cell_named(name: str, module: str, digest: str = "") -> type[Cell]:
    """Return a cell by name, if need be after importing the module that defines it; of that digest, if one is given."""
    if name not in DEFINED and module:
        importlib.import_module(module)
    if name not in DEFINED:
        raise RuntimeError(f"cell {name!r} is not defined here; import the file that defines it first")
    check_digest(DEFINED[name].definition, digest)
    return DEFINED[name]


def _reduced(kind: Any) -> Any:
    if "definition" not in vars(kind):
        return kind.__qualname__  # as any other class
    return cell_named, (kind.__name__, kind.definition.module, kind.definition.digest)


copyreg.pickle(Defining, _reduced)


def spec_of(definition: Definition) -> DefinedSpec:
    """Return what a cell looks like from outside."""
    gates = namedtuple(definition.name, definition.sums, module=definition.module)  # type: ignore[misc]
    gates._digest = definition.digest  # type: ignore[attr-defined]
    return DefinedSpec(gates, definition.states, definition.vectors)


def signature(defaults: Mapping[str, float], *, projected: bool, heads: bool) -> inspect.Signature:
    """Return the signature of a cell's layer: the constructor's, the sizes that it has, and the options."""
    own = inspect.signature(Cell)
    given = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    if projected:
        given.append(inspect.Parameter("proj_size", inspect.Parameter.KEYWORD_ONLY, annotation="int"))
    if heads:
        given.append(inspect.Parameter("num_heads", inspect.Parameter.KEYWORD_ONLY, default=1, annotation="int"))
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation="float")
        for name, default in defaults.items()
    ]
    return own.replace(parameters=[*given, *more])


def taken_names() -> frozenset[str]:
    """Return the names of rnn_core's own layers and models, which no cell can have; of cells, `register` decides."""
    classes: list[type[Layer]] = [Layer]
    for known in classes:
        classes.extend(known.__subclasses__())
    return frozenset(
        known.__name__
        for known in classes
        if known.__module__.startswith("rnn_core.") and not hasattr(known, "definition")
    )
