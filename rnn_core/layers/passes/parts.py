"""What a stack of cells is made of: sizes, a core, parameters, and their names."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kernels.contract import CELLS, Array, CellSpec, DefinedParameters, Parameters, gradient_names
from kernels.definition import Definition

from ... import backends
from ..base import Layer
from ..checks import check_seed, checked_dtype, checked_precision, flag, positive_int, probability
from ..first_values import drawing, first_values
from ..home import namespace_of
from ..live import Watch
from ..regularised import (
    Noise,
    RegularisedCore,
    Regularisers,
    Zoneout,
    built_in,
    core_of,
    draw,
    expected_of,
    regularisers_of,
)
from ..small.calls import SmallCalls


class Stack(Layer):
    """What a stack of `num_layers` cells in one direction or two is made of."""

    cell: str
    """The cell's name in `kernels.contract.CELLS`."""

    _small: SmallCalls | None = None
    regularisers = Regularisers()
    """What regularises the layer within its recurrence."""
    _held: Definition | None = None
    """The cell with zoneout's expectation around it, where there is zoneout."""
    _noisy: RegularisedCore | None = None
    """The time loops with masks, where training has any."""

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
    ) -> None:
        name = type(self).__name__
        self.input_size = positive_int(name, "input_size", input_size)
        self.hidden_size = positive_int(name, "hidden_size", hidden_size)
        self.num_layers = positive_int(name, "num_layers", num_layers)
        self.dropout = probability(name, "dropout", dropout)
        bias, bidirectional = flag(name, "bias", bias), flag(name, "bidirectional", bidirectional)
        self.directions, self.batch_first = 2 if bidirectional else 1, flag(name, "batch_first", batch_first)
        seed, self.spec = check_seed(name, seed), self._spec()
        self.regularisers = regularisers_of(
            name, self.spec.states, zoneout, recurrent_dropout, candidate_dropout, weight_drop
        )
        dtype = checked_dtype(name, dtype)
        self.backend = backend or ("numpy" if dtype.kind == "c" else backends.default(self._needs))
        try:
            self._make_cores(backends.get(self.backend), checked_precision(precision, dtype))
        except (ValueError, RuntimeError) as error:
            raise type(error)(f"{name}: {error}") from None
        if dtype.kind == "c" and self.backend != "numpy":
            raise ValueError(f"{name}: complex128 runs on backend='numpy' alone, got backend={self.backend!r}")
        self.config = {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": bias,
            "batch_first": self.batch_first,
            "dropout": self.dropout,
            "bidirectional": bidirectional,
            "backend": self.backend,
            "dtype": dtype.name,
            "seed": seed,
        }
        if precision != "float32":  # a file says no more than versions that knew none had it say
            self.config["precision"] = precision
        self.config |= self.regularisers.config
        self._initialise(bias, dtype, seed)
        if self.dropout and self.num_layers == 1 and drawing():
            warnings.warn(
                f"{name}: dropout must be 0 with num_layers=1, as it acts between layers alone, got {self.dropout:g}, "
                "which drops nothing; leave it out, stack layers, or put rnn_core.layers.Dropout before or behind",
                stacklevel=2 + (type(self).__init__ is not Stack.__init__),
            )

    def _initialise(self, bias: bool, dtype: np.dtype, seed: int | None) -> None:
        """Draw every parameter from U(−1/√H, 1/√H), as torch does, in the order of the names; take them home."""
        xp = namespace_of(type(self).__name__, self.backend)
        rng = np.random.default_rng(seed)
        self._dropout_rng = rng.spawn(1)[0]
        named: dict[str, Array] = {}
        self._cell_parameters: list[list[Any]] = []
        for k in range(self.num_layers):
            shapes = self._shapes(self.input_size if k == 0 else self.directions * self._sizes[0], bias)
            self._cell_parameters.append([])
            for d in range(self.directions):
                arrays = {f: first_values(xp, shape, dtype, self._draw(f, rng)) for f, shape in shapes.items()}
                self._cell_parameters[k].append(self._gathered(arrays))
                named |= {self._name(field, k, d): array for field, array in arrays.items()}
        self.parameters = named
        if self._as_stored and hasattr(backends.get(self.backend), "prepare"):
            watch, precision = Watch(list(named.values())), self.config.get("precision", "float32")
            made_of = self.backend, self._its_cell, self._cell_parameters, dtype, self.batch_first, watch, precision
            self._small = SmallCalls(*made_of)

    # ── What a cell's parameters are: of one that a user has defined, `defined` says it ──────────────────────────────

    _needs = "cell"
    """What a backend must have to run it."""

    _as_stored = True
    """Whether the core reads the parameters' own arrays."""

    @property
    def _sizes(self) -> tuple[int, ...]:
        """How many numbers a row of each state has; that of the first is the output's, too."""
        return (self.hidden_size,) * len(self.spec.states)

    @property
    def _its_cell(self) -> Any:
        """The cell, as a backend is asked for it."""
        return self.cell if self._held is None else self._held

    def _defined(self, dropped: bool = False) -> Definition | None:
        """Return the cell as a definition; `dropped`, with its masks as streams, None where it has none."""
        return built_in(self.cell, dropped)

    def _spec(self) -> CellSpec:
        return CELLS[self.cell]

    def _make_cores(self, backend: Any, precision: str) -> None:
        """Make the time loops, and those with masks where training has any."""
        given = self.regularisers
        its = self._defined() if given.config else None
        if its is not None and given.zoned:
            self._held = expected_of(its, given)
        self._core = self._core_of(backend, precision)
        if its is not None:
            self._noisy = core_of(backend, precision, self._core, its, self._defined(dropped=True), given)

    def _core_of(self, backend: Any, precision: str) -> Any:
        """Return the cell's time loops."""
        make = backend.cell if self._held is None else backend.defined_cell
        return make(self._its_cell, precision)

    def _probabilities(self, like: Array) -> tuple[Array, ...]:
        """Return what states keep of their old value without training, (H,) each, as constants of the cell."""
        xp, H = namespace_of(type(self).__name__, self.backend), self.hidden_size
        given = self.regularisers
        return tuple([xp.full((H,), given.zoneout[k], dtype=like.dtype) for k in given.zoned])

    def _drawn(self, rng: np.random.Generator, T: int, B: int) -> list[list[Noise]] | None:
        """Return the masks of a call, by layer and direction; None where the layer has none."""
        core = self._noisy
        if core is None:
            return None
        given, sizes = self.regularisers, (T, B, self.hidden_size)

        def drawn(k: int, d: int) -> Noise:
            weights = core.weights(self._read(k, d)) if given.weight_drop else (None,)
            return draw(rng, given, core.masks, weights, sizes, self.dtype, self.namespace)

        return [[drawn(k, d) for d in range(self.directions)] for k in range(self.num_layers)]

    @property
    def _fields(self) -> tuple[str, ...]:
        """The parameters of one layer in one direction, in the order in which they are drawn."""
        return Parameters._fields

    def _shapes(self, input_size: int, bias: bool) -> dict[str, tuple[int, ...]]:
        """Return their shapes; those that are not there are left out."""
        GH, H = self.spec.gate_count * self.hidden_size, self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (GH, input_size), "weight_hh": (GH, H)}
        return shapes | ({"bias_ih": (GH,), "bias_hh": (GH,)} if bias else {})

    def _draw(self, field: str, rng: np.random.Generator) -> Callable[[tuple[int, ...]], Any]:
        """Return what draws a parameter of a shape."""
        return partial(rng.uniform, -(self.hidden_size**-0.5), self.hidden_size**-0.5)

    def _gathered(self, arrays: dict[str, Array]) -> Any:
        """Return the parameters of one layer in one direction, as the core reads them."""
        weights = {field: arrays.get(field) for field in Parameters._fields}
        if self._held is None:
            return Parameters(**weights)
        return DefinedParameters(**weights, extra=self._probabilities(arrays["weight_ih"]))

    def _read(self, layer: int, direction: int) -> Any:
        """Return what has been gathered, as the core reads it in a call."""
        return self._cell_parameters[layer][direction]

    def _taken(self, gradients: Any, field: str) -> Array:
        """Return the gradient of a parameter, from what the core has returned."""
        return getattr(gradients, field)

    # ── By name ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def precision(self) -> str:
        """In what the core multiplies: "float32" stands for the layer's own dtype; `astype` makes another."""
        return str(self.config.get("precision", "float32"))

    @property
    def output_size(self) -> int:
        """How many numbers y has at each step for each direction: as many as h."""
        return self._sizes[0]

    @staticmethod
    def _name(field: str, layer: int, direction: int) -> str:
        """Return torch's name of a parameter: weight_ih_l0, weight_hh_l1_reverse, …"""
        return f"{field}_l{layer}{'_reverse' if direction else ''}"

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Parameter names by layer of the stack: l0, l1, …"""
        return {
            f"l{k}": tuple(
                name
                for d in range(self.directions)
                for field in self._fields
                if (name := self._name(field, k, d)) in self.parameters
            )
            for k in range(self.num_layers)
        }

    @property
    def gates(self) -> dict[str, tuple[str, ...]]:
        """The gates into whose blocks of H rows the first axis of each parameter falls, in order; () for none."""
        gates: tuple[str, ...] = self.spec.gates._fields  # type: ignore[attr-defined]
        return dict.fromkeys(self.parameters, gates)

    @property
    def gate_blocks(self) -> dict[str, int]:
        """Into how many gate blocks the first axis of each parameter falls."""
        return {name: max(1, len(gates)) for name, gates in self.gates.items()}

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """The names that `needs` may hold: x, the initial states and every parameter."""
        return (*gradient_names(self.spec)[: 1 + len(self.spec.states)], *self.parameters)
