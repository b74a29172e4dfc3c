"""Gradients held below a length, so that one steep step can't throw the parameters far away.

::

    ‖g‖ = √(Σ over all parameters and elements of g²)        (C1)
    g ← g · min(1, max_norm/‖g‖)                             (C2)

References
----------
.. [1] R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
   algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, sqrt
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from .. import backends
from ..layers.checks import first
from ..layers.embedding import RowGradient, check_gradient
from ..layers.home import numbers, on_gpu
from .blocks import blocks


def clip_by_global_norm(
    gradients: Mapping[str, Array | RowGradient], max_norm: float, *, backend: str | None = None
) -> tuple[dict[str, Array], float]:
    """Scale all gradients by one factor so that together they are no longer than `max_norm`.

    Parameters
    ----------
    gradients : mapping of str to ndarray or RowGradient
        Not changed.
    max_norm : float
        Above 0; infinity only measures.
    backend : {"numpy", "cpu", "cuda"}, optional
        Whose kernels measure gradients on the host; the best one present by default.

    Returns
    -------
    clipped : dict
        The gradients themselves where nothing had to be clipped, otherwise scaled copies.
    norm : float
        ‖g‖ before clipping.

    Raises
    ------
    ValueError
        `max_norm` is not above 0, or a gradient holds a NaN or an infinity (the parameter and the place are named).
    TypeError
        `max_norm` is not a number, or a gradient no array.

    Notes
    -----
    ``torch.nn.utils.clip_grad_norm_`` divides by ‖g‖ + 1e-6, and so clips a little more. `fit` makes no copies: the
    factor is multiplied in where the optimizer reads a gradient.
    """
    factor, norm = clipping_factor(gradients, max_norm, backend=backend)
    if factor == 1:
        return dict(gradients), norm
    return {name: _scaled(g, factor) for name, g in gradients.items()}, norm  # (C2)


def clipping_factor(
    gradients: Mapping[str, Array | RowGradient], max_norm: float, *, backend: str | None = None
) -> tuple[float, float]:
    """Return what gradients are to be multiplied by, min(1, max_norm/‖g‖), and ‖g‖.

    Parameters and errors are those of `clip_by_global_norm`.
    """
    where = "clip_by_global_norm"
    if isinstance(max_norm, bool) or not isinstance(max_norm, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: max_norm must be a number, got {max_norm!r}")
    if not max_norm > 0:
        raise ValueError(f"{where}: max_norm must be above 0, got {max_norm}")
    for name, g in gradients.items():
        check_gradient(where, name, g)
    arrays = {name: _values(g) for name, g in gradients.items()}
    with np.errstate(over="ignore", invalid="ignore"):  # squares that overflow are seen to in `_norm`
        squares = _sums_of_squares(where, list(arrays.values()), backend)
        norms = [_norm(where, name, g, square) for (name, g), square in zip(arrays.items(), squares, strict=True)]
    largest = max(norms, default=0.0)
    # Measured in units of the largest, no square overflows or vanishes.
    norm = largest * sqrt(sum((part / largest) ** 2 for part in norms)) if largest else 0.0  # (C1)
    return (1.0 if norm <= max_norm else float(max_norm) / norm), norm  # (C2)


def _sums_of_squares(where: str, arrays: list[Array], backend: str | None) -> list[float]:
    """Return Σ g² of each array: on the host a sum per block, added up in double precision; from a GPU one transfer."""
    if arrays and on_gpu(arrays[0]):
        return numbers([_square(g) for g in arrays])
    kernels = backends.update_kernels(where, backend)
    if kernels is None:
        return [_sum_of_squares(g) for g in arrays]
    taken = [kernels.takes(g) for g in arrays]
    totals = iter(kernels.sums_of_squares([g for g, its in zip(arrays, taken, strict=True) if its]))
    return [next(totals) if its else _sum_of_squares(g) for g, its in zip(arrays, taken, strict=True)]


def _sum_of_squares(g: Array) -> float:
    total = 0.0
    for (block,) in blocks(g):
        total += float(_square(block))
    return total


def _square(block: Array) -> Array:
    flat = array_namespace(block).reshape(block, (-1,))
    return flat @ flat


def _norm(where: str, name: str, g: Array, square: float) -> float:
    """Return the length of one gradient from its sum of squares, if that has not overflown."""
    if isfinite(square):
        return sqrt(square)
    xp = array_namespace(g)
    finite = xp.isfinite(g)
    if not xp.all(finite):
        place = first(~finite)
        raise ValueError(
            f"{where}: gradients must be finite, got {g[place]} in that of {name} at index {place}; "
            "try a lower learning rate, or look for an overflow in the loss"
        )
    # Finite numbers whose squares overflow.
    scale = float(xp.max(xp.abs(g)))
    scaled = xp.astype(g, xp.float64) / scale
    return scale * sqrt(float(xp.sum(scaled * scaled)))


def _values(g: Array | RowGradient) -> Array:
    return g.values if isinstance(g, RowGradient) else g


def _scaled(g: Array | RowGradient, factor: float) -> Any:
    return g._replace(values=g.values * factor) if isinstance(g, RowGradient) else g * factor
