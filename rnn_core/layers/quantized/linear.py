"""`Linear` with its weight in int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.contract import Array

from ..first_values import first_values
from ..linear import Linear
from .rows import SCALE, Quantized


class QuantizedLinear(Quantized, Linear):
    """A `Linear` whose weight is int8, for inference. Made by `quantize`; called as the `Linear` it was made of."""

    def _initialise(self, xp: Any, dtype: np.dtype, seed: int | None) -> None:
        """Make room for every parameter; `quantize` and `load_state_dict` fill it."""
        if "precision" in self.config:
            given = self.config["precision"]
            raise TypeError(f"{type(self).__name__}: precision must be left out, as weights are int8, got {given!r}")
        self._affine = self._backend(dtype).quantized_affine()
        weight, scale = self._rows((self.out_features, self.in_features))
        named = {"weight": weight, f"weight{SCALE}": scale}
        if self.config["bias"]:
            named["bias"] = first_values(np, (self.out_features,), dtype, np.zeros)
        self.parameters = named
        self._lock()
        self._prepared: Any = None

    def __call__(self, x: Array) -> Array:
        """Return y; parameters and errors are those of `Linear`."""
        x = self._checked(f"{type(self).__name__}.__call__", x)
        if self._prepared is None:
            self._seal()
            named = self.parameters
            self._prepared = self._affine.prepare(named["weight"], named[f"weight{SCALE}"], named.get("bias"))
        y = self._affine(self._prepared, x.reshape(-1, self.in_features))  # (IQ3)
        return y.reshape(*x.shape[:-1], self.out_features)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: the parameters, and not what has been made of them."""
        return {**self.__dict__, "_prepared": None}
