"""What another network has learned, as the beginning of this one: its core, and its head where it says the same.

Where parts of another shape are to be taken, `transfer.copy_parameters` makes a model that has them, and that goes in
here.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..foreign import shown
from ..layers.home import move
from ..layers.quantized import is_quantized
from ..models import Model
from ..weights import load

ABOVE = ("head.", "crf.")
"""How the names begin of what stands on the core and answers."""

SAME = ("cell", "hidden_size", "num_layers", "bidirectional")
"""What makes two cores the same, as far as it is an estimator's to choose."""


def source_of(where: str, given: Any) -> Model:
    """Return the model in what `transfer_from` may be: a fitted estimator, a model, or a file of either.

    Raises
    ------
    NotFittedError
        The estimator was not fitted.
    TypeError
        It is none of these.
    ValueError, OSError
        As `rnn_core.load`.
    """
    if isinstance(given, str | os.PathLike):
        given = load(given)
    if hasattr(given, "get_params") and hasattr(given, "fit"):
        check_is_fitted(given)
        given = getattr(given, "model_", given)
    if not isinstance(given, Model):
        raise TypeError(
            f"{where}: transfer_from must be a fitted estimator of rnn_core.sklearn, a model, or a file of one, got "
            f"{shown(given)}"
        )
    if is_quantized(given):
        raise TypeError(f"{where}: transfer_from must have weights that can learn, got int8; take the model before it")
    return given


def carry(where: str, source: Model, target: Model) -> tuple[str, ...]:
    """Copy what one model has learned into another of the same core, and return the parameters that were written.

    Raises
    ------
    ValueError
        The cores differ. Nothing has been written then.
    """
    others = [
        f"{name}={shown(source.config[name])}, and {shown(target.config[name])} here"
        for name in SAME
        if name in source.config and name in target.config and source.config[name] != target.config[name]
    ]
    below = {name: array for name, array in source.parameters.items() if not name.startswith(ABOVE)}
    if not others:
        others = [
            f"{name} of shape {_shape(source, name)}, and {_shape(target, name)} here"
            for name in {**below, **target.parameters}
            if not name.startswith(ABOVE) and _shape(source, name) != _shape(target, name)
        ]
    if others:
        raise ValueError(
            f"{where}: transfer_from must have the core of this estimator, got {'; '.join(others[:3])}; give it the "
            "same options, or take what fits of another with transfer.copy_parameters and hand over the model"
        )
    names = tuple(name for name in target.parameters if name in below or (_says_the_same(source, target)))
    for name in names:
        parameter = target.parameters[name]
        parameter[...] = move(source.parameters[name], target.namespace).astype(parameter.dtype)
    return names


def _says_the_same(source: Model, target: Model) -> bool:
    """Return whether both answer the same question, so that what stands on the core is carried over, too."""
    above = [name for name in target.parameters if name.startswith(ABOVE)]
    shapes = all(_shape(source, name) == _shape(target, name) for name in above)
    known = target.classes is None or source.classes == target.classes
    return type(source) is type(target) and known and shapes


def _shape(model: Model, name: str) -> tuple[int, ...] | None:
    """Return the shape of a parameter; None where the model has none of that name."""
    array: Any = model.parameters.get(name)
    return None if array is None else tuple(np.shape(array))
