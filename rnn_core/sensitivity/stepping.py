"""A copy of a layer or model on complex numbers, whose parameters have taken the step i·ε·v."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from kernels.contract import Array

from ..checking.complex_step import EPSILON
from ..checking.twins import hold_paddings
from ..foreign import one_line, shown
from ..layers.checks import as_array, check_finite, check_needs
from ..layers.home import move, to_host
from ..layers.layout import describe


def check_has(where: str, name: str, target: Any, *wanted: str) -> None:
    """Raise TypeError if an argument, called `name`, has not what is asked of it."""
    if missing := [part for part in wanted if not hasattr(target, part)]:
        raise TypeError(f"{where}: {name} must have {' and '.join(missing)}, got {describe(target)}")


def stepped(where: str, target: Any, vector: Mapping[str, Any], name: str) -> Any:
    """Return a copy on complex numbers, in NumPy, at θ + i·ε·v.

    A padding row, which is a constant, takes no step. `name` is what the caller's argument with v is called.
    """
    if not isinstance(vector, Mapping):
        raise TypeError(f"{where}: {name} must be a dict of arrays by a parameter's name, got {shown(vector)}")
    if unknown := sorted(str(key) for key in vector if key not in target.parameters):
        raise ValueError(
            f"{where}: {name} must name some of {one_line(', '.join(target.parameters))}; "
            f"got {one_line(', '.join(unknown))}"
        )
    twin = target.astype(np.complex128, backend="numpy")
    for key, value in vector.items():
        theta = twin.parameters[key]
        theta += step(where, f"{name}[{key!r}]", value, theta.shape)
    hold_paddings(target, twin)
    return twin


def step(where: str, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return i·ε·v of a direction v, if it is real numbers of this shape."""
    v = as_array(where, name, to_host(value))
    if v.dtype.kind == "c":
        raise TypeError(f"{where}: {name} must be real numbers, got {v.dtype}")
    if v.shape != tuple(shape):
        raise ValueError(f"{where}: {name} must have shape {tuple(shape)}, got {v.shape}")
    check_finite(where, name, v)
    return 1j * EPSILON * v.astype(np.float64)


def asked(where: str, model: Any, vector: Mapping[str, Any], needs: Iterable[str] | None) -> frozenset[str]:
    """Return of which parameters a product is wanted: those of the direction itself where nothing is said."""
    return check_needs(where, vector if needs is None else needs, model.parameters)


def returned(product: Mapping[str, np.ndarray], model: Any, vector: Mapping[str, Any]) -> dict[str, Array]:
    """Return a product in the model's order, each where and in the dtype that its direction has, or its parameter."""
    found = {}
    for name, parameter in model.parameters.items():
        if name in product:
            like = vector.get(name, parameter)
            like = like if is_array_api_obj(like) else np.asarray(like, np.float64)
            xp = array_namespace(like)
            real = like.dtype if xp.isdtype(like.dtype, "real floating") else xp.float64
            found[name] = xp.astype(move(product[name], xp), real)
    return found
