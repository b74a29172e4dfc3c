"""A copy of a layer or model on other numbers, and of what it is given: what the complex step runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..data.batches import Batch
from ..layers.embedding import Embedding
from ..layers.home import to_host
from .targets.values import hold_padding


def on_host(value: Any, dtype: Any) -> Any:
    """Return a state, or a batch of one task or of several, whose features, not its targets, are converted."""
    if isinstance(value, Batch):
        return Batch(on_host(value.inputs, dtype), *map(to_host, value[1:4]))
    if isinstance(value, Mapping):
        return {name: on_host(part, dtype) for name, part in value.items()}
    if isinstance(value, tuple):
        parts = [on_host(part, dtype) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: on_host(getattr(value, field.name), dtype) for field in fields(value)})
    array = to_host(value)
    return array.astype(dtype) if getattr(array, "dtype", None) in (np.float32, np.float64) else array


def hold_paddings(target: Any, twin: Any) -> None:
    """Undo a change of the padding row of every embedding that a layer or model has: it is a constant."""
    for layer, other in zip(_layers(target), _layers(twin), strict=True):
        if isinstance(layer, Embedding) and isinstance(other, Embedding):
            hold_padding(layer, other)


def _layers(target: Any) -> list[Any]:
    """Return a model's layers; of a layer that has none itself."""
    return [target, *getattr(target, "layers", {}).values()]
