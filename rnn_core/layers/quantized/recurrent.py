"""`RNN`, `LSTM` and `GRU` with weights in int8: the stack as it is, over another core."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array, QuantizedParameters

from ... import backends
from ..first_values import first_values
from ..recurrent import GRU, LSTM, RNN
from ..small.calls import SmallCalls
from ..stack import Recurrent
from .rows import SCALE, Quantized


class Sealed:
    """In a `Watch`'s place: into arrays that are read-only nobody writes."""

    def stamp(self) -> object:
        """Return the same object for ever."""
        return self


class QuantizedRecurrent(Quantized, Recurrent):
    """A stack of cells whose weights are int8. Made by `quantize`."""

    def _initialise(self, bias: bool, dtype: np.dtype, seed: int | None) -> None:
        """Make room for every parameter; `quantize` and `load_state_dict` fill it."""
        if "precision" in self.config:
            name, given = type(self).__name__, self.config["precision"]
            raise TypeError(f"{name}: precision must be left out, as weights are int8, got {given!r}")
        self._core = self._backend(dtype).quantized_cell(self.cell)
        GH, H = self.spec.gate_count * self.hidden_size, self.hidden_size
        named: dict[str, Array] = {}
        self._rows_of: list[list[QuantizedParameters]] = []
        for k in range(self.num_layers):
            I = self.input_size if k == 0 else self.directions * H
            self._rows_of.append([])
            for d in range(self.directions):
                (W_x, s_x), (W_h, s_h) = self._rows((GH, I)), self._rows((GH, H))
                b_x, b_h = (first_values(np, (GH,), dtype, np.zeros) if bias else None for _ in range(2))
                self._rows_of[k].append(QuantizedParameters(W_x, s_x, W_h, s_h, b_x, b_h))
                for field, array in zip(QuantizedParameters._fields, self._rows_of[k][d], strict=True):
                    if array is not None:
                        weight = field.removesuffix(SCALE)
                        named[self._name(weight, k, d) + field.removeprefix(weight)] = array
        self.parameters = named
        self._lock()
        self._prepared: list[list[Any]] | None = None
        self._calls: SmallCalls | None = None

    @property
    def precision(self) -> str:
        """In what the core multiplies: "int8"."""
        return "int8"

    @property
    def _cell_parameters(self) -> list[list[Any]]:  # type: ignore[override]
        """What the core reads, by layer and direction: made of the parameters once, at the first call."""
        if self._prepared is None:
            self._seal()
            self._prepared = [[self._core.prepare(rows) for rows in layer] for layer in self._rows_of]
        return self._prepared

    @property
    def _small(self) -> SmallCalls | None:  # type: ignore[override]
        """The way through small calls, where the backend has one: with it, the parameters are sealed."""
        if self._calls is None and hasattr(backends.get(self.backend), "prepare"):
            made_of = self.backend, self.cell, self._cell_parameters, self.dtype, self.batch_first, Sealed(), "float32"
            self._calls = SmallCalls(*made_of)
        return self._calls

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Parameter names by layer of the stack: l0, l1, …"""
        parts = {name: name.removesuffix(SCALE).removesuffix("_reverse").rpartition("_")[2] for name in self.parameters}
        return {
            f"l{k}": tuple(name for name, part in parts.items() if part == f"l{k}") for k in range(self.num_layers)
        }

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: the parameters, and not what has been made of them."""
        return {**self.__dict__, "_prepared": None, "_calls": None}


class QuantizedRNN(QuantizedRecurrent, RNN):
    """An `RNN` whose weights are int8, for inference. Made by `quantize`; called as the `RNN` it was made of."""


class QuantizedLSTM(QuantizedRecurrent, LSTM):
    """An `LSTM` whose weights are int8, for inference. Made by `quantize`; called as the `LSTM` it was made of."""


class QuantizedGRU(QuantizedRecurrent, GRU):
    """A `GRU` whose weights are int8, for inference. Made by `quantize`; called as the `GRU` it was made of."""
