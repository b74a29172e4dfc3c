"""`Cell`: the stack over a cell that a user has defined, and the register of those that there are.

`rnn_core.cell.define` makes a subclass of `Cell` for each definition. What is a cell's own here are its parameters:
which gates the rows of its weights belong to, its vectors, and its options.
"""

from __future__ import annotations

import copyreg
import importlib
import inspect
from collections import namedtuple
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, ClassVar

import numpy as np

from kernels.contract import Array, CellSpec, DefinedParameters
from kernels.definition import DEFINITIONS, Definition, check_digest

from ...foreign import shown
from ..base import Layer
from ..checks import as_array, check_finite
from ..home import namespace_of
from ..stack import Recurrent

Initial = float | Callable[[np.random.Generator, tuple[int, ...]], Any]
"""How a parameter begins: a number, or a function of a generator and a shape."""


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


class Cell(Recurrent, metaclass=Defining):
    """A stack of cells that a user has defined. Made through the classes that `rnn_core.cell.define` returns.

    Parameters and errors are those of `RNN`, without the nonlinearity; the options that the cell was defined with are
    taken by keyword, too. The state is a tuple of the cell's states or, where there is one, h.

    Attributes
    ----------
    definition : Definition
        The cell: its names, and its two functions written down.
    defaults : dict of str to float
        The options, and what they are if nothing is said.
    options : dict of str to float
        What this layer was made with.
    """

    definition: ClassVar[Definition]
    defaults: ClassVar[dict[str, float]]
    initial: ClassVar[Mapping[str, Initial]]
    its_spec: ClassVar[DefinedSpec]
    file: ClassVar[str]
    _made_by = "defined_cell"

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
        **options: float,
    ) -> None:
        self.options = self._checked_options(options)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            backend=backend, dtype=dtype, precision=precision, seed=seed,
        )  # fmt: skip
        self.config |= self.options

    def _checked_options(self, given: Mapping[str, Any]) -> dict[str, float]:
        """Return every option, those given and those left as they are."""
        name = type(self).__name__
        if not hasattr(self, "definition"):
            raise TypeError("Cell: it must be made through a class that rnn_core.cell.define returns, got Cell itself")
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
        return self.definition

    def _core_of(self, backend: Any, precision: str) -> Any:
        if not hasattr(backend, self._made_by):
            raise RuntimeError(
                f"backend must be one that runs cells of a user's own, got {self.backend!r}; 'numpy' runs all"
            )
        if self.definition.streams:
            raise ValueError(
                f"cell {self.cell!r} reads streams ({', '.join(self.definition.streams)}), which a layer doesn't have; "
                "its time loops alone take them, by the backend's defined_cell"
            )
        return backend.defined_cell(self.definition, precision)

    @property
    def _fields(self) -> tuple[str, ...]:
        hh = ("weight_hh", "bias_hh") if self.definition.from_h else ()
        weights = (field for field in DefinedParameters._fields[:-1] if not field.endswith("_hh") or field in hh)
        return (*weights, *self.definition.vectors)

    def _gates(self, field: str) -> tuple[str, ...]:
        """Return the gates into which the first axis of a parameter falls."""
        of = {"_ih": self.definition.from_x, "_hh": self.definition.from_h}
        return () if field in self.definition.vectors else of[field[-3:]]

    def _shapes(self, input_size: int, bias: bool) -> dict[str, tuple[int, ...]]:
        H = self.hidden_size
        columns: dict[str, tuple[int, ...]] = {"weight_ih": (input_size,), "weight_hh": (H,)}
        return {
            field: (max(1, len(self._gates(field))) * H, *columns.get(field, ()))
            for field in self._fields
            if bias or field not in ("bias_ih", "bias_hh")
        }

    def _draw(self, field: str, rng: np.random.Generator) -> Callable[[tuple[int, ...]], Any]:
        if field not in self.initial:
            return super()._draw(field, rng)
        begin, where = self.initial[field], f"{type(self).__name__}: initial"

        def draw(shape: tuple[int, ...]) -> np.ndarray:
            values = as_array(where, field, begin(rng, shape) if callable(begin) else np.full(shape, float(begin)))
            if values.shape != shape:
                raise ValueError(f"{where}: {field} must have shape {shape}, got {values.shape}")
            check_finite(where, field, values)
            return values

        return draw

    def _gathered(self, arrays: dict[str, Array]) -> DefinedParameters:
        its, xp = self.definition, namespace_of(type(self).__name__, self.backend)
        like = arrays["weight_ih"]
        constants = [xp.full((self.hidden_size,), self.options[name], dtype=like.dtype) for name in its.constants]
        weights = {field: arrays.get(field) for field in DefinedParameters._fields[:-1]}
        return DefinedParameters(**weights, extra=(*(arrays[name] for name in its.vectors), *constants))

    def _taken(self, gradients: DefinedParameters, field: str) -> Array:
        vectors = self.definition.vectors
        return gradients.extra[vectors.index(field)] if field in vectors else getattr(gradients, field)

    @property
    def gates(self) -> dict[str, tuple[str, ...]]:
        """The gates into whose blocks of H rows the first axis of each parameter falls, in order; () for none."""
        return {
            name: self._gates(field)
            for k in range(self.num_layers)
            for d in range(self.directions)
            for field in self._fields
            if (name := self._name(field, k, d)) in self.parameters
        }


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


def signature(defaults: Mapping[str, float]) -> inspect.Signature:
    """Return the signature of a cell's layer: the constructor's, and the options."""
    own = inspect.signature(Cell)
    given = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
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
