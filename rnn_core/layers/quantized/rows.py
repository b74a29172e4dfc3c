"""What layers in int8 share: rows of integers with their scales, how large they are, and what they don't do."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.contract import LONGEST_ROW, Array

from ... import backends
from ..base import Layer
from ..first_values import first_values
from ..live import close, lock

SCALE = "_scale"
"""What is appended to a weight's name: its rows' scales stand under it."""


class Quantized(Layer):
    """A layer for inference, some of whose weights are int8 with a scale for each row."""

    def forward(self, *_: Any, **__: Any) -> Any:
        """Raise RuntimeError: training takes float weights."""
        raise RuntimeError(self._for_inference("forward"))

    def backward(self, *_: Any, **__: Any) -> Any:
        """Raise RuntimeError: training takes float weights."""
        raise RuntimeError(self._for_inference("backward"))

    def _for_inference(self, method: str) -> str:
        name = type(self).__name__
        return (
            f"{name}.{method}: training needs weights in float32, got int8, which is for inference; call the layer or "
            "model itself, or train the one that quantize was given and quantize it again"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sizes(self)})"

    def _backend(self, dtype: np.dtype) -> Any:
        """Return the backend's module, if it computes in int8 and the layer is to be float32 otherwise."""
        return backend_in_int8(type(self).__name__, dtype, self.config["backend"])

    def _rows(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """Return a new weight in int8 and the scales of its rows, not yet filled in."""
        check_row(type(self).__name__, shape[1])
        return first_values(np, shape, np.dtype(np.int8), np.zeros), first_values(
            np, shape[:1], np.dtype(np.float32), np.zeros
        )

    def _lock(self) -> None:
        """Let users write into the parameters by assignment alone: through a view they would, unseen, even later."""
        lock(self.parameters)

    def _seal(self) -> None:
        """Let nobody write into the parameters any more: what computes with them has its own order of them."""
        close(self.parameters)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy's arrays what this one's are: NumPy copies what is read-only as what is not."""
        self.__dict__.update(state)
        self._lock()


def backend_in_int8(where: str, dtype: np.dtype, backend: str | None, of: str = "") -> Any:
    """Return a backend's module, if it computes in int8 for this dtype; errors say that the two are `of` something."""
    if dtype != np.float32:
        raise TypeError(
            f"{where}: {of}dtype must be float32, in which all but the weights is, got {dtype}; "
            "astype(np.float32) makes of a layer or model one that can be quantized"
        )
    module = backends.get(backend := backend or backends.default())
    if not hasattr(module, "quantized_cell"):
        raise RuntimeError(
            f"{where}: {of}backend must be one that computes in int8, 'cpu' or 'numpy', got {backend!r}; "
            "astype(np.float32, backend='cpu') makes such a layer or model"
        )
    return module


def check_row(where: str, length: int) -> None:
    """Refuse a row whose product might not fit into 32 bits."""
    if length > LONGEST_ROW:
        raise ValueError(
            f"{where}: a row of a weight must have at most {LONGEST_ROW} numbers, for their products to add up within "
            f"32 bits, got {length}; leave this layer as it is"
        )


def is_quantized(target: Any) -> bool:
    """Return whether a layer, or any layer of a model, has its weights in int8."""
    return isinstance(target, Quantized) or any(
        isinstance(layer, Quantized) for layer in getattr(target, "layers", {}).values()
    )


class Sizes(NamedTuple):
    """The bytes of all parameters: with their weights in int8, and as they were in float32."""

    now: int
    before: int

    def __str__(self) -> str:
        return f"int8: {self.now:,} bytes, {self.before:,} in float32"


def sizes(target: Layer) -> Sizes:
    """Return the bytes of a quantised layer or model, and those of what it was made of."""
    arrays = target.parameters
    scales = {f"{name}{SCALE}" for name, array in arrays.items() if array.dtype == np.int8}
    before = sum(4 * array.size for name, array in arrays.items() if name not in scales)
    return Sizes(sum(array.nbytes for array in arrays.values()), before)
