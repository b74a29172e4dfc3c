"""Where values come from, and whether they can go into a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.contract import Array
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import as_array, check_finite


def arrays_of(where: str, argument: str, source: Any) -> Mapping[str, Any]:
    """Return arrays by name: a model's parameters, or the mapping that was given."""
    if isinstance(source, Layer):
        return source.parameters
    if isinstance(source, Mapping):
        return source
    raise TypeError(
        f"{where}: {argument} must be a model, a layer or a mapping of names to arrays, got {type(source).__name__}"
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
