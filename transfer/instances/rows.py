"""Feature vectors of a source and a target, checked once for all that compares the two."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_core.layers.checks import as_array, check_finite


def two_domains(where: str, source: Any, target: Any, rows: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 arrays (n, F) and (m, F) of finite numbers, with at least so many rows."""
    source, target = as_rows(where, "source", source, rows), as_rows(where, "target", target, rows)
    if source.shape[1] != target.shape[1]:
        raise ValueError(
            f"{where}: target must have {source.shape[1]} features a row, as the source, got {target.shape[1]}; "
            "pool or project both in the same way"
        )
    return source, target


def as_rows(where: str, name: str, value: Any, rows: int = 1, features: int | None = None) -> np.ndarray:
    """Return feature vectors as a float64 array (n, F) of finite numbers."""
    array = as_array(where, name, value)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{where}: {name} must have shape (n, F), a vector of features a row, got {array.shape}; pool sequences, "
            "or lay their steps side by side with x.reshape(len(x), -1)"
        )
    if array.dtype.kind == "c":
        raise TypeError(f"{where}: {name} must be real, got {array.dtype}")
    if len(array) < rows:
        raise ValueError(f"{where}: {name} must have at least {rows} rows, got {len(array)}; collect more examples")
    if features is not None and array.shape[1] != features:
        raise ValueError(f"{where}: {name} must have {features} features a row, got {array.shape[1]}")
    array = array.astype(np.float64)
    check_finite(where, name, array)
    return array


def number(where: str, name: str, value: Any, least: float, above: bool = False) -> float:
    """Return `value` as a float, if it is finite and at least, or above, a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: {name} must be a number, got {value!r}")
    if not np.isfinite(value) or value < least or (above and value == least):
        limit = "above" if above else "at least"
        raise ValueError(f"{where}: {name} must be {limit} {least:g} and finite, got {value}")
    return float(value)
