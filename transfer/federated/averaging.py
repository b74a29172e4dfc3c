"""What clients of a federation send one another: named arrays out of a model, into a model, and their mean.

::

    θ ← Σ_k n_k θ_k / Σ_k n_k        (X41)   client k has trained on n_k targets

References
----------
B. McMahan and others, "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017,
algorithm 1 (FedAvg).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array
from rnn_core.layers.base import Layer
from rnn_core.layers.checks import as_array, check_finite
from rnn_core.layers.home import move, to_host

from ..parameters.groups import Patterns, checked_layer, chosen
from ..parameters.values import check_float, checked_value


def shared_arrays(model: Layer, core: Patterns = "rnn.*") -> dict[str, np.ndarray]:
    """Return copies of the parameters that clients share, by name and on the host.

    Parameters
    ----------
    model : Model or layer
    core : str or iterable of str
        Patterns of what is shared (see `transfer.parameters.groups`).

    Raises
    ------
    ValueError
        A pattern matches nothing; the message lists the names there are.
    TypeError
        This is no model or layer, it is quantized, or a pattern is not a string.
    """
    names = chosen("shared_arrays", "core", checked_layer("shared_arrays", "model", model), core)
    check_float("shared_arrays", "model", model)
    return {name: np.array(to_host(model.parameters[name])) for name in names}


def set_shared(model: Layer, core: Patterns, arrays: Mapping[str, Any]) -> None:
    """Write what was received into a model; nothing is written unless everything fits.

    Parameters
    ----------
    model : Model or layer
    core : str or iterable of str
        Patterns of what is shared, the same as on the other side.
    arrays : mapping of str to ndarray
        An array for each shared parameter, on the host.

    Raises
    ------
    ValueError
        A name is missing or unknown, a shape differs, or a value is NaN or infinite; or a pattern matches nothing.
    TypeError
        A value can't be represented in its parameter's dtype, or an argument is of the wrong type.
    """
    names = chosen("set_shared", "core", checked_layer("set_shared", "model", model), core)
    check_float("set_shared", "model", model)
    write(model, fitting("set_shared", "arrays", model, names, arrays))


def average(parts: Sequence[Mapping[str, Any]], counts: Sequence[float]) -> dict[str, np.ndarray]:
    """Return the mean of several clients' arrays, each weighted by its number of targets: (X41).

    Parameters
    ----------
    parts : sequence of mapping of str to ndarray
        What the clients sent, all of the same names, shapes and dtypes.
    counts : sequence of float
        n_k of each.

    Returns
    -------
    arrays : dict of str to ndarray
        In the dtypes of the parts. The mean of one part is that part, to the last bit.

    Raises
    ------
    ValueError
        There is no part, or not one count for each; a count is not above 0 and finite; names or shapes differ; or a
        value is NaN or infinite. The message names the part, counted from 0.
    TypeError
        A count is no number, a part no mapping or quantized, or dtypes differ.
    """
    where = "average"
    if not len(parts) or len(parts) != len(counts):
        raise ValueError(
            f"{where}: parts and counts must be one for each client, and not none, got {len(parts)} and {len(counts)}"
        )
    for k, count in enumerate(counts):
        if isinstance(count, bool) or not isinstance(count, int | float | np.integer | np.floating):
            raise TypeError(f"{where}: counts[{k}] must be a number, got {count!r}")
        if not (isfinite(count) and count > 0):
            raise ValueError(
                f"{where}: counts[{k}] must be above 0 and finite, got {count}; leave out a client without examples"
            )
    checked: list[dict[str, np.ndarray]] = []
    for k, part in enumerate(parts):
        checked.append(_checked_part(where, f"parts[{k}]", part, checked[0] if checked else None))
    total = float(sum(counts))
    means = {}
    for name, first in checked[0].items():
        mean = counts[0] / total * first.astype(np.float64)
        for part, count in zip(checked[1:], counts[1:], strict=True):
            mean += count / total * part[name]  # (X41)
        means[name] = mean.astype(first.dtype)
    return means


def fitting(where: str, argument: str, model: Layer, names: Iterable[str], arrays: Any) -> dict[str, Array]:
    """Return the arrays of these names, if they are all that was given and each fits its parameter."""
    check_float(where, argument, arrays)
    _check_names(where, argument, arrays, names)
    values = {}
    for name in names:
        parameter = model.parameters[name]
        value = as_array(where, name, arrays[name])
        if value.shape != tuple(parameter.shape):
            raise ValueError(
                f"{where}: {name} must have shape {tuple(parameter.shape)}, as in this model, got {value.shape}; "
                "what is shared must be of one size on all sides"
            )
        values[name] = checked_value(where, name, value, parameter)
    return values


def write(model: Layer, values: Mapping[str, Array]) -> None:
    """Put values that fit into a model's parameters."""
    for name, value in values.items():
        parameter = model.parameters[name]
        parameter[...] = move(value, array_namespace(parameter))


def _checked_part(
    where: str, argument: str, part: Any, first: Mapping[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """Return what one client sent as arrays, if they are finite and like those of the first client."""
    check_float(where, argument, part)
    _check_names(where, argument, part, part if first is None else first)
    arrays = {name: as_array(where, f"{argument}[{name!r}]", part[name]) for name in (first or part)}
    for name, array in arrays.items():
        check_finite(where, f"{argument}[{name!r}]", array)
        if first is None:
            continue
        if array.shape != first[name].shape:
            raise ValueError(
                f"{where}: {name} must have one shape in all parts, got {first[name].shape} in parts[0] and "
                f"{array.shape} in {argument}; what is shared must be of one size on all sides"
            )
        if array.dtype != first[name].dtype:
            raise TypeError(
                f"{where}: {name} must have one dtype in all parts, got {first[name].dtype} in parts[0] and "
                f"{array.dtype} in {argument}; convert it with astype"
            )
    return arrays


def _check_names(where: str, argument: str, given: Any, wanted: Iterable[str]) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"{where}: {argument} must be a mapping of names to arrays, got {type(given).__name__}")
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in set(wanted)]
    if missing or unknown:
        raise ValueError(
            f"{where}: {argument} must have the names {', '.join(wanted) or 'none'}; missing: "
            f"{', '.join(missing) or 'none'}; unknown: {', '.join(map(str, unknown)) or 'none'}; "
            "all sides must share the same core"
        )
