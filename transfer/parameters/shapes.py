"""How a parameter goes into one of another shape: block by block, the leading part of each axis.

The rows of a recurrent weight fall into gates, its columns into the directions that it reads. Unit j of gate g stands
in row g·H + j, so that in a layer of another size it belongs in row g·H′ + j; a plain leading part would tear the
gates apart.
"""

from __future__ import annotations

from math import prod

from kernels.contract import Array
from rnn_core.layers.base import Layer
from rnn_core.layers.stack import Recurrent

Blocks = tuple[int, ...]
"""Into how many blocks each axis of a parameter falls."""


def axis_blocks(layer: Layer) -> dict[str, Blocks]:
    """Return into how many blocks each parameter's rows (gates) and columns (directions read) fall."""
    parts = getattr(layer, "layers", {"": layer})
    told = getattr(layer, "column_blocks", {})
    found = {}
    below = 1  # directions of the layer that a layer reads
    for part, own in parts.items():
        recurrent, directions = isinstance(own, Recurrent), getattr(own, "directions", 1)
        for k, names in enumerate(own.groups.values()):
            for name in names:
                within = recurrent and not name.startswith("weight_ih")  # what reads the state, or one unit's vector
                read = 1 if within else below if k == 0 else directions
                whole = f"{part}.{name}" if part else name
                blocks = (own.gate_blocks[name], told.get(whole, read))
                found[whole] = blocks[: own.parameters[name].ndim]
        if recurrent:  # heads stand side by side, and each reads the core
            below = directions
    return found


def overlap(value: Array, parameter: Array, value_blocks: Blocks, blocks: Blocks) -> tuple[Array, tuple[int, ...]]:
    """Return a copy of `parameter` with the part that it shares with `value` written over, and that part's shape.

    Parameters
    ----------
    value, parameter : ndarray
        Of the same rank.
    value_blocks, blocks : tuple of int
        The blocks of each axis. They divide the axes.
    """
    split, whole = value.reshape(_split(value.shape, value_blocks)), parameter.copy()
    result = whole.reshape(_split(whole.shape, blocks))
    common = tuple(map(min, split.shape, result.shape))
    part = tuple(map(slice, common))
    result[part] = split[part]  # (X3)
    return result.reshape(parameter.shape), tuple(prod(common[k : k + 2]) for k in range(0, len(common), 2))


def _split(shape: tuple[int, ...], blocks: Blocks) -> tuple[int, ...]:
    """Return the shape with each axis parted into blocks and what a block holds."""
    return tuple(n for size, count in zip(shape, blocks, strict=True) for n in (count, size // count))
