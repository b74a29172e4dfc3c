"""Where values come from, and whether they can go into a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.contract import Array
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import as_array, check_finite
from rnn_core.layers.quantized import is_quantized
from rnn_core.layers.quantized.rows import SCALE


def arrays_of(where: str, argument: str, source: Any) -> Mapping[str, Any]:
    """Return arrays by name: a model's parameters, or the mapping that was given, if they are not quantized."""
    check_float(where, argument, source)
    if isinstance(source, Layer):
        return source.parameters
    if isinstance(source, Mapping):
        return source
    raise TypeError(
        f"{where}: {argument} must be a model, a layer or a mapping of names to arrays, got {type(source).__name__}"
    )


def check_float(where: str, argument: str, source: Any) -> None:
    """Raise TypeError for a layer, or arrays by name, with weights in int8: without their scales they mean nothing."""
    if isinstance(source, Layer):
        quantized = is_quantized(source)
    else:
        quantized = isinstance(source, Mapping) and any(
            f"{name}{SCALE}" in source and getattr(value, "dtype", None) == np.int8 for name, value in source.items()
        )
    if quantized:
        raise TypeError(
            f"{where}: {argument} must be in float32 or float64, got one that is quantized; take the model that "
            "quantize was given"
        )


def checked_value(where: str, name: str, value: Any, parameter: Array) -> Array:
    """Return `value` as an array, if it is finite and a parameter can hold it without loss. Shapes may differ."""
    if isinstance(parameter, np.ndarray):
        value = as_array(where, name, value)
    if not np.can_cast(value.dtype, parameter.dtype, "safe"):
        raise TypeError(
            f"{where}: {name} must be {parameter.dtype} or narrower, as the target, got {value.dtype}; "
            "convert one of them with astype"
        )
    check_finite(where, name, value)
    return value
