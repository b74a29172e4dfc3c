"""`DefinedStack`: what the parameters of a cell that a user has defined are, and how its core reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from kernels.contract import Array, DefinedParameters
from kernels.definition import Definition

from ..checks import as_array, check_finite
from ..home import namespace_of
from ..stack import Recurrent
from .heads import blocks, whole

Initial = float | Callable[[np.random.Generator, tuple[int, ...]], Any]
"""How a parameter begins: a number, or a function of a generator and a shape."""


class DefinedStack(Recurrent):
    """A stack whose parameters are those of a definition: weights of some gates, vectors, constants and matrices."""

    definition: ClassVar[Definition]
    initial: ClassVar[Mapping[str, Initial]]
    heads: ClassVar[bool] = False
    biased: ClassVar[bool] = True
    options: dict[str, float]
    proj_size: int
    num_heads: int

    @property
    def _needs(self) -> str:  # type: ignore[override]
        return "ACROSS" if self.definition.across else "defined_cell"

    @property
    def _as_stored(self) -> bool:  # type: ignore[override]
        return self.num_heads == 1

    @property
    def _sizes(self) -> tuple[int, ...]:
        h, *others = super()._sizes
        return (self.proj_size or h, *others)

    @property
    def _fields(self) -> tuple[str, ...]:
        hh = ("weight_hh", "bias_hh") if self.definition.from_h else ()
        weights = (field for field in DefinedParameters._fields[:-1] if not field.endswith("_hh") or field in hh)
        return (*weights, *self.definition.vectors, *self.definition.matrices)

    def _gates(self, field: str) -> tuple[str, ...]:
        """Return the gates into which the first axis of a parameter falls."""
        of = {"_ih": self.definition.from_x, "_hh": self.definition.from_h}
        return () if field in (*self.definition.vectors, *self.definition.matrices) else of[field[-3:]]

    def _shapes(self, input_size: int, bias: bool) -> dict[str, tuple[int, ...]]:
        H, P = self.hidden_size, self._sizes[0]
        columns: dict[str, tuple[int, ...]] = {"weight_ih": (input_size,), "weight_hh": (P // self.num_heads,)}
        shapes = {
            field: (max(1, len(self._gates(field))) * H, *columns.get(field, ()))
            for field in self._fields
            if bias or field not in ("bias_ih", "bias_hh")
        }
        return shapes | {name: (P if name == self.definition.projection else H, H) for name in self.definition.matrices}

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
        constants += self._probabilities(like)
        vectors, matrices = ([arrays[name] for name in names] for names in (its.vectors, its.matrices))
        return DefinedParameters(**weights, extra=(*vectors, *constants, *matrices))

    def _read(self, layer: int, direction: int) -> DefinedParameters:
        params: DefinedParameters = super()._read(layer, direction)
        if self._as_stored:
            return params
        gates, xp = len(self.definition.from_h), self.namespace
        return params._replace(weight_hh=whole(params.weight_hh, gates, self.num_heads, xp))

    def _taken(self, gradients: DefinedParameters, field: str) -> Array:
        extra = (*self.definition.vectors, *self.definition.matrices)
        if field in extra:
            return gradients.extra[extra.index(field)]
        gradient = getattr(gradients, field)
        if field == "weight_hh" and not self._as_stored:
            return blocks(gradient, len(self.definition.from_h), self.num_heads, self.namespace)
        return gradient

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
